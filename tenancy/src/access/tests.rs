#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use super::*;

/// The rights as the documentation states them, written a second time: route, then whether
/// executive, analyst, service, admin and platform may call it.
const MATRIX: &[(&str, &str, [bool; 5])] = &[
    ("POST", "/v1/events", [false, false, true, true, false]),
    ("GET", "/v1/event-types", [false, true, false, true, false]),
    ("POST", "/v1/event-types", [false, false, false, true, false]),
    ("GET", "/v1/event-types/{type}", [false, true, false, true, false]),
    ("GET", "/v1/views", [true, true, false, true, false]),
    ("POST", "/v1/views", [false, true, false, true, false]),
    ("DELETE", "/v1/views/{name}", [false, true, false, true, false]),
    ("GET", "/v1/views/{name}", [true, true, false, true, false]),
    ("GET", "/v1/views/{name}/status", [true, true, false, true, false]),
    ("GET", "/v1/views/{name}/explain", [true, true, false, true, false]),
    ("POST", "/v1/query", [false, true, false, true, false]),
    ("GET", "/v1/reports", [false, true, false, true, false]),
    ("POST", "/v1/reports", [false, true, false, true, false]),
    ("GET", "/v1/reports/{id}", [false, true, false, true, false]),
    ("PUT", "/v1/reports/{id}", [false, true, false, true, false]),
    ("DELETE", "/v1/reports/{id}", [false, true, false, true, false]),
    ("POST", "/v1/reports/{id}/run", [false, true, false, true, false]),
    ("GET", "/v1/reports/{id}/runs", [false, true, false, true, false]),
    ("GET", "/v1/reports/{id}/runs/{run}", [false, true, false, true, false]),
    ("DELETE", "/v1/reports/{id}/runs/{run}", [false, true, false, true, false]),
    ("GET", "/v1/exports/{run}", [false, true, false, true, false]),
    ("GET", "/v1/alert-rules", [false, true, false, true, false]),
    ("POST", "/v1/alert-rules", [false, true, false, true, false]),
    ("GET", "/v1/alert-rules/{id}", [false, true, false, true, false]),
    ("PUT", "/v1/alert-rules/{id}", [false, true, false, true, false]),
    ("DELETE", "/v1/alert-rules/{id}", [false, true, false, true, false]),
    ("GET", "/v1/alerts", [true, true, false, true, false]),
    ("GET", "/v1/alerts/{id}", [true, true, false, true, false]),
    ("POST", "/v1/alerts/{id}/acknowledge", [true, true, false, true, false]),
    ("POST", "/v1/alerts/{id}/snooze", [true, true, false, true, false]),
    ("GET", "/v1/dashboards", [true, true, false, true, false]),
    ("POST", "/v1/dashboards", [false, true, false, true, false]),
    ("GET", "/v1/dashboards/{id}", [true, true, false, true, false]),
    ("PUT", "/v1/dashboards/{id}", [false, true, false, true, false]),
    ("DELETE", "/v1/dashboards/{id}", [false, true, false, true, false]),
    ("GET", "/v1/dashboards/{id}/versions", [true, true, false, true, false]),
    ("GET", "/v1/dashboards/{id}/versions/{version}", [true, true, false, true, false]),
    ("POST", "/v1/dashboards/{id}/versions/{version}/restore", [false, true, false, true, false]),
    ("GET", "/v1/stream", [true, true, false, true, false]),
    ("GET", "/v1/ws", [true, true, false, true, false]),
    ("POST", "/v1/tickets", [true, true, false, true, false]),
    ("GET", "/v1/dead-letters", [false, false, false, true, false]),
    ("DELETE", "/v1/dead-letters/{id}", [false, false, false, true, false]),
    ("POST", "/v1/dead-letters/{id}/replay", [false, false, false, true, false]),
    ("GET", "/v1/service-tokens", [false, false, false, true, false]),
    ("POST", "/v1/service-tokens", [false, false, false, true, false]),
    ("GET", "/v1/service-tokens/{id}", [false, false, false, true, false]),
    ("DELETE", "/v1/service-tokens/{id}", [false, false, false, true, false]),
    ("GET", "/v1/audit", [false, false, false, true, false]),
    ("GET", "/v1/tenant", [true, true, false, true, false]),
    ("PATCH", "/v1/tenant", [false, false, false, true, false]),
    ("GET", "/v1/tenant/fields", [true, true, false, true, false]),
    ("GET", "/v1/tenant/fields/{type}/{name}", [true, true, false, true, false]),
    ("PUT", "/v1/tenant/fields/{type}/{name}", [false, false, false, true, false]),
    ("DELETE", "/v1/tenant/fields/{type}/{name}", [false, false, false, true, false]),
    ("GET", "/v1/tenant/revocations", [false, false, false, true, false]),
    ("POST", "/v1/tenant/revocations", [false, false, false, true, false]),
    ("GET", "/v1/tenant/template", [false, false, false, true, false]),
    ("POST", "/v1/tenant/template/update", [false, false, false, true, false]),
    ("POST", "/v1/tenant/export", [false, false, false, true, false]),
    ("GET", "/v1/tenant/export/{run}", [false, false, false, true, false]),
    ("GET", "/v1/tenant/export/{run}/archive", [false, false, false, true, false]),
    ("GET", "/v1/platform/audit", [false, false, false, false, true]),
    ("GET", "/v1/platform/overview", [false, false, false, false, true]),
    ("GET", "/v1/platform/verticals", [false, false, false, false, true]),
    ("GET", "/v1/platform/tenants", [false, false, false, false, true]),
    ("POST", "/v1/platform/tenants", [false, false, false, false, true]),
    ("GET", "/v1/platform/tenants/{id}", [false, false, false, false, true]),
    ("PATCH", "/v1/platform/tenants/{id}", [false, false, false, false, true]),
    ("DELETE", "/v1/platform/tenants/{id}", [false, false, false, false, true]),
    ("GET", "/v1/platform/dead-letters", [false, false, false, false, true]),
    ("DELETE", "/v1/platform/dead-letters/{id}", [false, false, false, false, true]),
    ("POST", "/v1/platform/dead-letters/{id}/replay", [false, false, false, false, true]),
    ("GET", "/v1/platform/event-types", [false, false, false, false, true]),
    ("POST", "/v1/platform/event-types", [false, false, false, false, true]),
    ("GET", "/v1/platform/event-types/{type}", [false, false, false, false, true]),
];

const PUBLIC: [(&str, &str); 6] = [
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/sign-in"),
    ("POST", "/v1/sign-in"),
];

#[test]
fn every_role_gets_what_the_matrix_says() {
    for (method, path, rights) in MATRIX {
        for (role, right) in Role::ALL.into_iter().zip(rights) {
            let expected = if *right { Access::Granted } else { Access::Refused };
            assert_eq!(allowed(method, path, &role.into()), expected, "{role} {method} {path}");
        }
        assert_eq!(allowed(method, path, &RoleSet::EMPTY), Access::Refused, "{method} {path}");
    }
    for (method, path) in PUBLIC {
        assert_eq!(allowed(method, path, &RoleSet::EMPTY), Access::Public, "{path}");
    }
    assert_eq!(ROUTES.len(), MATRIX.len() + PUBLIC.len());
}

#[test]
fn what_the_table_does_not_list_is_unknown() {
    let everything = RoleSet::of(&Role::ALL);
    for (method, path) in [
        ("DELETE", "/v1/tenant"),
        ("PUT", "/v1/events"),
        ("GET", "/v1/events"),
        ("POST", "/livez"),
        ("get", "/v1/views"),
        ("GET", "/v1/views/"),
        ("GET", "/v1/views/ar_aging"),
        ("GET", "/v1/platform"),
        ("", ""),
    ] {
        assert_eq!(allowed(method, path, &everything), Access::Unknown, "{method} {path}");
    }
}

#[test]
fn head_is_allowed_as_get_is() {
    for entry in ROUTES.iter().filter(|entry| entry.method == "GET") {
        assert_eq!(route("HEAD", entry.path), Some(entry));
    }
    assert_eq!(route("HEAD", "/v1/query"), None);
}

#[test]
fn each_route_is_there_once() {
    let mut seen = HashSet::new();
    for entry in ROUTES {
        assert!(seen.insert((entry.method, entry.path)), "{} {}", entry.method, entry.path);
        assert!(!entry.summary.is_empty());
    }
}

#[test]
fn the_platform_is_apart() {
    for entry in ROUTES {
        let Callers::Roles(callers) = entry.callers else {
            continue;
        };
        let platform = entry.path.starts_with("/v1/platform/");
        assert_eq!(callers == RoleSet::from(Platform), platform, "{}", entry.path);
        assert_eq!(callers.contains(Platform), platform, "{}", entry.path);
    }
}

#[test]
fn only_public_routes_ask_for_nothing_and_only_streams_take_tickets() {
    for entry in ROUTES {
        let expected = match entry.path {
            path if PUBLIC.iter().any(|(_, public)| *public == path) => Credentials::None,
            "/v1/stream" => Credentials::BearerOrTicket,
            "/v1/ws" => Credentials::BearerTicketOrMessage,
            _ => Credentials::Bearer,
        };
        assert_eq!(entry.credentials, expected, "{}", entry.path);
        assert_eq!(entry.callers == Callers::Public, expected == Credentials::None);
    }
}

/// The table of `docs/roles.md`, as the routes have it.
fn table() -> String {
    let mut table = String::from("| call | ");
    for role in Role::ALL {
        table.push_str(&format!("{role} | "));
    }
    table.push_str("what it does |\n|---|");
    table.push_str(&":-:|".repeat(Role::ALL.len()));
    table.push_str("---|\n");
    for entry in ROUTES {
        table.push_str(&format!("| `{} {}` |", entry.method, entry.path));
        for role in Role::ALL {
            table.push_str(match entry.callers {
                Callers::Public => " – |",
                Callers::Roles(callers) if callers.contains(role) => " ✓ |",
                Callers::Roles(_) => "  |",
            });
        }
        table.push_str(&format!(" {} |\n", entry.summary));
    }
    table
}

/// `TIDEMARK_WRITE_DOCS=1` writes it anew.
#[test]
fn the_documentation_has_the_table() {
    const BEGIN: &str = "<!-- The table of routes; a test of the crate tenancy writes it. -->\n";
    const END: &str = "<!-- Here it ends. -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/roles.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let right = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("TIDEMARK_WRITE_DOCS").is_some() {
        std::fs::write(path, &right).unwrap();
    } else {
        assert!(text == right, "docs/roles.md is old; run this test with TIDEMARK_WRITE_DOCS=1");
    }
}
