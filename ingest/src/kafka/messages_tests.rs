#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpListener;

use projections::events::{Field, FieldType};
use serde_json::json;

use super::*;
use crate::avro::tests::bytes::Record;

const PAYMENT: &str = "t.invoicing.payment_received";

/// The tenants `t1` and `t2`.
struct Two;

impl KnownTenants for Two {
    fn find(&self, id: &str) -> Option<Sender> {
        let number = ["t1", "t2"].iter().position(|known| *known == id)? as u32 + 1;
        Some(Sender {
            tenant: Tenant(number),
            tenant_id: id.to_owned(),
            currency: "EUR".to_owned(),
            events_clock: None,
        })
    }

    fn look(&self) -> Result<(), String> {
        Ok(())
    }

    fn is_deleted(&self, _: &str) -> bool {
        false
    }
}

fn translator(
    runtime: &tokio::runtime::Runtime,
    partition: (i32, i32),
    types: EventRegistry,
    registry: Option<SchemaRegistry>,
) -> Translator {
    let (prefix, limits) = ("t.".to_owned(), Limits::default());
    let runtime = runtime.handle().clone();
    Translator::new(prefix, partition, types, limits, Arc::new(Two), registry, runtime)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn message<'m>(topic: &'m str, offset: i64, value: &'m [u8]) -> Message<'m> {
    Message {
        topic,
        partition: 0,
        offset,
        timestamp: 0,
        key: Some(b"t1"),
        value: Some(value),
        is_json: false,
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A payment with attributes of its own.
fn payment(
    time: &str,
    change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
) -> Vec<u8> {
    let mut event = json!({
        "specversion": "1.0", "id": "p", "source": "/invoicing",
        "type": "invoicing.payment_received", "time": time,
        "data": {"payment_id": "p", "invoice_id": "I", "amount": "12.50", "paid_on": "2024-05-31"},
    });
    change(event.as_object_mut().unwrap());
    event.to_string().into_bytes()
}

/// A registry that has one schema for every id.
fn registry_of(schema: &str) -> SchemaRegistry {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = json!({"schema": schema}).to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            // The request is short, and comes at once.
            let mut request = [0; 4096];
            if connection.read(&mut request).is_ok_and(|read| read > 0) {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                connection.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    SchemaRegistry::new(&url).unwrap()
}

#[test]
fn one_poll_may_need_more_readers_of_schemas_than_are_kept() {
    let runtime = runtime();
    let registry = EventRegistry::builtin();
    let fields = vec![Field { name: "widget".into(), kind: FieldType::Text, optional: false }];
    let topics: Vec<String> = (0..=MOST_DECODERS).map(|n| format!("t.acme.w{n}")).collect();
    for topic in &topics {
        registry.put(EventType::owned(Some(Tenant(1)), &topic[2..], fields.clone()));
    }
    let text = |name: &str| json!({"name": name, "type": "string"});
    let time = json!({"type": "long", "logicalType": "timestamp-micros"});
    let time = json!({"name": "occurred_at", "type": time});
    let fields = [text("event_id"), text("tenant_id"), time, text("widget")];
    let schema = json!({"type": "record", "name": "made", "fields": fields}).to_string();
    let mut translator = translator(&runtime, (0, 1), registry, Some(registry_of(&schema)));
    let record =
        |id: &str| Record::new(7).text(id).text("t1").long(1_717_165_800_000_000).text("W").done();
    let (first, second) = (record("a"), record("b"));
    let mut messages: Vec<_> = topics.iter().map(|topic| message(topic, 0, &first)).collect();
    messages.push(message(&topics[0], 1, &second));
    for _ in 0..2 {
        let now = moment("2024-06-01T00:00:00Z");
        let translated = translator.translate(&messages, &BTreeSet::new(), now).unwrap();
        assert!(translated.letters.is_empty(), "{:?}", translated.letters.first());
        let rows: usize = translated.segments.iter().map(|of| of.rows.num_rows()).sum();
        assert_eq!(rows, messages.len());
    }
}

#[test]
fn a_letter_is_the_tenants_only_if_its_value_names_no_other() {
    let runtime = runtime();
    let time = "2024-05-31T00:00:00Z";
    let foreign = payment(time, |event| {
        event.insert("tenantid".to_owned(), json!("t2"));
        event.remove("id");
    });
    let nameless = payment(time, |event| drop(event.remove("id")));
    let twice = br#"{"tenantid":"t1","tenantid":"t2"}"#;
    let long = payment(time, |event| {
        event.insert("more".to_owned(), json!("x".repeat(300 << 10)));
    });
    let avro = Record::new(5).text("a").text("t2").done();
    let cases: [(&str, &[u8], Option<u32>); 9] = [
        (PAYMENT, &foreign, None),
        (PAYMENT, &nameless, Some(1)),
        (PAYMENT, twice, None),
        (PAYMENT, &long, None),
        (PAYMENT, &avro, None),
        (PAYMENT, b"\0\0\0\0", Some(1)),
        ("t.acme.unheard_of", &nameless, Some(1)),
        ("t.acme.unheard_of", &foreign, None),
        ("t.acme.unheard_of", &avro, None),
    ];
    for partition in [(0, 1), (-1, 3)] {
        let mut translator = translator(&runtime, partition, EventRegistry::builtin(), None);
        for (topic, value, whose) in cases {
            let messages = [message(topic, 0, value)];
            let now = moment("2024-06-01T00:00:00Z");
            let translated = translator.translate(&messages, &BTreeSet::new(), now).unwrap();
            let [letter] = translated.letters.as_slice() else { panic!("{topic} is an event") };
            assert_eq!(letter.tenant, whose.map(Tenant), "{partition:?} {}", letter.reason);
        }
    }
}

#[test]
fn a_time_is_judged_alike_whenever_the_message_is_read() {
    let runtime = runtime();
    let mut translator = translator(&runtime, (0, 1), EventRegistry::builtin(), None);
    let written = moment("2024-06-01T00:00:00Z");
    let mut is_event = |time: &str, timestamp: i64, now: &str| {
        let value = payment(time, |_| {});
        let messages = [Message { timestamp, ..message(PAYMENT, 0, &value) }];
        let translated = translator.translate(&messages, &BTreeSet::new(), moment(now)).unwrap();
        translated.letters.is_empty()
    };
    let at = written.timestamp_millis();
    for now in ["2024-06-01T00:00:01Z", "2024-06-01T05:00:00Z", "2025-01-01T00:00:00Z"] {
        assert!(!is_event("2024-06-02T01:00:00Z", at, now), "25 hours ahead, read at {now}");
        assert!(is_event("2024-06-01T23:00:00Z", at, now), "23 hours ahead, read at {now}");
    }
    // Without a timestamp, or with one that has not come yet, there is the wall clock alone.
    for timestamp in [0, -1, moment("2030-01-01T00:00:00Z").timestamp_millis()] {
        assert!(!is_event("2024-06-02T01:00:00Z", timestamp, "2024-06-01T00:00:00Z"));
        assert!(is_event("2024-06-02T01:00:00Z", timestamp, "2024-06-01T05:00:00Z"));
    }
}

#[test]
fn what_only_a_header_says_is_kept_in_the_letter() {
    let runtime = runtime();
    let mut translator = translator(&runtime, (0, 1), EventRegistry::builtin(), None);
    let time = "2024-05-31T00:00:00Z";
    let good = [b" ", payment(time, |_| {}).as_slice()].concat();
    let bad = [b" ", payment(time, |event| drop(event.remove("id"))).as_slice()].concat();
    let now = moment("2024-06-01T00:00:00Z");
    let messages =
        [&good, &bad].map(|value| Message { is_json: true, ..message(PAYMENT, 0, value) });
    let translated = translator.translate(&messages, &BTreeSet::new(), now).unwrap();
    let [letter] = translated.letters.as_slice() else { panic!("{:?}", translated.letters) };
    assert!(letter.is_json && letter.reason.starts_with("id is missing"), "{letter:?}");
    // Without the header it is none.
    let messages = [message(PAYMENT, 0, &good)];
    let translated = translator.translate(&messages, &BTreeSet::new(), now).unwrap();
    assert!(!translated.letters[0].is_json);
}
