//! Topics that are written in transactions, whose marks stand behind the last message.

use std::time::Duration;

use rdkafka::admin::AdminOptions;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::bench::config;
use super::*;
use crate::kafka::{Begin, Place};

const WAIT: Duration = Duration::from_secs(20);

/// Sends events in a transaction, which is committed or taken back.
async fn transaction(producer: &FutureProducer, topic: &str, ids: &[&str], is_committed: bool) {
    producer.begin_transaction().unwrap();
    for id in ids {
        let value = event(id);
        let record = FutureRecord::to(topic).partition(0).key("t1").payload(&value);
        producer.send(record, WAIT).await.unwrap();
    }
    if is_committed {
        producer.commit_transaction(WAIT).unwrap();
    } else {
        producer.abort_transaction(WAIT).unwrap();
    }
}

/// Retention empties the topic after all was read of it: nothing is missing then.
#[tokio::test(flavor = "multi_thread")]
async fn marks_behind_the_last_message_are_passed() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let producer: FutureProducer = config().set("transactional.id", &topic).create().unwrap();
    producer.init_transactions(WAIT).unwrap();
    transaction(&producer, &topic, &["a", "b"], true).await;
    let mut reading = bench.read(0, &[PAYMENT]);
    reading.until(2).await;
    transaction(&producer, &topic, &["x", "y"], false).await;
    // Two messages and a mark, two that were taken back and another mark.
    let step = *reading.steps.last().unwrap();
    let mut place = Place { next: 0, last: None };
    for _ in 0..500 {
        place = reading.partition.offsets(step).unwrap().get(&topic).unwrap();
        if place.next == 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((place.next, place.last.map(|(offset, _)| offset)), (6, Some(1)));
    let offsets = reading.partition.offsets(step).unwrap();
    reading.close().await;

    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(6)).unwrap();
    bench.admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
    let begin = Begin { offsets, step, ..Begin::default() };
    let mut reading = bench.try_read(0, &[PAYMENT], begin).unwrap();
    reading.catch_up().await;
    transaction(&producer, &topic, &["c"], true).await;
    reading.until(1).await;
    assert_eq!(reading.sorted(), ["c"]);
}
