//! The OpenAPI document: what is answered in JSON fits the schemas that it has.

use std::time::Duration;

use serde_json::{Value, json};
use tenancy::Role;

use crate::service::documented::{operation, resolved};
use crate::service::{Service, invoice, payment, token};

/// Why a value does not fit a schema (JSON Schema 2020-12, as far as the document uses it).
fn misfit(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let schema = resolved(document, schema);
    let each = |schemas: &Value| -> Vec<Option<String>> {
        let schemas = schemas.as_array().map_or(&[][..], Vec::as_slice);
        schemas.iter().map(|schema| misfit(document, schema, value)).collect()
    };
    let all = each(&schema["allOf"]);
    if let Some(why) = all.into_iter().flatten().next() {
        return Some(why);
    }
    let one = each(&schema["oneOf"]);
    if !one.is_empty() && one.iter().filter(|why| why.is_none()).count() != 1 {
        return Some(format!("{value} is not one of {one:?}"));
    }
    if !is_of(&schema["type"], value) {
        return Some(format!("{value} is no {}", schema["type"]));
    }
    let allowed = schema["enum"].as_array();
    if allowed.is_some_and(|allowed| !allowed.contains(value)) {
        return Some(format!("{value} is not in {}", schema["enum"]));
    }
    match value {
        Value::Array(items) if schema.get("items").is_some() => {
            items.iter().find_map(|item| misfit(document, &schema["items"], item))
        }
        Value::Object(_) => misfit_of_members(document, schema, value),
        _ => None,
    }
}

fn misfit_of_members(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required = required.map(|name| name.as_str().unwrap());
    if let Some(missing) = required.find(|name| value.get(name).is_none()) {
        return Some(format!("{value} has no {missing}"));
    }
    value.as_object()?.iter().find_map(|(name, member)| {
        let why = match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(known), _) => misfit(document, known, member),
            (None, Some(Value::Bool(false))) => Some("it is not in the document".to_owned()),
            (None, Some(others @ Value::Object(_))) => misfit(document, others, member),
            (None, _) => None,
        };
        why.map(|why| format!("{name}: {why}"))
    })
}

fn is_of(kind: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    };
    match kind {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| kind.as_str().is_some_and(is)),
        _ => true,
    }
}

/// Makes a call and gives back its answer, which fits its schema.
async fn told(service: &Service, token: &str, call: (&str, &str), body: Option<Value>) -> Value {
    let (method, path) = call;
    let request = service.client.request(method.parse().unwrap(), service.url(path));
    let request = request.bearer_auth(token);
    let request = if let Some(body) = body { request.json(&body) } else { request };
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap();
    let document = service.client.document();
    let bare = path.split('?').next().unwrap();
    let operation = operation(document, method, bare).unwrap();
    let known = resolved(document, &operation["responses"][status.as_str()]);
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let schema = &known["content"][kind]["schema"];
    assert!(schema.is_object(), "{method} {path}: {status}");
    assert_eq!(misfit(document, schema, &answer), None, "{method} {path}: {status} {answer}");
    answer
}

/// A tenant with figures, and a token of its admin.
async fn furnished(service: &Service) -> String {
    let platform = token(None, &[Role::Platform]);
    let made = json!({
        "id": "acme", "name": "Acme", "timezone": "UTC", "currency": "EUR",
        "clock": "fixed:2025-06-30", "vertical": "services",
    });
    told(service, &platform, ("POST", "/v1/platform/tenants"), Some(made)).await;
    let admin = token(Some("acme"), &[Role::Admin]);
    let events = [invoice("i1", "c1", "100"), payment("p1", "i1", "40")];
    let receipt = service.send(&admin, &events).await;
    service.rows(&admin, "ar_aging", &receipt["position"]).await;
    admin
}

#[tokio::test]
async fn what_a_tenant_reads_and_makes_is_as_the_document_says() {
    let service = Service::start().await;
    let admin = furnished(&service).await;
    let view = json!({ "name": "debts", "sql": "SELECT invoice_id, balance FROM open_invoices" });
    told(&service, &admin, ("POST", "/v1/views"), Some(view)).await;
    let sql = "SELECT customer_id, total FROM ar_aging WHERE total > $1";
    let asked = json!({ "sql": sql, "params": [1] });
    let described = json!({ "sql": sql, "describe": true });
    let wrong = json!({ "sql": "SELEC 1" });
    let schema = json!({
        "type": "record", "name": "visited", "fields": [{ "name": "visit_id", "type": "string" }],
    });
    let event_type = json!({ "type": "shop.visited", "schema": schema });
    let lot = json!({ "title": "Lot", "type": "text", "choices": ["a", "b"] });
    let hours = json!({ "title": "Hours", "type": "decimal" });
    for (method, path, body) in [
        ("GET", "/v1/views?wait_ms=5000", None),
        ("GET", "/v1/views/ar_aging", None),
        ("GET", "/v1/views/open_invoices?limit=1", None),
        ("GET", "/v1/views/open_invoicez", None),
        ("GET", "/v1/views/debts?wait_ms=20000", None),
        ("GET", "/v1/views/debts/status", None),
        ("GET", "/v1/views/ar_aging/status", None),
        ("GET", "/v1/views/open_invoices/explain?invoice_id=i1&column=balance", None),
        ("POST", "/v1/query", Some(asked)),
        ("POST", "/v1/query", Some(described)),
        ("POST", "/v1/query", Some(wrong)),
        ("GET", "/v1/event-types", None),
        ("POST", "/v1/event-types", Some(event_type)),
        ("GET", "/v1/event-types/shop.visited", None),
        ("POST", "/v1/tickets", None),
        ("GET", "/v1/tenant", None),
        ("GET", "/v1/tenant/template", None),
        ("POST", "/v1/tenant/template/update", Some(json!({ "version": 2 }))),
        ("POST", "/v1/tenant/template/update", Some(json!({ "version": 0 }))),
        ("GET", "/v1/tenant/fields", None),
        ("GET", "/v1/tenant/fields/hr.time_logged/activity", None),
        ("PUT", "/v1/tenant/fields/hr.time_logged/lot", Some(lot.clone())),
        ("PUT", "/v1/tenant/fields/hr.time_logged/lot", Some(lot)),
        ("PUT", "/v1/tenant/fields/hr.time_logged/hours", Some(hours)),
        ("DELETE", "/v1/tenant/fields/hr.time_logged/nothing", None),
        ("PATCH", "/v1/tenant", Some(json!({ "name": "Acme & Co", "vertical": null }))),
        ("POST", "/v1/service-tokens", Some(json!({ "name": "the till" }))),
        ("GET", "/v1/service-tokens", None),
        ("POST", "/v1/tenant/revocations", Some(json!({ "subject": "jo" }))),
        ("POST", "/v1/tenant/revocations", Some(json!({ "subject": "" }))),
        ("GET", "/v1/tenant/revocations", None),
        ("GET", "/v1/dead-letters", None),
        ("DELETE", "/v1/dead-letters/none", None),
        ("GET", "/v1/audit?limit=20", None),
        ("GET", "/v1/sign-in", None),
    ] {
        told(&service, &admin, (method, path), body).await;
    }
    let export = told(&service, &admin, ("POST", "/v1/tenant/export"), None).await;
    let path = format!("/v1/tenant/export/{}", export["run_id"].as_str().unwrap());
    told(&service, &admin, ("GET", &path), None).await;
}

#[tokio::test]
async fn reports_and_their_runs_are_as_the_document_says() {
    let service = Service::start().await;
    let admin = furnished(&service).await;
    let report = json!({
        "name": "Open invoices", "format": "parquet",
        "sql": "SELECT invoice_id, balance FROM open_invoices WHERE issue_date >= $1",
        "params": [{ "name": "from", "type": "date", "default": "{{this_year.start}}" }],
        "schedule": { "cron": "0 7 1 1 *" },
        "deliver": [{
            "kind": "webhook", "url": "https://127.0.0.1:9/", "secret": "at least sixteen bytes",
        }],
    });
    let made = told(&service, &admin, ("POST", "/v1/reports"), Some(report)).await;
    let at = format!("/v1/reports/{}", made["id"].as_str().unwrap());
    told(&service, &admin, ("GET", "/v1/reports"), None).await;
    told(&service, &admin, ("GET", &at), None).await;
    let run = json!({ "params": { "from": "2025-01-01" } });
    let queued = told(&service, &admin, ("POST", &format!("{at}/run")), Some(run)).await;
    let run = format!("{at}/runs/{}", queued["run_id"].as_str().unwrap());
    for _ in 0..600 {
        let now = told(&service, &admin, ("GET", &run), None).await;
        if now["state"] == "done" {
            told(&service, &admin, ("GET", &format!("{at}/runs?limit=5")), None).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the run is not done");
}

#[tokio::test]
async fn rules_and_alerts_are_as_the_document_says() {
    let service = Service::start().await;
    let admin = furnished(&service).await;
    let rule = json!({
        "title": "Somebody owes", "severity": "info", "roles": ["analyst"], "key": ["customer_id"],
        "sql": "SELECT customer_id, total FROM ar_aging",
        "deliver": [{
            "kind": "webhook", "url": "https://127.0.0.1:9/", "secret": "at least sixteen bytes",
        }],
    });
    let made = told(&service, &admin, ("POST", "/v1/alert-rules"), Some(rule)).await;
    let at = format!("/v1/alert-rules/{}", made["id"].as_str().unwrap());
    told(&service, &admin, ("GET", "/v1/alert-rules"), None).await;
    told(&service, &admin, ("GET", &at), None).await;
    // Without If-Match.
    let refused = told(&service, &admin, ("PUT", &at), Some(made)).await;
    assert_eq!(refused["status"], 428);
    for _ in 0..600 {
        let listed = told(&service, &admin, ("GET", "/v1/alerts?state=all&limit=5"), None).await;
        let Some(id) = listed["alerts"][0]["id"].as_str() else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let alert = format!("/v1/alerts/{id}");
        told(&service, &admin, ("POST", &format!("{alert}/acknowledge")), None).await;
        let awake = json!({ "until": null });
        told(&service, &admin, ("POST", &format!("{alert}/snooze")), Some(awake)).await;
        let whole = told(&service, &admin, ("GET", &alert), None).await;
        assert_eq!(whole["history"].as_array().unwrap().len(), 3, "{whole}");
        assert_eq!(whole["deliveries"].as_array().unwrap().len(), 1, "{whole}");
        return;
    }
    panic!("no alert fires");
}

#[tokio::test]
async fn dashboards_and_their_versions_are_as_the_document_says() {
    let service = Service::start().await;
    let admin = furnished(&service).await;
    // Those of its template, which use all that templates do.
    let listed = told(&service, &admin, ("GET", "/v1/dashboards"), None).await;
    let listed = listed["dashboards"].as_array().unwrap();
    assert!(listed.len() > 1, "{listed:?}");
    for head in listed {
        let at = format!("/v1/dashboards/{}", head["id"].as_str().unwrap());
        let mut given = told(&service, &admin, ("GET", &at), None).await;
        assert_eq!(given["base"], given["document"]);
        given["name"] = json!("a copy");
        told(&service, &admin, ("POST", "/v1/dashboards"), Some(given)).await;
        told(&service, &admin, ("GET", &format!("{at}/versions")), None).await;
        told(&service, &admin, ("GET", &format!("{at}/versions/1")), None).await;
        let refused =
            told(&service, &admin, ("POST", &format!("{at}/versions/1/restore")), None).await;
        assert_eq!(refused["status"], 428);
    }
    let wrong = json!({ "name": "x", "document": { "schema": 1, "widgets": [1] } });
    told(&service, &admin, ("POST", "/v1/dashboards"), Some(wrong)).await;
}

#[tokio::test]
async fn what_the_platform_reads_is_as_the_document_says() {
    let service = Service::start().await;
    furnished(&service).await;
    let platform = token(None, &[Role::Platform]);
    for (method, path) in [
        ("GET", "/v1/platform/overview"),
        ("GET", "/v1/platform/verticals"),
        ("GET", "/v1/platform/tenants"),
        ("GET", "/v1/platform/tenants/acme"),
        ("GET", "/v1/platform/tenants/nobody"),
        ("GET", "/v1/platform/event-types"),
        ("GET", "/v1/platform/dead-letters"),
        ("DELETE", "/v1/platform/dead-letters/none"),
        ("GET", "/v1/platform/audit"),
        ("DELETE", "/v1/platform/tenants/acme"),
    ] {
        told(&service, &platform, (method, path), None).await;
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_told_from_one_that_does() {
    let service = Service::start().await;
    let document = service.client.document();
    let fits = |name: &str, value: Value| {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        misfit(document, &schema, &value).is_none()
    };
    let question = json!({ "sql": "SELECT 1", "params": [] });
    assert!(fits("Question", question));
    assert!(!fits("Question", json!({ "sql": 1 })));
    assert!(!fits("Question", json!({ "params": [] })));
    assert!(!fits("Question", json!({ "sql": "SELECT 1", "parms": [] })));
    assert!(fits("NewReport", json!({ "name": "a", "view": "ar_aging", "format": "csv" })));
    assert!(!fits("NewReport", json!({ "name": "a", "view": "ar_aging", "format": "pdf" })));
    assert!(!fits("NewReport", json!({ "name": "a", "deliver": [{ "kind": "pigeon" }] })));
    assert!(fits("NewAlertRule", json!({ "title": "a", "sql": "SELECT 1", "severity": "info" })));
    assert!(!fits("NewAlertRule", json!({ "title": "a", "sql": "SELECT 1", "severity": "grave" })));
    assert!(fits("AlertSnooze", json!({ "until": null })));
    assert!(!fits("AlertSnooze", json!({})));
    assert!(!fits("Column", json!({ "name": "a", "type": null })));
}
