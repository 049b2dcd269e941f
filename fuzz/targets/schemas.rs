//! Schemas of event types: what is taken can be written and read again as the same fields, and its
//! events can be decoded.
#![no_main]

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use ingest::{Format, Growth, Limits, Sender, TypeLimits, compare, decode, fields};
use libfuzzer_sys::fuzz_target;
use projections::{EventType, EventTypes, Tenant};

static SENDER: LazyLock<Sender> = LazyLock::new(|| Sender {
    tenant: Tenant(7),
    tenant_id: "acme".to_owned(),
    currency: "EUR".to_owned(),
    events_clock: None,
});

fuzz_target!(|text: &str| {
    let limits = TypeLimits::default();
    let Ok(read) = fields(text, &limits) else { return };
    let kind = EventType::new("acme.made", read.clone());
    let again = fields(&ingest::avro(&kind).to_string(), &limits).expect("what it is written as");
    assert_eq!(compare(&read, &again), Growth::Same);

    let types = EventTypes::builtin().with(kind);
    let event = r#"{"specversion":"1.0","id":"1","source":"/a","type":"acme.made","time":"2024-01-01T00:00:00Z","data":{}}"#;
    let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().expect("a moment");
    let decoded = decode(&types, &Limits::default(), &SENDER, Format::Event, event.as_bytes(), now);
    let decoded = decoded.expect("a body of its format");
    let is_taken = decoded.rejected.is_empty();
    assert_eq!(is_taken, read.iter().all(|field| field.optional), "{:?}", decoded.rejected);
});
