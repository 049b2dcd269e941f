//! Rights that are taken away while something is on its way.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use projections::{Hidden, Tenant, TenantSnapshot};
use serde_json::{Value, json};

use super::Step;
use super::bench::{Bench, TENANT, ids, kinds};
use crate::hub::Snapshots;
use crate::limits::StreamLimits;
use crate::message::Message;
use crate::support::Shared;

/// The world without the view `items`, once its module is off.
struct Switchable(Shared, Arc<AtomicBool>);

impl Snapshots for Switchable {
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        let Self(world, is_off) = self;
        let snapshot = world.snapshot(tenant);
        if !is_off.load(Ordering::SeqCst) {
            return snapshot;
        }
        let mut hidden = Hidden::modules(["crm".to_owned()]);
        hidden.add_view("items", "crm");
        Arc::new(snapshot.hiding(Arc::new(hidden)))
    }
}

/// A bench, and what switches its module off.
fn bench(limits: StreamLimits) -> (Bench, impl Fn(&Bench)) {
    let is_off = Arc::new(AtomicBool::new(false));
    let read = Arc::clone(&is_off);
    let bench = Bench::showing(limits, |world| Switchable(world, read));
    let switch_off = move |bench: &Bench| {
        is_off.store(true, Ordering::SeqCst);
        bench.hub.redefined(TENANT);
    };
    (bench, switch_off)
}

fn json_of(message: Message) -> Value {
    serde_json::from_str(&message.into_json()).unwrap()
}

fn is_off(message: &Value, id: &str) -> bool {
    message["id"] == id && message["problem"]["type"] == "urn:tidemark:problem:module-off"
}

#[test]
fn a_snapshot_is_not_sent_to_its_end() {
    let limits = StreamLimits { snapshot_part_rows: 1, ..StreamLimits::default() };
    let (bench, switch_off) = bench(limits);
    for item in ["a", "b", "c"] {
        bench.put(0, item, 1);
        bench.put(1, item, 1);
    }
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "others"}));
    let Step::Message(part) = connection.step(bench.now) else { panic!("a part is due") };
    assert_eq!(json_of(part)["last"], false);
    switch_off(&bench);
    let messages = bench.json(&mut connection);
    assert_eq!(kinds(&messages), ["error", "snapshot", "snapshot", "snapshot"]);
    assert!(is_off(&messages[0], "x"), "{}", messages[0]);
    assert!(messages[1..].iter().all(|message| message["id"] == "y"));
}

#[test]
fn changes_that_wait_for_a_slow_client_are_not_sent() {
    let (bench, switch_off) = bench(StreamLimits::default());
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "others"}));
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    let slow = json!({"id": "slow", "view": "items", "max_rate_ms": 250});
    bench.subscribe(&mut connection, &slow);
    bench.read(&mut connection);
    bench.edit(&[(0, "a", Some((None, 1))), (1, "a", Some((None, 1)))]);
    // Both are due at one position; the client has taken the first.
    let Step::Message(first) = connection.step(bench.now) else { panic!("a delta is due") };
    assert_eq!(json_of(first)["id"], "y");
    switch_off(&bench);
    bench.edit(&[(0, "b", Some((None, 1))), (1, "b", Some((None, 1)))]);
    let messages = bench.json(&mut connection);
    assert_eq!(kinds(&messages), ["error", "error", "delta"]);
    assert!(is_off(&messages[0], "x") && is_off(&messages[1], "slow"), "{messages:?}");
    assert_eq!(messages[2]["id"], "y");
}

#[test]
fn an_event_stream_on_which_one_has_ended_is_not_resumed() {
    let (mut bench, switch_off) = bench(StreamLimits::default());
    let start = bench.put(0, "a", 1).to_string();
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "others"}));
    assert_eq!(ids(&bench.read(&mut connection)), [None, Some(start)]);
    switch_off(&bench);
    assert_eq!(ids(&bench.read(&mut connection)), [Some(String::new())]);
    bench.put(1, "a", 1);
    assert_eq!(ids(&bench.read(&mut connection)), [None]);
    // Nor where nothing is left that could be told of.
    bench.now += StreamLimits::default().heartbeat();
    connection.unsubscribe("y");
    assert_eq!(ids(&bench.read(&mut connection)), [None]);
}

#[test]
fn a_resume_that_was_promised_is_not_kept() {
    let (bench, switch_off) = bench(StreamLimits::default());
    let _keeps_the_ring = bench.connect();
    let left = bench.put(0, "a", 1).to_string();
    bench.put(0, "a", 2);
    let mut connection = bench.connect();
    let wanted = json!({"id": "x", "view": "items", "resume": left});
    bench.subscribe(&mut connection, &wanted);
    switch_off(&bench);
    let messages = bench.json(&mut connection);
    assert_eq!(kinds(&messages), ["error"]);
    assert!(is_off(&messages[0], "x"), "{}", messages[0]);
}
