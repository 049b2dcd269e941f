//! Fields that tenants declare beside those of event types.

use std::sync::Arc;

use reqwest::Response;
use serde_json::{Value, json};
use tenancy::Role;

use crate::own_views::{defined, delete};
use crate::service::{Service, event, problem, token};

const LOGGED: &str = "events.\"hr.time_logged\"";

/// Hours that are logged, with what the tenant's services send beside.
fn logged(id: &str, hours: &str, beside: &Value) -> Value {
    let mut data = json!({
        "entry_id": id, "employee_id": "e1", "work_date": "2025-06-02", "hours": hours,
        "billable": true,
    });
    for (name, value) in beside.as_object().unwrap() {
        data[name] = value.clone();
    }
    event("hr.time_logged", id, &data)
}

fn path(on: &str, name: &str) -> String {
    format!("/v1/tenant/fields/{on}/{name}")
}

async fn put(service: &Service, admin: &str, on: &str, name: &str, body: &Value) -> Response {
    let url = service.url(&path(on, name));
    service.client.put(url).bearer_auth(admin).json(body).send().await.unwrap()
}

/// Declares a field of the hours that are logged.
async fn declare(service: &Service, admin: &str, name: &str, kind: &str) {
    let body = json!({ "title": name.to_uppercase(), "type": kind });
    let answer = put(service, admin, "hr.time_logged", name, &body).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

async fn remove(service: &Service, admin: &str, on: &str, name: &str) -> Response {
    service.client.delete(service.url(&path(on, name))).bearer_auth(admin).send().await.unwrap()
}

async fn listed(service: &Service, token: &str) -> Value {
    let answer = service.get("/v1/tenant/fields", token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["fields"].take()
}

/// Why a query is refused.
async fn refused(service: &Service, token: &str, sql: &str) -> String {
    let answer = service.post("/v1/query", token).json(&json!({ "sql": sql })).send().await;
    let answer = answer.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_client_error(), "{sql}: {status} {text}");
    text
}

#[tokio::test]
async fn two_tenants_declare_different_fields_of_one_type_and_neither_sees_the_others() {
    let service = Service::start().await;
    let (one, other) = (service.tenant("one").await, service.tenant("other").await);
    declare(&service, &one, "lot", "text").await;
    declare(&service, &one, "rate", "decimal").await;
    declare(&service, &one, "inspected_on", "date").await;
    declare(&service, &other, "lot", "int").await;
    declare(&service, &other, "seen_at", "timestamp").await;
    declare(&service, &other, "remote", "bool").await;
    let beside = [
        json!({ "lot": "L-1", "rate": "12.5", "inspected_on": "2025-06-01", "remote": true }),
        json!({ "lot": 7, "rate": 0.0001, "seen_at": "2025-06-01T10:00:00+02:00" }),
        json!({ "lot": null, "rate": "0.00001", "inspected_on": "2025-02-29", "remote": "yes" }),
        json!({}),
    ];
    for admin in [&one, &other] {
        let entries: Vec<Value> =
            (1..).zip(&beside).map(|(n, beside)| logged(&format!("t{n}"), "2", beside)).collect();
        let receipt = service.send(admin, &entries).await;
        assert_eq!(receipt["rejected"], json!([]));
        service.rows(admin, "labour_hours", &receipt["position"]).await;
    }
    let sql = format!("SELECT lot, rate, inspected_on FROM {LOGGED} ORDER BY entry_id");
    let rows = json!([
        ["L-1", "12.5000", "2025-06-01"],
        [null, "0.0001", null],
        [null, null, null],
        [null, null, null],
    ]);
    assert_eq!(service.ask(&one, &sql).await, rows);
    let sql = format!("SELECT lot, seen_at, remote FROM {LOGGED} ORDER BY entry_id");
    let rows = json!([
        [null, null, true],
        [7, "2025-06-01T08:00:00Z", null],
        [null, null, null],
        [null, null, null],
    ]);
    assert_eq!(service.ask(&other, &sql).await, rows);
    for (admin, column) in [(&one, "remote"), (&other, "rate"), (&one, "extra")] {
        let why = refused(&service, admin, &format!("SELECT {column} FROM {LOGGED}")).await;
        assert!(!why.contains("inspected_on") || admin == &one, "{why}");
        assert!(!why.contains("seen_at") || admin == &other, "{why}");
    }
    let names = |fields: &Value| -> Vec<String> {
        let fields = fields.as_array().unwrap().iter();
        fields.map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&listed(&service, &one).await), ["lot", "rate", "inspected_on"]);
    let executive = token(Some("other"), &[Role::Executive]);
    assert_eq!(names(&listed(&service, &executive).await), ["lot", "seen_at", "remote"]);
    let foreign = service.get(&path("hr.time_logged", "rate"), &executive).send().await.unwrap();
    problem(foreign, 404, "unknown-field").await;
    let own = service.get(&path("hr.time_logged", "remote"), &executive).send().await.unwrap();
    let expected = json!({
        "id": "hr.time_logged/remote", "on": "hr.time_logged", "name": "remote",
        "title": "REMOTE", "type": "bool", "choices": [], "origin": "tenant",
    });
    assert_eq!(own.json::<Value>().await.unwrap(), expected);
}

#[tokio::test]
async fn views_read_declared_fields_and_keep_them() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(Arc::clone(&data), &[]).await;
    let admin = service.tenant("lots").await;
    let first = [
        logged("t1", "2", &json!({ "lot": "A", "fee": "1.5" })),
        logged("t2", "3", &json!({ "lot": "B", "fee": 2 })),
    ];
    service.send(&admin, &first).await;
    declare(&service, &admin, "lot", "text").await;
    declare(&service, &admin, "fee", "decimal").await;
    let by_lot =
        format!("SELECT lot, sum(hours) AS hours, sum(fee) AS fees FROM {LOGGED} GROUP BY lot");
    defined(&service, &admin, "lots", &by_lot).await;
    defined(&service, &admin, "best", "SELECT lot, fees FROM lots WHERE fees > 2").await;
    let more = [
        logged("t3", "1", &json!({ "lot": "A", "fee": "0.75" })),
        logged("t4", "1", &json!({ "lot": 3, "fee": "much" })),
    ];
    let receipt = service.send(&admin, &more).await;
    let expected =
        json!([["A", "3.0000", "2.2500"], ["B", "3.0000", "2.0000"], [null, "1.0000", null]]);
    let sorted = |rows: Value| {
        let mut rows: Vec<String> =
            rows.as_array().unwrap().iter().map(ToString::to_string).collect();
        rows.sort_unstable();
        rows
    };
    let held = service.rows(&admin, "lots", &receipt["position"]).await;
    assert_eq!(sorted(held), sorted(expected.clone()));
    assert_eq!(sorted(service.ask(&admin, &by_lot).await), sorted(expected.clone()));
    let best = service.rows(&admin, "best", &receipt["position"]).await;
    assert_eq!(best, json!([["A", "2.2500"]]));

    // What a view reads keeps its name and type; the rest of it may change.
    let in_use =
        problem(remove(&service, &admin, "hr.time_logged", "fee").await, 409, "field-in-use");
    assert_eq!(in_use.await["views"], json!(["lots"]));
    let other = json!({ "title": "Fee", "type": "text" });
    let answer = put(&service, &admin, "hr.time_logged", "fee", &other).await;
    problem(answer, 409, "field-in-use").await;
    let same = json!({ "title": "The fee", "type": "decimal" });
    assert_eq!(put(&service, &admin, "hr.time_logged", "fee", &same).await.status(), 200);

    drop(service);
    let service = Service::start_with(data, &[]).await;
    assert_eq!(listed(&service, &admin).await[1]["title"], "The fee");
    let answer = service.get("/v1/views/lots?wait_ms=20000", &admin).send().await.unwrap();
    let held = answer.json::<Value>().await.unwrap()["rows"].take();
    assert_eq!(sorted(held), sorted(expected));
    for view in ["best", "lots"] {
        assert_eq!(delete(&service, &admin, view).await.status(), 204);
    }
    assert_eq!(remove(&service, &admin, "hr.time_logged", "fee").await.status(), 204);
    problem(remove(&service, &admin, "hr.time_logged", "fee").await, 404, "unknown-field").await;
    refused(&service, &admin, &format!("SELECT fee FROM {LOGGED}")).await;
    // It stays with the events.
    declare(&service, &admin, "fee", "decimal").await;
    let sum = service.ask(&admin, &format!("SELECT sum(fee) FROM {LOGGED}")).await;
    assert_eq!(sum, json!([["4.2500"]]));
}

#[tokio::test]
async fn what_cannot_be_declared_is_refused_with_the_reason() {
    let service = Service::start().await;
    let admin = service.tenant("wrong").await;
    let (text, long) = (json!({ "title": "X", "type": "text" }), "x".repeat(65));
    for (on, name, status, slug) in [
        ("hr.time_logged", "hours", 409, "conflict"),
        ("hr.time_logged", "Hours", 409, "conflict"),
        ("hr.time_logged", "event_id", 409, "conflict"),
        ("hr.time_loged", "lot", 404, "unknown-event-type"),
        ("hr.time_logged", "lot%20number", 400, "invalid-field-name"),
        ("hr.time_logged", "1st", 400, "invalid-field-name"),
        ("hr.time_logged", long.as_str(), 400, "invalid-field-name"),
    ] {
        problem(put(&service, &admin, on, name, &text).await, status, slug).await;
    }
    for body in [
        json!({ "title": "X" }),
        json!({ "title": "", "type": "text" }),
        json!({ "title": "X", "type": "float" }),
        json!({ "title": "X", "type": "int", "choices": ["1"] }),
        json!({ "title": "X", "type": "text", "choices": ["a", "a"] }),
        json!({ "title": "X", "type": "text", "on": "hr.time_logged" }),
    ] {
        let answer = put(&service, &admin, "hr.time_logged", "lot", &body).await;
        problem(answer, 400, "invalid-body").await;
    }
    declare(&service, &admin, "lot", "text").await;
    let alike = put(&service, &admin, "hr.time_logged", "Lot", &text).await;
    assert!(problem(alike, 409, "conflict").await["detail"].as_str().unwrap().contains("`lot`"));
    let unknown = remove(&service, &admin, "hr.time_logged", "Lot").await;
    problem(unknown, 404, "unknown-field").await;

    let analyst = token(Some("wrong"), &[Role::Analyst]);
    problem(put(&service, &analyst, "hr.time_logged", "x", &text).await, 403, "forbidden").await;
    problem(remove(&service, &analyst, "hr.time_logged", "lot").await, 403, "forbidden").await;
    assert_eq!(listed(&service, &analyst).await.as_array().unwrap().len(), 1);

    for number in 1..tenancy::MOST_CUSTOM_FIELDS {
        declare(&service, &admin, &format!("x{number}"), "int").await;
    }
    let one_more = put(&service, &admin, "hr.time_logged", "more", &text).await;
    assert_eq!(problem(one_more, 422, "limit-exceeded").await["limit"], "custom_fields");
    let again = put(&service, &admin, "hr.time_logged", "lot", &text).await;
    assert_eq!(again.status(), 200);

    let url = service.url("/v1/tenant");
    let change = json!({ "modules": ["invoicing"] });
    let answer = service.client.patch(url).bearer_auth(&admin).json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(listed(&service, &admin).await, json!([]));
    problem(put(&service, &admin, "hr.time_logged", "lot", &text).await, 409, "module-off").await;
    problem(remove(&service, &admin, "hr.time_logged", "lot").await, 409, "module-off").await;
    let answer = service.get(&path("hr.time_logged", "lot"), &admin).send().await.unwrap();
    problem(answer, 409, "module-off").await;
}

#[tokio::test]
async fn who_declares_and_removes_is_in_the_audit() {
    let service = Service::start().await;
    let admin = service.tenant("noted").await;
    declare(&service, &admin, "lot", "text").await;
    assert_eq!(remove(&service, &admin, "hr.time_logged", "lot").await.status(), 204);
    let answer = service.get("/v1/audit?action=change&limit=100", &admin).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let records = answer["records"].as_array().unwrap();
    let object = path("hr.time_logged", "lot");
    let of = |method: &str| {
        let object = format!("{method} {object}");
        records.iter().find(|record| record["object"] == object).unwrap()
    };
    assert_eq!(of("PUT")["detail"]["field"]["type"], "text");
    assert_eq!(of("DELETE")["status"], 204);
}
