//! Alerts from an event to a receiver, over a process that is killed.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use reqwest::Response;
use serde_json::{Value, json};
use tenancy::Role;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::live::Events;
use crate::reports::{mail_server, mail_to, receiver};
use crate::service::{Service, event, invoice, of_subject, payment, problem, token};

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

const BUDGET: &str = "/v1/alert-rules/budget-exceeded";

fn budget(id: &str, amount: &str) -> Value {
    let data = json!({ "project_id": "P1", "amount": amount, "effective_date": "2025-01-01" });
    // Of two of the same day the later one holds.
    let mut event = event("governance.budget_set", id, &data);
    event["time"] = json!(format!("2025-06-0{}T10:00:00Z", id.len()));
    event
}

fn expense(id: &str, amount: &str) -> Value {
    event(
        "governance.expense_recorded",
        id,
        &json!({
            "expense_id": id, "project_id": "P1", "amount": amount, "spent_on": "2025-06-01",
        }),
    )
}

fn check(id: &str, passed: bool, hour: u32) -> Value {
    let data = json!({ "check_id": "fire", "rule": "exits are clear", "passed": passed });
    let mut event = event("governance.compliance_checked", id, &data);
    event["time"] = json!(format!("2025-06-01T{hour:02}:00:00Z"));
    event
}

/// Waits until so many alerts are listed.
async fn until(service: &Service, token: &str, query: &str, count: usize) -> Vec<Value> {
    for _ in 0..600 {
        let listed = service.read(&format!("/v1/alerts{query}"), token).await;
        let alerts = listed["alerts"].as_array().unwrap();
        if alerts.len() == count {
            return alerts.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there are never {count} alerts");
}

async fn put(service: &Service, token: &str, path: &str, tag: &str, body: &Value) -> Response {
    let request = service.client.put(service.url(path)).bearer_auth(token).json(body);
    request.header("if-match", tag).send().await.unwrap()
}

/// The next call: its key and what it says.
async fn told(received: &mut UnboundedReceiver<(HeaderMap, String)>) -> (String, Value) {
    let (headers, body) = timeout(PATIENCE, received.recv()).await.unwrap().unwrap();
    assert!(headers["tidemark-signature"].to_str().unwrap().contains("v1="));
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    (key, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_budget_that_is_exceeded_is_told_once_over_a_kill_and_once_when_it_is_not() {
    let (url, mut received) = receiver().await;
    let data = Arc::new(tempfile::tempdir().unwrap());
    let allowed = [("TIDEMARK_REPORTS_PRIVATE_WEBHOOKS", "true")];
    let mut service = Service::start_with(Arc::clone(&data), &allowed).await;
    let admin = service.tenant("acme").await;
    let executive = of_subject("eve", "acme", Role::Executive);
    let mut rule = service.read(BUDGET, &admin).await;
    assert_eq!((&rule["builtin"], &rule["owner"]), (&json!(true), &Value::Null));
    let secret = "a secret of the receiver";
    rule["deliver"] = json!([{ "kind": "webhook", "url": url, "secret": secret }]);
    let answer = put(&service, &admin, BUDGET, "\"1\"", &rule).await;
    assert_eq!(answer.headers()["etag"], "\"2\"");
    let replaced = answer.text().await.unwrap();
    assert!(!replaced.contains(secret), "{replaced}");

    let events = [budget("b", "100"), expense("e1", "120.50")];
    service.send(&admin, &events).await;
    let (key, fired) = told(&mut received).await;
    assert_eq!((&fired["type"], &fired["tenant"]), (&json!("alert.fired"), &json!("acme")));
    assert_eq!(fired["subject"], json!({ "project_id": "P1", "currency": "EUR" }));
    assert_eq!(fired["details"]["spent"], "120.5000");
    assert_eq!(
        fired["text"],
        "Alert: Budget exceeded: project P1, currency EUR; budget 100.00 EUR, spent 120.50 EUR, \
         variance -20.50 EUR, used 120.5%, exceeded yes."
    );
    let [alert]: [Value; 1] = until(&service, &executive, "", 1).await.try_into().unwrap();
    assert_eq!((&alert["id"], &alert["position"]), (&fired["alert"], &fired["position"]));
    assert_eq!(alert["columns"][2], json!({ "name": "budget", "type": "decimal" }));
    let path = format!("/v1/alerts/{}", alert["id"].as_str().unwrap());
    let seen = service.post(&format!("{path}/acknowledge"), &executive).send().await.unwrap();
    let seen: Value = seen.json().await.unwrap();
    assert_eq!(seen["acknowledged"]["by"], "eve");

    service.process.kill().unwrap();
    service.process.wait().unwrap();
    let service = Service::start_with(data, &allowed).await;
    // More of the same is no news; less is.
    service.send(&admin, &[expense("e2", "1")]).await;
    service.send(&admin, &[budget("bb", "500")]).await;
    let (other, cleared) = told(&mut received).await;
    assert_eq!((&cleared["type"], &cleared["alert"]), (&json!("alert.cleared"), &alert["id"]));
    assert_eq!(cleared["text"], "Cleared: Budget exceeded: project P1, currency EUR.");
    assert_ne!(other, key);
    assert!(until(&service, &executive, "", 0).await.is_empty());
    let whole = service.read(&path, &executive).await;
    let kinds: Vec<&Value> =
        whole["history"].as_array().unwrap().iter().map(|t| &t["kind"]).collect();
    assert_eq!(kinds, ["fired", "acknowledged", "cleared"]);
    assert_eq!(whole["history"][1]["by"], "eve");
    assert_eq!(until(&service, &executive, "?state=all", 1).await[0]["state"], "cleared");
    assert!(received.try_recv().is_err(), "nothing else was told");
    let late = service.post(&format!("{path}/acknowledge"), &executive).send().await.unwrap();
    problem(late, 409, "alert-cleared").await;
}

#[tokio::test]
async fn a_message_says_in_words_what_has_happened() {
    let (address, maildir) = mail_server();
    let url = format!("smtp://{address}");
    let variables = [
        ("TIDEMARK_SMTP_URL", url.as_str()),
        ("TIDEMARK_SMTP_FROM", "Figures <figures@tidemark.example>"),
    ];
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(data, &variables).await;
    let admin = service.tenant("acme").await;
    // The server is shared with other runs.
    let to = format!("{}@alerts.example", std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let deliver = json!([{ "kind": "email", "to": [to], "role": "executive" }]);
    let rule = json!({ "title": "Budget exceeded", "deliver": deliver });
    let answer = put(&service, &admin, BUDGET, "*", &rule).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    service.send(&admin, &[budget("b", "16000"), expense("e1", "20000.50")]).await;
    let mut mails = Vec::new();
    for _ in 0..600 {
        mails = mail_to(&maildir, &to);
        if !mails.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let [mail]: [String; 1] = mails.try_into().unwrap();
    let mail = mail.replace('\r', "");
    assert!(mail.contains("\n\nAlert: Budget exceeded\nacme, warning, "), "{mail}");
    let said = "\n\nproject P1\ncurrency EUR\nbudget 16000.00 EUR\nspent 20000.50 EUR\n\
                variance -4000.50 EUR\nused 125%\nexceeded yes\n\nAlert 2";
    assert!(mail.contains(said), "{mail}");
}

#[tokio::test]
async fn a_rule_is_written_by_analysts_and_its_alerts_are_for_its_roles() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let other = service.tenant("other").await;
    let analyst = of_subject("ann", "acme", Role::Analyst);
    let executive = of_subject("eve", "acme", Role::Executive);
    let rule = json!({
        "title": "Much is overdue", "severity": "critical", "key": ["customer_id", "currency"],
        "sql": "SELECT customer_id, currency, sum(balance) AS owed FROM open_invoices \
                WHERE days_overdue > 0 GROUP BY customer_id, currency HAVING sum(balance) > 50",
        "roles": ["analyst"],
    });
    let refused = service.post("/v1/alert-rules", &executive).json(&rule).send().await.unwrap();
    problem(refused, 403, "forbidden").await;
    let answer = service.post("/v1/alert-rules", &analyst).json(&rule).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["etag"]),
        (201, &"\"1\"".parse().unwrap())
    );
    let path = answer.headers()["location"].to_str().unwrap().to_owned();
    let made: Value = answer.json().await.unwrap();
    assert_eq!((&made["owner"], &made["state"]), (&json!("ann"), &json!("waiting")));
    let listed = service.read("/v1/alert-rules", &analyst).await;
    let ids: Vec<&Value> =
        listed["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    assert_eq!(ids, [&json!("budget-exceeded"), &json!("compliance-failed"), &made["id"]]);

    let events = [invoice("i1", "c1", "70"), invoice("i2", "c2", "7")];
    service.send(&admin, &events).await;
    let [alert]: [Value; 1] = until(&service, &analyst, "", 1).await.try_into().unwrap();
    assert_eq!(alert["subject"], json!({ "customer_id": "c1", "currency": "EUR" }));
    assert_eq!((&alert["title"], &alert["severity"]), (&rule["title"], &rule["severity"]));
    assert_eq!(service.read(&path, &analyst).await["state"], "live");
    // Who does not have the role, and who is of another firm, sees nothing of it.
    let at = format!("/v1/alerts/{}", alert["id"].as_str().unwrap());
    for (stranger, slug) in [(&executive, "unknown-alert"), (&other, "unknown-alert")] {
        let listed = service.read("/v1/alerts?state=all", stranger).await;
        assert_eq!((&listed["alerts"], &listed["open"]), (&json!([]), &json!(0)));
        problem(service.get(&at, stranger).send().await.unwrap(), 404, slug).await;
        let seen = service.post(&format!("{at}/acknowledge"), stranger).send().await.unwrap();
        problem(seen, 404, slug).await;
    }
    problem(service.get(&path, &other).send().await.unwrap(), 404, "unknown-alert-rule").await;

    // It is snoozed, and woken.
    let snooze = format!("{at}/snooze");
    for (until, slug) in
        [(json!("2025-01-01T00:00:00Z"), "invalid-alert-rule"), (json!(1), "invalid-body")]
    {
        let body = json!({ "until": until });
        let answer = service.post(&snooze, &analyst).json(&body).send().await.unwrap();
        problem(answer, 400, slug).await;
    }
    let nothing = service.post(&snooze, &analyst).json(&json!({})).send().await.unwrap();
    problem(nothing, 400, "invalid-body").await;
    let tomorrow = chrono::Utc::now() + chrono::Duration::days(1);
    for until in [json!(tomorrow), Value::Null] {
        let body = json!({ "until": until });
        let answer = service.post(&snooze, &analyst).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let snoozed: Value = answer.json().await.unwrap();
        assert_eq!(snoozed["snoozed_until"].is_null(), until.is_null());
    }

    // What is replaced keeps its alerts, and is what it is then.
    problem(put(&service, &admin, &path, "\"7\"", &made).await, 412, "changed-meanwhile").await;
    let mut wider = made.clone();
    wider["roles"] = json!(["executive"]);
    let answer = put(&service, &admin, &path, "\"1\"", &wider).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["owner"], "test");
    assert_eq!(until(&service, &executive, "", 1).await[0]["id"], alert["id"]);
    service.send(&admin, &[payment("p1", "i1", "60")]).await;
    assert!(until(&service, &executive, "", 0).await.is_empty());
    for (body, slug) in [
        (json!({ "title": "x" }), "invalid-alert-rule"),
        (json!({ "title": "x", "sql": "SELECT x" }), "invalid-query"),
        (json!({ "title": "x", "sql": "SELECT 1 AS n", "key": ["m"] }), "invalid-alert-rule"),
        (json!({ "title": "x", "sql": "SELECT 1", "nmae": 1 }), "invalid-body"),
    ] {
        problem(put(&service, &admin, &path, "*", &body).await, 400, slug).await;
    }
    let deleted = service.client.delete(service.url(&path)).bearer_auth(&admin).send().await;
    assert_eq!(deleted.unwrap().status(), 204);
    problem(service.get(&at, &admin).send().await.unwrap(), 404, "unknown-alert").await;
    let builtin = service.client.delete(service.url(BUDGET)).bearer_auth(&admin).send().await;
    problem(builtin.unwrap(), 409, "builtin-alert-rule").await;
}

#[tokio::test]
async fn who_follows_alerts_is_told_to_read_them() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let executive = token(Some("acme"), &[Role::Executive]);
    let wanted = [json!({ "id": "bell", "alerts": true })];
    let mut events = Events::open(&service, &executive, &wanted, None).await;
    let told = ("alerts".to_owned(), json!({ "type": "alerts", "id": "bell" }));
    assert_eq!(events.telling().await, told);
    service.send(&admin, &[check("c1", false, 10)]).await;
    assert_eq!(events.telling().await, told);
    let alerts = service.read("/v1/alerts", &executive).await;
    assert_eq!((&alerts["open"], &alerts["next"]), (&json!(1), &Value::Null));
    let alert = &alerts["alerts"][0];
    assert_eq!(
        (&alert["rule"], &alert["severity"]),
        (&json!("compliance-failed"), &json!("critical"))
    );
    assert_eq!(alert["details"]["rule"], "exits are clear");
    service.send(&admin, &[check("c2", true, 11)]).await;
    assert_eq!(events.telling().await, told);
    assert_eq!(service.read("/v1/alerts", &executive).await["open"], 0);
    // Switched off it says nothing, and its history stays.
    let off = json!({ "title": "Compliance", "enabled": false });
    let path = "/v1/alert-rules/compliance-failed";
    let answer = put(&service, &admin, path, "*", &off).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["state"], "off");
    assert_eq!(events.telling().await, told);
    let cleared = service.read("/v1/alerts?state=cleared", &executive).await;
    assert_eq!(cleared["alerts"].as_array().unwrap().len(), 1);
}
