//! What can only be seen while a fill is held up: here by holding the turn in which it would end.
#![allow(clippy::unwrap_used)]

use ingest::Log;
use ingest::history::{Accepted, HistoryStore, Recent};
use projections::{EventTypes, Input, Partition};
use serde_json::json;
use stream::{Hub, StreamLimits};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::serve::{Cuts, Engine, alone};

pub(super) const TENANT: Tenant = Tenant(1);
const LONG: Duration = Duration::from_mins(1);
pub(super) const VOIDED: &str =
    "SELECT invoice_id, reason FROM events.\"invoicing.invoice_voided\"";

/// Own views of a tenant over a running engine, which ends when the sender is dropped.
pub(super) struct Bench {
    pub(super) own: OwnViews,
    pub(super) readers: Readers,
    _inputs: mpsc::Sender<Input>,
    _folder: TempDir,
}

async fn bench() -> Bench {
    bench_within(OwnLimits::default()).await
}

pub(super) async fn bench_within(limits: OwnLimits) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("control.db")).await.unwrap();
    let tenant = json!({"id": "t", "name": "T", "timezone": "UTC", "currency": "EUR"});
    store.create_tenant(serde_json::from_value(tenant).unwrap()).await.unwrap();
    let types = EventRegistry::builtin();
    let log = Log::open(&folder.path().join("log.db"), types.clone()).await.unwrap();
    let objects = ingest::objects::folder(&folder.path().join("objects")).unwrap();
    let files = HistoryStore::new(objects, 0, 0);
    let accepted = Accepted::new(files, Recent::Log(log), Vec::new(), 0);
    let history = EventHistory::new(1, alone());
    history.set(0, Some(accepted.clone()));
    let partition = Partition::new(&EventTypes::builtin(), Vec::new()).unwrap();
    let readers = partition.readers();
    let hub = Hub::new(readers.clone(), StreamLimits::default());
    let orders = Orders::new(1, alone());
    let received = orders.open(0);
    let own = OwnViews::start(store, history, types, readers.clone(), orders, limits).unwrap();
    let partition = own.load(0, partition, accepted).await.unwrap();
    let (sender, inputs) = mpsc::channel(1);
    Engine::start(partition, 0, inputs, received, Cuts::channel().1, hub).unwrap();
    Bench { own, readers, _inputs: sender, _folder: folder }
}

pub(super) fn view(name: &str, sql: &str) -> ViewDefinition {
    ViewDefinition { name: name.to_owned(), sql: sql.to_owned(), key: Vec::new(), internal: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_filling_until_it_is_put_in_and_who_waits_is_told() {
    let Bench { own, readers, .. } = &bench().await;
    let mut turn = own.shared.turn.lock().await;
    assert!(
        own.shared.take(&mut turn, TENANT, view("mine", VOIDED), &Hidden::default()).await.unwrap()
    );
    let said = own.get(TENANT, "mine").unwrap();
    assert_eq!((said.state, said.is_served), ("filling", false));
    assert!(said.filled < 1.0);
    assert!(!own.wait(TENANT, "mine", Duration::from_millis(20)).await);
    let snapshot = readers.snapshot(TENANT);
    assert!(snapshot.view("mine").is_none());
    assert_eq!(snapshot.unready("mine").unwrap().failure, None);
    // One on it may be defined meanwhile, and the same again changes nothing.
    assert!(
        own.shared
            .take(&mut turn, TENANT, view("on_it", "SELECT reason FROM mine"), &Hidden::default())
            .await
            .unwrap()
    );
    assert!(
        !own.shared
            .take(&mut turn, TENANT, view("mine", VOIDED), &Hidden::default())
            .await
            .unwrap()
    );
    let waiting = tokio::spawn({
        let own = own.clone();
        async move { own.wait(TENANT, "on_it", LONG).await }
    });
    drop(turn);
    assert!(waiting.await.unwrap());
    let snapshot = readers.snapshot(TENANT);
    for name in ["mine", "on_it"] {
        assert_eq!(own.get(TENANT, name).unwrap().state, "live");
        assert!(snapshot.view(name).is_some() && snapshot.unready(name).is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_one_that_fails_finds_the_reason() {
    let Bench { own, readers, .. } = &bench().await;
    let mut turn = own.shared.turn.lock().await;
    own.shared.take(&mut turn, TENANT, view("mine", VOIDED), &Hidden::default()).await.unwrap();
    own.shared.write().get_mut(&TENANT).unwrap().give_up(*turn, "in vain");
    assert_eq!(own.get(TENANT, "mine").unwrap().state, "failed");
    // Readers are not told yet.
    assert_eq!(readers.snapshot(TENANT).unready("mine").unwrap().failure, None);
    assert!(!own.wait(TENANT, "mine", Duration::from_millis(20)).await);
    let waiting = tokio::spawn({
        let own = own.clone();
        async move { own.wait(TENANT, "mine", LONG).await }
    });
    own.shared.announce(TENANT).await.unwrap();
    own.shared.settled.send_replace(());
    assert!(waiting.await.unwrap());
    assert!(readers.snapshot(TENANT).unready("mine").unwrap().failure.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_or_replaced_while_it_is_filled_is_never_put_in() {
    let Bench { own, readers, .. } = &bench().await;
    let mut turn = own.shared.turn.lock().await;
    for name in ["gone", "anew"] {
        own.shared.take(&mut turn, TENANT, view(name, VOIDED), &Hidden::default()).await.unwrap();
    }
    own.shared.remove(TENANT, "gone".to_owned()).await.unwrap();
    let other = "SELECT reason FROM events.\"invoicing.invoice_voided\"";
    own.shared.take(&mut turn, TENANT, view("anew", other), &Hidden::default()).await.unwrap();
    own.shared.take(&mut turn, TENANT, view("last", VOIDED), &Hidden::default()).await.unwrap();
    drop(turn);
    assert!(own.wait(TENANT, "last", LONG).await);
    let snapshot = readers.snapshot(TENANT);
    assert!(snapshot.view("gone").is_none() && own.get(TENANT, "gone").is_none());
    assert_eq!(snapshot.view("anew").unwrap().view().sql(), other);
    let stored: Vec<String> =
        own.shared.store.own_views().await.unwrap().into_iter().map(|(_, v)| v.name).collect();
    assert_eq!(stored, ["anew", "last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_view_is_served_meanwhile_and_nobody_waits_for_its_successor() {
    let Bench { own, readers, .. } = &bench().await;
    own.define(TENANT, view("mine", VOIDED), Arc::default()).await.unwrap();
    assert!(own.wait(TENANT, "mine", LONG).await);
    let mut turn = own.shared.turn.lock().await;
    let other = "SELECT reason FROM events.\"invoicing.invoice_voided\"";
    assert!(
        !own.shared.take(&mut turn, TENANT, view("mine", other), &Hidden::default()).await.unwrap()
    );
    let said = own.get(TENANT, "mine").unwrap();
    assert_eq!((said.state, said.is_served), ("filling", true));
    assert!(own.wait(TENANT, "mine", Duration::ZERO).await);
    assert_eq!(readers.snapshot(TENANT).view("mine").unwrap().view().sql(), VOIDED);
}
