//! Topics that are not as they should be, or not as they were.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::*;
use crate::kafka::reader::Reader;
use crate::kafka::topics::{Topics, equal};
use crate::kafka::{Begin, KafkaIntake, KafkaSource, Offsets, SourceError};

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_and_must_be_equal() {
    let bench = Bench::new(&[PAYMENT], 2).await;
    let topics = Topics::new(&bench.parts.settings).unwrap();
    let types = ["invoicing.invoice_issued".to_owned(), PAYMENT.to_owned()];
    let there = topics.ensure(&types, 2).await.unwrap();
    let wanted: BTreeSet<String> = types.iter().map(|name| bench.topic(name)).collect();
    assert_eq!(there, wanted);
    let mut list = topics.list().unwrap();
    while list.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        list = topics.list().unwrap();
    }
    assert_eq!(list.len(), 2);
    assert_eq!(equal(&list).unwrap(), Some(2));
    bench.make(&bench.topic("hr.employee_left"), 3).await;
    let error = topics.ensure(&types, 2).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SourceError::UnequalPartitions(_)), "{text}");
    assert!(text.contains(&format!("3 in {}", bench.topic("hr.employee_left"))), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_with_another_number_of_partitions_than_before_are_refused() {
    let bench = Bench::new(&[PAYMENT], 2).await;
    assert_eq!(KafkaSource::found(&bench.parts.settings).await.unwrap(), Some(2));
    let refused = KafkaSource::open(bench.parts.clone(), 3).await.map(drop).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, SourceError::OtherPartitions { kept: 3, found: 2 }), "{text}");
    assert!(text.contains("Beginning anew"), "{text}");
    // Nothing was made with another number beside them.
    assert_eq!(Topics::new(&bench.parts.settings).unwrap().list().unwrap().len(), 1);

    let source = KafkaSource::open(bench.parts.clone(), 2).await.unwrap();
    let mut begun = bench.read(0, &[PAYMENT]);
    let intake = KafkaIntake::new(bench.parts.clone(), 2).unwrap();
    intake.put(begun.partition.clone());
    // All of them grow while they are read.
    let topics: Vec<String> =
        Topics::new(&bench.parts.settings).unwrap().list().unwrap().into_keys().collect();
    let grown: Vec<NewPartitions<'_>> =
        topics.iter().map(|topic| NewPartitions::new(topic, 4)).collect();
    let made = bench.admin.create_partitions(&grown, &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let error = tokio::select! {
        error = begun.failure() => error,
        () = source.follow(&intake) => unreachable!("it follows for ever"),
    };
    assert!(matches!(error, SourceError::OtherPartitions { kept: 2, found: 4 }), "{error}");
    // And so does one that begins by then.
    let error = bench.read(1, &[PAYMENT]).failure().await;
    assert!(matches!(error, SourceError::OtherPartitions { kept: 2, found: 4 }), "{error}");
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

pub(super) async fn remade(bench: &Bench) {
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

/// A partition is caught up only with the topics that there are by then, whoever has heard of them.
#[tokio::test(flavor = "multi_thread")]
async fn topics_that_nobody_has_heard_of_are_read_before_the_partition_is_served() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let voided = "invoicing.invoice_voided";
    bench.make(&bench.topic(voided), 1).await;
    let text = String::from_utf8(event("v")).unwrap().replace(PAYMENT, voided);
    bench.send(&bench.topic(voided), Some("t1"), Some(text.as_bytes())).await;
    let mut reading = bench.read(0, &[PAYMENT]);
    reading.catch_up().await;
    assert_eq!(reading.sorted(), ["v"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_read_and_is_gone_stops_the_partition() {
    let bench = Bench::new(&[PAYMENT, "invoicing.invoice_voided"], 1).await;
    let begin = three(&bench).await;
    bench.remove(&bench.topic(PAYMENT)).await;
    let error = bench.try_read(0, &[PAYMENT], begin).unwrap().failure().await;
    let text = error.to_string();
    assert!(matches!(error, SourceError::Missing { offset: 3, partition: 0, .. }), "{text}");
    assert!(text.contains(&bench.topic(PAYMENT)), "{text}");
}

/// So it is after the tenant that alone had the type is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_no_type_may_go() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let mut begin = three(&bench).await;
    let gone = bench.topic("acme.widget_made");
    begin.offsets.pass(&gone, 7, 1);
    let mut reading = bench.try_read(0, &[PAYMENT], begin).unwrap();
    reading.catch_up().await;
    let step = reading.partition.caught_up().await.unwrap();
    let offsets = reading.partition.offsets(step).unwrap();
    assert_eq!(offsets.get(&gone), None);
    assert_eq!(offsets.get(&bench.topic(PAYMENT)).unwrap().next, 3);
}

/// A topic that is not there, and of which nothing was read, is none of what a partition reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_never_was_is_let_go_of() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let (topic, never) = (bench.topic(PAYMENT), bench.topic("hr_time.logged"));
    let mut reader = Reader::new(&bench.parts.settings, 0).unwrap();
    let mut offsets = Offsets::default();
    reader.read(&[topic.clone(), never.clone()], &offsets).unwrap();
    let unknown = KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition);
    reader.judge(&unknown, &offsets).unwrap();
    let polled = |reader: &mut Reader, offsets: &Offsets| {
        let client = reader.client();
        for _ in 0..500 {
            let came = reader.poll(&client, offsets, Duration::from_millis(20)).unwrap();
            if let Some(message) = came.first() {
                return message.topic().to_owned();
            }
        }
        panic!("nothing comes")
    };
    bench.send(&topic, Some("t1"), Some(&event("a"))).await;
    assert_eq!(polled(&mut reader, &offsets), topic);
    // Once it is there it can be read.
    bench.make(&never, 1).await;
    bench.send(&never, Some("t1"), Some(&event("b"))).await;
    reader.read(std::slice::from_ref(&never), &offsets).unwrap();
    assert_eq!(polled(&mut reader, &offsets), never);
    // One of which something was read is not let go of.
    offsets.pass(&never, 0, 1);
    bench.remove(&never).await;
    let error = reader.judge(&unknown, &offsets).unwrap_err();
    assert!(error.passes(), "it is looked at again: {error}");
}
