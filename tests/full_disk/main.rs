//! The disk is full, and then there is room again: of what was acknowledged nothing is lost and
//! nothing counts twice, without a restart and after one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod disk;
#[allow(dead_code)]
#[path = "../real_data/process.rs"]
mod process;

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tenancy::Role;

use disk::SmallDisk;
use process::{Process, token};

const TENANT: &str = "acme";
/// Events of one body.
const EVENTS: usize = 200;
/// Before something is asked for again that must come about.
const AGAIN: Duration = Duration::from_millis(50);
/// For what must come about.
const PATIENCE: Duration = Duration::from_mins(5);

/// What was sent, and what of it was acknowledged.
#[derive(Default)]
struct Sent {
    client: Client,
    bodies: usize,
    acknowledged: Vec<usize>,
}

/// What became of a body.
enum Outcome {
    Taken,
    /// A problem document.
    Refused(StatusCode, Value),
}

/// A body of invoices of one euro each; their ids follow from its number.
fn body(number: usize) -> String {
    let event = |place: usize| {
        let id = format!("{number}-{place}");
        json!({
            "specversion": "1.0", "id": id, "source": "/invoicing",
            "type": "invoicing.invoice_issued", "time": "2025-06-01T10:00:00Z",
            "data": {
                "invoice_id": id, "customer_id": format!("c{}", place % 7), "amount": "1.00",
                "issue_date": "2025-06-01", "due_date": "2025-06-20",
            },
        })
    };
    (0..EVENTS).map(|place| event(place).to_string()).collect::<Vec<_>>().join("\n")
}

impl Sent {
    async fn post(&self, process: &Process, number: usize) -> (StatusCode, Value) {
        let answer = self
            .client
            .post(process.url("/v1/events"))
            .bearer_auth(token(Some(TENANT), Role::Service))
            .header("content-type", "application/x-ndjson")
            .body(body(number))
            .send()
            .await
            .unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let (status, answer) = (answer.status(), answer.json().await.unwrap());
        let wanted =
            if status.is_success() { "application/json" } else { "application/problem+json" };
        assert_eq!(kind, wanted, "{answer}");
        (status, answer)
    }

    async fn ask(&self, process: &Process, sql: &str) -> Value {
        let answer = self
            .client
            .post(process.url("/v1/query"))
            .bearer_auth(token(Some(TENANT), Role::Analyst))
            .json(&json!({ "sql": sql }))
            .send()
            .await
            .unwrap();
        let (status, answer): (_, Value) = (answer.status(), answer.json().await.unwrap());
        assert_eq!(status, 200, "{answer}");
        answer["rows"].clone()
    }

    /// Sends a body that was not sent before.
    async fn send(&mut self, process: &Process) -> Outcome {
        let number = self.bodies;
        self.bodies += 1;
        let (status, answer) = self.post(process, number).await;
        if status != StatusCode::ACCEPTED {
            return Outcome::Refused(status, answer);
        }
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(EVENTS), &json!(0)));
        self.acknowledged.push(number);
        Outcome::Taken
    }

    /// Sends a body that was refused once more: nothing of it is there.
    async fn send_again(&mut self, process: &Process, number: usize) {
        let asked = Instant::now();
        loop {
            let (status, answer) = self.post(process, number).await;
            if status == StatusCode::ACCEPTED {
                assert_eq!(answer["accepted"], EVENTS, "{answer}");
                self.acknowledged.push(number);
                return;
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            assert!(asked.elapsed() < PATIENCE, "there is room, and still {answer}");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Compares what is read with what was acknowledged.
    async fn check(&self, process: &Process) {
        let expected = self.acknowledged.len() * EVENTS;
        let sql = "SELECT count(*), count(DISTINCT event_id), sum(amount) \
                   FROM events.\"invoicing.invoice_issued\"";
        let asked = Instant::now();
        loop {
            let counted = self.ask(process, sql).await;
            if counted == json!([[expected, expected, format!("{expected}.0000")]]) {
                break;
            }
            // What was acknowledged is in the views a moment later.
            let is_late = counted[0][0].as_u64() < Some(expected as u64);
            assert!(is_late && asked.elapsed() < PATIENCE, "{counted}, expected {expected}");
            tokio::time::sleep(AGAIN).await;
        }
        let view: Value = process.get(TENANT, "/v1/views/ar_aging").await.json().await.unwrap();
        let total = |row: &Value| -> f64 { row[7].as_str().unwrap().parse().unwrap() };
        let totals: f64 = view["rows"].as_array().unwrap().iter().map(total).sum();
        assert_eq!(totals as usize, expected, "{view}");
        // A repeat of anything acknowledged has no effect.
        let known = self.acknowledged[self.bodies % self.acknowledged.len()];
        let (status, answer) = self.post(process, known).await;
        if status == StatusCode::ACCEPTED {
            assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(0), &json!(EVENTS)));
        }
    }
}

/// Sends one body after another, each before a checkpoint that is made or fails, until so many have
/// failed: what the disk must hold does not depend on how fast the machine is.
async fn fails(process: &Process, sent: &mut Sent, times: usize) {
    let mut failed = 0;
    for _ in 0..100 {
        let (made, before) = (process.metric(MADE).await, process.metric(FAILED).await);
        assert!(matches!(sent.send(process).await, Outcome::Taken));
        let asked = Instant::now();
        while process.metric(MADE).await <= made && process.metric(FAILED).await <= before {
            assert!(asked.elapsed() < PATIENCE, "no checkpoint is tried");
            tokio::time::sleep(AGAIN).await;
        }
        failed += usize::from(process.metric(FAILED).await > before);
        if failed == times {
            return;
        }
    }
    panic!("checkpoints are made on a full disk");
}

/// Waits until one of the process's figures is larger.
async fn grows(process: &Process, metric: &str, before: f64) {
    let asked = Instant::now();
    while process.metric(metric).await <= before {
        assert!(asked.elapsed() < PATIENCE, "{metric} stays {before}");
        tokio::time::sleep(AGAIN).await;
    }
}

const MADE: &str = "tidemark_checkpoints_total";
const FAILED: &str = "tidemark_checkpoints_failed_total";

async fn start(disk: &SmallDisk, folder: &Path, settings: &[(&str, &str)]) -> Process {
    let command = disk.inside(&Process::binary());
    Process::start_by(command, folder, "127.0.0.1:0", settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_data_folder_takes_events_again_once_there_is_room() {
    let disk = SmallDisk::new(64);
    let folder = disk.path().join("data");
    let mut process = start(&disk, &folder, &[]).await;
    process.create(TENANT, "fixed:2025-06-30", "EUR").await;
    let mut sent = Sent::default();
    // Each time something else is the first that does not fit.
    for (round, left) in [0, 1 << 13, 1 << 16, 1 << 18, 1 << 20].into_iter().enumerate() {
        for _ in 0..3 {
            assert!(matches!(sent.send(&process).await, Outcome::Taken));
        }
        disk.fill(left);
        let mut refused = Vec::new();
        // Files that are there already have room within them.
        while refused.len() < 3 {
            if let Outcome::Refused(status, problem) = sent.send(&process).await {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
                assert_eq!(problem["type"], "urn:tidemark:problem:log-unavailable", "{problem}");
                assert!(problem["detail"].as_str().unwrap().contains("send it again"), "{problem}");
                refused.push(sent.bodies - 1);
            }
            assert!(sent.bodies < 3_000, "the disk does not become full");
        }
        sent.check(&process).await;
        if round % 2 == 1 {
            process.kill();
            let settings = [("TIDEMARK_CHECKPOINT_MS", "50")];
            let command = disk.inside(&Process::binary());
            match Process::try_start_by(command, &folder, "127.0.0.1:0", &settings).await {
                Ok(started) => {
                    sent.check(&started).await;
                    started.kill();
                }
                Err((status, said)) => {
                    let said = said.join("\n");
                    assert_eq!(status.code(), Some(1), "{said}");
                    assert!(said.contains("full") || said.contains("No space left"), "{said}");
                }
            }
            disk.clear();
            process = start(&disk, &folder, &[]).await;
        } else {
            disk.clear();
        }
        for number in refused {
            sent.send_again(&process, number).await;
        }
        let made = process.metric(MADE).await;
        assert!(matches!(sent.send(&process).await, Outcome::Taken));
        grows(&process, MADE, made).await;
        sent.check(&process).await;
        process.kill();
        process = start(&disk, &folder, &[]).await;
        sent.check(&process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_object_store_holds_up_checkpoints_and_nothing_else() {
    let disk = SmallDisk::new(48);
    let data = tempfile::tempdir().unwrap();
    let url = format!("file://{}", disk.path().join("objects").display());
    let settings = [("TIDEMARK_OBJECT_STORE_URL", url.as_str())];
    let mut process = start(&disk, data.path(), &settings).await;
    process.create(TENANT, "fixed:2025-06-30", "EUR").await;
    let mut sent = Sent::default();
    for left in [0, 1 << 13, 1 << 17] {
        assert!(matches!(sent.send(&process).await, Outcome::Taken));
        process.checkpointed().await;
        disk.fill(left);
        fails(&process, &mut sent, 3).await;
        sent.check(&process).await;
        // Killed with checkpoints that were not made.
        process.kill();
        disk.clear();
        process = start(&disk, data.path(), &settings).await;
        sent.check(&process).await;
        disk.fill(left);
        fails(&process, &mut sent, 1).await;
        let made = process.metric(MADE).await;
        disk.clear();
        grows(&process, MADE, made).await;
        sent.check(&process).await;
        process.kill();
        process = start(&disk, data.path(), &settings).await;
        sent.check(&process).await;
    }
}
