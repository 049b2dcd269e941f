//! Values of Kafka in Avro: whatever bytes stand there, under whatever schema, they are a row that
//! is whole or are refused with a reason.
//!
//! The first byte draws the event type. If the second is even, the rest is a record under the type's
//! own schema; otherwise a schema, a zero byte, and a record under that.
#![no_main]

use std::sync::{Arc, LazyLock};

use arrow::array::Array;
use chrono::{DateTime, Utc};
use ingest::Sender;
use ingest::fuzzing::read_avro;
use libfuzzer_sys::fuzz_target;
use projections::{EventType, EventTypes, Tenant};
use serde_json::{Value, json};

/// The built-in types, with a schema that a producer would write their events with.
static TYPES: LazyLock<Vec<(Arc<EventType>, String)>> = LazyLock::new(|| {
    EventTypes::builtin().iter().map(|kind| (Arc::clone(kind), record(kind))).collect()
});

static SENDER: LazyLock<Sender> = LazyLock::new(|| Sender {
    tenant: Tenant(7),
    tenant_id: "acme".to_owned(),
    currency: "EUR".to_owned(),
    events_clock: None,
});

/// The data fields of the type, behind those that every record has.
fn record(kind: &EventType) -> String {
    let mut schema = ingest::avro(kind);
    let micros = json!({"type": "long", "logicalType": "timestamp-micros"});
    let mut fields = vec![
        json!({"name": "event_id", "type": "string"}),
        json!({"name": "tenant_id", "type": "string"}),
        json!({"name": "occurred_at", "type": micros}),
    ];
    fields.extend(schema["fields"].as_array().cloned().unwrap_or_default());
    schema["fields"] = Value::Array(fields);
    schema.to_string()
}

fuzz_target!(
    // What the library of Avro gives up on with a panic is refused: it must not end the search.
    init: drop(std::panic::take_hook()),
    |data: &[u8]| {
        let [kind, own, rest @ ..] = data else { return };
        let (kind, schema) = &TYPES[usize::from(*kind) % TYPES.len()];
        if own % 2 == 0 {
            check(schema, kind, rest);
        } else if let Some(end) = rest.iter().position(|byte| *byte == 0) {
            if let Ok(schema) = std::str::from_utf8(&rest[..end]) {
                check(schema, kind, &rest[end + 1..]);
            }
        }
    }
);

fn check(schema: &str, kind: &Arc<EventType>, record: &[u8]) {
    let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().expect("a moment");
    let read = || read_avro(schema, kind, &SENDER, record, now);
    let Ok(row) = read() else { return };
    assert_eq!(row.num_rows(), 1);
    for column in row.columns() {
        column.to_data().validate_full().expect("a column that is whole");
    }
    for (field, column) in kind.relation().fields().iter().zip(row.columns()) {
        assert!(field.is_nullable() || column.null_count() == 0, "{} is null", field.name());
    }
    assert_eq!(read().expect("the same again"), row);
}
