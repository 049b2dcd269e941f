//! A registry that goes away and comes back: known schemas go on, unknown ones wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::bench::services;
use super::door::door;
use super::*;
use crate::avro::tests::bytes::Record;
use crate::{KeptSchemas, SchemaRegistry};

/// The address of a registry that can be away.
async fn registry() -> (String, Arc<AtomicBool>) {
    let (behind, path) =
        services().registry.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let (address, is_open) = door(behind).await;
    (format!("http://{address}/{path}"), is_open)
}

/// A payment as a record of a schema.
fn record(schema: u32, id: &str) -> Record {
    let record = Record::new(schema).text(id).text("t1").long(1_717_165_800_000_000);
    record.text("P").text("I").bytes(&[9]).long(19_874)
}

/// Schemas in memory, which outlives the registry's.
#[derive(Default)]
struct Kept(Mutex<HashMap<(String, u32), String>>);

#[async_trait]
impl KeptSchemas for Kept {
    async fn find(&self, registry: &str, id: u32) -> Result<Option<String>, String> {
        Ok(self.0.lock().unwrap().get(&(registry.to_owned(), id)).cloned())
    }

    async fn keep(&self, registry: &str, id: u32, schema: &str) -> Result<(), String> {
        self.0.lock().unwrap().insert((registry.to_owned(), id), schema.to_owned());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_schemas_go_on_and_unknown_ones_wait() {
    let voided = "invoicing.invoice_voided";
    let mut bench = Bench::new(&[PAYMENT, voided], 1).await;
    let (url, is_open) = registry().await;
    bench.parts.registry = Some(SchemaRegistry::new(&url).unwrap());
    let topic = bench.topic(PAYMENT);
    let more = serde_json::json!({"name": "channel", "type": "string"});
    let first = bench.register(&payment_schema(&[])).await;
    let second = bench.register(&payment_schema(&[more])).await;
    bench.send(&topic, Some("t1"), Some(&record(first, "a").done())).await;
    let mut reading = bench.read(0, &[PAYMENT, voided]);
    reading.until(1).await;

    is_open.store(false, Ordering::SeqCst);
    bench.send(&topic, Some("t1"), Some(&record(first, "b").done())).await;
    reading.until(2).await;
    bench.send(&topic, Some("t1"), Some(&record(second, "c").text("web").done())).await;
    bench.send(&topic, Some("t1"), Some(&record(first, "d").done())).await;
    let text = String::from_utf8(event("v")).unwrap().replace(PAYMENT, voided);
    bench.send(&bench.topic(voided), Some("t1"), Some(text.as_bytes())).await;
    // Another topic does not wait.
    reading.until(3).await;
    assert_eq!(reading.sorted(), ["a", "b", "v"]);
    let step = *reading.steps.last().unwrap();
    let next = reading.partition.offsets(step).unwrap().get(&topic).unwrap().next;
    assert_eq!(next, 2, "what waits is not passed");
    bench.send(&topic, Some("t1"), Some(&record(first, "e").done())).await;

    is_open.store(true, Ordering::SeqCst);
    reading.until(6).await;
    assert_eq!(reading.sorted(), ["a", "b", "c", "d", "e", "v"]);
    assert!(bench.reasons(&topic).is_empty(), "{:?}", bench.reasons(&topic));
}

/// What stands behind a message with an unknown schema is not waited for when the partition is taken:
/// the registry may be away for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_caught_up_while_a_topic_waits() {
    let voided = "invoicing.invoice_voided";
    let mut bench = Bench::new(&[PAYMENT, voided], 1).await;
    let (url, is_open) = registry().await;
    bench.parts.registry = Some(SchemaRegistry::new(&url).unwrap());
    let topic = bench.topic(PAYMENT);
    let schema = bench.register(&payment_schema(&[])).await;
    bench.send(&topic, Some("t1"), Some(&record(schema, "a").done())).await;
    bench.send(&topic, Some("t1"), Some(&event("b"))).await;
    let text = String::from_utf8(event("v")).unwrap().replace(PAYMENT, voided);
    bench.send(&bench.topic(voided), Some("t1"), Some(text.as_bytes())).await;
    is_open.store(false, Ordering::SeqCst);

    let mut reading = bench.read(0, &[PAYMENT, voided]);
    reading.catch_up().await;
    assert_eq!(reading.sorted(), ["v"]);
    let step = *reading.steps.last().unwrap();
    assert_eq!(reading.partition.offsets(step).unwrap().get(&topic), None, "nothing is passed");
    is_open.store(true, Ordering::SeqCst);
    reading.until(3).await;
    assert_eq!(reading.sorted(), ["a", "b", "v"]);
}

/// Known schemas go on also after a restart, whatever waits beside them.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_of_an_earlier_start_are_known() {
    let voided = "invoicing.invoice_voided";
    let mut bench = Bench::new(&[PAYMENT, voided], 1).await;
    let (url, is_open) = registry().await;
    let kept = Arc::new(Kept::default());
    let started = || {
        let kept = Arc::<Kept>::clone(&kept);
        Some(SchemaRegistry::new(&url).unwrap().keeping(kept))
    };
    let known = bench.register(&payment_schema(&[])).await;
    let more = serde_json::json!({"name": "channel", "type": "string"});
    let unknown = bench.register(&payment_schema(&[more])).await;
    let topic = bench.topic(PAYMENT);
    bench.parts.registry = started();
    bench.send(&topic, Some("t1"), Some(&record(known, "a").done())).await;
    let mut reading = bench.read(0, &[PAYMENT, voided]);
    reading.until(1).await;
    let step = *reading.steps.last().unwrap();
    let offsets = reading.partition.offsets(step).unwrap();
    reading.close().await;

    is_open.store(false, Ordering::SeqCst);
    bench.parts.registry = started();
    let waits = record(unknown, "w").text("web").done();
    bench.send(&bench.topic(voided), Some("t1"), Some(&waits)).await;
    for id in ["b", "c"] {
        bench.send(&topic, Some("t1"), Some(&record(known, id).done())).await;
    }
    let begin = crate::kafka::Begin { offsets, step, ..crate::kafka::Begin::default() };
    let mut reading = bench.try_read(0, &[PAYMENT, voided], begin).unwrap();
    reading.until(2).await;
    assert_eq!(reading.sorted(), ["b", "c"]);
    assert!(bench.reasons(&bench.topic(voided)).is_empty(), "it waits");
}
