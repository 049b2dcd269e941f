//! Who may call what: every route of the table, with every role, and without.

use axum::http::Method;
use chrono::Duration;
use reqwest::Response;
use tenancy::access::{self, Access, Callers, Credentials, Route};
use tenancy::{Role, RoleSet};

use crate::service::{Service, expiring, problem, token};

async fn call(service: &Service, route: &Route, token: Option<&str>) -> Response {
    let path = route.path.replace("{name}", "ar_aging").replace("{id}", "walk");
    let path = path.replace("{type}", "crm.call_logged");
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

#[tokio::test]
async fn every_route_admits_its_roles_and_no_others() {
    let service = Service::start().await;
    service.tenant("walk").await;
    for route in access::ROUTES {
        for role in Role::ALL {
            let answer = call(&service, route, Some(&claims(role))).await;
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            let what = format!("{} {} as {role}: {status} {text}", route.method, route.path);
            match access::allowed(route.method, route.path, &RoleSet::from(role)) {
                Access::Public => assert!(status == 200, "{what}"),
                // Without a body or parameters the call may be wrong, but it was let in.
                Access::Granted => {
                    // What the path names may not be there; the path itself must be.
                    let no_route = text.contains("urn:tidemark:problem:not-found");
                    assert!(![401, 403, 405, 500].contains(&status) && !no_route, "{what}");
                }
                Access::Refused => assert_eq!(status, 403, "{what}"),
                Access::Unknown => panic!("the table contradicts itself: {what}"),
            }
        }
    }
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
    let admin = service.tenant("a-most-secret-firm").await;
    service.get("/v1/views", &admin).send().await.unwrap();
    service.get("/v1/views/secret_view_name", &admin).send().await.unwrap();
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = service.client.get(service.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("secret"), "{text}");
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
