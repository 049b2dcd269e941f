#![allow(clippy::unwrap_used)]
use tenancy::access::{self, Callers};
use tenancy::audit::Action;

use super::*;

/// Every route that is there, and what a good answer of it is recorded as.
#[test]
fn what_changes_something_is_recorded_as_a_change() {
    for route in access::ROUTES.iter().filter(|route| route.callers != Callers::Public) {
        let is_asking = route.path == "/v1/query";
        let is_plain = ["/v1/events", "/v1/tickets"].contains(&route.path);
        let recorded = action(kind(route.method, route.path), 200, false);
        if route.method == "GET" {
            assert_ne!(recorded, Some(Action::Change), "{route:?}");
        } else if is_asking {
            assert_eq!(recorded, Some(Action::Query));
        } else if is_plain {
            assert_eq!(recorded, None);
        } else {
            assert_eq!(recorded, Some(Action::Change), "{route:?}");
        }
        if route.method == "GET" && route.path.starts_with("/v1/platform/") {
            assert_eq!(recorded, Some(Action::Look), "{route:?}");
        }
        for status in [401, 403, 429] {
            let refused = action(kind(route.method, route.path), status, false);
            assert_eq!(refused, Some(Action::Refusal), "{route:?}");
        }
    }
}

#[test]
fn what_is_no_json_is_taken_away() {
    assert_eq!(action(kind("GET", "/v1/views/{name}"), 200, true), Some(Action::Download));
    assert_eq!(action(kind("GET", "/v1/views/{name}"), 200, false), Some(Action::Read));
    let explain = "/v1/views/{name}/explain";
    assert_eq!(action(kind("GET", explain), 200, true), Some(Action::Download));
    assert_eq!(action(kind("GET", explain), 200, false), Some(Action::Read));
    assert_eq!(action(kind("GET", "/v1/exports/{run}"), 206, true), Some(Action::Download));
    assert_eq!(action(kind("GET", "/v1/later/{id}"), 200, true), Some(Action::Download));
    assert_eq!(action(kind("POST", "/v1/query"), 200, true), Some(Action::Query));
}
