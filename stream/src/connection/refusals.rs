//! Why a connection does not give what it was asked for.

use axum::http::StatusCode;
use projections::{RuntimeError, TenantSnapshot, Unready};

use crate::problem::Problem;

fn unknown_view(name: &str) -> Problem {
    let name: String = name.chars().take(80).collect();
    let detail = format!("There is no view '{name}': GET /v1/views lists those there are.");
    Problem::new("unknown-view", StatusCode::NOT_FOUND, "Unknown view", detail)
}

/// Why there is no such view to be read: it is being filled, it never was, it is not shown, or there
/// is none.
pub(super) fn absent(name: &str, snapshot: &TenantSnapshot) -> Problem {
    if let Some(module) = snapshot.hidden().view(name) {
        return Problem::switched_off(&format!("the view '{name}'"), module);
    }
    match snapshot.unready(name) {
        None => unknown_view(name),
        Some(Unready { failure: Some(failure), .. }) => view_failed(name, failure),
        Some(Unready { failure: None, .. }) => {
            let detail = format!(
                "The view '{name}' is being filled from history: subscribe when \
                 GET /v1/views/{name}/status says that it is live."
            );
            Problem::new("view-filling", StatusCode::CONFLICT, "The view is being filled", detail)
        }
    }
}

pub(super) fn view_failed(name: &str, failure: &RuntimeError) -> Problem {
    let detail = format!("The view '{name}' cannot be read: {failure}");
    Problem::new("view-failed", StatusCode::CONFLICT, "View failed", detail)
}

pub(super) fn duplicate(id: &str) -> Problem {
    let detail = format!(
        "This connection already has a subscription '{id}': unsubscribe it first, or take \
         another id."
    );
    Problem::new("duplicate-subscription", StatusCode::CONFLICT, "Duplicate subscription", detail)
}

pub(super) fn too_many_subscriptions(bound: usize) -> Problem {
    let detail = format!(
        "A connection can have {bound} subscriptions: unsubscribe one, or open another connection."
    );
    let status = StatusCode::TOO_MANY_REQUESTS;
    Problem::new("too-many-subscriptions", status, "Too many subscriptions", detail)
}

pub(super) fn unknown_subscription() -> Problem {
    let detail = "This connection has no subscription with that id; it may have ended already.";
    Problem::new("unknown-subscription", StatusCode::NOT_FOUND, "Unknown subscription", detail)
}
