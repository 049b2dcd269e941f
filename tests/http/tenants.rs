//! Tenants: created, changed, listed, and their dates.

use serde_json::{Value, json};
use tenancy::Role;

use crate::service::{Service, invoice, problem, token};

#[tokio::test]
async fn a_tenant_is_created_read_and_changed() {
    let service = Service::start().await;
    let platform = token(None, &[Role::Platform]);
    let body = json!({
        "id": "north", "name": "North Ltd", "timezone": "Europe/London", "currency": "GBP",
        "clock": "fixed:2025-01-31",
    });
    let create = || service.post("/v1/platform/tenants", &platform).json(&body).send();
    let answer = create().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["location"], "/v1/platform/tenants/north");
    let made: Value = answer.json().await.unwrap();
    assert_eq!(made["id"], "north");
    assert_eq!(made["clock"], "fixed:2025-01-31");
    assert_eq!(made["locale"], "en-GB");
    assert!(made.get("number").is_none());
    // The same call again has no effect; one that says anything else is a conflict.
    let again = create().await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.unwrap(), made);
    let mut other = body.clone();
    other["currency"] = json!("EUR");
    let answer = service.post("/v1/platform/tenants", &platform).json(&other).send().await.unwrap();
    problem(answer, 409, "conflict").await;

    let list: Value =
        service.get("/v1/platform/tenants", &platform).send().await.unwrap().json().await.unwrap();
    // The platform reads with each tenant its state and what its views hold.
    let mut read = made.clone();
    read["memory_bytes"] = json!(0);
    read["state"] = json!("active");
    assert_eq!(list["tenants"], json!([read]));
    let answer = service.get("/v1/platform/tenants/north", &platform).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), read);
    let answer = service.get("/v1/platform/tenants/nowhere", &platform).send().await.unwrap();
    problem(answer, 404, "unknown-tenant").await;

    let admin = token(Some("north"), &[Role::Admin]);
    let patch = |path: &str, token: &str, body: Value| {
        service.client.patch(service.url(path)).bearer_auth(token).json(&body).send()
    };
    let answer = patch("/v1/tenant", &admin, json!({ "name": "North plc" })).await.unwrap();
    assert_eq!(answer.status(), 200);
    let own: Value = service.get("/v1/tenant", &admin).send().await.unwrap().json().await.unwrap();
    assert_eq!(own["name"], "North plc");
    assert_eq!(own["currency"], "GBP");
    let answer = patch("/v1/tenant", &admin, json!({ "locale": "cy-gb" })).await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["locale"], "cy-GB");
    let answer = patch("/v1/tenant", &admin, json!({ "locale": "Welsh" })).await.unwrap();
    let told = problem(answer, 400, "invalid-body").await;
    assert!(told["detail"].as_str().unwrap().contains("such as en-GB"), "{told}");
    let answer = patch("/v1/tenant", &admin, json!({ "clock": "wall" })).await.unwrap();
    problem(answer, 400, "invalid-body").await;
    let answer = patch("/v1/tenant", &admin, json!({ "nmae": "x" })).await.unwrap();
    problem(answer, 400, "invalid-body").await;
    let answer = patch("/v1/platform/tenants/south", &platform, json!({ "name": "x" })).await;
    problem(answer.unwrap(), 404, "unknown-tenant").await;
    for bad in [
        json!({ "id": "Bad Id", "name": "x", "timezone": "UTC", "currency": "EUR" }),
        json!({ "id": "x", "name": "x", "timezone": "Mars/Olympus", "currency": "EUR" }),
        json!({ "id": "x", "name": "x", "timezone": "UTC", "currency": "euro" }),
        json!({ "id": "x", "name": "x", "timezone": "UTC", "currency": "EUR", "clock": "sun" }),
        json!({ "id": "x", "name": "x", "timezone": "UTC", "currency": "EUR", "locale": "en_GB" }),
        json!({ "id": "x" }),
    ] {
        let answer = service.post("/v1/platform/tenants", &platform).json(&bad).send().await;
        problem(answer.unwrap(), 400, "invalid-body").await;
    }
}

#[tokio::test]
async fn a_new_date_changes_the_views_with_no_event() {
    let service = Service::start().await;
    let admin = service.tenant("dates").await;
    let platform = token(None, &[Role::Platform]);
    let receipt = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    let overdue = |rows: Value| rows[0][10].clone();
    let rows = service.rows(&admin, "open_invoices", &receipt["position"]).await;
    assert_eq!(overdue(rows), 20);

    let path = service.url("/v1/platform/tenants/dates");
    let change = json!({ "clock": "fixed:2025-07-30" });
    let answer = service.client.patch(path).bearer_auth(&platform).json(&change).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    // Who reads after the answer sees the new date, waiting for nothing more.
    let rows = service.rows(&admin, "open_invoices", &receipt["position"]).await;
    assert_eq!(overdue(rows), 50);
}

#[tokio::test]
async fn a_wall_clock_has_a_date_at_once() {
    let service = Service::start().await;
    let platform = token(None, &[Role::Platform]);
    let body =
        json!({ "id": "wall", "name": "Wall", "timezone": "Pacific/Auckland", "currency": "NZD" });
    let answer = service.post("/v1/platform/tenants", &platform).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let admin = token(Some("wall"), &[Role::Admin]);
    let receipt = service.send(&admin, &[]).await;
    let path = format!("/v1/views/ar_aging?wait_for={}", receipt["position"].as_str().unwrap());
    let answer: Value = service.get(&path, &admin).send().await.unwrap().json().await.unwrap();
    assert!(answer["as_of"].is_string(), "{answer}");
}
