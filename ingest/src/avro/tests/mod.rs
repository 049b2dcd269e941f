#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Bodies are laid out here byte by byte from Avro's specification, so that what reads them is
//! held against something else than itself.

pub(crate) mod bytes;
mod evolution;

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use projections::{EventType, EventTypes, Tenant};
use serde_json::{Value, json};

use self::bytes::Record;
use super::decoder::Outcome;
use super::*;
use crate::{Limits, Sender};

const PAYMENT: &str = "invoicing.payment_received";
/// 2024-05-31T14:30:00Z.
const MOMENT: i64 = 1_717_165_800_000_000;

fn sender(name: &str) -> Sender {
    Sender {
        tenant: Tenant(7),
        tenant_id: name.to_owned(),
        currency: "EUR".to_owned(),
        events_clock: None,
    }
}

fn builtin(name: &str) -> Arc<EventType> {
    Arc::clone(EventTypes::builtin().get(name).unwrap())
}

fn decimal() -> Value {
    json!({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2})
}

fn micros() -> Value {
    json!({"type": "long", "logicalType": "timestamp-micros"})
}

/// The fields that every record has, then those given.
fn schema(fields: &[(&str, Value)]) -> String {
    let head =
        [("event_id", json!("string")), ("tenant_id", json!("string")), ("occurred_at", micros())];
    let fields: Vec<Value> = (head.iter().chain(fields))
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect();
    json!({"type": "record", "name": "payment", "namespace": "x", "fields": fields}).to_string()
}

/// A schema of payments.
fn payments() -> String {
    schema(&[
        ("payment_id", json!("string")),
        ("invoice_id", json!("string")),
        ("amount", decimal()),
        ("currency", json!(["null", "string"])),
        ("paid_on", json!({"type": "int", "logicalType": "date"})),
    ])
}

/// A payment of 12.50 on 2024-05-31.
fn payment(id: &str, tenant: &str) -> Vec<u8> {
    Record::new(3)
        .text(id)
        .text(tenant)
        .long(MOMENT)
        .text("P1")
        .text("I1")
        .bytes(&[0x04, 0xe2])
        .long(0)
        .long(19_874)
        .done()
}

fn read(schema: &str, event_type: &Arc<EventType>, bodies: &[Vec<u8>]) -> Outcome {
    read_as(schema, event_type, bodies, &sender("acme"))
}

fn read_as(
    schema: &str,
    event_type: &Arc<EventType>,
    bodies: &[Vec<u8>],
    sender: &Sender,
) -> Outcome {
    let mut decoder = AvroDecoder::new(3, schema, event_type).unwrap();
    read_with(&mut decoder, bodies, sender)
}

fn read_with(decoder: &mut AvroDecoder, bodies: &[Vec<u8>], sender: &Sender) -> Outcome {
    let limits = Limits::default();
    let moment: DateTime<Utc> = "2024-06-01T00:00:00Z".parse().unwrap();
    let bodies: Vec<Body<'_>> = bodies.iter().map(|bytes| Body { bytes, sender, moment }).collect();
    decoder.read(&bodies, &limits).unwrap()
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> &'a dyn Array {
    rows.column_by_name(name).unwrap()
}

fn text(rows: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = column(rows, name).as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn reasons(outcome: &Outcome) -> Vec<(usize, &str)> {
    outcome.refused.iter().map(|(place, refusal)| (*place, refusal.reason.as_str())).collect()
}

#[test]
fn a_record_is_an_event() {
    let outcome =
        read(&payments(), &builtin(PAYMENT), &[payment("a", "acme"), payment("b", "acme")]);
    assert_eq!((outcome.taken.as_slice(), reasons(&outcome)), (&[0, 1][..], vec![]));
    let rows = &outcome.rows;
    assert_eq!(text(rows, "event_id", 1).as_deref(), Some("b"));
    assert_eq!(
        column(rows, "occurred_at").as_primitive::<TimestampMicrosecondType>().value(0),
        MOMENT
    );
    assert_eq!(text(rows, "subject", 0), None);
    assert_eq!(column(rows, "amount").as_primitive::<Decimal128Type>().value(0), 125_000);
    assert_eq!(text(rows, "currency", 0).as_deref(), Some("EUR"), "the tenant's");
    assert_eq!(column(rows, "paid_on").as_primitive::<Date32Type>().value(0), 19_874);
    assert_eq!(text(rows, "source", 0).as_deref(), Some("/invoicing"));
    assert_eq!(text(rows, "extra", 0), None);
}

#[test]
fn broken_bodies_cost_themselves_alone() {
    let whole = payment("a", "acme");
    let mut bodies = vec![whole.clone()];
    // Cut at every place behind the prefix.
    bodies.extend((PREFIX..whole.len()).map(|length| whole[..length].to_vec()));
    bodies.push([whole.as_slice(), &[0]].concat());
    // A second record behind the first one.
    bodies.push([whole.as_slice(), whole.as_slice()].concat());
    bodies.push(Record::new(3).long(-1).done());
    bodies.push(Record::new(3).long(i64::MAX).done());
    bodies.push(
        Record::new(3)
            .bytes(&[0xff, 0xfe])
            .text("acme")
            .long(MOMENT)
            .text("P")
            .text("I")
            .bytes(&[1])
            .long(0)
            .long(1)
            .done(),
    );
    // A branch that the union does not have.
    bodies.push(
        Record::new(3)
            .text("u")
            .text("acme")
            .long(MOMENT)
            .text("P")
            .text("I")
            .bytes(&[1])
            .long(7)
            .long(1)
            .done(),
    );
    bodies.push(payment("z", "acme"));
    let outcome = read(&payments(), &builtin(PAYMENT), &bodies);
    assert_eq!(outcome.taken, [0, bodies.len() - 1], "{:?}", reasons(&outcome));
    assert_eq!(outcome.refused.len(), bodies.len() - 2);
    for (place, reason) in reasons(&outcome) {
        assert!(reason.starts_with("the value does not match its schema 3: "), "{place}: {reason}");
    }
    assert_eq!(outcome.rows.num_rows(), 2);
    assert_eq!(text(&outcome.rows, "event_id", 1).as_deref(), Some("z"));
}

#[test]
fn a_reader_goes_on_after_a_broken_body() {
    let mut decoder = AvroDecoder::new(3, &payments(), &builtin(PAYMENT)).unwrap();
    let sender = sender("acme");
    for round in 0..3 {
        let broken = payment("x", "acme")[..20].to_vec();
        let outcome = read_with(&mut decoder, &[broken, payment("a", "acme")], &sender);
        assert_eq!(outcome.taken, [1], "round {round}");
        let outcome = read_with(&mut decoder, &[payment("b", "acme")], &sender);
        assert_eq!(text(&outcome.rows, "event_id", 0).as_deref(), Some("b"));
    }
}

#[test]
fn rows_are_checked_as_those_of_http_are() {
    let make =
        |id: &str, tenant: &str, time: i64, amount: &[u8], currency: Option<&str>, day: i64| {
            let record =
                Record::new(3).text(id).text(tenant).long(time).text("P1").text("I1").bytes(amount);
            match currency {
                Some(code) => record.long(1).text(code),
                None => record.long(0),
            }
            .long(day)
            .done()
        };
    let long = "x".repeat((64 << 10) + 1);
    let bodies = [
        make("a", "globex", MOMENT, &[1], None, 1),
        make("", "acme", MOMENT, &[1], None, 1),
        make("a\0b", "acme", MOMENT, &[1], None, 1),
        make(&long, "acme", MOMENT, &[1], None, 1),
        make("c", "acme", -3_000_000_000_000_000, &[1], None, 1),
        make("d", "acme", MOMENT + 3 * 86_400_000_000, &[1], None, 1),
        make("e", "acme", MOMENT, &[1], Some("eur"), 1),
        make("f", "acme", MOMENT, &[1], Some("USD"), 1),
        make("g", "acme", MOMENT, &[1], None, 3_000_000),
    ];
    let outcome = read(&payments(), &builtin(PAYMENT), &bodies);
    assert_eq!(outcome.taken, [7]);
    assert_eq!(text(&outcome.rows, "currency", 0).as_deref(), Some("USD"));
    let reasons = reasons(&outcome);
    let expected = [
        "tenant_id: \"globex\" is not the tenant of the key: expected \"acme\"",
        "event_id: expected text, found none in it",
        "event_id: text with NUL is not taken",
        "event_id: the text has 65537 bytes, and at most 65536 are taken",
        "occurred_at: 1874-12-07T18:40:00Z is too early: expected 1900-01-01 or later",
        "occurred_at: 2024-06-03T14:30:00Z lies in the future: expected at most 2024-06-02T00:00:00Z",
        "currency: expected an ISO 4217 code of three capital letters, found \"eur\"",
        "paid_on: expected a date from 0001 to 9999",
    ];
    assert_eq!(reasons.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), expected);
    let foreign: Vec<bool> =
        outcome.refused.iter().map(|(_, fault)| fault.may_be_foreign).collect();
    assert_eq!(foreign, [true, false, false, false, false, false, false, false]);
}

#[test]
fn a_prefix_is_told() {
    assert_eq!(schema_id(&[0, 0, 0, 1, 2, 9]), Ok(258));
    assert!(schema_id(&[0, 1, 2]).unwrap_err().contains("cut short"));
    assert!(schema_id(&[]).unwrap_err().contains("empty"));
    assert!(schema_id(b"<xml>").unwrap_err().contains("0x3c"));
}
