//! Views that tenants define while the service runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tenancy::Role;

use crate::live::Events;
use crate::service::{Service, event, invoice, payment, problem, token};

const ISSUED: &str = "events.\"invoicing.invoice_issued\"";
const DEBTS: &str =
    "SELECT customer_id, sum(balance) AS debt FROM open_invoices GROUP BY customer_id";

async fn define(service: &Service, token: &str, name: &str, sql: &str) -> Response {
    let view = json!({ "name": name, "sql": sql });
    service.post("/v1/views", token).json(&view).send().await.unwrap()
}

/// Defines a view and waits until it can be read.
pub(crate) async fn defined(service: &Service, token: &str, name: &str, sql: &str) -> Value {
    let answer = define(service, token, name, sql).await;
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    until(service, token, name, "live").await
}

/// The status of a view once its state is `state`.
async fn until(service: &Service, token: &str, name: &str, state: &str) -> Value {
    for _ in 0..600 {
        let status = service.read(&format!("/v1/views/{name}/status"), token).await;
        if status["state"] == state {
            return status;
        }
        assert!(status["state"] == "filling" || state == "failed", "{status}");
        let filled = status["filled"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&filled), "{status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} does not become {state}");
}

pub(crate) async fn delete(service: &Service, token: &str, name: &str) -> Response {
    let url = service.url(&format!("/v1/views/{name}"));
    service.client.delete(url).bearer_auth(token).send().await.unwrap()
}

/// The rows as a set.
fn sorted(rows: &Value) -> Vec<String> {
    let mut rows: Vec<String> = rows.as_array().unwrap().iter().map(ToString::to_string).collect();
    rows.sort_unstable();
    rows
}

/// Whether a view holds what a query of the same SQL answers at the same position.
async fn equals_its_query(service: &Service, token: &str, name: &str, sql: &str) {
    let view = service.read(&format!("/v1/views/{name}"), token).await;
    assert_eq!(sorted(&view["rows"]), sorted(&service.ask(token, sql).await), "{name}");
}

/// Sends events of a tenant, batch after batch, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Value>,
}

impl Load {
    fn start(service: &Service, token: &str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (client, url) = (service.client.clone(), service.url("/v1/events"));
        let (token, stopped) = (token.to_owned(), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut position = Value::Null;
            for batch in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                position = send(&client, &url, &token, batch).await;
            }
            position
        });
        Self { stop, task }
    }

    /// The position of all that was sent.
    async fn end(self) -> Value {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn send(client: &Client, url: &str, token: &str, batch: usize) -> Value {
    let events = (0..40).flat_map(|i| {
        let id = format!("load-{batch}-{i}");
        let issued = invoice(&id, &format!("c{}", i % 7), "100.25");
        let paid = payment(&format!("p-{id}"), &format!("load-{}-{i}", batch / 2), "0.75");
        [issued, paid]
    });
    let events: Vec<Value> = events.collect();
    let answer = client
        .post(url)
        .bearer_auth(token)
        .header("content-type", "application/cloudevents-batch+json")
        .body(serde_json::to_vec(&events).unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let receipt: Value = answer.json().await.unwrap();
    assert_eq!(receipt["accepted"], 80, "{receipt}");
    receipt["position"].clone()
}

#[tokio::test]
async fn views_defined_under_load_equal_their_queries_and_come_back_after_a_crash() {
    let mut service = Service::start().await;
    let admin = service.tenant("loaded").await;
    let counts = format!(
        "SELECT customer_id, count(*) AS invoices, max(amount) AS most FROM {ISSUED} \
         GROUP BY customer_id"
    );
    let late = format!(
        "SELECT invoice_id, due_date FROM {ISSUED} WHERE due_date < current_date AND amount > 100"
    );
    let both = "SELECT d.customer_id, d.debt, c.invoices FROM debts d \
                JOIN counts c ON c.customer_id = d.customer_id";
    let views = [("debts", DEBTS), ("counts", counts.as_str()), ("late", &late), ("both", both)];
    let load = Load::start(&service, &admin);
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Not one waits for the one before to be filled.
    for (name, sql) in views {
        let answer = define(&service, &admin, name, sql).await;
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["location"], format!("/v1/views/{name}"));
        let view: Value = answer.json().await.unwrap();
        assert_eq!((&view["id"], &view["own"]), (&json!(name), &json!(true)));
        let first = service.get(&format!("/v1/views/{name}"), &admin).send().await.unwrap();
        if first.status() != 200 {
            problem(first, 409, "view-filling").await;
        }
    }
    let question = json!({ "sql": "SELECT count(*) FROM both" });
    let asked = service.post("/v1/query?wait_ms=60000", &admin).json(&question);
    assert_eq!(asked.send().await.unwrap().status(), 200, "a query waits for what it reads");
    for (name, _) in views {
        service.read(&format!("/v1/views/{name}?wait_ms=60000"), &admin).await;
    }
    let position = load.end().await;
    let applied = format!("wait_for={}&wait_ms=60000", position.as_str().unwrap());
    service.read(&format!("/v1/views/both?{applied}"), &admin).await;
    for (name, sql) in views {
        equals_its_query(&service, &admin, name, sql).await;
    }
    let before = service.read("/v1/views/both", &admin).await;
    assert_eq!(before["rows"].as_array().unwrap().len(), 7);

    service.process.kill().unwrap();
    service.process.wait().unwrap();
    let again = Service::start_in(Arc::clone(&service.data)).await;
    let after = again.read("/v1/views/both", &admin).await;
    assert_eq!((&after["rows"], &after["position"]), (&before["rows"], &before["position"]));
    for (name, sql) in views {
        equals_its_query(&again, &admin, name, sql).await;
        let status = again.read(&format!("/v1/views/{name}/status"), &admin).await;
        assert_eq!(status, json!({ "state": "live", "filled": 1.0 }));
    }
    let sent = again.send(&admin, &[invoice("one-more", "c1", "5")]).await;
    again.rows(&admin, "both", &sent["position"]).await;
    equals_its_query(&again, &admin, "both", both).await;
}

#[tokio::test]
async fn views_that_recompute_their_groups_follow_what_comes_and_come_back_after_a_crash() {
    let mut service = Service::start().await;
    let admin = service.tenant("recomputed").await;
    let by_customer =
        |what: &str| format!("SELECT customer_id, {what} FROM {ISSUED} GROUP BY customer_id");
    let of_invoice = |what: &str| format!("SELECT invoice_id, {what} FROM {ISSUED}");
    let ranked = "OVER (PARTITION BY customer_id ORDER BY invoice_id)";
    let views = [
        ("middles", by_customer("median(amount) AS middle, bool_or(amount > 200) AS large")),
        ("listed", by_customer("string_agg(invoice_id, ',' ORDER BY invoice_id) AS invoices")),
        ("running", of_invoice(&format!("sum(amount) {ranked} AS total"))),
        ("parted", of_invoice(&format!("ntile(3) {ranked} AS third"))),
        ("words", of_invoice("unnest(make_array(customer_id, currency)) AS word")),
        (
            "weeks",
            of_invoice("unnest(hop(occurred_at, INTERVAL '1 day', INTERVAL '7 days')) AS week"),
        ),
    ];
    for (name, sql) in &views {
        defined(&service, &admin, name, sql).await;
    }
    for batch in 0..2 {
        let position = send(&service.client, &service.url("/v1/events"), &admin, batch).await;
        let applied = format!("wait_for={}&wait_ms=60000", position.as_str().unwrap());
        for (name, sql) in &views {
            service.read(&format!("/v1/views/{name}?{applied}"), &admin).await;
            equals_its_query(&service, &admin, name, sql).await;
        }
    }
    service.process.kill().unwrap();
    service.process.wait().unwrap();
    let again = Service::start_in(Arc::clone(&service.data)).await;
    let sent = again.send(&admin, &[invoice("one-more", "c1", "500")]).await;
    for (name, sql) in &views {
        again.rows(&admin, name, &sent["position"]).await;
        equals_its_query(&again, &admin, name, sql).await;
    }
}

#[tokio::test]
async fn a_replaced_view_is_never_missing_and_its_readers_change_with_it() {
    let service = Service::start().await;
    let admin = service.tenant("replaced").await;
    let load = Load::start(&service, &admin);
    let doubled = "SELECT customer_id, debt + debt AS twice FROM debts";
    defined(&service, &admin, "debts", DEBTS).await;
    defined(&service, &admin, "doubled", doubled).await;
    let subs = [json!({"id": "d", "view": "debts"}), json!({"id": "p", "view": "pipeline"})];
    let mut events = Events::open(&service, &admin, &subs, None).await;

    // A reader that asks for both all the time, in one query, so at one position.
    let stop = Arc::<AtomicBool>::default();
    let reader = tokio::spawn({
        let (client, url) = (service.client.clone(), service.url("/v1/query"));
        let (token, stop) = (admin.clone(), Arc::clone(&stop));
        async move {
            let sql = "SELECT count(*), sum(t.twice - 2 * d.debt) \
                       FROM debts d JOIN doubled t ON t.customer_id = d.customer_id";
            let mut answers = 0;
            while !stop.load(Ordering::Relaxed) {
                let question = client.post(&url).bearer_auth(&token).json(&json!({ "sql": sql }));
                let answer = question.send().await.unwrap();
                let status = answer.status();
                let answer: Value = answer.json().await.unwrap();
                assert_eq!(status, 200, "{answer}");
                let row = &answer["rows"][0];
                if row[0] != 0 {
                    let off: f64 = row[1].as_str().unwrap().parse().unwrap();
                    assert!(off.abs() < f64::EPSILON, "half a replacement was seen: {answer}");
                }
                answers += 1;
            }
            answers
        }
    });
    for round in 1..=3 {
        let anew = format!("{DEBTS} HAVING sum(balance) > {round}");
        let answer = define(&service, &admin, "debts", &anew).await;
        assert_eq!(answer.status(), 200);
        until(&service, &admin, "debts", "live").await;
        until(&service, &admin, "doubled", "live").await;
        let same = define(&service, &admin, "debts", &anew).await;
        assert_eq!(same.status(), 200);
        assert_eq!(same.json::<Value>().await.unwrap()["state"], "live");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0);
    let position = load.end().await;
    let applied = format!("wait_for={}&wait_ms=60000", position.as_str().unwrap());
    service.read(&format!("/v1/views/doubled?{applied}"), &admin).await;
    equals_its_query(&service, &admin, "doubled", doubled).await;

    let (mut resets, mut held) = (0, 0);
    loop {
        let (kind, message) = events.telling().await;
        assert!(kind != "error", "{message}");
        match kind.as_str() {
            "reset" => {
                assert_eq!(message["id"], "d");
                (resets, held) = (resets + 1, 0);
            }
            "snapshot" if message["id"] == "d" => held += message["rows"].as_array().unwrap().len(),
            "delta" if message["id"] == "d" => {
                let changes = message["changes"].as_array().unwrap();
                let sum: i64 = changes.iter().map(|change| change[0].as_i64().unwrap()).sum();
                held = usize::try_from(held as i64 + sum).unwrap();
            }
            _ => {}
        }
        if resets >= 1 && message["position"] == position {
            break;
        }
    }
    assert!(resets <= 3, "{resets} resets for three replacements");
    assert_eq!(held, service.ask(&admin, "SELECT * FROM debts").await.as_array().unwrap().len());
}

#[tokio::test]
async fn null_is_as_what_is_left_out() {
    let service = Service::start().await;
    let admin = service.tenant("nulls").await;
    let view = json!({ "name": "debts", "sql": DEBTS, "key": null });
    let made = service.post("/v1/views", &admin).json(&view).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    until(&service, &admin, "debts", "live").await;
    let question = json!({ "sql": "SELECT count(*) FROM debts", "params": null });
    let answer = service.post("/v1/query", &admin).json(&question).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn bad_definitions_are_refused_with_a_way_out() {
    let service = Service::start().await;
    let admin = service.tenant("refused").await;
    let refused = |name: &'static str, sql: String, status: u16, slug: &'static str| {
        let (service, admin) = (&service, admin.as_str());
        async move { problem(define(service, admin, name, &sql).await, status, slug).await }
    };
    let long: &'static str = Box::leak("x".repeat(64).into_boxed_str());
    for name in ["", "Debts", "1st", "a b", "a-b", "_a", "events.x", "späße", long] {
        refused(name, DEBTS.into(), 400, "invalid-view").await;
    }
    for name in ["ar_aging", "standing_invoices"] {
        refused(name, DEBTS.into(), 409, "built-in-view").await;
    }
    for (sql, said) in [
        ("", ""),
        ("SELEC 1", "SELEC"),
        ("SELECT 1; SELECT 2", ""),
        ("DROP VIEW ar_aging", ""),
        ("CREATE TABLE t (a INT)", ""),
        ("SELECT * FROM nothing", "nothing"),
        ("SELECT * FROM mine", "mine"),
        ("SELECT * FROM standing_invoices", "standing_invoices"),
        ("SELECT colour FROM open_invoices", "colour"),
        ("SELECT * FROM events.\"no.type\"", "no.type"),
        ("SELECT balance, balance FROM open_invoices", "balance"),
    ] {
        let told = refused("mine", sql.into(), 400, "invalid-view").await;
        assert!(told["detail"].as_str().unwrap().contains(said), "{told}");
    }
    let told =
        refused("mine", "SELECT random() AS r FROM open_invoices".into(), 422, "unsupported-view");
    let told = told.await;
    assert!(told["construct"].as_str().unwrap().contains("random"), "{told}");
    assert!(!told["way_out"].as_str().unwrap().is_empty(), "{told}");
    let deep =
        format!("SELECT {}1{} AS one FROM open_invoices", "(".repeat(4000), ")".repeat(4000));
    refused("mine", deep, 400, "invalid-view").await;

    let post = |body: Value| service.post("/v1/views", &admin).json(&body).send();
    for body in [
        json!([]),
        json!({ "name": "a" }),
        json!({ "name": "a", "sql": 7 }),
        json!({ "name": "a", "sql": DEBTS, "colour": "red" }),
        json!({ "name": "a", "sql": DEBTS, "key": "customer_id" }),
    ] {
        problem(post(body).await.unwrap(), 400, "invalid-body").await;
    }
    let no_key = json!({ "name": "a", "sql": DEBTS, "key": ["customer"] });
    problem(post(no_key).await.unwrap(), 400, "invalid-view").await;

    problem(delete(&service, &admin, "ar_aging").await, 409, "built-in-view").await;
    problem(delete(&service, &admin, "nothing").await, 404, "unknown-view").await;
    let executive = token(Some("refused"), &[Role::Executive]);
    problem(define(&service, &executive, "mine", DEBTS).await, 403, "forbidden").await;
    problem(delete(&service, &executive, "mine").await, 403, "forbidden").await;
    let own = service.read("/v1/views", &admin).await;
    assert!(own["views"].as_array().unwrap().iter().all(|view| view["own"] == false), "{own}");
}

#[tokio::test]
async fn views_on_views_are_kept_in_order() {
    let service = Service::start().await;
    let analyst = {
        service.tenant("order").await;
        token(Some("order"), &[Role::Analyst])
    };
    let admin = token(Some("order"), &[Role::Admin]);
    service.send(&admin, &[invoice("i1", "c1", "5"), invoice("i2", "c1", "7")]).await;
    defined(&service, &analyst, "debts", DEBTS).await;
    defined(&service, &analyst, "on_debts", "SELECT customer_id, debt FROM debts").await;
    defined(
        &service,
        &analyst,
        "top",
        "SELECT max(debt) AS most, customer_id FROM on_debts GROUP BY customer_id",
    )
    .await;

    let told = problem(delete(&service, &analyst, "debts").await, 409, "view-in-use").await;
    assert_eq!(told["readers"], json!(["on_debts"]));
    let cycle =
        define(&service, &analyst, "debts", "SELECT customer_id, most AS debt FROM top").await;
    let told = problem(cycle, 409, "view-cycle").await;
    assert_eq!(told["path"], json!(["debts", "top", "on_debts", "debts"]));
    let itself = define(&service, &analyst, "debts", "SELECT * FROM debts").await;
    assert_eq!(problem(itself, 409, "view-cycle").await["path"], json!(["debts", "debts"]));
    let breaks = define(&service, &analyst, "debts", "SELECT customer_id FROM open_invoices").await;
    let told = problem(breaks, 409, "view-in-use").await;
    assert_eq!(told["readers"], json!(["on_debts"]));
    assert!(told["detail"].as_str().unwrap().contains("debt"), "{told}");
    assert_eq!(service.ask(&analyst, "SELECT most FROM top").await, json!([["12.0000"]]));

    let subs = [json!({"id": "t", "view": "top"})];
    let mut events = Events::open(&service, &analyst, &subs, None).await;
    assert_eq!(events.telling().await.0, "snapshot");
    for name in ["top", "on_debts", "debts"] {
        assert_eq!(delete(&service, &analyst, name).await.status(), 204);
        let gone = service.get(&format!("/v1/views/{name}"), &analyst).send().await.unwrap();
        problem(gone, 404, "unknown-view").await;
    }
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["id"]), ("error", &json!("t")));
    assert_eq!(message["problem"]["type"], "urn:tidemark:problem:unknown-view");
}

#[tokio::test]
async fn tenants_do_not_see_each_others_views() {
    let service = Service::start().await;
    let (one, two) = (service.tenant("one").await, service.tenant("two").await);
    let (mine, yours) = (format!("SELECT customer_id FROM {ISSUED}"), DEBTS);
    defined(&service, &one, "same", &mine).await;
    defined(&service, &two, "same", yours).await;
    defined(&service, &two, "only_theirs", "SELECT debt FROM same").await;
    let sent = service.send(&one, &[invoice("i", "c1", "1")]).await;
    assert_eq!(service.rows(&one, "same", &sent["position"]).await, json!([["c1"]]));
    let sent = service.send(&two, &[invoice("i", "c2", "2"), payment("p", "i", "0.5")]).await;
    assert_eq!(service.rows(&two, "same", &sent["position"]).await, json!([["c2", "1.5000"]]));
    assert_eq!(service.ask(&one, "SELECT * FROM same").await, json!([["c1"]]));

    let theirs = service.get("/v1/views/only_theirs", &one).send().await.unwrap();
    let told = problem(theirs, 404, "unknown-view").await;
    assert!(!told["detail"].as_str().unwrap().contains("only_theirs,"), "{told}");
    problem(delete(&service, &one, "only_theirs").await, 404, "unknown-view").await;
    let asked = json!({ "sql": "SELECT * FROM only_theirs" });
    let answer = service.post("/v1/query", &one).json(&asked).send().await.unwrap();
    problem(answer, 400, "invalid-query").await;
    let tables = "SELECT table_name FROM information_schema.tables \
                  WHERE table_name IN ('same', 'only_theirs') ORDER BY table_name";
    assert_eq!(service.ask(&one, tables).await, json!([["same"]]));
    assert_eq!(service.ask(&two, tables).await, json!([["only_theirs"], ["same"]]));
    let subs = [json!({"id": "s", "view": "same"}), json!({"id": "t", "view": "only_theirs"})];
    let mut events = Events::open(&service, &one, &subs, None).await;
    let mut told = [events.telling().await, events.telling().await];
    told.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told[0].1["problem"]["type"], "urn:tidemark:problem:unknown-view");
    assert_eq!(told[1].1["rows"], json!([["c1"]]));
    let list = service.read("/v1/views", &one).await;
    let own: Vec<&Value> =
        list["views"].as_array().unwrap().iter().filter(|view| view["own"] == true).collect();
    assert_eq!(own.len(), 1);
    assert_eq!((&own[0]["sql"], &own[0]["row_count"]), (&json!(mine), &json!(1)));
}

#[tokio::test]
async fn a_tenant_has_room_for_so_many_views_and_so_much_state() {
    let variables =
        [("TIDEMARK_LIMITS_VIEWS_COUNT", "2"), ("TIDEMARK_LIMITS_VIEWS_STATE_BYTES", "100000")];
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(folder, &variables).await;
    let (admin, other) = (service.tenant("spent").await, service.tenant("other").await);
    let all = format!("SELECT event_id, customer_id, amount FROM {ISSUED}");
    defined(&service, &admin, "all_of_it", &all).await;
    defined(&service, &admin, "debts", DEBTS).await;
    problem(define(&service, &admin, "third", DEBTS).await, 422, "views-limit").await;
    assert_eq!(define(&service, &admin, "debts", &format!("{DEBTS} ")).await.status(), 200);
    defined(&service, &other, "third", &all).await;

    let mut sent = Value::Null;
    for batch in 0..40 {
        let invoices: Vec<Value> = (0..50)
            .map(|i| invoice(&format!("i-{batch:04}-{i:04}-with-a-long-name"), "c1", "1"))
            .collect();
        sent = service.send(&admin, &invoices).await;
    }
    let failed = until(&service, &admin, "all_of_it", "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("100000 bytes"), "{failed}");
    let read = service.get("/v1/views/all_of_it", &admin).send().await.unwrap();
    problem(read, 409, "view-failed").await;
    let asked = json!({ "sql": "SELECT * FROM all_of_it" });
    let answer = service.post("/v1/query", &admin).json(&asked).send().await.unwrap();
    problem(answer, 409, "view-failed").await;
    assert_eq!(
        service.rows(&admin, "debts", &sent["position"]).await,
        json!([["c1", "2000.0000"]])
    );
    until(&service, &other, "third", "live").await;

    // Filled anew it fails in the same way; a smaller one in its place is taken.
    assert_eq!(define(&service, &admin, "all_of_it", &all).await.status(), 200);
    until(&service, &admin, "all_of_it", "failed").await;
    let few = format!("{all} WHERE amount > 1");
    assert_eq!(define(&service, &admin, "all_of_it", &few).await.status(), 200);
    until(&service, &admin, "all_of_it", "live").await;
    assert_eq!(delete(&service, &admin, "debts").await.status(), 204);
    defined(&service, &admin, "third", DEBTS).await;
}

#[tokio::test]
async fn a_view_that_cannot_be_filled_says_why_and_its_predecessor_stays() {
    let service = Service::start().await;
    let admin = service.tenant("faulty").await;
    let talk = |id: &str, seconds: i64| {
        let data = json!({
            "call_id": id, "user_id": "u", "disposition": "reached", "duration_s": seconds,
        });
        event("crm.call_logged", id, &data)
    };
    service.send(&admin, &[talk("a", 0), talk("b", 20)]).await;
    let calls = "FROM events.\"crm.call_logged\"";
    let faulty = format!("SELECT call_id, 100 / duration_s AS share {calls}");
    assert_eq!(define(&service, &admin, "shares", &faulty).await.status(), 201);
    let failed = until(&service, &admin, "shares", "failed").await;
    let said = failed["error"].as_str().unwrap().to_lowercase();
    assert!(said.contains("divide by zero"), "{failed}");
    problem(service.get("/v1/views/shares", &admin).send().await.unwrap(), 409, "view-failed")
        .await;

    let sound = format!("SELECT call_id, 100 / nullif(duration_s, 0) AS share {calls}");
    assert_eq!(define(&service, &admin, "shares", &sound).await.status(), 200);
    until(&service, &admin, "shares", "live").await;
    assert_eq!(define(&service, &admin, "shares", &faulty).await.status(), 200);
    let kept = until(&service, &admin, "shares", "live").await;
    assert!(kept["error"].as_str().unwrap().to_lowercase().contains("divide by zero"), "{kept}");
    let rows = service.read("/v1/views/shares", &admin).await["rows"].clone();
    assert_eq!(sorted(&rows), [r#"["a",null]"#, r#"["b",5]"#]);
    let list = service.read("/v1/views", &admin).await;
    let own = list["views"].as_array().unwrap().iter().find(|v| v["name"] == "shares").unwrap();
    assert_eq!(own["sql"], sound);

    // What it keeps is what comes back.
    let again = {
        let mut service = service;
        service.process.kill().unwrap();
        service.process.wait().unwrap();
        Service::start_in(Arc::clone(&service.data)).await
    };
    assert_eq!(sorted(&again.read("/v1/views/shares", &admin).await["rows"]), sorted(&rows));
}
