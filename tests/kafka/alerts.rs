//! Alerts over a node that is killed: who takes its partitions over goes on from what stands in the
//! control store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use crate::nodes::{Shared, until_served, until_shared};
use crate::service::{Service, invoice, payment};

/// For what a killed node had begun to be begun again, however busy the machine: a delivery that it was
/// at is tried again after three minutes.
const PATIENCE: Duration = Duration::from_mins(6);

const FIRMS: usize = 9;

/// The calls that a receiver got, each with its key.
type Calls = Arc<Mutex<Vec<(String, Value)>>>;

async fn take(State(calls): State<Calls>, headers: HeaderMap, body: String) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    calls.lock().unwrap().push((key, serde_json::from_str(&body).unwrap()));
    StatusCode::NO_CONTENT
}

/// A receiver of webhooks.
async fn receiver() -> (String, Calls) {
    let calls = Calls::default();
    let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&calls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, calls)
}

/// What a node answers; it may take a while to know who serves a tenant.
async fn read(node: &Service, token: &str, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        let answer = node.get(path, token).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        if status == 200 {
            return body;
        }
        assert_eq!(status, 503, "{body}");
        assert!(begun.elapsed() < PATIENCE, "{body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until each firm has so many open alerts.
async fn until_open(node: &Service, firms: &[String], count: u64) {
    let begun = Instant::now();
    for firm in firms {
        loop {
            let open = read(node, firm, "/v1/alerts").await["open"].clone();
            if open == count {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{open} instead of {count} are open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A firm's alerts that there ever were, with what became of them, once all of that is told.
async fn settled(node: &Service, firm: &str) -> Vec<Value> {
    let listed = read(node, firm, "/v1/alerts?state=all").await["alerts"].clone();
    let mut alerts = Vec::new();
    for alert in listed.as_array().unwrap() {
        let path = format!("/v1/alerts/{}", alert["id"].as_str().unwrap());
        let begun = Instant::now();
        loop {
            let alert = read(node, firm, &path).await;
            let deliveries = alert["deliveries"].as_array().unwrap();
            if deliveries.iter().all(|delivery| delivery["state"] == "done") {
                alerts.push(alert);
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{alert}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    alerts
}

/// How many alerts a node has had fire.
async fn fired_by(node: &Service) -> u64 {
    let answer = node.client.get(node.url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("tidemark_alerts_fired_total "));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_fires_once_and_clears_once_over_a_node_that_is_killed() {
    let shared = Shared::on_postgres();
    let (url, calls) = receiver().await;
    let folders = [(); 2].map(|()| Arc::new(tempfile::tempdir().unwrap()));
    let allowed = [("TIDEMARK_REPORTS_PRIVATE_WEBHOOKS", "true")];
    let first = shared.node_with(&folders[0], &allowed).await;
    let second = shared.node_with(&folders[1], &allowed).await;
    until_shared([&first, &second], 3).await;
    let rule = json!({
        "title": "Much is owed", "key": ["customer_id", "currency"],
        "sql": "SELECT customer_id, currency, sum(balance) AS owed FROM open_invoices \
                GROUP BY customer_id, currency HAVING sum(balance) > 50",
        "deliver": [{ "kind": "webhook", "url": url, "secret": "a secret of the receiver" }],
    });
    let mut firms = Vec::new();
    for number in 0..FIRMS {
        let firm = first.tenant(&format!("firm-{number}")).await;
        let answer = second.post("/v1/alert-rules", &firm).json(&rule).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        firms.push(firm);
    }
    for firm in &firms {
        first.send(firm, &[invoice("i1", "c1", "100.00")]).await;
    }
    until_open(&second, &firms, 1).await;
    assert!(fired_by(&first).await > 0, "the node that is to be killed has firms");

    // Whether these have fired, and whether that is told, is left open.
    for firm in &firms {
        first.send(firm, &[invoice("i2", "c2", "200.00")]).await;
    }
    drop(first);
    until_served(&second, 3).await;
    until_open(&second, &firms, 2).await;
    for firm in &firms {
        let paid = [payment("p1", "i1", "100.00"), payment("p2", "i2", "200.00")];
        second.send(firm, &paid).await;
    }
    until_open(&second, &firms, 0).await;

    let mut keys = BTreeSet::new();
    for firm in &firms {
        let alerts = settled(&second, firm).await;
        let subject = |alert: &Value| alert["subject"]["customer_id"].to_string();
        let subjects: BTreeSet<String> = alerts.iter().map(subject).collect();
        assert_eq!((alerts.len(), subjects.len()), (2, 2), "{alerts:?}");
        for alert in alerts {
            let history = alert["history"].as_array().unwrap();
            let kinds: Vec<&Value> = history.iter().map(|transition| &transition["kind"]).collect();
            assert_eq!(kinds, ["fired", "cleared"], "{alert}");
            assert_eq!(alert["deliveries"].as_array().unwrap().len(), 2, "{alert}");
            let id = alert["id"].as_str().unwrap();
            keys.extend([(format!("{id}.0"), "alert.fired"), (format!("{id}.1"), "alert.cleared")]);
        }
    }
    // A delivery that the killed node was at may have come twice; then it came under the same key, and
    // said the same.
    let calls = calls.lock().unwrap();
    let mut told: BTreeMap<&str, &Value> = BTreeMap::new();
    for (key, body) in calls.iter() {
        let before = told.insert(key, body);
        assert!(before.is_none_or(|before| before == body), "{before:?} and {body}");
    }
    let told: BTreeSet<(String, &str)> = told
        .iter()
        .map(|(key, body)| ((*key).to_owned(), body["type"].as_str().unwrap()))
        .collect();
    assert_eq!(told, keys);
}
