//! Subscriptions to SQL: who may have them, what they tell, by what they are kept, and what ends them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenancy::Role;
use tokio::time::timeout;

use crate::erasure::metric;
use crate::live::{Events, PATIENCE, connect, hear, say};
use crate::own_views::{defined, delete};
use crate::service::{Service, event, invoice, payment, problem, token};

const OWED: &str = "SELECT customer_id, total FROM ar_aging";
const PAID: &str = "SELECT count(*) AS payments, sum(amount) AS paid \
                    FROM events.\"invoicing.payment_received\"";

/// Rows with how often they are there, of each subscription.
#[derive(Default)]
struct Held(BTreeMap<String, BTreeMap<String, i64>>);

impl Held {
    /// Takes a snapshot or a delta.
    fn take(&mut self, kind: &str, message: &Value) {
        let rows = self.0.entry(message["id"].as_str().unwrap().to_owned()).or_default();
        let changes: Vec<(i64, &Value)> = match kind {
            "snapshot" => {
                assert_eq!((&message["key"], &message["last"]), (&json!([]), &json!(true)));
                message["rows"].as_array().unwrap().iter().map(|row| (1, row)).collect()
            }
            "delta" => {
                let changes = message["changes"].as_array().unwrap().iter();
                changes.map(|change| (change[0].as_i64().unwrap(), &change[1])).collect()
            }
            other => panic!("{other}: {message}"),
        };
        for (weight, row) in changes {
            *rows.entry(row.to_string()).or_default() += weight;
        }
        rows.retain(|_, weight| *weight != 0);
        assert!(rows.values().all(|weight| *weight > 0), "{message}");
    }

    fn holds(&self, id: &str, rows: &Value) -> bool {
        let mut due: BTreeMap<String, i64> = BTreeMap::new();
        for row in rows.as_array().unwrap() {
            *due.entry(row.to_string()).or_default() += 1;
        }
        self.0.get(id) == Some(&due)
    }
}

/// Takes messages until each subscription holds these rows.
async fn until(events: &mut Events, held: &mut Held, due: &[(&str, Value)]) {
    while !due.iter().all(|(id, rows)| held.holds(id, rows)) {
        let (kind, message) = events.telling().await;
        held.take(&kind, &message);
    }
}

fn sql(id: &str, sql: &str) -> Value {
    json!({ "id": id, "sql": sql })
}

/// Takes the next message, which ends a subscription.
async fn ended(events: &mut Events, id: &str, why: &str) {
    // Heartbeats or not: an evaluation by the pace would come later.
    let (kind, message) = timeout(PATIENCE, events.telling()).await.unwrap();
    assert_eq!((kind.as_str(), &message["id"]), ("error", &json!(id)), "{message}");
    assert_eq!(slug(&message), why);
}

/// How many of the queries that are followed a circuit keeps.
async fn circuits(service: &Service) -> u64 {
    metric(service, "tidemark_stream_sql_circuits").await as u64
}

/// How often followed queries were evaluated.
async fn evaluations(service: &Service) -> u64 {
    metric(service, "tidemark_stream_sql_evaluations_total").await as u64
}

/// Waits until circuits keep so many.
async fn until_kept(service: &Service, count: u64) {
    for _ in 0..1200 {
        if circuits(service).await == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("circuits keep {} and not {count}", circuits(service).await);
}

/// The names of the views that are listed.
async fn listed(service: &Service, token: &str) -> Vec<String> {
    let answer: Value = service.get("/v1/views", token).send().await.unwrap().json().await.unwrap();
    let views = answer["views"].as_array().unwrap_or_else(|| panic!("{answer}"));
    views.iter().map(|view| view["name"].as_str().unwrap().to_owned()).collect()
}

fn slug(message: &Value) -> &str {
    let kind = message["problem"]["type"].as_str().unwrap_or_else(|| panic!("{message}"));
    kind.trim_start_matches("urn:tidemark:problem:")
}

#[tokio::test]
async fn an_analyst_follows_queries_over_views_and_events() {
    let service = Service::start().await;
    let admin = service.tenant("asked").await;
    let analyst = token(Some("asked"), &[Role::Analyst]);
    let sent = service.send(&admin, &[invoice("i1", "c1", "100")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let subs = [sql("owed", OWED), sql("paid", PAID), json!({ "id": "v", "view": "headcount" })];
    let mut events = Events::open(&service, &analyst, &subs, None).await;
    let mut held = Held::default();
    // The view is empty and does not change.
    let (mut kind, mut message) = events.telling().await;
    while message["id"] != "v" {
        held.take(&kind, &message);
        (kind, message) = events.telling().await;
    }
    let owed = |amount: &str| json!([["c1", amount]]);
    let begun = [("owed", owed("100.0000")), ("paid", json!([[0, null]]))];
    until(&mut events, &mut held, &begun).await;

    service.send(&admin, &[payment("p1", "i1", "30")]).await;
    let then = [("owed", owed("70.0000")), ("paid", json!([[1, "30.0000"]]))];
    until(&mut events, &mut held, &then).await;
    let more = [payment("p2", "i1", "20"), payment("p3", "i1", "10"), invoice("i2", "c2", "5")];
    service.send(&admin, &more).await;
    let owed = json!([["c1", "40.0000"], ["c2", "5.0000"]]);
    let then = [("owed", owed), ("paid", json!([[3, "60.0000"]]))];
    until(&mut events, &mut held, &then).await;
    for (id, asked) in [("owed", OWED), ("paid", PAID)] {
        assert!(held.holds(id, &service.ask(&analyst, asked).await), "{id}");
    }
}

#[tokio::test]
async fn who_may_not_ask_gets_the_refusal_of_the_query() {
    let service = Service::start().await;
    let admin = service.tenant("roles").await;
    let executive = token(Some("roles"), &[Role::Executive]);
    let asked = service.post("/v1/query", &executive).json(&json!({ "sql": OWED }));
    let refusal = problem(asked.send().await.unwrap(), 403, "forbidden").await;
    let subs = [sql("s", OWED), json!({ "id": "v", "view": "ar_aging" })];
    let mut events = Events::open(&service, &executive, &subs, None).await;
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["id"]), ("error", &json!("s")));
    for member in ["type", "title", "status", "detail"] {
        assert_eq!(message["problem"][member], refusal[member], "{message}");
    }
    assert_eq!(events.telling().await.0, "snapshot");

    // A socket that goes on with the token of an executive follows no SQL any more.
    let mut socket = connect(&service, "").await;
    say(&mut socket, json!({ "type": "auth", "token": admin })).await;
    say(&mut socket, json!({ "type": "subscribe", "id": "s", "sql": OWED })).await;
    assert_eq!(hear(&mut socket).await["type"], "snapshot");
    say(&mut socket, json!({ "type": "auth", "token": executive })).await;
    let message = hear(&mut socket).await;
    assert_eq!((slug(&message), &message["id"]), ("forbidden", &json!("s")));

    // What was asked for is in the audit, with its text.
    for _ in 0..200 {
        let path = "/v1/audit?action=subscribe";
        let answer: Value = service.get(path, &admin).send().await.unwrap().json().await.unwrap();
        let records = answer["records"].as_array().unwrap();
        let texts = |record: &Value| record["detail"]["subscriptions"][0]["sql"] == OWED;
        if records.iter().filter(|record| texts(record)).count() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the SQL that was followed is not in the audit");
}

#[tokio::test]
async fn the_answer_is_that_of_the_own_tenant() {
    let service = Service::start().await;
    let (one, two) = (service.tenant("one").await, service.tenant("two").await);
    let mut held = (Held::default(), Held::default());
    let mut events = (
        Events::open(&service, &one, &[sql("o", OWED), sql("p", PAID)], None).await,
        Events::open(&service, &two, &[sql("o", OWED), sql("p", PAID)], None).await,
    );
    let empty = [("o", json!([])), ("p", json!([[0, null]]))];
    until(&mut events.0, &mut held.0, &empty).await;
    until(&mut events.1, &mut held.1, &empty).await;
    service.send(&one, &[invoice("i1", "c1", "10"), payment("p1", "i1", "3")]).await;
    let due = [("o", json!([["c1", "7.0000"]])), ("p", json!([[1, "3.0000"]]))];
    until(&mut events.0, &mut held.0, &due).await;
    service.send(&two, &[invoice("i1", "other", "2"), payment("p1", "i1", "1")]).await;
    let due = [("o", json!([["other", "1.0000"]])), ("p", json!([[1, "1.0000"]]))];
    // Whatever is told on the way is checked: rows of the other would not go away again.
    until(&mut events.1, &mut held.1, &due).await;
    let followed = metric(&service, "tidemark_stream_sql_queries").await;
    assert!((followed - 4.0).abs() < f64::EPSILON, "{followed}");
}

#[tokio::test]
async fn what_cannot_be_followed_says_why_and_the_others_go_on() {
    let variables = [("TIDEMARK_LIMITS_STREAM_SQL_ANSWER_BYTES", "400")];
    let service = Service::start_with(Arc::new(tempfile::tempdir().unwrap()), &variables).await;
    let admin = service.tenant("refused").await;
    let invoices: Vec<Value> =
        (0..20).map(|n| invoice(&format!("i{n}"), &format!("c{n}"), "10")).collect();
    let sent = service.send(&admin, &invoices).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let wrong = [
        ("large", "SELECT * FROM ar_aging", "answer-too-large"),
        ("nowhere", "SELECT 1 FROM nowhere", "invalid-query"),
        ("write", "DELETE FROM ar_aging", "query-refused"),
        ("random", "SELECT random() AS r FROM ar_aging", "unfollowed-query"),
        ("plan", "EXPLAIN SELECT total FROM ar_aging", "unfollowed-query"),
        ("lists", "SELECT table_name FROM information_schema.tables", "unfollowed-query"),
    ];
    let mut subs: Vec<Value> = wrong.iter().map(|(id, text, _)| sql(id, text)).collect();
    subs.push(sql("good", "SELECT count(*) AS customers FROM ar_aging"));
    let mut events = Events::open(&service, &admin, &subs, None).await;
    let (mut held, mut ended) = (Held::default(), BTreeMap::new());
    while ended.len() < wrong.len() || !held.holds("good", &json!([[20]])) {
        let (kind, message) = events.telling().await;
        if kind == "error" {
            let id = message["id"].as_str().unwrap().to_owned();
            ended.insert(id, slug(&message).to_owned());
        } else {
            held.take(&kind, &message);
        }
    }
    for (id, _, slug) in wrong {
        assert_eq!(ended[id], slug);
    }
    service.send(&admin, &[invoice("i20", "c20", "10")]).await;
    until(&mut events, &mut held, &[("good", json!([[21]]))]).await;
}

#[tokio::test]
async fn own_views_may_be_replaced_under_it_and_their_deletion_ends_it() {
    let service = Service::start().await;
    let admin = service.tenant("own").await;
    let first = "SELECT invoice_id FROM events.\"invoicing.invoice_issued\"";
    let sent = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    defined(&service, &admin, "mine", first).await;
    let subs = [sql("m", "SELECT * FROM mine"), sql("o", OWED)];
    let mut events = Events::open(&service, &admin, &subs, None).await;
    let mut held = Held::default();
    let due = [("m", json!([["i1"]])), ("o", json!([["c1", "10.0000"]]))];
    until(&mut events, &mut held, &due).await;
    until_kept(&service, 2).await;

    defined(&service, &admin, "mine", &first.replace("invoice_id", "customer_id, amount")).await;
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["id"]), ("reset", &json!("m")), "{message}");
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["id"]), ("snapshot", &json!("m")), "{message}");
    assert_eq!(message["rows"], json!([["c1", "10.0000"]]));
    // The one of the view as it is now is another circuit.
    until_kept(&service, 2).await;

    assert_eq!(delete(&service, &admin, "mine").await.status(), 204);
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["id"]), ("error", &json!("m")), "{message}");
    assert_eq!(slug(&message), "invalid-query");
    service.send(&admin, &[payment("p1", "i1", "4")]).await;
    until(&mut events, &mut held, &[("o", json!([["c1", "6.0000"]]))]).await;
}

#[tokio::test]
async fn equal_sql_is_evaluated_once_for_all_and_ends_with_the_last_who_follows_it() {
    let service = Service::start().await;
    let admin = service.tenant("shared").await;
    let sent = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    // With an order at its end it has no circuit.
    let owed = format!("{OWED} ORDER BY customer_id");
    let queries = async || metric(&service, "tidemark_stream_sql_queries").await as u64;
    let subs = [sql("a", &owed), sql("b", &format!(" {owed} ;"))];
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut events = Events::open(&service, &admin, &subs, None).await;
        let mut held = Held::default();
        let due = [("a", json!([["c1", "10.0000"]])), ("b", json!([["c1", "10.0000"]]))];
        until(&mut events, &mut held, &due).await;
        streams.push((events, held));
    }
    assert_eq!((queries().await, evaluations(&service).await), (1, 1));
    service.send(&admin, &[payment("p1", "i1", "1")]).await;
    for (events, held) in &mut streams {
        let due = [("a", json!([["c1", "9.0000"]])), ("b", json!([["c1", "9.0000"]]))];
        until(events, held, &due).await;
    }
    assert_eq!((queries().await, evaluations(&service).await), (1, 2));
    // What it does not read is no reason to evaluate it.
    let other = crate::service::event(
        "projects.project_created",
        "e1",
        &json!({ "project_id": "p", "name": "P" }),
    );
    let sent = service.send(&admin, &[other]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    drop(streams);
    for _ in 0..600 {
        if queries().await == 0 {
            assert_eq!(evaluations(&service).await, 2);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is evaluated for nobody");
}

#[tokio::test]
async fn a_position_that_still_is_the_answers_is_resumed_from() {
    let service = Service::start().await;
    let admin = service.tenant("resumed").await;
    let sent = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let mut events = Events::open(&service, &admin, &[sql("s", OWED)], None).await;
    let (_, snapshot) = events.telling().await;
    assert_eq!(snapshot["position"], sent["position"]);
    assert_eq!(events.last_id, sent["position"].as_str().unwrap());
    let last_id = events.last_id.clone();
    drop(events);
    let mut events = Events::open(&service, &admin, &[sql("s", OWED)], Some(&last_id)).await;
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["position"]), ("resumed", &sent["position"]));
    let paid = service.send(&admin, &[payment("p1", "i1", "3")]).await;
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["position"]), ("delta", &paid["position"]));
    let changes = json!([[-1, ["c1", "10.0000"]], [1, ["c1", "7.0000"]]]);
    assert_eq!(message["changes"], changes);
    drop(events);
    // The answer of then is not held any more.
    let mut events = Events::open(&service, &admin, &[sql("s", OWED)], Some(&last_id)).await;
    assert_eq!(events.telling().await.0, "reset");
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["rows"]), ("snapshot", &json!([["c1", "7.0000"]])));
}

#[tokio::test]
async fn a_query_is_kept_by_a_circuit_and_evaluated_no_more() {
    let service = Service::start().await;
    let admin = service.tenant("kept").await;
    let sent = service.send(&admin, &[invoice("i1", "c1", "100"), payment("p1", "i1", "1")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let beside = "SELECT p.payment_id, p.amount, a.total FROM events.\"invoicing.payment_received\" p \
                  JOIN events.\"invoicing.invoice_issued\" i ON i.invoice_id = p.invoice_id \
                  LEFT JOIN ar_aging a ON a.customer_id = i.customer_id";
    let asked = [("owed", OWED), ("paid", PAID), ("beside", beside)];
    let subs = asked.map(|(id, text)| sql(id, text));
    let mut events = Events::open(&service, &admin, &subs, None).await;
    let mut held = Held::default();
    let begun = [
        ("owed", json!([["c1", "99.0000"]])),
        ("paid", json!([[1, "1.0000"]])),
        ("beside", json!([["p1", "1.0000", "99.0000"]])),
    ];
    until(&mut events, &mut held, &begun).await;
    until_kept(&service, 3).await;
    let before = evaluations(&service).await;
    for n in 2..12 {
        let issued = invoice(&format!("i{n}"), &format!("c{}", n % 3), "10.50");
        let paid = payment(&format!("p{n}"), &format!("i{}", n - 1), "0.25");
        let sent = service.send(&admin, &[issued, paid]).await;
        service.rows(&admin, "ar_aging", &sent["position"]).await;
        let mut due = Vec::new();
        for (id, text) in asked {
            due.push((id, service.ask(&admin, text).await));
        }
        // What was told on the way has added up to what a query answers now.
        until(&mut events, &mut held, &due).await;
    }
    assert_eq!((evaluations(&service).await, circuits(&service).await), (before, 3));

    // Who comes later shares it, and a circuit ends with its last follower.
    let mut later = Events::open(&service, &admin, &[sql("x", PAID)], None).await;
    let mut held = Held::default();
    let now = service.ask(&admin, PAID).await;
    until(&mut later, &mut held, &[("x", now)]).await;
    assert_eq!((evaluations(&service).await, circuits(&service).await), (before, 3));
    drop(events);
    until_kept(&service, 1).await;
    drop(later);
    until_kept(&service, 0).await;
}

#[tokio::test]
async fn what_has_no_circuit_is_evaluated_on() {
    let service = Service::start().await;
    let admin = service.tenant("evaluated").await;
    let asked = [
        ("ordered", "SELECT customer_id, total FROM ar_aging ORDER BY total DESC LIMIT 2"),
        ("median", "SELECT median(total) AS m FROM ar_aging"),
        ("rounded", "SELECT customer_id, CAST(total AS DOUBLE) AS t FROM ar_aging"),
    ];
    let mut events =
        Events::open(&service, &admin, &asked.map(|(id, text)| sql(id, text)), None).await;
    let mut held = Held::default();
    for n in 1..5 {
        let sent = service.send(&admin, &[invoice(&format!("i{n}"), &format!("c{n}"), "10")]).await;
        service.rows(&admin, "ar_aging", &sent["position"]).await;
        let mut due = Vec::new();
        for (id, text) in asked {
            due.push((id, service.ask(&admin, text).await));
        }
        until(&mut events, &mut held, &due).await;
    }
    assert!(evaluations(&service).await > asked.len() as u64);
    assert_eq!(circuits(&service).await, 0);
}

#[tokio::test]
async fn a_circuit_is_seen_by_nobody_and_takes_nothing_from_own_views() {
    let variables =
        [("TIDEMARK_LIMITS_VIEWS_COUNT", "1"), ("TIDEMARK_LIMITS_STREAM_TENANT_SQL_CIRCUITS", "2")];
    let service = Service::start_with(Arc::new(tempfile::tempdir().unwrap()), &variables).await;
    let (admin, other) = (service.tenant("kept").await, service.tenant("seeker").await);
    let sent = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let (before, theirs) = (listed(&service, &admin).await, listed(&service, &other).await);
    let subs = [sql("o", OWED), sql("p", PAID), sql("n", "SELECT count(*) AS n FROM ar_aging")];
    let mut events = Events::open(&service, &admin, &subs, None).await;
    let mut held = Held::default();
    let owed = |amount: &str| json!([["c1", amount]]);
    let due = [("o", owed("10.0000")), ("p", json!([[0, null]])), ("n", json!([[1]]))];
    until(&mut events, &mut held, &due).await;
    // The third has no room, and is evaluated.
    until_kept(&service, 2).await;

    assert_eq!(listed(&service, &admin).await, before);
    assert_eq!(listed(&service, &other).await, theirs);
    let text = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE '%@%'";
    for token in [&admin, &other] {
        assert_eq!(service.ask(token, text).await, json!([]));
        for name in ["@followed", "@candidate"] {
            let body = json!({ "sql": format!("SELECT * FROM \"{name}\"") });
            let answer = service.post("/v1/query", token).json(&body).send().await.unwrap();
            problem(answer, 400, "invalid-query").await;
            let answer = service.get(&format!("/v1/views/{name}"), token).send().await.unwrap();
            problem(answer, 404, "unknown-view").await;
            let sub = json!({ "id": "v", "view": name });
            let subs = [sub, json!({ "id": "h", "view": "headcount" })];
            let (kind, message) = Events::open(&service, token, &subs, None).await.telling().await;
            assert_eq!((kind.as_str(), slug(&message)), ("error", "unknown-view"));
        }
    }
    defined(&service, &admin, "mine", "SELECT customer_id FROM ar_aging").await;
    let sent = service.send(&admin, &[invoice("i2", "c1", "5"), payment("p1", "i1", "1")]).await;
    let rows = service.rows(&admin, "mine", &sent["position"]).await;
    assert_eq!(rows, json!([["c1"]]));
    let due = [("o", owed("14.0000")), ("p", json!([[1, "1.0000"]])), ("n", json!([[1]]))];
    until(&mut events, &mut held, &due).await;
    assert_eq!(circuits(&service).await, 2);
}

#[tokio::test]
async fn a_module_that_is_switched_off_ends_what_a_circuit_keeps() {
    let service = Service::start().await;
    let admin = service.tenant("switched").await;
    let sent = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let heads = "SELECT department, active FROM headcount";
    let subs = [sql("o", OWED), sql("p", PAID), sql("h", heads)];
    let mut events = Events::open(&service, &admin, &subs, None).await;
    let mut held = Held::default();
    let due = [("o", json!([["c1", "10.0000"]])), ("p", json!([[0, null]])), ("h", json!([]))];
    until(&mut events, &mut held, &due).await;
    until_kept(&service, 3).await;
    let body = json!({ "modules": ["hr"] });
    let url = service.url("/v1/tenant");
    let answer = service.client.patch(url).bearer_auth(&admin).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let (kind, message) = events.telling().await;
        assert_eq!((kind.as_str(), slug(&message)), ("error", "module-off"), "{message}");
        ended.push(message["id"].as_str().unwrap().to_owned());
    }
    ended.sort_unstable();
    assert_eq!(ended, ["o", "p"]);
    until_kept(&service, 1).await;
}

#[tokio::test]
async fn what_is_deleted_or_hidden_is_told_to_nobody_however_rarely_it_is_evaluated() {
    let service = Service::start().await;
    let admin = service.tenant("hidden").await;
    let sent = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let issued = "SELECT invoice_id FROM events.\"invoicing.invoice_issued\"";
    defined(&service, &admin, "mine", issued).await;
    // With an order at its end it has no circuit.
    let rare = |id: &str, text: &str| json!({ "id": id, "sql": format!("{text} ORDER BY 1"), "max_rate_ms": 60_000 });
    let subs = [rare("m", "SELECT invoice_id FROM mine"), rare("o", OWED)];
    let mut events = Events::open(&service, &admin, &subs, None).await;
    let mut held = Held::default();
    let due = [("m", json!([["i1"]])), ("o", json!([["c1", "10.0000"]]))];
    until(&mut events, &mut held, &due).await;

    assert_eq!(delete(&service, &admin, "mine").await.status(), 204);
    let mut late = Events::open(&service, &admin, &subs[..1], None).await;
    ended(&mut late, "m", "invalid-query").await;
    ended(&mut events, "m", "invalid-query").await;

    let url = service.url("/v1/tenant");
    let body = json!({ "modules": ["hr"] });
    let answer = service.client.patch(url).bearer_auth(&admin).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut late = Events::open(&service, &admin, &subs[1..], None).await;
    ended(&mut late, "o", "module-off").await;
    ended(&mut events, "o", "module-off").await;
    assert_eq!(events.last_id, "");
}

#[tokio::test]
async fn a_field_that_is_declared_is_followed_like_any_column() {
    let service = Service::start().await;
    let admin = service.tenant("fees").await;
    let paid = |id: &str, fee: &str| {
        let mut payment = payment(id, "i1", "10");
        payment["data"]["fee"] = json!(fee);
        payment
    };
    service.send(&admin, &[paid("p1", "0.25")]).await;
    let url = service.url("/v1/tenant/fields/invoicing.payment_received/fee");
    let body = json!({ "title": "Fee", "type": "decimal" });
    let answer = service.client.put(url).bearer_auth(&admin).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let fees = "SELECT count(fee) AS paid, sum(fee) AS fees \
                FROM events.\"invoicing.payment_received\"";
    let mut events = Events::open(&service, &admin, &[sql("a", fees)], None).await;
    let mut held = Held::default();
    until(&mut events, &mut held, &[("a", json!([[1, "0.2500"]]))]).await;
    // By the circuit that keeps it as by asking again.
    until_kept(&service, 1).await;
    service.send(&admin, &[paid("p2", "0.5"), paid("p3", "none")]).await;
    until(&mut events, &mut held, &[("a", json!([[2, "0.7500"]]))]).await;
    assert_eq!(service.ask(&admin, fees).await, json!([[2, "0.7500"]]));
}

/// Whosever type it is, and with no event that comes after it.
#[tokio::test]
async fn a_field_that_an_event_type_gains_is_a_column_of_what_is_followed() {
    let service = Service::start().await;
    let admin = service.tenant("visited").await;
    let platform = token(None, &[Role::Platform]);
    let place = json!({ "name": "place", "type": "string" });
    let guests = json!({ "name": "guests", "type": ["null", "long"], "default": null });
    let newest = |message: &Value| {
        let columns = message["columns"].as_array().unwrap_or_else(|| panic!("{message}"));
        columns.last().unwrap()["name"].clone()
    };
    for (path, owner, name) in [
        ("/v1/event-types", &admin, "acme.visit"),
        ("/v1/platform/event-types", &platform, "shop.visit"),
    ] {
        let register = async |fields: Value| {
            let schema = json!({ "type": "record", "name": "visit", "fields": fields });
            let body = json!({ "type": name, "schema": schema });
            service.post(path, owner).json(&body).send().await.unwrap().status()
        };
        assert_eq!(register(json!([place])).await, 201);
        let sent = service.send(&admin, &[event(name, "v1", &json!({ "place": "here" }))]).await;
        service.rows(&admin, "ar_aging", &sent["position"]).await;
        let sub = sql("a", &format!("SELECT * FROM events.\"{name}\""));
        let mut events = Events::open(&service, &admin, &[sub], None).await;
        let (kind, message) = events.telling().await;
        assert_eq!((kind.as_str(), newest(&message)), ("snapshot", json!("place")));

        assert_eq!(register(json!([place, guests])).await, 200);
        assert_eq!(events.telling().await.0, "reset");
        let (kind, message) = events.telling().await;
        assert_eq!((kind.as_str(), newest(&message)), ("snapshot", json!("guests")));
        let row = message["rows"][0].as_array().unwrap_or_else(|| panic!("{message}"));
        assert_eq!(row.last(), Some(&Value::Null), "{message}");
    }
}
