//! Every operation of the OpenAPI document, in every role, upon what is another's and what is not there.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tenancy::access::{Callers, ROUTES};
use tokio::time::timeout;

use crate::answers::Said;
use crate::firms::{FIRM, Firms, MARK, NO_FIRM, NOBODYS, THEIRS, callers};
use crate::service::documented::Asked;

/// An operation.
struct Operation {
    method: String,
    path: String,
    roles: Vec<String>,
    has_body: bool,
}

/// Which object an operation is called upon.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Theirs,
    Nobody,
}

impl Of {
    fn name(self) -> &'static str {
        if self == Self::Theirs { THEIRS } else { NOBODYS }
    }

    fn firm(self) -> &'static str {
        if self == Self::Theirs { FIRM } else { NO_FIRM }
    }
}

/// Every operation there is: those of the table from which the OpenAPI document is made, and the
/// document has no other.
async fn operations(firms: &Firms) -> Vec<Operation> {
    let mut found: Vec<Operation> = ROUTES
        .iter()
        .map(|route| Operation {
            method: route.method.to_owned(),
            path: route.path.to_owned(),
            roles: match route.callers {
                Callers::Public => Vec::new(),
                Callers::Roles(roles) => roles.iter().map(|role| role.to_string()).collect(),
            },
            has_body: matches!(route.method, "POST" | "PATCH" | "PUT")
                && route.path != "/v1/tickets"
                && !route.path.ends_with("/replay"),
        })
        .collect();
    let document = firms.service.client.get(firms.service.url("/openapi.json")).send().await;
    let document: Value = document.unwrap().json().await.unwrap_or_default();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for method in methods.as_object().unwrap().keys() {
            let is_known =
                found.iter().any(|o| o.path == *path && o.method.eq_ignore_ascii_case(method));
            assert!(is_known, "{method} {path} is in the document alone");
        }
    }
    // What takes something away comes last.
    found.sort_by_key(|o| (o.method == "DELETE", o.method != "GET", o.path.clone()));
    found
}

/// The path upon an object. What the suite does not know it must be taught.
fn path(operation: &Operation, of: Of, ids: &Ids) -> String {
    let path = operation.path.as_str();
    let with = |parameter: &str, value: &str| path.replace(parameter, value);
    match path {
        "/v1/stream" => {
            let sub = json!({ "id": "a", "view": of.name() }).to_string();
            crate::service::stream(&[("sub", sub)])
        }
        _ if !path.contains('{') => path.to_owned(),
        "/v1/views/{name}" | "/v1/views/{name}/status" | "/v1/views/{name}/explain" => {
            with("{name}", of.name())
        }
        "/v1/event-types/{type}" | "/v1/platform/event-types/{type}" => {
            with("{type}", &format!("{}.kept", of.name()))
        }
        // A type that both firms have, and a field of it that one has.
        "/v1/tenant/fields/{type}/{name}" => {
            with("{type}", "hr.employee_left").replace("{name}", of.name())
        }
        "/v1/service-tokens/{id}" => {
            with("{id}", if of == Of::Theirs { &ids.token } else { &ids.no_token })
        }
        // There are none without Kafka: each is nobody's.
        _ if path.contains("/dead-letters/{id}") => with("{id}", of.name()),
        _ if path.starts_with("/v1/platform/tenants/{id}") => with("{id}", of.firm()),
        "/v1/reports/{id}" | "/v1/reports/{id}/run" | "/v1/reports/{id}/runs" => {
            with("{id}", if of == Of::Theirs { &ids.report } else { &ids.no_report })
        }
        "/v1/reports/{id}/runs/{run}" | "/v1/exports/{run}" => {
            let (report, run) = match of {
                Of::Theirs => (&ids.report, &ids.run),
                Of::Nobody => (&ids.no_report, &ids.no_run),
            };
            with("{id}", report).replace("{run}", run)
        }
        "/v1/alert-rules/{id}" => {
            with("{id}", if of == Of::Theirs { &ids.rule } else { &ids.no_rule })
        }
        _ if path.starts_with("/v1/alerts/{id}") => {
            with("{id}", if of == Of::Theirs { &ids.alert } else { &ids.no_alert })
        }
        _ if path.starts_with("/v1/dashboards/{id}") => {
            let dashboard = if of == Of::Theirs { &ids.dashboard } else { &ids.no_dashboard };
            with("{id}", dashboard).replace("{version}", "1")
        }
        // A run of an export is a number or a word that is given out at random.
        _ if path.contains("export") => {
            let run = if of == Of::Theirs { &ids.export } else { &ids.no_export };
            let open = path.find('{').unwrap();
            let close = path.find('}').unwrap();
            format!("{}{run}{}", &path[..open], &path[close + 1..])
        }
        _ => panic!("{} {path}: the suite does not know its objects", operation.method),
    }
}

/// Ids that the service gave out to the firm, and others of the same form.
#[derive(Default)]
struct Ids {
    token: String,
    no_token: String,
    export: String,
    no_export: String,
    report: String,
    no_report: String,
    run: String,
    no_run: String,
    rule: String,
    no_rule: String,
    alert: String,
    no_alert: String,
    dashboard: String,
    no_dashboard: String,
}

impl Ids {
    async fn of(firms: &Firms) -> Self {
        let made = |path: String, body: Value| async move {
            let answer = firms.service.post(&path, &firms.firm).json(&body).send().await.unwrap();
            if !answer.status().is_success() {
                return None;
            }
            let made: Value = answer.json().await.ok()?;
            let id = made.get("id").or_else(|| made.get("run_id"))?;
            Some(id.as_str().map_or_else(|| id.to_string(), str::to_owned))
        };
        let token = made("/v1/service-tokens".to_owned(), json!({ "name": "zqx producer" })).await;
        let export = made("/v1/tenant/export".to_owned(), json!({})).await;
        let (token, export) = (token.unwrap_or_default(), export.unwrap_or_default());
        let report = json!({ "name": "zqx report", "sql": "SELECT 'zqx'" });
        let report = made("/v1/reports".to_owned(), report).await.unwrap_or_default();
        let run = made(format!("/v1/reports/{report}/run"), json!({})).await.unwrap_or_default();
        let rule = json!({ "title": "zqx rule", "sql": "SELECT 'zqx' AS zqx" });
        let rule = made("/v1/alert-rules".to_owned(), rule).await.unwrap_or_default();
        let alert = alert(firms).await;
        let board = json!({ "name": "zqx board", "document": document("zqx") });
        let dashboard = made("/v1/dashboards".to_owned(), board).await.unwrap_or_default();
        Self {
            no_token: another(&token),
            no_export: another(&export),
            no_report: another(&report),
            no_run: another(&run),
            no_rule: another(&rule),
            no_alert: another(&alert),
            no_dashboard: another(&dashboard),
            token,
            export,
            report,
            run,
            rule,
            alert,
            dashboard,
        }
    }
}

/// A dashboard with these words.
fn document(words: &str) -> Value {
    json!({ "schema": 1, "widgets": [{
        "id": "words", "title": words, "at": { "x": 0, "y": 0, "w": 6, "h": 2 },
        "show": { "kind": "text", "text": words },
    }] })
}

impl Ids {
    /// Puts one word for the ids that were asked for.
    fn forget(&self, said: &mut Said) {
        for id in [
            &self.token,
            &self.no_token,
            &self.export,
            &self.no_export,
            &self.report,
            &self.no_report,
            &self.run,
            &self.no_run,
            &self.rule,
            &self.no_rule,
            &self.alert,
            &self.no_alert,
            &self.dashboard,
            &self.no_dashboard,
        ] {
            if !id.is_empty() {
                said.body = said.body.replace(id.as_str(), "ID");
            }
        }
    }
}

/// The id of the firm's alert, once it has one.
async fn alert(firms: &Firms) -> String {
    for _ in 0..600 {
        let answer = firms.service.get("/v1/alerts", &firms.firm).send().await.unwrap();
        let listed: Value = answer.json().await.unwrap();
        if let Some(id) = listed["alerts"][0]["id"].as_str() {
            return id.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no alert fires");
}

/// A text of the same form that is another.
fn another(id: &str) -> String {
    let turned = |c: char| match c {
        '0'..='8' | 'a'..='e' | 'g'..='y' | 'A'..='Y' => char::from(c as u8 + 1),
        '9' => '0',
        'f' => 'a',
        other => other,
    };
    let turned: String = id.chars().map(turned).collect();
    if turned.is_empty() { NOBODYS.to_owned() } else { turned }
}

/// What is sent with an operation: its body names an object as its path does.
fn body(operation: &Operation, of: Of) -> Value {
    let name = of.name();
    let settings = json!({ "name": "seekers" });
    match (operation.method.as_str(), operation.path.as_str()) {
        ("POST", "/v1/views") => {
            json!({ "name": name, "sql": "SELECT currency, count(*) AS n FROM open_invoices GROUP BY currency" })
        }
        ("POST", "/v1/event-types" | "/v1/platform/event-types") => {
            let fields = json!([{ "name": "mine", "type": "string" }]);
            let schema = json!({ "type": "record", "name": name, "fields": fields });
            json!({ "type": format!("{name}.kept"), "schema": schema })
        }
        ("POST", "/v1/query") => json!({ "sql": format!("SELECT * FROM {name}") }),
        ("POST", "/v1/sign-in") => {
            json!({ "code": name, "code_verifier": name, "redirect_uri": "http://127.0.0.1/" })
        }
        ("POST", "/v1/reports") | ("PUT", "/v1/reports/{id}") => {
            json!({ "name": name, "sql": format!("SELECT * FROM {name}") })
        }
        ("POST", "/v1/reports/{id}/run" | "/v1/alerts/{id}/acknowledge") => json!({}),
        ("POST", "/v1/alert-rules") | ("PUT", "/v1/alert-rules/{id}") => {
            json!({ "title": name, "sql": format!("SELECT * FROM {name}") })
        }
        ("POST", "/v1/alerts/{id}/snooze") => json!({ "until": null }),
        ("POST", "/v1/dashboards") | ("PUT", "/v1/dashboards/{id}") => {
            json!({ "name": name, "document": document(name) })
        }
        ("POST", path) if path.ends_with("/restore") => json!({}),
        ("POST", "/v1/service-tokens") => json!({ "name": name }),
        ("POST", "/v1/tenant/revocations") => json!({ "subject": name }),
        ("PATCH", "/v1/tenant" | "/v1/platform/tenants/{id}") => settings,
        ("PUT", "/v1/tenant/fields/{type}/{name}") => json!({ "title": name, "type": "int" }),
        ("POST", "/v1/tenant/template/update") => {
            json!({ "version": 1, "settle": { format!("/dashboards/{name}"): "theirs" } })
        }
        ("POST", path) if path.contains("export") => json!({}),
        ("POST", "/v1/platform/tenants") => {
            // An id that is taken may be told to the platform, and to nobody else.
            json!({ "id": of.firm(), "name": "x", "timezone": "UTC", "currency": "EUR" })
        }
        (method, path) => panic!("{method} {path}: the suite does not know its body"),
    }
}

fn request(firms: &Firms, operation: &Operation, of: Of, ids: &Ids) -> Asked {
    let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
    let path = path(operation, of, ids);
    let request = firms.service.client.request(method, firms.service.url(&path));
    if operation.path == "/v1/events" {
        let event = json!({
            "specversion": "1.0", "id": "once", "source": "/seeker", "type": "hr.employee_left",
            "time": "2025-06-01T10:00:00Z", "tenantid": of.firm(),
            "data": { "employee_id": "e", "end_date": "2025-06-01" },
        });
        return request
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string());
    }
    if operation.has_body { request.json(&body(operation, of)) } else { request }
}

async fn said(request: Asked) -> Said {
    let answer = timeout(Duration::from_secs(30), request.send()).await.unwrap().unwrap();
    let kind = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return crate::live::beginning(answer).await;
    }
    Said::of(answer).await
}

/// Waits until the view that was just defined is filled: from then on it answers alike.
async fn filled(firms: &Firms, of: Of, token: Option<&str>) {
    let path = format!("/v1/views/{}?wait_ms=20000", of.name());
    let mut request = firms.service.client.get(firms.service.url(&path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    assert_eq!(said(request).await.status, 200, "{path}");
}

/// What the platform does to a tenant is its right: it is another's only for everybody else.
fn is_its_right(operation: &Operation, caller: &str) -> bool {
    caller == "platform" && operation.path.starts_with("/v1/platform/")
}

#[tokio::test]
async fn what_is_anothers_is_answered_as_what_is_not_there() {
    let firms = Firms::new().await;
    let ids = Ids::of(&firms).await;
    let before = firms.own().await;
    let operations = operations(&firms).await;
    assert!(operations.len() >= 30, "the document has {} operations", operations.len());
    let mut attempts = 0;
    for operation in &operations {
        for (caller, token) in callers() {
            if is_its_right(operation, &caller) {
                continue;
            }
            let what = format!("{} {} as {caller}", operation.method, operation.path);
            let mut answers = Vec::new();
            for of in [Of::Theirs, Of::Nobody] {
                let mut request = request(&firms, operation, of, &ids);
                if let Some(token) = &token {
                    request = request.bearer_auth(token);
                }
                let mut said = said(request).await;
                if (operation.method.as_str(), operation.path.as_str()) == ("POST", "/v1/views")
                    && said.status < 300
                {
                    filled(&firms, of, token.as_deref()).await;
                }
                ids.forget(&mut said);
                said.keeps_secret(&what);
                attempts += 1;
                let is_public = operation.roles.is_empty();
                let is_allowed = is_public || operation.roles.contains(&caller);
                // A WebSocket may say who it is later; without a handshake it is no WebSocket.
                let may_come_later = operation.path == "/v1/ws" && caller == "nobody";
                if !is_allowed && !may_come_later {
                    let refused = if caller == "nobody" { 401 } else { 403 };
                    assert_eq!(said.status, refused, "{what}: {said:?}");
                }
                assert!(said.status < 500 || said.status == 503, "{what}: {said:?}");
                answers.push(said);
            }
            let [theirs, nobodys]: [Said; 2] = answers.try_into().unwrap();
            // Figures of the process count its calls, lists grow with what is made, and an export
            // that is under way is another answer than one that begins.
            let counts =
                ["/metrics", "/v1/audit", "/v1/tenant/export"].contains(&operation.path.as_str());
            if !counts {
                assert_eq!(theirs, nobodys, "{what}");
            }
        }
    }
    assert_eq!(firms.own().await, before, "what the firm has is as it was");
    let path = "/v1/audit?limit=1000";
    let seen = firms.service.get(path, &firms.firm).send().await.unwrap().text().await.unwrap();
    assert!(!seen.contains("seekers"), "nothing of the other is in the firm's audit");
    println!("{attempts} attempts by {} operations, no leak", operations.len());
}

/// What somebody without a right could have read from the process' figures.
#[tokio::test]
async fn what_is_public_names_nobody() {
    let firms = Firms::new().await;
    for path in
        ["/livez", "/readyz", "/metrics", "/openapi.json", "/v1/sign-in", "/", "/v1/nothing"]
    {
        let said = said(firms.service.client.get(firms.service.url(path))).await;
        said.keeps_secret(path);
        assert!(!said.body.contains(MARK), "{path}");
    }
}
