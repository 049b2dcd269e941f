//! Who may call what: every route of the OpenAPI document, with every role, and without.

use std::collections::BTreeSet;

use axum::http::Method;
use chrono::Duration;
use reqwest::Response;
use serde_json::{Value, json};
use tenancy::access::{self, Callers, Credentials, Route};
use tenancy::{Role, RoleSet};

use crate::service::{Service, expiring, problem, token};

async fn call(service: &Service, route: &Route, token: Option<&str>) -> Response {
    let path = route.path.replace("{name}", "ar_aging").replace("{id}", "walk");
    let path = path.replace("{type}", "crm.call_logged").replace("{run}", "1");
    let path = path.replace("{version}", "1");
    assert!(!path.contains('{'), "{path} has a parameter that this walk does not fill");
    let method = Method::from_bytes(route.method.as_bytes()).unwrap();
    let mut request = service.client.request(method, service.url(&path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

fn claims(role: Role) -> String {
    let tenant = (role != Role::Platform).then_some("walk");
    token(tenant, &[role])
}

/// The calls of the document: method, path, and who may make them; none: anybody.
async fn document(service: &Service) -> Vec<(String, String, Option<RoleSet>)> {
    let answer = service.client.get(service.url("/openapi.json")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let document: Value = answer.json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let roles = operation["x-roles"].as_array().unwrap().iter();
            let roles: RoleSet = roles.map(|r| r.as_str().unwrap().parse().unwrap()).collect();
            let is_public = operation["security"] == json!([]);
            assert_eq!(is_public, roles.is_empty(), "{method} {path}");
            let in_path = path.matches('{').count();
            let parameters = operation["parameters"].as_array().unwrap();
            assert_eq!(parameters.iter().filter(|p| p["in"] == "path").count(), in_path, "{path}");
            calls.push((method.to_uppercase(), path.clone(), (!is_public).then_some(roles)));
        }
    }
    // The platform's last: among them is the one that deletes the tenant.
    calls.sort_by_key(|(_, path, _)| path.starts_with("/v1/platform/"));
    calls
}

#[tokio::test]
async fn the_document_has_the_table_and_every_call_its_own_name() {
    let service = Service::start().await;
    let calls = document(&service).await;
    assert_eq!(calls.len(), access::ROUTES.len());
    for (method, path, roles) in &calls {
        let callers = roles.map_or(Callers::Public, Callers::Roles);
        assert_eq!(access::route(method, path).unwrap().callers, callers, "{method} {path}");
    }
    let answer = service.client.get(service.url("/openapi.json")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let names: BTreeSet<&str> = text.split("\"operationId\":\"").skip(1).collect();
    let names: BTreeSet<&str> = names.iter().filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(names.len(), calls.len());
}

#[tokio::test]
async fn every_route_admits_its_roles_and_no_others() {
    let service = Service::start().await;
    service.tenant("walk").await;
    let mut attempts = 0;
    for (method, path, roles) in document(&service).await {
        let route = access::route(&method, &path).unwrap();
        let tokens = Role::ALL.into_iter().map(|role| (Some(role), Some(claims(role))));
        for (role, token) in tokens.chain([(None, None)]) {
            let answer = call(&service, route, token.as_deref()).await;
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            let what = format!("{method} {path} as {role:?}: {status} {text}");
            attempts += 1;
            match (roles, role) {
                (None, _) => assert!(![401, 403, 405, 500].contains(&status), "{what}"),
                // A WebSocket may say later who it is; without a handshake it is none.
                (Some(_), None) if route.credentials == Credentials::BearerTicketOrMessage => {
                    assert!(status >= 400, "{what}");
                }
                (Some(_), None) => assert_eq!(status, 401, "{what}"),
                // Without a body or parameters the call may be wrong, but it was let in.
                (Some(roles), Some(role)) if roles.contains(role) => {
                    // What the path names may not be there; the path itself must be.
                    let no_route = text.contains("urn:tidemark:problem:not-found");
                    assert!(![401, 403, 405, 500].contains(&status) && !no_route, "{what}");
                }
                (Some(_), Some(_)) => assert_eq!(status, 403, "{what}"),
            }
        }
    }
    println!("{attempts} calls");
}

#[tokio::test]
async fn without_a_token_nothing_but_the_public_is_answered() {
    let service = Service::start().await;
    service.tenant("walk").await;
    for route in access::ROUTES.iter().filter(|route| route.callers != Callers::Public) {
        if route.credentials != Credentials::BearerTicketOrMessage {
            let answer = call(&service, route, None).await;
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            problem(answer, 401, "unauthorized").await;
        }
        for bad in ["x", "a.b.c", &expiring(Some("walk"), &[Role::Admin], Duration::hours(-2))] {
            problem(call(&service, route, Some(bad)).await, 401, "invalid-token").await;
        }
    }
}

#[tokio::test]
async fn a_tenant_that_never_was_is_refused() {
    let service = Service::start().await;
    let admin = token(Some("nobody"), &[Role::Admin]);
    for route in access::ROUTES {
        if matches!(route.callers, Callers::Roles(roles) if roles.contains(Role::Admin)) {
            problem(call(&service, route, Some(&admin)).await, 403, "unknown-tenant").await;
        }
    }
}

#[tokio::test]
async fn what_is_no_route_is_a_problem() {
    let service = Service::start().await;
    let admin = service.tenant("walk").await;
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/views/a/b", "/nothing.js"] {
        problem(service.get(path, &admin).send().await.unwrap(), 404, "not-found").await;
    }
    let answer = service.client.delete(service.url("/v1/tenant")).bearer_auth(&admin);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET, PATCH");
    problem(answer, 405, "method-not-allowed").await;
    let answer = service.client.post(service.url("/")).send().await.unwrap();
    problem(answer, 405, "method-not-allowed").await;
    let long = format!("/v1/views?wait_for={}", "x".repeat(40_000));
    problem(service.get(&long, &admin).send().await.unwrap(), 414, "address-too-long").await;
    let head = service.client.head(service.url("/v1/views")).bearer_auth(&admin);
    assert_eq!(head.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn tokens_in_other_forms_are_refused() {
    let service = Service::start().await;
    let admin = service.tenant("walk").await;
    let views = service.url("/v1/views");
    let send = |header: String| service.client.get(&views).header("authorization", header).send();
    for header in [format!("Basic {admin}"), admin.clone(), String::new()] {
        problem(send(header).await.unwrap(), 401, "unauthorized").await;
    }
    assert_eq!(send(format!("bearer  {admin}")).await.unwrap().status(), 200);
    let twice = service.get("/v1/views", &admin).header("authorization", format!("Bearer {admin}"));
    problem(twice.send().await.unwrap(), 401, "unauthorized").await;
}

#[tokio::test]
async fn figures_of_the_process_name_no_tenant() {
    let service = Service::start().await;
    let admin = service.tenant("a-most-hidden-firm").await;
    service.get("/v1/views", &admin).send().await.unwrap();
    service.get("/v1/views/hidden_view_name", &admin).send().await.unwrap();
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/v1/sign-in"] {
        let answer = service.client.get(service.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("hidden_view") && !text.contains("most-hidden"), "{text}");
        if path == "/metrics" {
            assert!(text.contains("tidemark_http_requests_total"), "{text}");
        }
    }
}

#[tokio::test]
async fn the_page_is_served_with_a_strict_policy_or_says_how_to_build_it() {
    let service = Service::start().await;
    let page =
        |path: &str| service.client.get(service.url(path)).header("accept", "text/html").send();
    let answer = page("/").await.unwrap();
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    if answer.status() == 503 {
        assert!(answer.text().await.unwrap().contains("npm run build"));
        return;
    }
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(answer.headers()["cross-origin-opener-policy"], "same-origin");
    assert!(answer.headers()["permissions-policy"].to_str().unwrap().contains("camera=()"));
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let tag = answer.headers()["etag"].clone();
    let html = answer.text().await.unwrap();
    assert_eq!(page("/invoices/open").await.unwrap().text().await.unwrap(), html);
    let known = service.client.get(service.url("/")).header("if-none-match", tag);
    assert_eq!(known.send().await.unwrap().status(), 304);

    let from = html.find("/assets/").unwrap();
    let name: String = html[from..].chars().take_while(|c| *c != '"').collect();
    let asset = service.client.get(service.url(&name)).send().await.unwrap();
    assert_eq!(asset.status(), 200, "{name}");
    assert!(asset.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    problem(page("/assets/gone.js").await.unwrap(), 404, "not-found").await;
}
