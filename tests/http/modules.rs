//! Modules that are switched off: nothing of them is shown by any way, and nothing of them is lost.

use reqwest::Response;
use serde_json::{Value, json};
use tenancy::{Role, modules};

use crate::live::Events;
use crate::service::{Service, event, invoice, payment, problem, token};

const CALLS: &str = "SELECT user_id, sum(calls) AS calls FROM call_activity GROUP BY user_id";
const OPENED: &str = "SELECT owner, count(*) AS opened \
                      FROM events.\"crm.opportunity_opened\" GROUP BY owner";

fn opportunity(id: &str) -> Value {
    let data = json!({ "opportunity_id": id, "owner": "u1", "stage": "offer", "amount": "100" });
    event("crm.opportunity_opened", id, &data)
}

fn call(id: &str) -> Value {
    let data =
        json!({ "call_id": id, "user_id": "u1", "disposition": "reached", "duration_s": 60 });
    event("crm.call_logged", id, &data)
}

async fn switch(service: &Service, admin: &str, on: &Value) -> Value {
    let url = service.url("/v1/tenant");
    let body = json!({ "modules": on });
    let answer = service.client.patch(url).bearer_auth(admin).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// The names in a list.
fn names(list: &Value, member: &str, name: &str) -> Vec<String> {
    let list = list[member].as_array().unwrap();
    list.iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
}

async fn ask(service: &Service, token: &str, sql: &str) -> Response {
    service.post("/v1/query", token).json(&json!({ "sql": sql })).send().await.unwrap()
}

async fn define(service: &Service, token: &str, name: &str, sql: &str) -> Response {
    let view = json!({ "name": name, "sql": sql });
    service.post("/v1/views", token).json(&view).send().await.unwrap()
}

/// Defines a view and waits until it is filled.
async fn defined(service: &Service, token: &str, name: &str, sql: &str) {
    let answer = define(service, token, name, sql).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    service.read(&format!("/v1/views/{name}?wait_ms=60000"), token).await;
}

#[tokio::test]
async fn every_built_in_view_belongs_to_modules_whose_events_it_reads() {
    let service = Service::start().await;
    let admin = service.tenant("whole").await;
    let views = service.read("/v1/views", &admin).await;
    let mut listed = names(&views, "views", "name");
    let mut known: Vec<&str> = modules::VIEWS.iter().map(|(view, _)| *view).collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
    // With one module on, exactly those are shown that name it, whatever else they count.
    for module in modules::MODULES {
        switch(&service, &admin, &json!([module])).await;
        let mut listed = names(&service.read("/v1/views", &admin).await, "views", "name");
        let owned = modules::VIEWS.iter().filter(|(_, owners)| owners.contains(&module));
        let mut owned: Vec<&str> = owned.map(|(view, _)| *view).collect();
        listed.sort_unstable();
        owned.sort_unstable();
        assert_eq!(listed, owned, "{module}");
        let types = service.read("/v1/event-types", &admin).await;
        for kind in names(&types, "event_types", "type") {
            assert_eq!(kind.split('.').next().unwrap(), module);
        }
        let catalog = "SELECT DISTINCT table_schema, table_name FROM information_schema.columns \
                       WHERE table_schema IN ('public', 'events')";
        let rows = service.ask(&admin, catalog).await;
        for row in rows.as_array().unwrap() {
            let name = row[1].as_str().unwrap();
            let shown = match row[0].as_str().unwrap() {
                "events" => name.starts_with(&format!("{module}.")),
                _ => owned.contains(&name),
            };
            assert!(shown, "{module}: {row}");
        }
    }
}

#[tokio::test]
async fn what_is_switched_off_is_shown_by_no_way_and_comes_back_whole() {
    let service = Service::start().await;
    let admin = service.tenant("north").await;
    let other = service.tenant("south").await;
    let events =
        [opportunity("o1"), call("c1"), invoice("i1", "k", "10"), payment("p1", "i1", "4")];
    let receipt = service.send(&admin, &events).await;
    service.rows(&admin, "pipeline", &receipt["position"]).await;
    service.send(&other, &events).await;
    defined(&service, &admin, "calls_by_user", CALLS).await;
    defined(&service, &admin, "doubled", "SELECT user_id, 2 * calls AS n FROM calls_by_user").await;
    defined(&service, &admin, "opened", OPENED).await;
    defined(&service, &admin, "owed", "SELECT invoice_id, balance FROM open_invoices").await;
    let whole = service.read("/v1/views", &admin).await;
    let pipeline = service.read("/v1/views/pipeline", &admin).await;

    let tenant = switch(&service, &admin, &json!(["invoicing", "hr"])).await;
    assert_eq!(tenant["modules"], json!(["invoicing", "hr"]));
    let views = names(&service.read("/v1/views", &admin).await, "views", "name");
    assert!(views.contains(&"open_invoices".to_owned()) && views.contains(&"owed".to_owned()));
    let hidden = ["pipeline", "call_activity", "calls_by_user", "doubled", "opened"];
    for view in hidden {
        assert!(!views.contains(&view.to_owned()), "{view}");
        for path in [format!("/v1/views/{view}"), format!("/v1/views/{view}/status")] {
            let answer = service.get(&path, &admin).send().await.unwrap();
            assert_eq!(problem(answer, 409, "module-off").await["module"], "crm");
        }
        let csv = service.get(&format!("/v1/views/{view}"), &admin).header("accept", "text/csv");
        problem(csv.send().await.unwrap(), 409, "module-off").await;
        for sql in [format!("SELECT * FROM {view}"), format!("SELECT * FROM public.{view}")] {
            let answer = ask(&service, &admin, &sql).await;
            assert_eq!(problem(answer, 409, "module-off").await["module"], "crm");
        }
    }
    for own in ["calls_by_user", "doubled", "opened"] {
        let url = service.url(&format!("/v1/views/{own}"));
        let answer = service.client.delete(url).bearer_auth(&admin).send().await.unwrap();
        problem(answer, 409, "module-off").await;
        let answer = define(&service, &admin, own, "SELECT 1 AS one FROM open_invoices").await;
        problem(answer, 409, "module-off").await;
    }
    for sql in [
        "SELECT count(*) FROM events.\"crm.opportunity_opened\"",
        "SELECT count(*) FROM tidemark.events.\"crm.call_logged\"",
        "WITH a AS (SELECT * FROM events.\"crm.call_logged\") SELECT * FROM a",
    ] {
        problem(ask(&service, &admin, sql).await, 409, "module-off").await;
    }
    problem(define(&service, &admin, "again", CALLS).await, 409, "module-off").await;
    problem(define(&service, &admin, "again", OPENED).await, 409, "module-off").await;
    let answer = service.get("/v1/event-types/crm.call_logged", &admin).send().await.unwrap();
    problem(answer, 409, "module-off").await;
    let schema =
        json!({ "type": "record", "name": "r", "fields": [{ "name": "a", "type": "string" }] });
    let body = json!({ "type": "crm.own", "schema": schema });
    let answer = service.post("/v1/event-types", &admin).json(&body).send().await.unwrap();
    problem(answer, 409, "module-off").await;

    // Of a batch, what belongs to a module that is off is refused, and the rest taken.
    let receipt = service.send(&admin, &[opportunity("o2"), invoice("i2", "k", "5")]).await;
    assert_eq!((&receipt["accepted"], &receipt["rejected"][0]["index"]), (&json!(1), &json!(0)));
    let reason = receipt["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("crm") && reason.contains("switched off"), "{reason}");
    service.rows(&admin, "owed", &receipt["position"]).await;

    // Others are not touched by it.
    assert_eq!(service.ask(&other, "SELECT count(*) FROM pipeline").await, json!([[1]]));

    switch(&service, &admin, &Value::Null).await;
    let again = service.read("/v1/views", &admin).await;
    assert_eq!(names(&again, "views", "name"), names(&whole, "views", "name"));
    let shown = service.read("/v1/views/pipeline", &admin).await;
    assert_eq!(shown["rows"], pipeline["rows"]);
    assert_eq!(service.ask(&admin, "SELECT * FROM doubled").await, json!([["u1", 2]]));
    let receipt = service.send(&admin, &[opportunity("o2"), call("c2")]).await;
    assert_eq!(receipt["accepted"], 2);
    let rows = service.rows(&admin, "doubled", &receipt["position"]).await;
    assert_eq!(rows, json!([["u1", 4]]));
}

#[tokio::test]
async fn what_is_kept_while_it_is_hidden_goes_on_with_the_date_and_through_a_restart() {
    let service = Service::start().await;
    let admin = service.tenant("dates").await;
    let receipt = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    defined(&service, &admin, "late", "SELECT invoice_id, days_overdue FROM open_invoices").await;
    switch(&service, &admin, &json!(["tasks"])).await;
    let change = json!({ "clock": "fixed:2025-07-30" });
    let platform = token(None, &[Role::Platform]);
    let path = service.url("/v1/platform/tenants/dates");
    let answer = service.client.patch(path).bearer_auth(&platform).json(&change).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let data = std::sync::Arc::clone(&service.data);
    drop(service);

    let service = Service::start_in(data).await;
    for view in ["open_invoices", "late"] {
        let answer = service.get(&format!("/v1/views/{view}"), &admin).send().await.unwrap();
        problem(answer, 409, "module-off").await;
    }
    switch(&service, &admin, &json!(["invoicing"])).await;
    assert_eq!(service.ask(&admin, "SELECT * FROM late").await, json!([["i1", 50]]));
}

#[tokio::test]
async fn who_watches_is_told_at_once() {
    let service = Service::start().await;
    let admin = service.tenant("live").await;
    let receipt = service.send(&admin, &[opportunity("o1"), invoice("i1", "k", "10")]).await;
    service.rows(&admin, "pipeline", &receipt["position"]).await;
    defined(&service, &admin, "calls_by_user", CALLS).await;
    let subs = [
        json!({ "id": "pipe", "view": "pipeline" }),
        json!({ "id": "own", "view": "calls_by_user" }),
        json!({ "id": "open", "view": "open_invoices" }),
        json!({ "id": "sql", "sql": CALLS }),
    ];
    let mut events = Events::open(&service, &admin, &subs, None).await;
    for _ in &subs {
        assert_eq!(events.telling().await.0, "snapshot");
    }
    switch(&service, &admin, &json!(["invoicing"])).await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let (kind, message) = events.telling().await;
        assert_eq!(kind, "error", "{message}");
        assert_eq!(message["problem"]["type"], "urn:tidemark:problem:module-off");
        ended.push(message["id"].as_str().unwrap().to_owned());
    }
    ended.sort_unstable();
    assert_eq!(ended, ["own", "pipe", "sql"]);
    // The others go on, on the same connection.
    service.send(&admin, &[invoice("i2", "k", "5")]).await;
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["id"]), ("delta", &json!("open")), "{message}");

    let mut late = Events::open(&service, &admin, &subs[..1], None).await;
    let (kind, message) = late.telling().await;
    assert_eq!(kind, "error");
    assert_eq!(message["problem"]["type"], "urn:tidemark:problem:module-off");
    switch(&service, &admin, &json!(["invoicing", "crm"])).await;
    let mut again = Events::open(&service, &admin, &subs[..1], None).await;
    let (kind, message) = again.telling().await;
    assert_eq!(kind, "snapshot");
    assert_eq!(message["rows"].as_array().unwrap().len(), 1, "{message}");
}
