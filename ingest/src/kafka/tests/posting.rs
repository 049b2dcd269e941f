//! Events that are posted to types without a topic.

use projections::events::{Field, FieldType};
use projections::{EventType, Tenant};

use super::bench::Hundred;
use super::*;
use crate::kafka::{KafkaIntake, Outgoing};
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
