//! Tenants and event types that another process created just before a message names them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use projections::events::{Field, FieldType};
use projections::{EventRegistry, EventType, Tenant};

use super::bench::Hundred;
use super::*;
use crate::{KnownTenants, Sender};

const MADE: &str = "acme.widget_made";

/// Knows of `new` and of a type only after a look, and the first looks fail.
struct Elsewhere {
    failures: usize,
    looks: AtomicUsize,
    types: EventRegistry,
}

impl KnownTenants for Elsewhere {
    fn find(&self, id: &str) -> Option<Sender> {
        let is_known = id == "new" && self.looks.load(Ordering::SeqCst) > self.failures;
        let as_another = Hundred.find("t7").map(|sender| Sender { tenant_id: id.into(), ..sender });
        Hundred.find(id).or_else(|| as_another.filter(|_| is_known))
    }

    fn look(&self) -> Result<(), String> {
        if self.looks.fetch_add(1, Ordering::SeqCst) < self.failures {
            return Err("the store does not answer".into());
        }
        let name = "widget_id".to_owned();
        let fields = vec![Field { name, kind: FieldType::Text, optional: false }];
        self.types.put(EventType::owned(Some(Tenant(1)), MADE, fields));
        Ok(())
    }

    fn is_deleted(&self, id: &str) -> bool {
        Hundred.is_deleted(id)
    }
}

fn made(id: &str) -> Vec<u8> {
    let text = String::from_utf8(event(id)).unwrap();
    text.replace(PAYMENT, MADE).replace("\"payment_id\"", "\"widget_id\"").into_bytes()
}

async fn bench(failures: usize) -> (Bench, Arc<Elsewhere>) {
    let mut bench = Bench::new(&[PAYMENT, MADE], 1).await;
    let types = bench.parts.types.clone();
    let elsewhere = Arc::new(Elsewhere { failures, looks: AtomicUsize::new(0), types });
    bench.parts.tenants = Arc::<Elsewhere>::clone(&elsewhere);
    (bench, elsewhere)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_and_a_type_of_another_process_are_looked_for() {
    let (bench, _) = bench(0).await;
    bench.send(&bench.topic(MADE), Some("t1"), Some(&made("w"))).await;
    bench.send(&bench.topic(PAYMENT), Some("new"), Some(&event("n"))).await;
    bench.send(&bench.topic(PAYMENT), Some("nobody"), Some(&event("x"))).await;
    bench.send(&bench.topic(PAYMENT), Some("deleted"), Some(&event("d"))).await;
    let mut reading = bench.read(0, &[PAYMENT, MADE]);
    reading.until(2).await;
    bench.letters(1).await;
    reading.catch_up().await;
    assert_eq!(reading.sorted(), ["n", "w"]);
    let letters = bench.reasons(&bench.topic(PAYMENT));
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[&1].1.contains("\"nobody\" is no tenant's id"), "{letters:?}");
    assert!(bench.reasons(&bench.topic(MADE)).is_empty());
}

/// As long as it cannot be told whether there is such a tenant, its events wait.
#[tokio::test(flavor = "multi_thread")]
async fn while_it_cannot_be_told_the_events_wait() {
    let (bench, elsewhere) = bench(2).await;
    let topic = bench.topic(PAYMENT);
    for (key, id) in [("t1", "a"), ("new", "b"), ("t1", "c"), ("nobody", "d"), ("t1", "e")] {
        bench.send(&topic, Some(key), Some(&event(id))).await;
    }
    let mut reading = bench.read(0, &[PAYMENT]);
    reading.until(4).await;
    bench.letters(1).await;
    assert_eq!(reading.sorted(), ["a", "b", "c", "e"]);
    assert!(bench.reasons(&topic)[&3].1.contains("\"nobody\""));
    assert!(elsewhere.looks.load(Ordering::SeqCst) > 2);
}

/// However many unknown tenants a poll brings, it asks once.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_tenants_asks_little() {
    let (bench, elsewhere) = bench(0).await;
    let topic = bench.topic(PAYMENT);
    let sent = (0..200).map(|n| {
        let (bench, topic) = (&bench, &topic);
        async move {
            let key = format!("nobody{n}");
            bench.send(topic, Some(&key), Some(&event("x"))).await;
        }
    });
    futures::future::join_all(sent).await;
    let reading = bench.read(0, &[PAYMENT]);
    bench.letters(200).await;
    assert!(reading.ids.is_empty());
    let looks = elsewhere.looks.load(Ordering::SeqCst);
    assert!((1..200).contains(&looks), "{looks} looks for 200 messages");
}
