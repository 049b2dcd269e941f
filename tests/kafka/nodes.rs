//! Two nodes that share a control store and an object store: each answers for every tenant, and
//! whoever stays takes over from whoever goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::cluster::{addresses, prefix};
use crate::postgres::Database;
use crate::service::{Service, invoice, payment, token};

/// For a partition to move, however busy the machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What nodes share, and how the topics are called.
pub(crate) struct Shared {
    pub(crate) folder: TempDir,
    pub(crate) prefix: String,
    /// The variables that say where the control store is.
    database: Vec<(&'static str, String)>,
}

impl Shared {
    /// With a control store in a file.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}/control.db", folder.path().display());
        Self { folder, prefix: prefix(), database: vec![("TIDEMARK_DATABASE_URL", file)] }
    }

    /// With a control store in PostgreSQL, behind a pooler that gives each transaction whatever
    /// connection is free.
    pub(crate) fn on_postgres() -> Self {
        let database = Database::create();
        let variables = vec![
            ("TIDEMARK_DATABASE_URL", database.pooled("tidemark_service")),
            ("TIDEMARK_DATABASE_MIGRATE_URL", database.direct("tidemark_owner")),
        ];
        let folder = tempfile::tempdir().unwrap();
        Self { folder, prefix: prefix(), database: variables }
    }

    /// A node with a folder of its own.
    pub(crate) async fn node(&self, data: &Arc<TempDir>) -> Service {
        self.node_with(data, &[]).await
    }

    /// The same with more variables.
    pub(crate) async fn node_with(&self, data: &Arc<TempDir>, more: &[(&str, &str)]) -> Service {
        let (kafka, registry) = addresses();
        let folder = self.folder.path().display();
        let objects = format!("file://{folder}/objects");
        let mut variables = vec![
            ("TIDEMARK_KAFKA_BROKERS", kafka.as_str()),
            ("TIDEMARK_SCHEMA_REGISTRY_URL", registry.as_str()),
            ("TIDEMARK_KAFKA_TOPIC_PREFIX", &self.prefix),
            ("TIDEMARK_KAFKA_GROUP", &self.prefix),
            ("TIDEMARK_KAFKA_PARTITIONS", "3"),
            ("TIDEMARK_CHECKPOINT_MS", "300"),
            ("TIDEMARK_OBJECT_STORE_URL", &objects),
            ("TIDEMARK_AUDIT_KEY", "the key of the audit that all nodes have"),
        ];
        variables.extend(self.database.iter().map(|(name, value)| (*name, value.as_str())));
        variables.extend(more);
        Service::start_with(Arc::clone(data), &variables).await
    }
}

/// The partitions that a node serves.
async fn served(node: &Service) -> Vec<u32> {
    let answer = node.client.get(node.url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let of = |line: &str| {
        let rest = line.strip_prefix("tidemark_partition_served{partition=\"")?;
        let (number, value) = rest.split_once("\"} ")?;
        (value == "1").then(|| number.parse().unwrap())
    };
    let mut served: Vec<u32> = text.lines().filter_map(of).collect();
    served.sort_unstable();
    served
}

/// Waits until each of the nodes serves some of the partitions, and together they serve all.
pub(crate) async fn until_shared(nodes: [&Service; 2], count: usize) {
    let begun = Instant::now();
    loop {
        let [one, other] = [served(nodes[0]).await.len(), served(nodes[1]).await.len()];
        if one > 0 && other > 0 && one + other == count {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{one} and {other} instead of {count} together");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn until_served(node: &Service, count: usize) {
    let begun = Instant::now();
    while served(node).await.len() != count {
        assert!(begun.elapsed() < PATIENCE, "{:?} instead of {count}", served(node).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The balances of a tenant as a node says them; it may take a while to know who serves it.
async fn balances(node: &Service, admin: &str) -> Value {
    let begun = Instant::now();
    loop {
        let question = json!({"sql": "SELECT invoice_id, balance FROM open_invoices ORDER BY 1"});
        let answer = node.post("/v1/query", admin).json(&question).send().await.unwrap();
        if answer.status() == 200 {
            return answer.json::<Value>().await.unwrap()["rows"].clone();
        }
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 503, "{text}");
        assert!(begun.elapsed() < PATIENCE, "{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The first messages of a view's stream over a WebSocket, the last of which is a snapshot.
async fn snapshot(node: &Service, admin: &str) -> Value {
    let mut request = format!("ws://{}/v1/ws", node.address).into_client_request().unwrap();
    let bearer = format!("Bearer {admin}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let subscribe = json!({"type": "subscribe", "id": "a", "view": "open_invoices"});
    futures::SinkExt::send(&mut socket, subscribe.to_string().into()).await.unwrap();
    while let Some(message) = socket.next().await {
        let message: Value = serde_json::from_str(message.unwrap().to_text().unwrap()).unwrap();
        if message["type"] == "snapshot" {
            return message["rows"].clone();
        }
    }
    panic!("the stream ends without a snapshot");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_answers_for_all_and_who_stays_takes_over() {
    nodes_come_and_go(&Shared::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_they_do_with_postgres_as_their_control_store() {
    nodes_come_and_go(&Shared::on_postgres()).await;
}

async fn nodes_come_and_go(shared: &Shared) {
    let folders = [(); 2].map(|()| Arc::new(tempfile::tempdir().unwrap()));
    let first = shared.node(&folders[0]).await;
    assert_eq!(served(&first).await, [0, 1, 2]);
    let mut admins = Vec::new();
    for number in 0..9 {
        let admin = first.tenant(&format!("firm-{number}")).await;
        first.send(&admin, &[invoice("i1", "c1", "100.00")]).await;
        admins.push(admin);
    }
    // A second comes: one partition moves to it, and nothing is asked of anybody for it.
    let second = shared.node(&folders[1]).await;
    until_served(&second, 1).await;
    assert_eq!(served(&first).await.len(), 2);
    for (number, admin) in admins.iter().enumerate() {
        let (sends, reads) = if number % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let receipt = sends.send(admin, &[payment("p1", "i1", "40.00")]).await;
        let rows = reads.rows(admin, "open_invoices", &receipt["position"]).await;
        assert_eq!(rows[0][9], "60.0000", "{rows}");
        assert_eq!(snapshot(sends, admin).await, rows);
        assert_eq!(snapshot(reads, admin).await, rows);
    }
    // A tenant that one has created is known to the other.
    let late = second.tenant("late").await;
    first.send(&late, &[invoice("i9", "c1", "5.00")]).await;
    let expected = json!([["i1", "60.0000"]]);

    // The first dies. What it has taken is in the topics, and what it served is served again.
    drop(first);
    until_served(&second, 3).await;
    for admin in &admins {
        assert_eq!(balances(&second, admin).await, expected);
    }
    assert_eq!(balances(&second, &late).await, json!([["i9", "5.0000"]]));
    let again = second.send(&admins[0], &[payment("p1", "i1", "40.00")]).await;
    assert_eq!(again["duplicates"], 1);

    // It comes back, and the second leaves in order.
    let first = shared.node(&folders[0]).await;
    until_served(&first, 1).await;
    let mut second = second;
    let id = second.process.id().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    until_served(&first, 3).await;
    for admin in &admins {
        assert_eq!(balances(&first, admin).await, expected);
    }
    assert!(second.process.wait().unwrap().success());

    // What was taken is told without the epochs of all who had it: a date, and each event once.
    let overview = first.read("/v1/platform/overview", &token(None, &[Role::Platform])).await;
    for line in overview["tenants"].as_array().unwrap() {
        let expected = if line["id"] == "late" { 2 } else { 3 };
        assert_eq!((&line["events"], &line["lag"]), (&json!(expected), &json!(0)), "{line}");
    }
}

/// While a partition is handed over in order, its requests wait for whoever has it next, or are told that.
#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_while_a_partition_is_handed_over() {
    let shared = Shared::new();
    let folders = [(); 2].map(|()| Arc::new(tempfile::tempdir().unwrap()));
    let first = Arc::new(shared.node(&folders[0]).await);
    let mut asking = Vec::new();
    let is_over = Arc::new(AtomicBool::new(false));
    for number in 0..9 {
        let admin = first.tenant(&format!("firm-{number}")).await;
        let receipt = first.send(&admin, &[invoice("i1", "c1", "100.00")]).await;
        let rows = first.rows(&admin, "open_invoices", &receipt["position"]).await;
        let (first, is_over) = (Arc::clone(&first), Arc::clone(&is_over));
        asking.push(tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let answer = first.get("/v1/views/open_invoices", &admin).send().await.unwrap();
                let status = answer.status();
                let said: Value = answer.json().await.unwrap();
                if status == 200 {
                    assert_eq!(said["rows"], rows);
                } else {
                    let slug = said["type"].as_str().unwrap().rsplit(':').next().unwrap();
                    let waits = ["not-served", "interrupted"].contains(&slug);
                    assert!(status == 503 && waits, "{said}");
                }
            }
        }));
    }
    let second = shared.node(&folders[1]).await;
    until_shared([&first, &second], 3).await;
    is_over.store(true, Ordering::Relaxed);
    for asked in asking {
        asked.await.unwrap();
    }
}

/// A query whose body comes late, while the partition of its tenant goes to another node: refused, or
/// right, and never of nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_comes_while_its_partition_goes_is_not_answered_from_nothing() {
    let shared = Shared::new();
    let folders = [(); 2].map(|()| Arc::new(tempfile::tempdir().unwrap()));
    let first = shared.node(&folders[0]).await;
    let body = json!({"sql": "SELECT sum(balance) FROM open_invoices"}).to_string();
    let (early, late) = body.split_at(body.len() / 2);
    let mut asked = Vec::new();
    for number in 0..9 {
        let admin = first.tenant(&format!("firm-{number}")).await;
        let receipt = first.send(&admin, &[invoice("i1", "c1", "100.00")]).await;
        first.rows(&admin, "open_invoices", &receipt["position"]).await;
        let mut socket = TcpStream::connect(&first.address).await.unwrap();
        let head = format!(
            "POST /v1/query HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {admin}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        socket.write_all(format!("{head}{early}").as_bytes()).await.unwrap();
        asked.push(socket);
    }
    let second = shared.node(&folders[1]).await;
    until_served(&second, 1).await;
    let mut moved = 0;
    for mut socket in asked {
        socket.write_all(late.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        if answer.starts_with("HTTP/1.1 503") {
            assert!(answer.contains("not-served"), "{answer}");
            moved += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains("[\"100.0000\"]"), "{answer}");
        }
    }
    assert!(moved > 0, "one of the partitions has gone, and its tenants with it");
}
