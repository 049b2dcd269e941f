//! Events that are posted to types without a topic.

use projections::events::{Field, FieldType};
use projections::{EventType, Tenant};

use super::bench::Hundred;
use super::*;
use crate::kafka::topics::Topics;
use crate::kafka::{KafkaIntake, Outgoing, partition_of};
use crate::{Format, IntakeError, KnownTenants, Limits};

/// An event of a type with one field.
fn made(event_type: &str) -> String {
    let text = String::from_utf8(event("w")).unwrap();
    text.replace(PAYMENT, event_type).replace("\"payment_id\"", "\"widget_id\"")
}

/// Kafka has no topic for a name that differs from another topic's in `.` and `_` alone: what is posted
/// to it is refused, and nobody's partition reads what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_cannot_be_made_is_said_to_who_posts_and_read_by_nobody() {
    let bench = Bench::new(&[PAYMENT, "acme.a_b"], 1).await;
    let name = "acme_a.b";
    let fields = vec![Field { name: "widget_id".into(), kind: FieldType::Text, optional: false }];
    bench.parts.types.put(EventType::owned(Some(Tenant(1)), name, fields));
    let mut reading = bench.read(0, &[PAYMENT]);
    let intake = KafkaIntake::new(bench.parts.clone(), 1).unwrap();
    intake.put(reading.partition.clone());
    let sender = Hundred.find("t1").unwrap();
    let types = bench.parts.types.visible(Tenant(1));
    let outgoing = |text: &str| {
        let (limits, now) = (Limits::default(), chrono::Utc::now());
        Outgoing::decode(&types, &limits, &sender, Format::Event, text.as_bytes(), now).unwrap()
    };
    for _ in 0..2 {
        let error = intake.submit(&sender, outgoing(&made(name))).await.unwrap_err();
        assert!(matches!(&error, IntakeError::NoTopic(of) if of == name), "{error}");
    }
    let text = String::from_utf8(event("p")).unwrap();
    assert_eq!(intake.submit(&sender, outgoing(&text)).await.unwrap().accepted, 1);
    reading.until(1).await;
    assert_eq!(reading.sorted(), ["p"]);
    assert!(!reading.partition.has_ended());
}

/// A topic that was removed, as that of a deleted type may be, is made again when its type is posted
/// next: with as many partitions as the others, by this and not by the broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_removed_is_made_again_for_what_is_posted() {
    let bench = Bench::new(&[], 3).await;
    let reading = bench.read(partition_of(b"t1", 3), &[]);
    let intake = KafkaIntake::new(bench.parts.clone(), 3).unwrap();
    intake.put(reading.partition.clone());
    let (sender, topics) = (Hundred.find("t1").unwrap(), bench.parts.types.visible(Tenant(1)));
    let posted = async |id: &str| {
        let (limits, now) = (Limits::default(), chrono::Utc::now());
        let text = event(id);
        let body = Outgoing::decode(&topics, &limits, &sender, Format::Event, &text, now).unwrap();
        intake.submit(&sender, body).await.unwrap().accepted
    };
    assert_eq!(posted("a").await, 1);
    bench.remove(&bench.topic(PAYMENT)).await;
    let there = Topics::new(&bench.parts.settings).unwrap();
    intake.listed(&there.list().unwrap());
    assert_eq!(posted("b").await, 1);
    assert_eq!(there.list().unwrap().get(&bench.topic(PAYMENT)), Some(&3));
}
