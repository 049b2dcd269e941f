//! Bodies of events: whatever is sent, each event is taken exactly as it stands there or refused.
//! What was taken is read a second time here, by serde_json and by the digits of its numbers.
//!
//! The first byte says which of the three formats the others are.
#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Decimal128Type;
use chrono::{DateTime, Utc};
use ingest::{BodyError, Decoded, Format, Limits, Sender, decode};
use libfuzzer_sys::fuzz_target;
use projections::events::FieldType;
use projections::{EventTypes, Tenant};
use serde_json::value::RawValue;

static TYPES: LazyLock<EventTypes> = LazyLock::new(EventTypes::builtin);

static SENDER: LazyLock<Sender> = LazyLock::new(|| Sender {
    tenant: Tenant(7),
    tenant_id: "acme".to_owned(),
    currency: "EUR".to_owned(),
    events_clock: None,
});

fn read(format: Format, body: &[u8]) -> Result<Decoded, BodyError> {
    let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().expect("a moment");
    decode(&TYPES, &Limits::default(), &SENDER, format, body, now)
}

fuzz_target!(|data: &[u8]| {
    let Some((format, body)) = data.split_first() else { return };
    match format % 3 {
        0 => single(body),
        1 => lines(body),
        _ => batch(body),
    }
});

fn rows(decoded: &Decoded) -> usize {
    decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum()
}

/// One event is one row or one rejection.
fn single(body: &[u8]) {
    let Ok(decoded) = read(Format::Event, body) else { return };
    assert_eq!(rows(&decoded) + decoded.rejected.len(), 1);
    let Some(batch) = decoded.batches.first() else { return };
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let event: HashMap<String, &RawValue> = serde_json::from_slice(body).expect("JSON");
    let text = |name: &str| serde_json::from_str::<String>(event[name].get()).expect("text");
    assert_eq!(text("type"), batch.event_type.name());
    let id = batch.rows.column_by_name("event_id").expect("ids").as_string::<i32>();
    assert_eq!(text("id"), id.value(0));
    if let Some(tenant) = event.get("tenantid").filter(|tenant| tenant.get() != "null") {
        assert_eq!(tenant.get(), "\"acme\"", "another's event was taken");
    }
    let fields: HashMap<String, &RawValue> =
        serde_json::from_str(event["data"].get()).expect("an object");
    for field in batch.event_type.fields() {
        if field.kind == FieldType::Decimal {
            is_exact(&batch.rows, &field.name, fields.get(&field.name).copied());
        }
    }
}

/// Each line that is not blank is a row or a rejection; alone it is the same.
fn lines(body: &[u8]) {
    let Ok(decoded) = read(Format::Ndjson, body) else { return };
    let marked = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let lines: Vec<&[u8]> = marked
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
        .collect();
    assert_eq!(rows(&decoded) + decoded.rejected.len(), lines.len());
    let mut alone = 0;
    for line in lines {
        alone += read(Format::Ndjson, line).map_or(0, |decoded| rows(&decoded));
    }
    assert_eq!(rows(&decoded), alone, "lines are taken together that are not taken alone");
}

/// Each event of a batch is a row or a rejection.
fn batch(body: &[u8]) {
    let Ok(decoded) = read(Format::Batch, body) else { return };
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    // Half a pair of surrogates is JSON, if no text that could be read.
    let events: Vec<&RawValue> = serde_json::from_slice(body).expect("a list");
    assert_eq!(rows(&decoded) + decoded.rejected.len(), events.len());
}

/// Whether the only row holds the number that the text states.
fn is_exact(rows: &RecordBatch, name: &str, stated: Option<&RawValue>) {
    let column = rows.column_by_name(name).expect("the field's column");
    let column = column.as_primitive::<Decimal128Type>();
    let stated = stated.map(RawValue::get).filter(|text| *text != "null");
    let held = column.is_valid(0).then(|| column.value(0));
    match (held, stated) {
        (None, None) => {}
        (Some(held), Some(text)) => {
            let text = serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned());
            assert_eq!(digits(&format!("{held}e-4")), digits(&text), "{name}: {held} of {text}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// A number's sign, its digits without zeros at either end, and the power of ten of the last.
fn digits(text: &str) -> (bool, String, i64) {
    let (number, power) = match text.split_once(['e', 'E']) {
        Some((number, power)) => (number, power.parse::<i64>().expect("a power of ten")),
        None => (text, 0),
    };
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{places}");
    assert!(all.bytes().all(|byte| byte.is_ascii_digit()), "no number: {text}");
    let short = all.trim_end_matches('0');
    let power = power - places.len() as i64 + (all.len() - short.len()) as i64;
    let short = short.trim_start_matches('0').to_owned();
    if short.is_empty() { (false, short, 0) } else { (is_negative, short, power) }
}
