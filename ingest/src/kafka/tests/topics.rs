//! Topics that are not as they should be, or not as they were.

use std::time::Duration;

use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};

use super::*;
use crate::kafka::topics::{Topics, equal};
use crate::kafka::{Begin, SourceError};

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_and_must_be_equal() {
    let bench = Bench::new(&[PAYMENT], 2).await;
    let topics = Topics::new(&bench.parts.settings).unwrap();
    let types = ["invoicing.invoice_issued".to_owned(), PAYMENT.to_owned()];
    assert_eq!(topics.ensure(&types).await.unwrap(), [bench.topic("invoicing.invoice_issued")]);
    let mut list = topics.list().unwrap();
    while list.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        list = topics.list().unwrap();
    }
    assert_eq!(list.len(), 2);
    assert_eq!(equal(&list).unwrap(), Some(2));
    bench.make(&bench.topic("hr.employee_left"), 3).await;
    let error = topics.ensure(&types).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SourceError::UnequalPartitions(_)), "{text}");
    assert!(text.contains(&format!("3 in {}", bench.topic("hr.employee_left"))), "{text}");
}

/// Offsets after three events in the topic.
async fn three(bench: &Bench) -> Begin {
    let topic = bench.topic(PAYMENT);
    for id in ["a", "b", "c"] {
        bench.send(&topic, Some("t1"), Some(&event(id))).await;
    }
    let mut reading = bench.read(0, &[PAYMENT]);
    reading.until(3).await;
    let step = *reading.steps.last().unwrap();
    let offsets = reading.partition.offsets(step).unwrap();
    reading.close().await;
    Begin { offsets, step, ..Begin::default() }
}

async fn remade(bench: &Bench) {
    let topic = bench.topic(PAYMENT);
    bench.remove(&topic).await;
    bench.make(&topic, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_shorter_than_it_was_stops_the_partition() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let begin = three(&bench).await;
    remade(&bench).await;
    bench.send(&bench.topic(PAYMENT), Some("t1"), Some(&event("x"))).await;
    let error = bench.try_read(0, &[PAYMENT], begin).unwrap().failure().await;
    let text = error.to_string();
    assert!(matches!(error, SourceError::OutOfRange { offset: 3, low: 0, high: 1, .. }), "{text}");
    assert!(text.contains("made anew") && text.contains("Nothing is skipped"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_told_by_its_messages() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let begin = three(&bench).await;
    remade(&bench).await;
    for id in ["u", "v", "w", "x", "y"] {
        bench.send(&bench.topic(PAYMENT), Some("t1"), Some(&event(id))).await;
    }
    let mut reading = bench.try_read(0, &[PAYMENT], begin).unwrap();
    let error = reading.failure().await;
    assert!(matches!(error, SourceError::Recreated { offset: 2, .. }), "{error}");
    assert!(reading.inputs.recv().await.is_none(), "nothing of it was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_while_it_is_read_stops_the_partition() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    for id in ["a", "b", "c"] {
        bench.send(&topic, Some("t1"), Some(&event(id))).await;
    }
    let mut reading = bench.read(0, &[PAYMENT]);
    reading.until(3).await;
    remade(&bench).await;
    bench.send(&topic, Some("t1"), Some(&event("x"))).await;
    let error = reading.failure().await;
    assert!(error.to_string().contains(&topic), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_removed_unread_stop_the_partition() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let begin = three(&bench).await;
    for id in ["d", "e", "f"] {
        bench.send(&topic, Some("t1"), Some(&event(id))).await;
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(5)).unwrap();
    bench.admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
    let error = bench.try_read(0, &[PAYMENT], begin).unwrap().failure().await;
    let text = error.to_string();
    assert!(matches!(error, SourceError::OutOfRange { offset: 3, low: 5, high: 6, .. }), "{text}");
    assert!(text.contains("retention"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_come_later_are_read_from_their_beginning() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let mut reading = bench.read(0, &[PAYMENT]);
    let voided = "invoicing.invoice_voided";
    bench.make(&bench.topic(voided), 1).await;
    let text = String::from_utf8(event("v")).unwrap();
    let text = text.replace(PAYMENT, voided).replace("\"payment_id\"", "\"reason\"");
    bench.send(&bench.topic(voided), Some("t1"), Some(text.as_bytes())).await;
    reading.partition.read(vec![bench.topic(voided)]).await.unwrap();
    reading.until(1).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    bench.send(&bench.topic(PAYMENT), Some("t1"), Some(&event("p"))).await;
    reading.until(2).await;
    assert_eq!(reading.sorted(), ["p", "v"]);
}
