//! Tenants that begin with what their line of business has: in one call, once, also after a crash.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tenancy::templates::{self, Template};
use tenancy::{Directory, NewTenant, Role, Store};

use crate::service::{Service, event, problem, token};

const TASKS: &str = "SELECT event_id, task_id, start_date \
                     FROM events.\"tasks.task_assigned\" ORDER BY task_id";

fn body(id: &str, vertical: &str) -> Value {
    json!({
        "id": id, "name": id, "timezone": "Europe/Berlin", "currency": "EUR", "vertical": vertical,
        "clock": "fixed:2025-06-30",
    })
}

async fn create(service: &Service, body: &Value) -> reqwest::Response {
    let platform = token(None, &[Role::Platform]);
    service.post("/v1/platform/tenants", &platform).json(body).send().await.unwrap()
}

/// The ids of the rules of alerts that a template gives, in the order in which they are listed.
fn rules_of(template: &Template) -> Vec<String> {
    let mut rules: Vec<String> =
        template.alert_rules.iter().map(|rule| template.rule_id(rule)).collect();
    rules.sort_unstable();
    rules
}

/// The ids of a tenant's rules of alerts without those that every tenant has.
async fn rules(service: &Service, token: &str) -> Vec<String> {
    let listed = service.read("/v1/alert-rules", token).await;
    let own = listed["rules"].as_array().unwrap().iter().filter(|rule| rule["builtin"] == false);
    own.map(|rule| rule["id"].as_str().unwrap().to_owned()).collect()
}

/// Each dashboard can be shown: its views and columns are there.
async fn can_be_shown(service: &Service, admin: &str, template: &Template) {
    let views = service.read("/v1/views", admin).await;
    let columns = |view: &str| -> Vec<&str> {
        let view = views["views"].as_array().unwrap().iter().find(|v| v["name"] == view);
        let columns = view.unwrap()["columns"].as_array().unwrap();
        columns.iter().map(|column| column["name"].as_str().unwrap()).collect()
    };
    for dashboard in &template.dashboards {
        let what = format!("{}/{}", template.vertical, dashboard.id);
        let widgets = dashboard.document.widgets.iter();
        let over =
            widgets.filter_map(|w| w.source.as_ref()?.view.as_ref().map(|v| (w, v.as_str())));
        let over: Vec<_> = over.map(|(widget, view)| (widget, columns(view))).collect();
        assert!(!over.is_empty(), "{what}");
        for (widget, known) in &over {
            for column in widget.columns() {
                assert!(known.contains(&column), "{what}: {} has no {column}", widget.id);
            }
        }
        for filter in &dashboard.document.filters {
            let column = filter.column.as_ref().unwrap().as_str();
            let narrows = over.iter().any(|(_, known)| known.contains(&column));
            assert!(narrows, "{what}: {} narrows nothing", filter.id);
        }
    }
}

/// Each report can be made, and each custom field is beside those that its event type has.
async fn can_be_made(service: &Service, admin: &str, template: &Template) {
    for report in &template.reports {
        let answer = service.post("/v1/reports", admin).json(&report.definition).send().await;
        let answer = answer.unwrap();
        let status = answer.status();
        let what = format!("{}/{}", template.vertical, report.id);
        assert_eq!(status, 201, "{what}: {}", answer.text().await.unwrap());
    }
    let declared = service.read("/v1/tenant/fields", admin).await;
    let declared = declared["fields"].as_array().unwrap();
    assert_eq!(declared.len(), template.custom_fields.len(), "{}", template.vertical);
    for (field, told) in template.custom_fields.iter().zip(declared) {
        assert_eq!((&told["on"], &told["name"]), (&json!(field.on), &json!(field.name)));
        assert_eq!((&told["type"], &told["origin"]), (&json!(field.r#type), &json!("template")));
        let sql = format!("SELECT count({}) FROM events.\"{}\"", field.name, field.on);
        assert_eq!(service.ask(admin, &sql).await, json!([[0]]), "{sql}");
        let kind = service.read(&format!("/v1/event-types/{}", field.on), admin).await;
        let fields = kind["schema"]["fields"].as_array().unwrap();
        let is_taken = fields.iter().any(|known| known["name"] == field.name);
        assert!(!is_taken, "{}: {} has {}", template.vertical, field.on, field.name);
    }
}

/// The dashboards of a template are the tenant's own, in its order and as it gave them; and so are
/// its rules of alerts.
async fn are_there(service: &Service, admin: &str, template: &Template) {
    let vertical = &template.vertical;
    let listed = service.read("/v1/dashboards", admin).await;
    let listed = listed["dashboards"].as_array().unwrap();
    assert_eq!(listed.len(), template.dashboards.len(), "{vertical}");
    for (head, given) in listed.iter().zip(&template.dashboards) {
        let id = format!("{vertical}-{}", given.id);
        assert_eq!((&head["id"], &head["name"]), (&json!(id), &json!(given.title)));
        let board = service.read(&format!("/v1/dashboards/{id}"), admin).await;
        assert_eq!(
            (&board["document"], &board["base"]),
            (&json!(given.document), &board["document"])
        );
        let origin = json!({
            "template": format!("{vertical}/{}", given.id), "version": template.version,
        });
        assert_eq!((&board["changed_by"], &board["origin"]), (&Value::Null, &origin));
    }
    assert_eq!(rules(service, admin).await, rules_of(template), "{vertical}");
    let listed = service.read("/v1/reports", admin).await;
    let listed = listed["reports"].as_array().unwrap();
    for (report, given) in listed.iter().zip(&template.reports) {
        assert_eq!(report["id"], format!("{vertical}-{}", given.id));
        assert_eq!((&report["owner"], &report["version"]), (&Value::Null, &json!(1)));
        assert_eq!(report["name"], given.definition["name"]);
        let is_due = given.definition.contains_key("schedule");
        assert_eq!(report["next_run_at"].is_string(), is_due, "{report}");
    }
    assert!(listed.len() >= template.reports.len(), "{vertical}");
}

#[tokio::test]
async fn one_call_and_all_is_there() {
    let service = Service::start().await;
    for template in templates::all() {
        let id = template.vertical.as_str();
        let answer = create(&service, &body(id, id)).await;
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        let tenant: Value = answer.json().await.unwrap();
        assert_eq!(tenant["modules"], json!(template.modules));
        // Everything that follows waits for nothing.
        let admin = token(Some(id), &[Role::Admin]);
        for kind in ["tasks.task_assigned", "projects.project_created", "inventory.product_added"] {
            let given = template.events.iter().filter(|event| event.r#type == kind).count();
            let sql = format!("SELECT count(*) FROM events.\"{kind}\"");
            if template.modules.iter().any(|module| kind.starts_with(module)) {
                assert_eq!(service.ask(&admin, &sql).await, json!([[given]]), "{id}: {kind}");
            }
        }
        can_be_shown(&service, &admin, template).await;
        can_be_made(&service, &admin, template).await;
        are_there(&service, &admin, template).await;
    }
    let platform = token(None, &[Role::Platform]);
    let listed = service.read("/v1/platform/verticals", &platform).await;
    assert_eq!(listed["verticals"], json!(templates::all()));
    let mut unknown = body("x", "services");
    unknown["vertical"] = json!("piracy");
    problem(create(&service, &unknown).await, 400, "invalid-body").await;
}

/// Nobody has called who could own them.
#[tokio::test]
async fn the_reports_of_a_template_are_made_by_nobodys_rights() {
    let service = Service::start().await;
    assert_eq!(create(&service, &body("shop", "retail")).await.status(), 201);
    let analyst = token(Some("shop"), &[Role::Analyst]);
    let at = "/v1/reports/retail-cash";
    let queued = service.post(&format!("{at}/run"), &analyst).json(&json!({})).send().await;
    let queued: Value = queued.unwrap().json().await.unwrap();
    let run = format!("{at}/runs/{}", queued["run_id"].as_str().unwrap());
    let mut made = Value::Null;
    for _ in 0..600 {
        made = service.read(&run, &analyst).await;
        if made["state"] != "queued" && made["state"] != "running" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((&made["state"], &made["owner"]), (&json!("done"), &Value::Null), "{made}");
    // Whoever replaces one owns it.
    let mut report = service.read(at, &analyst).await;
    report["name"] = json!("Money");
    let put = service.client.put(service.url(at)).bearer_auth(&analyst).json(&report);
    let answer = put.header("if-match", "\"1\"").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(service.read(at, &analyst).await["owner"], "test");
}

#[tokio::test]
async fn a_repeat_gives_nothing_twice() {
    let service = Service::start().await;
    assert_eq!(create(&service, &body("prop", "property")).await.status(), 201);
    let admin = token(Some("prop"), &[Role::Admin]);
    let tasks = service.ask(&admin, TASKS).await;
    assert_eq!(tasks.as_array().unwrap().len(), 3);
    assert!(tasks.as_array().unwrap().iter().all(|row| row[2] == "2025-06-30"), "{tasks}");
    // What the tenant has taken away does not come back either.
    let boards = service.read("/v1/dashboards", &admin).await;
    let boards = boards["dashboards"].as_array().unwrap();
    let url = service.url(&format!("/v1/dashboards/{}", boards[0]["id"].as_str().unwrap()));
    let deleted = service.client.delete(url).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    assert_eq!(create(&service, &body("prop", "property")).await.status(), 200);
    assert_eq!(service.ask(&admin, TASKS).await, tasks);
    let left = service.read("/v1/dashboards", &admin).await;
    assert_eq!(left["dashboards"], json!(boards[1..]));
    problem(create(&service, &body("prop", "retail")).await, 409, "conflict").await;
    // What was named is on, and what the template has beside it is there when it is switched on.
    let mut few = body("few", "property");
    few["modules"] = json!(["property"]);
    let tenant: Value = create(&service, &few).await.json().await.unwrap();
    assert_eq!(tenant["modules"], json!(["property"]));
    let few = token(Some("few"), &[Role::Admin]);
    let change = json!({ "modules": ["property", "tasks"] });
    let url = service.url("/v1/tenant");
    let answer = service.client.patch(url).bearer_auth(&few).json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(service.ask(&few, TASKS).await, tasks);
}

/// A tenant as a crash leaves it right after it is created: without what its template gives.
async fn cut_off(control: &Path, body: &Value) {
    let store = Store::open(control).await.unwrap();
    let new: NewTenant = serde_json::from_value(body.clone()).unwrap();
    let directory = Directory::open(store.clone()).await.unwrap();
    directory.create(new).await.unwrap();
    assert_eq!(directory.unfinished().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn what_a_crash_left_is_finished_at_the_next_start() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    drop(Service::start_in(Arc::clone(&data)).await);
    cut_off(&data.path().join("control.db"), &body("prop", "property")).await;
    let service = Service::start_in(data).await;
    let platform = token(None, &[Role::Platform]);
    let mut state = Value::Null;
    for _ in 0..600 {
        state = service.read("/v1/platform/tenants/prop", &platform).await["state"].clone();
        if state == "active" {
            break;
        }
        assert_eq!(state, "onboarding");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(state, "active");
    let admin = token(Some("prop"), &[Role::Admin]);
    assert_eq!(service.ask(&admin, TASKS).await.as_array().unwrap().len(), 3);
    let template = templates::find("property").unwrap();
    assert_eq!(rules(&service, &admin).await, rules_of(template));
    let boards = service.read("/v1/dashboards", &admin).await;
    assert_eq!(boards["dashboards"].as_array().unwrap().len(), template.dashboards.len());
    assert_eq!(create(&service, &body("prop", "property")).await.status(), 200);
    assert_eq!(service.ask(&admin, TASKS).await.as_array().unwrap().len(), 3);
    assert_eq!(service.read("/v1/dashboards", &admin).await, boards);
}

#[tokio::test]
async fn the_rules_of_a_template_are_the_tenants_own_once_it_has_them() {
    let service = Service::start().await;
    let mut few = body("prop", "property");
    few["modules"] = json!(["invoicing"]);
    assert_eq!(create(&service, &few).await.status(), 201);
    let admin = token(Some("prop"), &[Role::Admin]);
    // Nobody's rights are asked for, and nobody has to have called.
    let rent = "/v1/alert-rules/property-overdue-30-days";
    let rule = service.read(rent, &admin).await;
    assert_eq!((&rule["owner"], &rule["builtin"]), (&Value::Null, &json!(false)));
    let late = json!({
        "invoice_id": "i1", "customer_id": "lease 7", "issue_date": "2025-05-01",
        "due_date": "2025-05-03", "amount": "950",
    });
    service.send(&admin, &[event("invoicing.invoice_issued", "i1", &late)]).await;
    let mut open = Value::Null;
    for _ in 0..600 {
        open = service.read("/v1/alerts", &admin).await["alerts"].clone();
        if open != json!([]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(open[0]["rule"], "property-overdue-30-days", "{open}");
    assert_eq!(open[0]["subject"], json!({ "customer_id": "lease 7", "currency": "EUR" }));
    let details = json!({ "overdue": "950.0000", "invoices": 1, "days_overdue": 58 });
    assert_eq!(open[0]["details"], details);
    // One that reads a module which is off waits.
    let mut waits = Value::Null;
    for _ in 0..600 {
        waits = service.read("/v1/alert-rules/property-urgent-open-3-days", &admin).await;
        if waits["state"] != "waiting" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(waits["state"], "idle", "{waits}");
    assert!(waits["error"].as_str().unwrap().contains("property"), "{waits}");
    // What is deleted stays so, and what is changed stays changed, whatever is sent again.
    let url = |path: &str| service.url(path);
    let deleted = service.client.delete(url(rent)).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    let unmatched = "/v1/alert-rules/property-payment-unmatched";
    let mut changed = service.read(unmatched, &admin).await;
    changed["title"] = json!("Money that nobody knows of");
    let request = service.client.put(url(unmatched)).bearer_auth(&admin).json(&changed);
    let answer = request.header("if-match", "\"1\"").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(create(&service, &few).await.status(), 200);
    let left = ["property-payment-unmatched", "property-urgent-open-3-days"];
    assert_eq!(rules(&service, &admin).await, left);
    let changed = service.read(unmatched, &admin).await;
    assert_eq!(changed["title"], "Money that nobody knows of");
    assert_eq!(changed["owner"], "test");
}
