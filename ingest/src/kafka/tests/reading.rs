//! What comes by the topics: once, in steps, whatever the codec; and going on from offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Decimal128Type;
use projections::{Tenant, Tick};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::time::timeout;

use super::bench::{config, services};
use super::*;
use crate::Known;
use crate::avro::tests::bytes::Record;
use crate::kafka::{Begin, KafkaIntake, KafkaSettings, partition_of};

/// A payment as a record of a schema.
fn record(schema: u32, id: &str, tenant: &str) -> Record {
    payment(schema, id, tenant, 9)
}

/// The same of so many ten-thousandths.
fn payment(schema: u32, id: &str, tenant: &str, amount: u8) -> Record {
    Record::new(schema)
        .text(id)
        .text(tenant)
        .long(1_717_165_800_000_000)
        .text(id)
        .text("I")
        .bytes(&[amount])
        .long(19_874)
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_and_json_of_old_and_new_writers_come_once() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let old = bench.register(&payment_schema(&[])).await;
    let currency =
        serde_json::json!({"name": "currency", "type": ["null", "string"], "default": null});
    let new = bench.register(&payment_schema(&[currency])).await;
    let mut reading = bench.read(0, &[PAYMENT]);
    bench.send(&topic, Some("t1"), Some(&record(old, "a", "t1").done())).await;
    bench.send(&topic, Some("t1"), Some(&record(new, "b", "t1").long(0).done())).await;
    bench.send(&topic, Some("t2"), Some(&record(old, "a", "t2").done())).await;
    bench.send(&topic, Some("t2"), Some(&event("c"))).await;
    let blank = [b" \n".as_slice(), &event("d")].concat();
    let kind = Some("application/cloudevents+json; charset=utf-8");
    bench.send_to(&topic, 0, Some("t2"), Some(&blank), kind).await;
    // Repeats, in another form.
    bench.send(&topic, Some("t1"), Some(&event("a"))).await;
    bench.send(&topic, Some("t2"), Some(&record(new, "c", "t2").long(0).done())).await;
    bench.send(&topic, Some("t3"), Some(&event("z"))).await;
    reading.until(6).await;
    let mut ids = reading.ids.clone();
    ids.sort();
    let expected = [(1, "a"), (1, "b"), (2, "a"), (2, "c"), (2, "d"), (3, "z")];
    assert_eq!(ids, expected.map(|(tenant, id)| (tenant, id.to_owned())));
    assert_eq!(reading.steps, (1..=reading.steps.len() as u64).collect::<Vec<_>>());
    assert_eq!(reading.partition.marks(Tenant(2)).sequence, 3);
    assert!(bench.reasons(&topic).is_empty(), "{:?}", bench.reasons(&topic));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_messages_with_one_id_the_first_counts_in_whatever_form() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let old = bench.register(&payment_schema(&[])).await;
    let currency =
        serde_json::json!({"name": "currency", "type": ["null", "string"], "default": null});
    let new = bench.register(&payment_schema(&[currency])).await;
    let mut expected = BTreeMap::new();
    for number in 0..12 {
        let id = format!("e{number:02}");
        let forms = [
            (125_000, event(&id)),
            (9, payment(old, &id, "t1", 9).done()),
            (7, payment(new, &id, "t1", 7).long(0).done()),
        ];
        expected.insert(id, forms[number % 3].0);
        for turn in 0..3 {
            bench.send(&topic, Some("t1"), Some(&forms[(number + turn) % 3].1)).await;
        }
    }
    // All of them in one poll.
    let mut reading = bench.read(0, &[PAYMENT]);
    let mut amounts = BTreeMap::new();
    while amounts.len() < expected.len() {
        let input = timeout(Duration::from_secs(30), reading.inputs.recv()).await;
        for batch in input.unwrap().unwrap().events {
            let ids = batch.rows.column(0).as_string::<i32>();
            let column = batch.rows.column_by_name("amount").unwrap();
            let column = column.as_primitive::<Decimal128Type>();
            for (id, amount) in ids.iter().zip(column.iter()) {
                assert_eq!(amounts.insert(id.unwrap().to_owned(), amount.unwrap()), None);
            }
        }
    }
    assert_eq!(amounts, expected);
    assert_eq!(reading.partition.marks(Tenant(1)).sequence, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_share_the_tenants() {
    let bench = Bench::new(&[PAYMENT, "invoicing.invoice_voided"], 3).await;
    let topic = bench.topic(PAYMENT);
    for number in 0..60 {
        let tenant = format!("t{}", number % 30);
        bench.send(&topic, Some(&tenant), Some(&event(&format!("e{number}")))).await;
    }
    let mut all = Vec::new();
    for number in 0..3 {
        let mut reading = bench.read(number, &[PAYMENT, "invoicing.invoice_voided"]);
        reading.catch_up().await;
        for (tenant, _) in &reading.ids {
            assert_eq!(partition_of(format!("t{tenant}").as_bytes(), 3), number);
        }
        all.extend(reading.sorted());
    }
    assert_eq!(all.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_is_read() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let mut expected = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer: FutureProducer =
            config().set("compression.type", codec).set("linger.ms", "20").create().unwrap();
        let sent = (0..50).map(|number| {
            let (producer, topic) = (producer.clone(), topic.clone());
            let id = format!("{codec}{number}");
            expected.push(id.clone());
            async move {
                let value = event(&id);
                let record = FutureRecord::to(&topic).key("t1").payload(&value);
                producer.send(record, Duration::from_secs(10)).await.unwrap();
            }
        });
        futures::future::join_all(sent).await;
    }
    expected.sort();
    let mut reading = bench.read(0, &[PAYMENT]);
    reading.until(expected.len()).await;
    assert_eq!(reading.sorted(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_took_back_is_not_seen() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let mut config = config();
    let producer: FutureProducer = config.set("transactional.id", &topic).create().unwrap();
    let wait = Duration::from_secs(20);
    producer.init_transactions(wait).unwrap();
    let mut expected = Vec::new();
    for number in 0..6 {
        producer.begin_transaction().unwrap();
        for part in 0..3 {
            let id = format!("x{number}-{part}");
            let value = event(&id);
            let record = FutureRecord::to(&topic).partition(0).key("t1").payload(&value);
            producer.send(record, wait).await.unwrap();
            if number % 2 == 0 {
                expected.push(id);
            }
        }
        if number % 2 == 0 {
            producer.commit_transaction(wait).unwrap();
        } else {
            producer.abort_transaction(wait).unwrap();
        }
    }
    // What ends with an aborted transaction has been read all the same.
    let mut reading = bench.read(0, &[PAYMENT]);
    reading.catch_up().await;
    assert_eq!(reading.sorted(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_from_a_cut() {
    let types = [PAYMENT, "invoicing.invoice_voided"];
    let bench = Bench::new(&types, 1).await;
    let topic = bench.topic(PAYMENT);
    for id in ["a", "b", "c"] {
        bench.send(&topic, Some("t1"), Some(&event(id))).await;
    }
    let mut first = bench.read(0, &types);
    first.until(3).await;
    let step = *first.steps.last().unwrap();
    let offsets = first.partition.offsets(step).unwrap();
    assert_eq!(offsets.get(&topic).unwrap().next, 3);
    assert_eq!(offsets.get(&bench.topic("invoicing.invoice_voided")), None);
    let tenant = Tenant(1);
    let hash = |id| first.partition.hash(tenant, PAYMENT, id);
    let mut known = Known::of(&["a", "b", "c"].map(hash));
    known.resume(tenant, first.partition.marks(tenant).sequence, None);
    bench.send(&topic, Some("t1"), Some(&event("d"))).await;
    first.until(4).await;
    first.close().await;

    // From the cut: what came after it comes again, and what came before is known.
    bench.send(&topic, Some("t1"), Some(&event("a"))).await;
    bench.send(&topic, Some("t1"), Some(&event("e"))).await;
    let text = serde_json::to_string(&offsets).unwrap();
    let begin = Begin { offsets: serde_json::from_str(&text).unwrap(), step, known };
    let mut second = bench.try_read(0, &types, begin).unwrap();
    second.until(2).await;
    second.catch_up().await;
    assert_eq!(second.sorted(), ["d", "e"]);
    assert_eq!(second.steps[0], step + 1);
    assert_eq!(second.partition.marks(tenant).sequence, 5);
    let step = *second.steps.last().unwrap();
    assert_eq!(second.partition.offsets(step).unwrap().get(&topic).unwrap().next, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_are_steps_of_their_own() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let mut reading = bench.read(0, &[PAYMENT]);
    let tick = |day: &str| vec![Tick { tenant: Tenant(1), today: day.parse().unwrap() }];
    reading.partition.tick(tick("2024-01-01")).await.unwrap();
    reading.partition.tick(tick("2024-01-01")).await.unwrap();
    reading.partition.tick(tick("2024-01-02")).await.unwrap();
    assert_eq!(reading.partition.marks(Tenant(1)).sequence, 2);
    let inputs = [reading.inputs.recv().await.unwrap(), reading.inputs.recv().await.unwrap()];
    assert_eq!(inputs.map(|input| (input.offset, input.ticks.len())), [(1, 1), (2, 1)]);
}

/// A partition whose views take nothing waits for room; the dates of another one's tenants do not.
#[tokio::test(flavor = "multi_thread")]
async fn dates_do_not_wait_for_a_partition_that_waits_for_room() {
    let bench = Bench::new(&[PAYMENT], 2).await;
    let (mut full, mut other) = (bench.read(0, &[PAYMENT]), bench.read(1, &[PAYMENT]));
    let intake = KafkaIntake::new(bench.parts.clone(), 2).unwrap();
    intake.put(full.partition.clone());
    intake.put(other.partition.clone());
    let of = |partition| {
        let mut tenants = (0..100).map(Tenant);
        tenants.find(|of| partition_of(id(*of).as_bytes(), 2) == partition).unwrap()
    };
    let (waits, goes_on) = (of(0), of(1));
    let first: chrono::NaiveDate = "2024-01-01".parse().unwrap();
    let days: Vec<_> = first.iter_days().take(300).collect();
    let told = async {
        for today in &days {
            let ticks = [waits, goes_on].map(|tenant| Tick { tenant, today: *today });
            let told = intake.tick(ticks.to_vec(), |of| Some(id(of)));
            // What is not answered in time is told again with the next date.
            let _is_over = timeout(Duration::from_millis(100), told).await;
        }
    };
    let last = days.last().copied();
    let taken = async {
        while other.partition.marks(goes_on).date < last {
            other.inputs.recv().await.unwrap();
        }
    };
    let both = async { tokio::join!(told, taken) };
    timeout(Duration::from_mins(2), both).await.unwrap();
    assert!(full.partition.marks(waits).date < last, "it does not wait");
    // With room, it takes what it was told meanwhile.
    while full.partition.marks(waits).date < last {
        full.inputs.recv().await.unwrap();
    }
}

fn id(tenant: Tenant) -> String {
    format!("t{}", tenant.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_views_slow_the_reading_and_lose_nothing() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let padding = "x".repeat(1000);
    let mut sent = Vec::new();
    for number in 0..2000 {
        let id = format!("{number:05}{padding}");
        sent.push(id);
    }
    let sends = sent.iter().map(|id| {
        let (bench, topic) = (&bench, &topic);
        async move { bench.send(topic, Some("t1"), Some(&event(id))).await }
    });
    futures::future::join_all(sends).await;
    let mut reading = bench.read(0, &[PAYMENT]);
    // Nobody takes inputs for longer than any session of a group would last without polling.
    tokio::time::sleep(Duration::from_secs(2)).await;
    reading.until(sent.len()).await;
    assert_eq!(reading.sorted(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_and_signed_in() {
    let mut bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    bench.send(&topic, Some("t1"), Some(&event("a"))).await;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        Into::into,
    );
    let folder = target.join("services/kafka");
    let properties = std::fs::read_to_string(folder.join("server.properties")).unwrap();
    let secure = properties.split("SECURE://").nth(1).unwrap().split(',').next().unwrap();
    let ca = folder.join("ca.pem");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        bench.parts.settings = KafkaSettings {
            brokers: secure.to_owned(),
            security_protocol: "sasl_ssl".to_owned(),
            sasl_mechanism: Some(mechanism.to_owned()),
            sasl_username: Some("tidemark".to_owned()),
            sasl_password: Some("tidemark-secret".to_owned()),
            ssl_ca: Some(ca.clone()),
            ..bench.parts.settings.clone()
        };
        assert!(!format!("{:?}", bench.parts.settings).contains("tidemark-secret"));
        let mut reading = bench.read(0, &[PAYMENT]);
        reading.until(1).await;
        assert_eq!(reading.sorted(), ["a"], "{mechanism}");
        reading.close().await;
    }
    assert_ne!(secure, services().kafka);
}
