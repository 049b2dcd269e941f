//! Templates of a folder, and newer versions of them that tenants take over.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::Role;

use crate::service::{Service, command, problem, token};

const OUTLOOK: &str = "/v1/tenant/template";
const UPDATE: &str = "/v1/tenant/template/update";
const LOW: &str = "/dashboards/stock/document/widgets/low/title";

/// A folder of data with a folder of templates in it.
struct Place {
    data: Arc<TempDir>,
}

impl Place {
    fn new() -> Self {
        let place = Self { data: Arc::new(tempfile::tempdir().unwrap()) };
        std::fs::create_dir(place.folder()).unwrap();
        place
    }

    fn folder(&self) -> PathBuf {
        self.data.path().join("templates")
    }

    /// The service with this template.
    async fn serve(&self, template: &Value) -> Service {
        let text = serde_json::to_string(template).unwrap();
        std::fs::write(self.folder().join("kiosk.json"), text).unwrap();
        let folder = self.folder();
        let variables = [("TIDEMARK_TEMPLATES", folder.to_str().unwrap())];
        Service::start_with(Arc::clone(&self.data), &variables).await
    }
}

fn widget(id: &str, title: &str, x: u32) -> Value {
    json!({
        "id": id, "title": title, "at": { "x": x, "y": 0, "w": 6, "h": 3 },
        "source": { "view": "inventory_levels" },
        "show": { "kind": "table", "columns": ["product_id"] },
    })
}

fn board(id: &str, title: &str, widgets: &[Value]) -> Value {
    json!({ "id": id, "title": title, "document": { "schema": 1, "widgets": widgets } })
}

fn rule(id: &str, title: &str, severity: &str) -> Value {
    json!({
        "id": id, "title": title, "severity": severity, "key": ["product_id"],
        "sql": "SELECT product_id FROM inventory_levels WHERE on_hand < 0",
    })
}

fn task(id: &str) -> Value {
    json!({ "id": id, "type": "tasks.task_assigned", "data": {
        "task_id": id, "user_id": "office", "cadence": "daily", "start_date": "$today",
    } })
}

fn first() -> Value {
    json!({
        "vertical": "kiosk", "version": 1, "title": "Kiosks", "about": "A kiosk.",
        "modules": ["invoicing", "inventory", "tasks"], "events": [task("count")],
        "dashboards": [
            board("stock", "Stock", &[widget("low", "Low stock", 0)]),
            board("cash", "Cash", &[]),
        ],
        "reports": [
            { "id": "cash", "definition": { "name": "Cash", "view": "cash_position" } },
            { "id": "late", "definition": {
                "name": "Late", "sql": "SELECT 1 AS n", "schedule": { "cron": "0 7 * * MON" },
            } },
        ],
        "alert_rules": [rule("below", "Below zero", "warning"), rule("sold", "Sold out", "info")],
    })
}

fn second() -> Value {
    let mut template = first();
    template["version"] = json!(2);
    template["modules"] = json!(["hr", "inventory", "tasks"]);
    template["events"] = json!([task("count"), task("sweep")]);
    template["dashboards"] = json!([
        board("stock", "Stock", &[widget("low", "Below the point", 0), widget("all", "All", 6)]),
        board("returns", "Returns", &[]),
    ]);
    template["reports"][0]["definition"]["format"] = json!("xlsx");
    template["alert_rules"][0]["severity"] = json!("critical");
    template
}

async fn create(service: &Service, id: &str, vertical: Option<&str>) -> String {
    let body = json!({
        "id": id, "name": id, "timezone": "Europe/Berlin", "currency": "EUR",
        "clock": "fixed:2025-06-30", "vertical": vertical,
    });
    let platform = token(None, &[Role::Platform]);
    let answer = service.post("/v1/platform/tenants", &platform).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    token(Some(id), &[Role::Admin])
}

/// What is told of a template, and its tag.
async fn outlook(service: &Service, token: &str) -> (Value, String) {
    let answer = service.get(OUTLOOK, token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    (answer.json().await.unwrap(), tag)
}

async fn take(service: &Service, token: &str, version: u64, settle: &Value) -> Response {
    let body = json!({ "version": version, "settle": settle });
    service.post(UPDATE, token).json(&body).send().await.unwrap()
}

/// Changes what the tenant has, as it is at `path`.
async fn change(service: &Service, token: &str, path: &str, with: impl Fn(&mut Value)) {
    let mut now = service.read(path, token).await;
    with(&mut now);
    let put = service.client.request(Method::PUT, service.url(path)).bearer_auth(token);
    let answer = put.header("if-match", "*").json(&now).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

async fn delete(service: &Service, token: &str, path: &str) {
    let answer = service.client.delete(service.url(path)).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 204, "{path}");
}

fn states(outlook: &Value) -> Vec<(&str, &str)> {
    let parts = outlook["parts"].as_array().unwrap().iter();
    parts.map(|part| (part["path"].as_str().unwrap(), part["state"].as_str().unwrap())).collect()
}

/// A kiosk that has made something of the first version, and then the second one is there.
async fn moved_on(place: &Place) -> (Service, String) {
    let service = place.serve(&first()).await;
    let admin = create(&service, "corner", Some("kiosk")).await;
    let (fresh, _) = outlook(&service, &admin).await;
    assert_eq!((&fresh["version"], &fresh["is_newer"]), (&json!(1), &json!(false)));
    assert!(states(&fresh).iter().all(|(_, state)| *state == "unchanged"), "{fresh}");
    change(&service, &admin, "/v1/dashboards/kiosk-stock", |board| {
        board["document"]["widgets"][0]["title"] = json!("To be ordered");
    })
    .await;
    change(&service, &admin, "/v1/alert-rules/kiosk-sold", |rule| {
        rule["title"] = json!("Nothing left");
    })
    .await;
    delete(&service, &admin, "/v1/reports/kiosk-late").await;
    drop(service);
    (place.serve(&second()).await, admin)
}

#[tokio::test]
async fn a_newer_version_is_told_of_part_by_part() {
    let place = Place::new();
    let (service, admin) = moved_on(&place).await;
    let (told, _) = outlook(&service, &admin).await;
    assert_eq!((&told["version"], &told["newest"]), (&json!(1), &json!(2)));
    assert_eq!((&told["vertical"], &told["is_newer"]), (&json!("kiosk"), &json!(true)));
    let expected = [
        ("/modules/hr", "new"),
        ("/modules/inventory", "unchanged"),
        ("/modules/tasks", "unchanged"),
        ("/modules/invoicing", "removed-by-template"),
        ("/dashboards/stock", "changed-by-both"),
        ("/dashboards/returns", "new"),
        ("/dashboards/cash", "removed-by-template"),
        ("/reports/cash", "changed-by-template"),
        ("/reports/late", "deleted-by-tenant"),
        ("/alert_rules/below", "changed-by-template"),
        ("/alert_rules/sold", "changed-by-tenant"),
        ("/events/sweep", "new"),
    ];
    assert_eq!(states(&told), expected);
    let stock = json!({
        "path": "/dashboards/stock", "kind": "dashboard", "id": "kiosk-stock", "title": "Stock",
        "state": "changed-by-both", "conflicts": 1,
    });
    assert_eq!(told["parts"][4], stock);
    let people = json!({
        "path": "/modules/hr", "kind": "module", "id": "hr", "title": "hr", "state": "new",
        "conflicts": 0,
    });
    assert_eq!(told["parts"][0], people);
    let sweep = json!({
        "path": "/events/sweep", "kind": "event", "id": "template/kiosk/sweep", "title": "sweep",
        "state": "new", "conflicts": 0,
    });
    assert_eq!(told["parts"][11], sweep);
    let conflict = json!({
        "path": LOW, "about": "value",
        "base": "Low stock", "theirs": "Below the point", "ours": "To be ordered",
    });
    assert_eq!(told["conflicts"], json!([conflict]));
}

#[tokio::test]
async fn what_cannot_be_taken_over_changes_nothing() {
    let place = Place::new();
    let (service, admin) = moved_on(&place).await;
    let before = outlook(&service, &admin).await;
    let open =
        problem(take(&service, &admin, 2, &json!({})).await, 409, "template-conflicts").await;
    assert_eq!(open["conflicts"], before.0["conflicts"]);
    let other = problem(take(&service, &admin, 1, &json!({})).await, 409, "template-version").await;
    assert_eq!(other["newest"], 2);
    for path in ["/dashboards/nothing", "/reports/cash/definition/format", ""] {
        let settle = json!({ LOW: "ours", path: "theirs" });
        let answer = take(&service, &admin, 2, &settle).await;
        assert_eq!(problem(answer, 400, "invalid-settlement").await["path"], path);
    }
    let wrong = take(&service, &admin, 2, &json!({ LOW: "mine" })).await;
    problem(wrong, 400, "invalid-body").await;
    let body = json!({ "version": 2, "settle": { LOW: "ours" } });
    let stale = service.post(UPDATE, &admin).header("if-match", "\"1\"").json(&body);
    problem(stale.send().await.unwrap(), 412, "changed-meanwhile").await;
    let analyst = token(Some("corner"), &[Role::Analyst]);
    for answer in [
        service.get(OUTLOOK, &analyst).send().await.unwrap(),
        service.post(UPDATE, &analyst).json(&body).send().await.unwrap(),
    ] {
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(outlook(&service, &admin).await, before);
    // Whoever was told it may still take it over.
    let fresh = service.post(UPDATE, &admin).header("if-match", &before.1).json(&body);
    assert_eq!(fresh.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_taken_over_is_there_once_and_keeps_what_the_tenant_made() {
    let place = Place::new();
    let (service, admin) = moved_on(&place).await;
    let settle = json!({ LOW: "theirs" });
    let answer = take(&service, &admin, 2, &settle).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let told: Value = answer.json().await.unwrap();
    assert_eq!((&told["version"], &told["is_newer"]), (&json!(2), &json!(false)));
    let expected = [
        ("/modules/hr", "unchanged"),
        ("/modules/inventory", "unchanged"),
        ("/modules/tasks", "unchanged"),
        ("/dashboards/stock", "unchanged"),
        ("/dashboards/returns", "unchanged"),
        ("/reports/cash", "unchanged"),
        ("/reports/late", "deleted-by-tenant"),
        ("/alert_rules/below", "unchanged"),
        ("/alert_rules/sold", "changed-by-tenant"),
    ];
    assert_eq!(states(&told), expected);

    // What it adds is on, and in that moment; what it has no more is not switched off.
    let on = service.read("/v1/tenant", &admin).await;
    assert_eq!(on["modules"], json!(["invoicing", "hr", "inventory", "tasks"]));
    service.read("/v1/views/headcount", &admin).await;

    let stock = service.read("/v1/dashboards/kiosk-stock", &admin).await;
    assert_eq!((&stock["version"], &stock["changed_by"]), (&json!(3), &json!("test")));
    assert_eq!(stock["origin"], json!({ "template": "kiosk/stock", "version": 2 }));
    assert_eq!(stock["base"], stock["document"]);
    let titles: Vec<&Value> =
        stock["document"]["widgets"].as_array().unwrap().iter().map(|w| &w["title"]).collect();
    assert_eq!(titles, ["Below the point", "All"]);
    let before = service.read("/v1/dashboards/kiosk-stock/versions/2", &admin).await;
    assert_eq!(before["document"]["widgets"][0]["title"], "To be ordered");
    // What the newer version has no more is the tenant's own.
    let cash = service.read("/v1/dashboards/kiosk-cash", &admin).await;
    assert_eq!(cash["origin"]["version"], 1);
    let returns = service.read("/v1/dashboards/kiosk-returns", &admin).await;
    assert_eq!((&returns["version"], &returns["changed_by"]), (&json!(1), &Value::Null));

    let cash = service.read("/v1/reports/kiosk-cash", &admin).await;
    assert_eq!((&cash["format"], &cash["owner"]), (&json!("xlsx"), &Value::Null));
    let below = service.read("/v1/alert-rules/kiosk-below", &admin).await;
    assert_eq!((&below["severity"], &below["version"]), (&json!("critical"), &json!(2)));
    let sold = service.read("/v1/alert-rules/kiosk-sold", &admin).await;
    assert_eq!((&sold["title"], &sold["version"]), (&json!("Nothing left"), &json!(2)));
    let tasks = "SELECT task_id FROM events.\"tasks.task_assigned\" ORDER BY task_id";
    assert_eq!(service.ask(&admin, tasks).await, json!([["count"], ["sweep"]]));

    // Once: neither the same call nor a restart does it again.
    let again = take(&service, &admin, 2, &settle).await;
    assert_eq!(again.json::<Value>().await.unwrap(), told);
    drop(service);
    let service = place.serve(&second()).await;
    let again = take(&service, &admin, 2, &json!({})).await;
    assert_eq!(again.json::<Value>().await.unwrap(), told);
    assert_eq!(service.read("/v1/dashboards/kiosk-stock", &admin).await, stock);
    assert_eq!(service.ask(&admin, tasks).await, json!([["count"], ["sweep"]]));
    let path = "/v1/audit?action=change&limit=1000";
    let records = service.read(path, &admin).await["records"].clone();
    let done = records.as_array().unwrap().iter().filter(|record| {
        record["object"] == format!("POST {UPDATE}") && record["detail"]["settle"] == settle
    });
    assert_eq!(done.count(), 2, "{records}");
}

#[tokio::test]
async fn a_part_can_be_settled_as_a_whole() {
    let place = Place::new();
    let (service, admin) = moved_on(&place).await;
    let settle = json!({
        "/dashboards/stock": "ours", "/dashboards/returns": "ours", "/dashboards/cash": "theirs",
        "/reports/late": "theirs", "/alert_rules/below": "ours", "/alert_rules/sold": "theirs",
        "/modules/hr": "ours", "/modules/invoicing": "theirs", "/events/sweep": "ours",
    });
    let answer = take(&service, &admin, 2, &settle).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let told: Value = answer.json().await.unwrap();
    let expected = [
        ("/modules/hr", "deleted-by-tenant"),
        ("/modules/inventory", "unchanged"),
        ("/modules/tasks", "unchanged"),
        ("/dashboards/stock", "changed-by-tenant"),
        ("/dashboards/returns", "deleted-by-tenant"),
        ("/reports/cash", "unchanged"),
        ("/reports/late", "unchanged"),
        ("/alert_rules/below", "changed-by-tenant"),
        ("/alert_rules/sold", "unchanged"),
    ];
    assert_eq!(states(&told), expected);
    let stock = service.read("/v1/dashboards/kiosk-stock", &admin).await;
    assert_eq!((&stock["version"], &stock["origin"]["version"]), (&json!(2), &json!(2)));
    assert_eq!(stock["base"]["widgets"][0]["title"], "Below the point");
    let gone = service.get("/v1/dashboards/kiosk-cash", &admin).send().await.unwrap();
    problem(gone, 404, "unknown-dashboard").await;
    let on = service.read("/v1/tenant", &admin).await;
    assert_eq!(on["modules"], json!(["inventory", "tasks"]), "as its admin says");
    let tasks = "SELECT task_id FROM events.\"tasks.task_assigned\"";
    assert_eq!(service.ask(&admin, tasks).await, json!([["count"]]));
    let late = service.read("/v1/reports/kiosk-late", &admin).await;
    assert!(late["next_run_at"].is_string(), "{late}");
    assert_eq!(late["version"], 2, "it goes on from what was deleted");
}

#[tokio::test]
async fn whoever_was_given_nothing_takes_all_over() {
    let place = Place::new();
    let service = place.serve(&first()).await;
    let admin = create(&service, "late", None).await;
    let none = service.get(OUTLOOK, &admin).send().await.unwrap();
    assert_eq!(none.status(), 204);
    assert_eq!(none.text().await.unwrap(), "");
    problem(take(&service, &admin, 1, &json!({})).await, 404, "no-template").await;
    let patch = service.client.patch(service.url("/v1/tenant")).bearer_auth(&admin);
    let patched = patch.json(&json!({ "vertical": "kiosk" })).send().await.unwrap();
    assert_eq!(patched.status(), 200);
    let (told, _) = outlook(&service, &admin).await;
    assert_eq!((&told["version"], &told["given_at"]), (&Value::Null, &Value::Null));
    // It uses all modules already.
    let state = |path: &str| if path.starts_with("/modules/") { "unchanged" } else { "new" };
    assert!(states(&told).iter().all(|(path, told)| *told == state(path)), "{told}");
    assert_eq!(take(&service, &admin, 1, &json!({})).await.status(), 200);
    let reports = service.read("/v1/reports", &admin).await;
    assert_eq!(reports["reports"].as_array().unwrap().len(), 2);
    let tasks = "SELECT task_id FROM events.\"tasks.task_assigned\"";
    assert_eq!(service.ask(&admin, tasks).await, json!([["count"]]));
}

#[tokio::test]
async fn a_module_is_switched_as_it_was_looked_at() {
    let place = Place::new();
    let (service, admin) = moved_on(&place).await;
    let (_, tag) = outlook(&service, &admin).await;
    let body = json!({ "version": 2, "settle": { LOW: "ours" } });
    let switch = |modules: Value| {
        let patch = service.client.patch(service.url("/v1/tenant")).bearer_auth(&admin);
        patch.json(&json!({ "modules": modules })).send()
    };
    assert_eq!(switch(json!(["tasks"])).await.unwrap().status(), 200);
    let stale = service.post(UPDATE, &admin).header("if-match", &tag).json(&body);
    problem(stale.send().await.unwrap(), 412, "changed-meanwhile").await;
    // What the firm has switched off itself stays off, unless it is settled otherwise.
    assert_eq!(take(&service, &admin, 2, &json!({ LOW: "ours" })).await.status(), 200);
    let on = service.read("/v1/tenant", &admin).await;
    assert_eq!(on["modules"], json!(["hr", "tasks"]));
}

#[tokio::test]
async fn one_module_at_least_stays_on() {
    let place = Place::new();
    let (service, admin) = moved_on(&place).await;
    let patch = service.client.patch(service.url("/v1/tenant")).bearer_auth(&admin);
    let body = json!({ "modules": ["invoicing"] });
    assert_eq!(patch.json(&body).send().await.unwrap().status(), 200);
    let settle = json!({ LOW: "ours", "/modules/hr": "ours", "/modules/invoicing": "theirs" });
    let refused = problem(take(&service, &admin, 2, &settle).await, 422, "template-unfit").await;
    assert_eq!(refused["path"], "/modules/invoicing");
    let on = service.read("/v1/tenant", &admin).await;
    assert_eq!(on["modules"], json!(["invoicing"]));
}

#[tokio::test]
async fn a_folder_with_what_is_no_template_stops_the_start() {
    let place = Place::new();
    let mut wrong = first();
    wrong["reports"][0]["definition"]["cron"] = json!("0 7 * * MON");
    for (text, part) in [("{".to_owned(), "kiosk"), (wrong.to_string(), "reports")] {
        std::fs::write(place.folder().join("kiosk.json"), text).unwrap();
        let mut command = command(&place.data);
        let output = command.env("TIDEMARK_TEMPLATES", place.folder()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("kiosk") && said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_newer_version_keeps_what_the_tenant_has_declared() {
    const FIELDS: &str = "/v1/tenant/fields";
    let field = |name: &str, title: &str| {
        let on = "invoicing.payment_received";
        json!({ "id": name, "on": on, "name": name, "title": title, "type": "text" })
    };
    let version = |mut template: Value, fields: Value| {
        template["custom_fields"] = fields;
        template
    };
    let place = Place::new();
    let fields = json!([field("till", "Till"), field("note", "Note"), field("shift", "Shift")]);
    let service = place.serve(&version(first(), fields)).await;
    let admin = create(&service, "corner", Some("kiosk")).await;
    let put = |service: &Service, name: &str| {
        let path = format!("{FIELDS}/invoicing.payment_received/{name}");
        let body = json!({ "title": "Ours", "type": "int" });
        service.client.put(service.url(&path)).bearer_auth(&admin).json(&body).send()
    };
    assert_eq!(put(&service, "badge").await.unwrap().status(), 201);
    assert_eq!(put(&service, "shift").await.unwrap().status(), 200);
    delete(&service, &admin, &format!("{FIELDS}/invoicing.payment_received/note")).await;
    drop(service);

    let fields = json!([
        field("till", "Number of the till"),
        field("note", "Note"),
        field("shift", "Shift"),
        field("badge", "Badge"),
        field("drawer", "Drawer"),
    ]);
    let service = place.serve(&version(second(), fields)).await;
    let told = |fields: &Value| -> Vec<String> {
        let fields = fields["fields"].as_array().unwrap().iter();
        let word = |field: &Value, name: &str| field[name].as_str().unwrap().to_owned();
        fields.map(|f| [word(f, "name"), word(f, "title"), word(f, "origin")].join(" ")).collect()
    };
    let before = service.read(FIELDS, &admin).await;
    assert_eq!(told(&before), ["till Till template", "badge Ours tenant", "shift Ours tenant"]);
    let answer = take(&service, &admin, 2, &json!({})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let after = service.read(FIELDS, &admin).await;
    let expected = [
        "till Number of the till template",
        "drawer Drawer template",
        "badge Ours tenant",
        "shift Ours tenant",
    ];
    assert_eq!(told(&after), expected);
    let sql = "SELECT till, drawer, badge, shift FROM events.\"invoicing.payment_received\"";
    assert_eq!(service.ask(&admin, sql).await, json!([]));
}
