//! Facts as CloudEvents, and rows of JSON as text.

use serde_json::{Map, Value as Json, json};

use crate::history::{Fact, Value};

/// A body with these facts and its content type: lines or an array by turns.
pub(crate) fn body(facts: &[&Fact], turn: usize) -> (&'static str, Vec<u8>) {
    let events: Vec<String> = facts.iter().map(|fact| event(fact).to_string()).collect();
    if turn.is_multiple_of(2) {
        ("application/x-ndjson", events.join("\n").into_bytes())
    } else {
        ("application/cloudevents-batch+json", format!("[{}]", events.join(",")).into_bytes())
    }
}

/// A fact as a CloudEvent.
pub(crate) fn event(fact: &Fact) -> Json {
    let data: Map<String, Json> = fact
        .kind
        .fields()
        .iter()
        .zip(&fact.values)
        .filter(|(_, value)| **value != Value::Null)
        .map(|(field, value)| (field.name.clone(), json(value)))
        .collect();
    json!({
        "specversion": "1.0",
        "id": fact.id,
        "source": format!("/{}", fact.kind.module()),
        "type": fact.kind.name(),
        "time": instant(fact.occurred_at),
        "data": data,
    })
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => json!(text),
        Value::Decimal(units) => {
            let sign = if *units < 0 { "-" } else { "" };
            let units = units.unsigned_abs();
            json!(format!("{sign}{}.{:04}", units / 10_000, units % 10_000))
        }
        Value::Date(days) => json!(chrono::NaiveDate::from_epoch_days(*days).unwrap().to_string()),
        Value::Instant(micros) => json!(instant(*micros)),
        Value::Int(number) => json!(number),
        Value::Bool(truth) => json!(truth),
    }
}

fn instant(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339()
}

/// The rows of an answer as the oracle writes them, in the order of their text.
pub(crate) fn in_order(answer: &Json) -> Vec<String> {
    assert!(answer["next"].is_null(), "there are more rows than a page has");
    let value = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let row =
        |row: &Json| row.as_array().unwrap().iter().map(value).collect::<Vec<_>>().join(" | ");
    let mut rows: Vec<String> = answer["rows"].as_array().unwrap().iter().map(row).collect();
    rows.sort_unstable();
    rows
}
