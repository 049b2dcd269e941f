//! Drill-down: from a figure of a built-in view to the events behind it.

use std::time::Duration;

use serde_json::{Value, json};
use tenancy::Role;

use crate::service::{Service, event, invoice, payment, problem, token};

/// The column of that name in what is listed.
fn listed(body: &Value, name: &str) -> Vec<Value> {
    let columns = body["columns"].as_array().unwrap();
    let place = columns.iter().position(|column| column["name"] == name).unwrap();
    body["rows"].as_array().unwrap().iter().map(|row| row[place].clone()).collect()
}

fn hours(id: &str, hours: &str) -> Value {
    let data = json!({
        "entry_id": id, "employee_id": "e1", "project_id": "p1", "work_date": "2025-05-20",
        "hours": hours, "billable": true,
    });
    event("hr.time_logged", id, &data)
}

#[tokio::test]
async fn a_figure_is_followed_to_its_events() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let other = service.tenant("other").await;
    let credit = json!({
        "credit_id": "k1", "invoice_id": "i2", "amount": "3.75", "issued_on": "2025-06-21",
    });
    let sent = [
        invoice("i1", "c1", "100"),
        invoice("i2", "c1", "50.25"),
        invoice("i3", "c2", "7"),
        payment("p1", "i1", "40"),
        payment("p2", "i1", "10.50"),
        payment("p3", "i3", "1"),
        event("invoicing.credit_issued", "k1", &credit),
    ];
    let receipt = service.send(&admin, &sent).await;
    service.send(&other, &[invoice("i1", "c1", "999"), payment("p1", "i1", "1")]).await;
    let wait = receipt["position"].as_str().unwrap();

    let path = format!(
        "/v1/views/ar_aging/explain?customer_id=c1&currency=EUR&column=total&wait_for={wait}"
    );
    let answer = service.get(&path, &admin).send().await.unwrap();
    assert_eq!(answer.headers()["tidemark-position"], wait);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["value"], "96.0000", "{body}");
    assert_eq!(body["sum"], "96.0000");
    assert_eq!(body["row"]["total"], "96.0000");
    assert_eq!(body["position"], wait);
    assert_eq!(body["withheld"], json!([]));
    let amounts = listed(&body, "amount");
    let mut named: Vec<(&str, &str)> = Vec::new();
    let ids = listed(&body, "event_id");
    for (id, amount) in ids.iter().zip(&amounts) {
        named.push((id.as_str().unwrap(), amount.as_str().unwrap()));
    }
    named.sort_unstable();
    let wanted = [
        ("i1", "100.0000"),
        ("i2", "50.2500"),
        ("k1", "-3.7500"),
        ("p1", "-40.0000"),
        ("p2", "-10.5000"),
    ];
    assert_eq!(named, wanted);

    // By pages, with the key as JSON.
    let mut path =
        "/v1/views/ar_aging/explain?limit=2&key={\"customer_id\":\"c1\",\"currency\":\"EUR\"}"
            .to_owned();
    let begin = path.clone();
    let mut seen = Vec::new();
    loop {
        let page = service.read(&path, &admin).await;
        assert_eq!(page["sum"], "96.0000");
        assert_eq!(page["column"], "total", "the main figure");
        seen.extend(listed(&page, "event_id"));
        match page["next"].as_str() {
            Some(next) => path = format!("{begin}&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);

    // Whole, as a file, for one who may not ask in SQL.
    let reader = token(Some("acme"), &[Role::Executive]);
    let path = "/v1/views/open_invoices/explain?invoice_id=i1&column=balance";
    let csv = service.get(path, &reader).header("accept", "text/csv").send().await.unwrap();
    assert!(csv.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let csv = csv.text().await.unwrap();
    assert!(csv.starts_with("part,type,event_id,occurred_at,subject,amount,"), "{csv}");
    assert!(csv.contains("paid,invoicing.payment_received,p2,"), "{csv}");
    assert_eq!(csv.lines().count(), 4);
    let arrow = service.get(path, &reader).header("accept", "application/vnd.apache.arrow.stream");
    let bytes = arrow.send().await.unwrap().bytes().await.unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);
    let over = service.get("/v1/views/open_invoices/explain?invoice_id=i1&limit=1", &admin);
    let over = over.header("accept", "text/csv").send().await.unwrap();
    problem(over, 400, "invalid-parameter").await;
}

#[tokio::test]
async fn what_has_no_explanation_is_a_problem() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let receipt = service.send(&admin, &[invoice("i1", "c1", "100")]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    let own = json!({ "name": "debts", "sql": "SELECT customer_id, balance FROM open_invoices" });
    let made = service.post("/v1/views", &admin).json(&own).send().await.unwrap();
    assert_eq!(made.status(), 201);
    service.read("/v1/views/debts?wait_ms=20000", &admin).await;
    for (path, status, slug) in [
        ("open_invoices/explain?invoice_id=i9", 404, "unknown-row"),
        ("open_invoicez/explain?invoice_id=i1", 404, "unknown-view"),
        ("open_invoices/explain", 400, "invalid-parameter"),
        ("open_invoices/explain?invoice_id=i1&invoice_id=i2", 400, "invalid-parameter"),
        ("open_invoices/explain?customer_id=c1", 400, "invalid-parameter"),
        ("open_invoices/explain?invoice_id=i1&column=blance", 400, "invalid-parameter"),
        ("open_invoices/explain?invoice_id=i1&column=invoice_id", 400, "invalid-parameter"),
        ("open_invoices/explain?invoice_id=i1&limit=0", 400, "invalid-parameter"),
        ("open_invoices/explain?invoice_id=i1&after=x", 400, "invalid-parameter"),
        ("open_invoices/explain?key=i1", 400, "invalid-parameter"),
        ("open_invoices/explain?key={\"invoice_id\":{}}", 400, "invalid-parameter"),
        ("open_invoices/explain?key={\"invoice\":\"i1\"}", 400, "invalid-parameter"),
        ("open_invoices/explain?invoice_id=i1&sort=day", 400, "invalid-parameter"),
        ("utilization/explain?employee_id=e&week=soon", 400, "invalid-parameter"),
        ("debts/explain?customer_id=c1&balance=100", 409, "unexplained-view"),
    ] {
        let path = format!("/v1/views/{path}");
        problem(service.get(&path, &admin).send().await.unwrap(), status, slug).await;
    }
    let sender = token(Some("acme"), &[Role::Service]);
    let path = "/v1/views/open_invoices/explain?invoice_id=i1";
    problem(service.get(path, &sender).send().await.unwrap(), 403, "forbidden").await;
}

#[tokio::test]
async fn modules_that_are_off_count_and_are_not_listed() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let project = json!({ "project_id": "p1", "name": "North", "currency": "EUR" });
    let person = json!({
        "employee_id": "e1", "department": "d", "hourly_cost": "12.5", "start_date": "2025-01-01",
        "currency": "EUR",
    });
    let expense = json!({
        "expense_id": "x1", "project_id": "p1", "amount": "7.25", "spent_on": "2025-05-02",
    });
    let correction = json!({ "entry_id": "t1", "hours": "6" });
    let sent = [
        event("projects.project_created", "c1", &project),
        event("hr.employee_onboarded", "o1", &person),
        hours("t1", "8"),
        event("hr.time_corrected", "r1", &correction),
        event("governance.expense_recorded", "x1", &expense),
    ];
    let receipt = service.send(&admin, &sent).await;
    service.rows(&admin, "project_profitability", &receipt["position"]).await;
    let path = "/v1/views/project_profitability/explain?project_id=p1&currency=EUR&column=profit";
    let body = service.read(path, &admin).await;
    assert_eq!((&body["value"], &body["sum"]), (&json!("-82.2500"), &json!("-82.2500")), "{body}");
    let mut amounts = listed(&body, "amount");
    amounts.sort_by_key(Value::to_string);
    assert_eq!(amounts, ["-100.00000000", "-7.25000000", "25.00000000"]);

    let modules = json!({ "modules": ["projects", "governance"] });
    let switched = service.client.patch(service.url("/v1/tenant")).bearer_auth(&admin);
    assert_eq!(switched.json(&modules).send().await.unwrap().status(), 200);
    let body = service.read(path, &admin).await;
    assert_eq!((&body["value"], &body["sum"]), (&json!("-82.2500"), &json!("-82.2500")));
    assert_eq!(body["withheld"], json!([{ "module": "hr", "sum": "-75.00000000", "events": 2 }]));
    assert_eq!(listed(&body, "type"), ["governance.expense_recorded"]);
    let path = "/v1/views/open_invoices/explain?invoice_id=i1";
    let off = problem(service.get(path, &admin).send().await.unwrap(), 409, "module-off").await;
    assert_eq!(off["module"], "invoicing");
}

#[tokio::test]
async fn a_drill_down_is_in_the_audit() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let receipt = service.send(&admin, &[invoice("i1", "c1", "100")]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    service.read("/v1/views/open_invoices/explain?invoice_id=i1", &admin).await;
    let object = "GET /v1/views/open_invoices/explain";
    for _ in 0..200 {
        let audit = service.read("/v1/audit?action=read&limit=1000", &admin).await;
        let records = audit["records"].as_array().unwrap();
        if let Some(record) = records.iter().find(|record| record["object"] == object) {
            let detail = &record["detail"];
            assert_eq!(detail["rows"], 1, "{record}");
            assert_eq!(detail["column"], "balance");
            assert_eq!(detail["key"], json!({ "invoice_id": "i1" }));
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("there is no record of {object}");
}
