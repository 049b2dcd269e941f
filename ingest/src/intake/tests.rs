#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod failures;
mod forgetting;
mod model;
mod registered;
mod replay;

use std::path::Path;

use arrow::array::cast::AsArray;
use chrono::{DateTime, NaiveDate, Utc};
use projections::{EventRegistry, EventTypes, Input, Partition, Tenant, Tick};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{Decoded, Format, Intake, IntakeError, Limits, Log, Sender, decode};

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn sender(tenant: u32) -> Sender {
    Sender {
        tenant: Tenant(tenant),
        tenant_id: format!("firm-{tenant}"),
        currency: "EUR".to_owned(),
        events_clock: None,
    }
}

/// A payment as a line of NDJSON.
fn payment(id: &str, time: &str) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/invoicing", "type": "invoicing.payment_received",
        "time": time, "data": {"payment_id": id, "invoice_id": "I1", "amount": "1.25", "paid_on": "2024-01-01"}})
    .to_string()
}

fn payments(ids: &[&str]) -> String {
    ids.iter().map(|id| payment(id, "2024-01-01T00:00:00Z") + "\n").collect()
}

fn voided(id: &str) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/invoicing", "type": "invoicing.invoice_voided",
        "time": "2024-01-01T00:00:00Z", "note": "kept", "data": {"invoice_id": "I1"}})
    .to_string()
}

fn read(sender: &Sender, body: &str) -> Decoded {
    decode(
        &EventTypes::builtin(),
        &Limits::default(),
        sender,
        Format::Ndjson,
        body.as_bytes(),
        now(),
    )
    .unwrap()
}

/// An intake on the log of a folder, and what it forwards.
struct Running {
    intake: Intake,
    log: Log,
    inputs: mpsc::Receiver<Input>,
}

impl Running {
    async fn open(folder: &Path) -> Self {
        let log = Log::open(&folder.join("log.db"), EventRegistry::builtin()).await.unwrap();
        let (forward, inputs) = mpsc::channel(100_000);
        let intake = Intake::start(log.clone(), forward).await.unwrap();
        Self { intake, log, inputs }
    }

    async fn submit(&self, sender: &Sender, body: &str) -> Result<crate::Receipt, IntakeError> {
        self.intake.submit(sender, read(sender, body)).await
    }

    /// Accepted, duplicates, rejected and the sequence.
    async fn counts(&self, sender: &Sender, body: &str) -> (usize, usize, usize, u64) {
        let receipt = self.submit(sender, body).await.unwrap();
        assert_eq!(receipt.position.tenant, sender.tenant);
        assert_eq!(receipt.position.sequence, self.intake.sequence(sender.tenant));
        (receipt.accepted, receipt.duplicates, receipt.rejected.len(), receipt.position.sequence)
    }

    /// Ends it and gives everything it has forwarded.
    async fn close(mut self) -> Vec<Input> {
        self.intake.close().await;
        self.log.close().await;
        let mut inputs = Vec::new();
        while let Some(input) = self.inputs.recv().await {
            inputs.push(input);
        }
        inputs
    }
}

/// The ids that inputs bring of a tenant and type.
fn ids(inputs: &[Input], tenant: u32, event_type: &str) -> Vec<String> {
    let batches = inputs.iter().flat_map(|input| &input.events);
    batches
        .filter(|batch| batch.event_type.name() == event_type)
        .flat_map(|batch| {
            let ids = batch.rows.column(0).as_string::<i32>();
            let rows = batch.tenants.values().iter().zip(ids.iter().flatten());
            rows.filter(|(of, _)| **of == tenant).map(|(_, id)| id.to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// What inputs hold, in a form that can be compared.
fn contents(inputs: &[Input]) -> Vec<String> {
    inputs
        .iter()
        .map(|input| format!("{} {:?} {:?}", input.offset, input.ticks, input.events))
        .collect()
}

#[tokio::test]
async fn repeats_have_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    let (one, two) = (sender(1), sender(2));
    assert_eq!(running.counts(&one, &payments(&["a", "b", "a", "b", "a"])).await, (2, 3, 0, 2));
    assert_eq!(running.counts(&one, &payments(&["b", "c"])).await, (1, 1, 0, 3));
    assert_eq!(running.counts(&one, &payments(&["a", "b", "c"])).await, (0, 3, 0, 3));
    assert_eq!(running.counts(&one, &voided("a")).await, (1, 0, 0, 4));
    assert_eq!(running.counts(&two, &payments(&["a", "c"])).await, (2, 0, 0, 2));
    assert_eq!(running.counts(&one, "nonsense\n").await, (0, 0, 1, 4));
    assert_eq!(running.counts(&one, "").await, (0, 0, 0, 4));
    assert_eq!(running.counts(&sender(3), "").await, (0, 0, 0, 0));
    let inputs = running.close().await;
    assert_eq!(ids(&inputs, 1, "invoicing.payment_received"), ["a", "b", "c"]);
    assert_eq!(ids(&inputs, 1, "invoicing.invoice_voided"), ["a"]);
    assert_eq!(ids(&inputs, 2, "invoicing.payment_received"), ["a", "c"]);
    assert_eq!(inputs.iter().map(|i| i.offset).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_first_of_two_events_with_one_id_wins() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    let body = format!(
        "{}\n{}\n",
        payment("x", "2024-01-01T00:00:00Z"),
        payment("x", "2025-01-01T00:00:00Z")
    );
    assert_eq!(running.counts(&sender(1), &body).await, (1, 1, 0, 1));
    let expected: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(running.intake.newest_event(Tenant(1)), Some(expected));
}

#[tokio::test]
async fn dates_are_recorded_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    let tick = |tenant, today| Tick { tenant: Tenant(tenant), today: date(today) };
    assert_eq!(running.intake.last_date(Tenant(1)), None);
    running.intake.tick(vec![tick(1, "2024-01-02"), tick(2, "2024-01-02")]).await.unwrap();
    running.intake.tick(vec![tick(1, "2024-01-02")]).await.unwrap();
    running.intake.tick(vec![tick(1, "2024-01-01"), tick(2, "2024-01-02")]).await.unwrap();
    running.intake.tick(Vec::new()).await.unwrap();
    assert_eq!(running.intake.last_date(Tenant(1)), Some(date("2024-01-01")));
    assert_eq!(running.intake.sequence(Tenant(1)), 2);
    assert_eq!(running.intake.sequence(Tenant(2)), 1);
    let inputs = running.close().await;
    let ticks: Vec<_> = inputs
        .iter()
        .map(|i| {
            (
                i.offset,
                i.ticks.iter().map(|t| (t.tenant.0, t.today.to_string())).collect::<Vec<_>>(),
            )
        })
        .collect();
    let owned = |tenant: u32, today: &str| (tenant, today.to_owned());
    assert_eq!(
        ticks,
        [
            (1, vec![owned(1, "2024-01-02"), owned(2, "2024-01-02")]),
            (2, vec![owned(1, "2024-01-01")]),
        ]
    );
}

#[tokio::test]
async fn the_events_clock_follows_the_newest_event_in_the_tenants_zone() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    let auckland = Sender { events_clock: Some(chrono_tz::Pacific::Auckland), ..sender(1) };
    // 12 hours ahead of UTC in June: the event and its date are one row.
    assert_eq!(
        running.counts(&auckland, &payment("a", "2024-06-01T11:59:59Z")).await,
        (1, 0, 0, 2)
    );
    assert_eq!(running.intake.last_date(Tenant(1)), Some(date("2024-06-01")));
    assert_eq!(
        running.counts(&auckland, &payment("b", "2024-05-01T00:00:00Z")).await,
        (1, 0, 0, 3)
    );
    assert_eq!(
        running.counts(&auckland, &payment("c", "2024-06-01T11:59:59.5Z")).await,
        (1, 0, 0, 4)
    );
    assert_eq!(
        running.counts(&auckland, &payment("d", "2024-06-01T12:00:00Z")).await,
        (1, 0, 0, 6)
    );
    assert_eq!(running.intake.last_date(Tenant(1)), Some(date("2024-06-02")));
    // A repeat with a later time is a repeat.
    assert_eq!(
        running.counts(&auckland, &payment("d", "2024-07-01T00:00:00Z")).await,
        (0, 1, 0, 6)
    );
    // Another clock records no dates.
    assert_eq!(
        running.counts(&sender(2), &payment("a", "2024-06-01T11:59:59Z")).await,
        (1, 0, 0, 1)
    );
    let inputs = running.close().await;
    let ticks: Vec<usize> = inputs.iter().map(|i| i.ticks.len()).collect();
    assert_eq!(ticks, [1, 0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_at_once_are_told_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::open(folder.path()).await;
    let mut partition = Partition::new(&EventTypes::builtin(), Vec::new()).unwrap();
    let mut submissions = tokio::task::JoinSet::new();
    for number in 0..300_u32 {
        let intake = running.intake.clone();
        let sender = sender(number % 3);
        // Each id is sent by several, in bodies of several sizes.
        let ids: Vec<String> =
            (0..=number % 7).map(|i| format!("e{}", (number + i * 3) / 9)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (body, count) = (payments(&ids), ids.len());
        submissions.spawn(async move {
            let receipt = intake.submit(&sender, read(&sender, &body)).await.unwrap();
            assert_eq!(receipt.accepted + receipt.duplicates, count);
            receipt
        });
    }
    let receipts = submissions.join_all().await;
    running.intake.close().await;
    let mut inputs = Vec::new();
    let mut reached = Vec::new();
    while let Some(input) = running.inputs.recv().await {
        let (events, ticks, offset) = (input.events.clone(), input.ticks.clone(), input.offset);
        inputs.push(Input { events, ticks, offset });
        let deltas = partition.apply(input);
        reached.extend(deltas.iter().map(|delta| delta.snapshot.position()));
    }
    for tenant in 0..3 {
        let mut forwarded = ids(&inputs, tenant, "invoicing.payment_received");
        let all = forwarded.len();
        forwarded.sort();
        forwarded.dedup();
        assert_eq!(forwarded.len(), all, "an id was forwarded twice");
        let of_tenant = receipts.iter().filter(|r| r.position.tenant == Tenant(tenant));
        assert_eq!(of_tenant.map(|r| r.accepted).sum::<usize>(), all);
        assert_eq!(running.intake.sequence(Tenant(tenant)), all as u64);
    }
    // Every position that was given out is one that the views reach.
    for receipt in &receipts {
        assert!(reached.contains(&receipt.position), "{:?}", receipt.position);
    }
}

#[tokio::test]
async fn submitter_and_decoder_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    let decoded = read(&sender(1), &payments(&["a"]));
    let error = running.intake.submit(&sender(2), decoded).await.unwrap_err();
    assert!(matches!(error, IntakeError::OtherSender), "{error}");
    assert_eq!(running.intake.sequence(Tenant(2)), 0);
}

#[tokio::test]
async fn closing_records_what_is_queued_and_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    let (intake, sender) = (running.intake.clone(), sender(1));
    let queued = (0..20).map(|n| {
        let decoded = read(&sender, &payments(&[&format!("q{n}")]));
        intake.submit(&sender, decoded)
    });
    let (receipts, ()) = tokio::join!(futures::future::join_all(queued), intake.close());
    for receipt in receipts {
        assert_eq!(receipt.unwrap().accepted, 1);
    }
    intake.ended().await;
    let late = intake.submit(&sender, read(&sender, &payments(&["late"]))).await;
    assert!(matches!(late, Err(IntakeError::Closed)), "{late:?}");
    let tick = Tick { tenant: Tenant(1), today: date("2024-01-01") };
    assert!(matches!(intake.tick(vec![tick]).await, Err(IntakeError::Closed)));
    assert_eq!(intake.sequence(Tenant(1)), 20);
    let inputs = running.close().await;
    assert_eq!(ids(&inputs, 1, "invoicing.payment_received").len(), 20);
}
