//! A registry that goes away and comes back: known schemas go on, unknown ones wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::bench::services;
use super::*;
use crate::SchemaRegistry;
use crate::avro::tests::bytes::Record;

/// A way to the registry that can be closed.
async fn door() -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let is_open = Arc::new(AtomicBool::new(true));
    let (behind, path) =
        services().registry.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let (behind, seen) = (behind.to_owned(), Arc::clone(&is_open));
    tokio::spawn(async move {
        while let Ok((mut outer, _)) = listener.accept().await {
            if !seen.load(Ordering::SeqCst) {
                continue;
            }
            let (behind, seen) = (behind.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut inner = TcpStream::connect(behind).await.unwrap();
                let closed = async {
                    while seen.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut outer, &mut inner) => {}
                    () = closed => {}
                }
            });
        }
    });
    (format!("http://{address}/{path}"), is_open)
}

#[tokio::test(flavor = "multi_thread")]
async fn known_schemas_go_on_and_unknown_ones_wait() {
    let voided = "invoicing.invoice_voided";
    let mut bench = Bench::new(&[PAYMENT, voided], 1).await;
    let (url, is_open) = door().await;
    bench.parts.registry = Some(SchemaRegistry::new(&url).unwrap());
    let topic = bench.topic(PAYMENT);
    let more = serde_json::json!({"name": "channel", "type": "string"});
    let first = bench.register(&payment_schema(&[])).await;
    let second = bench.register(&payment_schema(&[more])).await;
    let record = |schema: u32, id: &str| {
        let record = Record::new(schema).text(id).text("t1").long(1_717_165_800_000_000);
        record.text("P").text("I").bytes(&[9]).long(19_874)
    };
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
