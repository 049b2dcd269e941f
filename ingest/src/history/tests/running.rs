//! Readers beside an intake, cuts, merges and trims that all go on at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use projections::{EventRegistry, EventType, EventTypes, Input, Tenant};
use serde_json::json;
use tokio::sync::mpsc;

use super::notes;
use super::support::all;
use crate::history::{Accepted, HistoryStore, Recent};
use crate::{Format, Intake, Limits, Log, Sender, decode, objects};

const NAME: &str = "invoicing.invoice_voided";
const BODIES: usize = 300;

fn sender(tenant: u32) -> Sender {
    Sender {
        tenant: Tenant(tenant),
        tenant_id: String::from("t"),
        currency: String::from("EUR"),
        events_clock: None,
    }
}

/// One event of each of two tenants.
async fn submit(intake: &Intake, number: usize) {
    for tenant in [1, 2] {
        let event = json!({"specversion": "1.0", "id": number.to_string(), "source": "/invoicing",
            "type": NAME, "time": "2024-01-01T00:00:00Z", "data": {"invoice_id": "I1"}});
        let (types, limits) = (EventTypes::builtin(), Limits::default());
        let body = event.to_string();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let sender = sender(tenant);
        let decoded = decode(&types, &limits, &sender, Format::Ndjson, body.as_bytes(), now);
        intake.submit(&sender, decoded.unwrap()).await.unwrap();
    }
}

async fn cut(accepted: &Accepted, offset: u64) {
    let added = accepted.write(offset, &mut notes()).await.unwrap();
    accepted.publish(accepted.files().into_iter().chain(added).collect(), offset);
}

/// Cuts, merges and trims as fast as it can until it is told to stop.
async fn keep(accepted: Accepted, applied: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Acquire) {
        let offset = applied.load(Ordering::Acquire);
        if offset > accepted.cut_offset() {
            cut(&accepted, offset).await;
        }
        if let Some(change) = accepted.store().compact(&accepted.files()).await.unwrap() {
            accepted.publish(change.apply(&accepted.files()), accepted.cut_offset());
        }
        accepted.trim(u64::MAX).await.unwrap();
        let listed: HashSet<String> =
            accepted.files().iter().map(|file| file.path.clone()).collect();
        accepted.store().remove_unlisted(&listed, chrono::Utc::now(), true).await.unwrap();
        tokio::task::yield_now().await;
    }
}

async fn ids(accepted: &Accepted, kind: &Arc<EventType>, up_to: u64) -> Vec<String> {
    let rows = accepted.scan(Tenant(1), kind, up_to, Some(vec![0]));
    all(rows).await.unwrap().concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_every_event_once_whatever_goes_on_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&folder.path().join("log.db"), EventRegistry::builtin()).await.unwrap();
    let (forward, mut inputs) = mpsc::channel::<Input>(16);
    let intake = Intake::start(log.clone(), forward).await.unwrap();
    let store = HistoryStore::new(objects::folder(&folder.path().join("o")).unwrap(), 0, 0);
    let accepted = Accepted::new(store, Recent::Log(log.clone()), Vec::new(), 0);
    let (applied, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let keeper = tokio::spawn(keep(accepted.clone(), Arc::clone(&applied), Arc::clone(&stop)));
    let writer = tokio::spawn({
        let intake = intake.clone();
        async move {
            for number in 0..BODIES {
                submit(&intake, number).await;
            }
            intake.close().await;
        }
    });
    let kind = Arc::clone(EventTypes::builtin().get(NAME).unwrap());
    let mut expected = 0;
    while let Some(input) = inputs.recv().await {
        let tenants = input.events.iter().flat_map(|batch| batch.tenants.values().to_vec());
        expected += tenants.filter(|tenant| *tenant == 1).count();
        applied.store(input.offset, Ordering::Release);
        let found = ids(&accepted, &kind, input.offset).await;
        assert_eq!(found.len(), expected, "up to {}", input.offset);
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), expected);
    }
    writer.await.unwrap();
    stop.store(true, Ordering::Release);
    keeper.await.unwrap();
    let last = applied.load(Ordering::Acquire);
    cut(&accepted, last).await;
    accepted.trim(last).await.unwrap();
    assert_eq!(log.trimmed(), last);
    assert_eq!(ids(&accepted, &kind, u64::MAX).await.len(), BODIES);
}
