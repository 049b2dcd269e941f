#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod properties;

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, Utc};
use projections::{EventTypes, Tenant};
use serde_json::{Value, json};

use super::{BodyError, Decoded, Sender, decode};
use crate::{Format, Limits};

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn sender() -> Sender {
    Sender {
        tenant: Tenant(7),
        tenant_id: "acme".to_owned(),
        currency: "EUR".to_owned(),
        events_clock: None,
    }
}

fn read_with(limits: &Limits, format: Format, body: &[u8]) -> Result<Decoded, BodyError> {
    decode(&EventTypes::builtin(), limits, &sender(), format, body, now())
}

fn read(format: Format, body: &[u8]) -> Result<Decoded, BodyError> {
    read_with(&Limits::default(), format, body)
}

/// One event as a line; its only reason, or its only batch.
fn one(event: &str) -> Result<RecordBatch, String> {
    let mut decoded = read(Format::Ndjson, event.as_bytes()).unwrap();
    match (decoded.batches.pop(), decoded.rejected.pop()) {
        (Some(batch), None) if decoded.batches.is_empty() => Ok(batch.rows),
        (None, Some(rejected)) => Err(rejected.reason),
        other => panic!("{other:?}"),
    }
}

fn bill() -> Value {
    json!({
        "specversion": "1.0", "id": "b-1", "source": "/purchasing", "type": "purchasing.bill_received",
        "time": "2024-05-31T14:30:00.25+02:00", "tenantid": "acme", "subject": "B1",
        "data": {"bill_id": "B1", "supplier_id": "S1", "issue_date": "2024-05-31", "due_date": "2024-06-30",
                 "amount": "12.50", "currency": "USD"}
    })
}

/// The bill with one attribute replaced.
fn with(name: &str, value: Value) -> String {
    let mut event = bill();
    event[name] = value;
    event.to_string()
}

fn without(name: &str) -> String {
    let mut event = bill();
    event.as_object_mut().unwrap().remove(name);
    event.to_string()
}

fn with_field(name: &str, value: Value) -> String {
    let mut event = bill();
    event["data"][name] = value;
    event.to_string()
}

/// The bill with the raw text of one field's value.
fn with_raw_field(name: &str, raw: &str) -> String {
    with_field(name, json!("@@")).replace("\"@@\"", raw)
}

fn text<'a>(rows: &'a RecordBatch, column: &str) -> Option<&'a str> {
    let column = rows.column_by_name(column).unwrap().as_string::<i32>();
    column.is_valid(0).then(|| column.value(0))
}

fn assert_rejected(event: &str, parts: &[&str]) {
    let reason = one(event).expect_err(event);
    for part in parts {
        assert!(reason.contains(part), "«{reason}» lacks «{part}» for {event}");
    }
    assert!(reason.len() < 600, "the reason has {} bytes", reason.len());
}

#[test]
fn an_event_becomes_a_row() {
    let rows = one(&bill().to_string()).unwrap();
    assert_eq!(rows.num_rows(), 1);
    assert_eq!(text(&rows, "event_id"), Some("b-1"));
    assert_eq!(text(&rows, "subject"), Some("B1"));
    assert_eq!(text(&rows, "supplier_id"), Some("S1"));
    assert_eq!(text(&rows, "project_id"), None);
    assert_eq!(text(&rows, "currency"), Some("USD"));
    assert_eq!(text(&rows, "source"), Some("/purchasing"));
    assert_eq!(text(&rows, "extra"), None);
    let time =
        rows.column_by_name("occurred_at").unwrap().as_primitive::<TimestampMicrosecondType>();
    let expected: DateTime<Utc> = "2024-05-31T12:30:00.25Z".parse().unwrap();
    assert_eq!(time.value(0), expected.timestamp_micros());
    let due = rows.column_by_name("due_date").unwrap().as_primitive::<Date32Type>();
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    let days =
        NaiveDate::from_ymd_opt(2024, 6, 30).unwrap().signed_duration_since(epoch).num_days();
    assert_eq!(i64::from(due.value(0)), days);
    let amount = rows.column_by_name("amount").unwrap().as_primitive::<Decimal128Type>();
    assert_eq!(amount.value(0), 125_000);
}

#[test]
fn data_may_come_before_its_type_and_names_may_be_escaped() {
    let event = r#" {"data":{"entry\u005fid":"T1","hours":"1\u002e5"},"time":"2024-01-01T00:00:00\u002B01:00","type":"hr.time_\u0063orrected","source":"/hr","\u0069d":"\u00e9\n","specversion":"1.0"} "#;
    let rows = one(event).unwrap();
    assert_eq!(text(&rows, "event_id"), Some("é\n"));
    assert_eq!(text(&rows, "entry_id"), Some("T1"));
    let hours = rows.column_by_name("hours").unwrap().as_primitive::<Decimal128Type>();
    assert_eq!(hours.value(0), 15_000);
    let time =
        rows.column_by_name("occurred_at").unwrap().as_primitive::<TimestampMicrosecondType>();
    let expected: DateTime<Utc> = "2023-12-31T23:00:00Z".parse().unwrap();
    assert_eq!(time.value(0), expected.timestamp_micros());
}

#[test]
fn every_field_type_is_read() {
    let call = json!({"specversion": "1.0", "id": "c", "source": "/crm", "type": "crm.call_logged",
        "time": "2024-01-01T00:00:00Z",
        "data": {"call_id": "C", "user_id": "U", "disposition": "", "duration_s": -3}});
    let rows = one(&call.to_string()).unwrap();
    let seconds = rows.column_by_name("duration_s").unwrap().as_primitive::<Int64Type>();
    assert_eq!(seconds.value(0), -3);
    let rows = one(&call.to_string().replace("-3", "120.0")).unwrap();
    let seconds = rows.column_by_name("duration_s").unwrap().as_primitive::<Int64Type>();
    assert_eq!(seconds.value(0), 120);
    assert_rejected(
        &call.to_string().replace("-3", "1.5"),
        &["data.duration_s", "whole number", "1.5"],
    );
    assert_rejected(
        &call.to_string().replace("-3", "\"3\""),
        &["data.duration_s", "whole number", "text"],
    );
    assert_rejected(
        &call.to_string().replace("-3", "9223372036854775808"),
        &["data.duration_s", "64 bits"],
    );

    let check = json!({"specversion": "1.0", "id": "c", "source": "/g", "type": "governance.compliance_checked",
        "time": "2024-01-01T00:00:00Z", "data": {"check_id": "C", "rule": "R", "passed": true}});
    let rows = one(&check.to_string()).unwrap();
    assert!(rows.column_by_name("passed").unwrap().as_boolean().value(0));
    assert_rejected(
        &check.to_string().replace("true", "1"),
        &["data.passed", "true or false", "number 1"],
    );

    let request = json!({"specversion": "1.0", "id": "m", "source": "/p", "type": "property.maintenance_resolved",
        "time": "2024-01-01T00:00:00Z", "data": {"request_id": "R", "resolved_at": "1850-01-01T00:00:00+01:00"}});
    let rows = one(&request.to_string()).unwrap();
    let at = rows.column_by_name("resolved_at").unwrap().as_primitive::<TimestampMicrosecondType>();
    let expected: DateTime<Utc> = "1849-12-31T23:00:00Z".parse().unwrap();
    assert_eq!(at.value(0), expected.timestamp_micros());
    assert_rejected(&request.to_string().replace("+01:00", ""), &["data.resolved_at", "RFC 3339"]);
}

#[test]
fn a_missing_currency_is_the_tenants() {
    let mut event = bill();
    event["data"].as_object_mut().unwrap().remove("currency");
    assert_eq!(text(&one(&event.to_string()).unwrap(), "currency"), Some("EUR"));
    assert_eq!(text(&one(&with_field("currency", Value::Null)).unwrap(), "currency"), Some("EUR"));
    for wrong in ["usd", "US", "USDX", "", "U$D", "ÄÖÜ"] {
        assert_rejected(
            &with_field("currency", json!(wrong)),
            &["data.currency", "three capital letters"],
        );
    }
}

#[test]
fn what_goes_beyond_the_plain_is_kept() {
    let mut event = bill();
    event["traceparent"] = json!("00-\u{e9}");
    event["datacontenttype"] = json!("application/json");
    event["absent"] = Value::Null;
    event["data"]["note"] = json!({"lines": [1, 2.50, "x\"y"], "none": null});
    event["data"]["big"] = json!("@@");
    let event = event.to_string().replace("\"@@\"", "12345678901234567890.123456789");
    let rows = one(&event).unwrap();
    let extra: Value = serde_json::from_str(text(&rows, "extra").unwrap()).unwrap();
    assert_eq!(
        extra["attributes"],
        json!({"traceparent": "00-é", "datacontenttype": "application/json"})
    );
    assert_eq!(extra["data"]["note"], json!({"lines": [1, 2.50, "x\"y"], "none": null}));
    assert!(text(&rows, "extra").unwrap().contains("\"big\":12345678901234567890.123456789"));
    let only_null = with("absent", Value::Null);
    assert_eq!(text(&one(&only_null).unwrap(), "extra"), None);
}

#[test]
fn unknown_values_are_checked_too() {
    assert_rejected(&with_field("x", json!("a\0b")), &["data.x", "NUL"]);
    assert_rejected(&with_field("x", json!({"k\0": 1})), &["data.x", "NUL"]);
    assert_rejected(&with("x\0y", json!(1)), &["NUL"]);
    assert_rejected(&with_raw_field("x", r#""\ud800""#), &["data.x", "escape"]);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_rejected(&with_raw_field("x", &deep), &["data.x", "nested"]);
    let flat = format!("{}{}", "[".repeat(60), "]".repeat(60));
    assert!(one(&with_raw_field("x", &flat)).is_ok());
    assert_rejected(&with_field("x", json!(["y".repeat(70_000)])), &["data.x", "65536"]);
}

#[test]
fn envelopes_that_do_not_fit_are_rejected_by_name() {
    for name in ["id", "source", "type", "time", "specversion", "data"] {
        assert_rejected(&without(name), &[name, "missing", "expected"]);
        assert_rejected(&with(name, Value::Null), &[name, "expected"]);
    }
    for name in ["id", "source", "type", "time", "specversion", "tenantid", "subject"] {
        assert_rejected(&with(name, json!(5)), &[name, "expected", "the number 5"]);
        assert_rejected(&with(name, json!({})), &[name, "expected", "an object"]);
    }
    assert_rejected(&with("id", json!("")), &["id: ", "expected text"]);
    assert_rejected(&with("specversion", json!("0.3")), &["specversion", "1.0", "0.3"]);
    assert_rejected(&with("data", json!([])), &["data: ", "JSON object"]);
    assert_rejected(&with("data", json!("x")), &["data: ", "JSON object"]);
    assert!(one(&without("tenantid")).is_ok());
    assert!(one(&with("tenantid", Value::Null)).is_ok());
    assert!(one(&without("subject")).is_ok());
    let mut binary = bill();
    binary.as_object_mut().unwrap().remove("data");
    binary["data_base64"] = json!("AAAA");
    assert_rejected(&binary.to_string(), &["data_base64", "JSON object"]);
}

#[test]
fn a_foreign_tenant_is_rejected() {
    assert_rejected(&with("tenantid", json!("globex")), &["tenantid", "globex", "acme"]);
    assert_rejected(&with("tenantid", json!("ACME")), &["tenantid"]);
    assert_rejected(&with("tenantid", json!("")), &["tenantid"]);
}

#[test]
fn unknown_types_name_the_nearest() {
    assert_rejected(
        &with("type", json!("purchasing.bill_recieved")),
        &["type: ", "purchasing.bill_recieved", "did you mean \"purchasing.bill_received\"?"],
    );
    assert_rejected(
        &with("type", json!("weather.rain_fell_in_the_night")),
        &["type: ", "/v1/event-types"],
    );
    assert_rejected(&with("type", json!("x".repeat(60_000))), &["type: ", "…"]);
}

#[test]
fn times_out_of_bounds_are_rejected() {
    assert_rejected(&with("time", json!("1899-12-31T23:59:59Z")), &["time", "1900-01-01"]);
    assert!(one(&with("time", json!("1900-01-01T00:00:00Z"))).is_ok());
    assert!(one(&with("time", json!("2026-03-02T12:00:00Z"))).is_ok());
    assert_rejected(
        &with("time", json!("2026-03-02T12:00:00.000001Z")),
        &["time", "future", "2026-03-02T12:00:00Z"],
    );
    assert_rejected(&with("time", json!("2024-02-30T00:00:00Z")), &["time", "RFC 3339"]);
    assert_rejected(&with("time", json!("yesterday")), &["time", "RFC 3339", "yesterday"]);
}

#[test]
fn fields_that_do_not_fit_are_rejected_by_name() {
    assert_rejected(&with_field("amount", json!(true)), &["data.amount", "decimal", "true"]);
    assert_rejected(&with_field("amount", json!("12,50")), &["data.amount", "decimal", "12,50"]);
    assert_rejected(
        &with_field("amount", json!("12.50001")),
        &["data.amount", "4 decimal places", "12.50001"],
    );
    assert_rejected(&with_raw_field("amount", "0.00001"), &["data.amount", "4 decimal places"]);
    let large = "1".repeat(35);
    assert_rejected(&with_raw_field("amount", &large), &["data.amount", "too large", "34"]);
    assert_rejected(&with_field("amount", json!(large)), &["data.amount", "too large", "34"]);
    assert_rejected(&with_raw_field("amount", "1e400"), &["data.amount", "too large"]);
    assert_rejected(&with_field("amount", Value::Null), &["data.amount", "found null"]);
    assert_rejected(
        &with_field("due_date", json!("2023-02-29")),
        &["data.due_date", "YYYY-MM-DD", "2023-02-29"],
    );
    assert_rejected(&with_field("due_date", json!(20_230_201)), &["data.due_date", "YYYY-MM-DD"]);
    assert_rejected(&with_field("bill_id", json!(17)), &["data.bill_id", "text", "the number 17"]);
    assert_rejected(&with_field("bill_id", json!("a\0")), &["data.bill_id", "NUL"]);
    assert_rejected(
        &with_field("bill_id", json!("a".repeat(65_537))),
        &["data.bill_id", "65537", "65536"],
    );
    assert!(one(&with_field("bill_id", json!("a".repeat(65_536)))).is_ok());
    assert_rejected(&with_raw_field("bill_id", r#""\udc00""#), &["data.bill_id", "escape"]);
    let mut event = bill();
    event["data"].as_object_mut().unwrap().remove("amount");
    assert_rejected(&event.to_string(), &["data.amount is missing", "decimal"]);
}

#[test]
fn overlong_ids_and_events_are_rejected() {
    assert_rejected(&with("id", json!("i".repeat(65_537))), &["id: ", "65536"]);
    assert_rejected(&with("id", json!("a\0b")), &["id: ", "NUL"]);
    assert_rejected(&with_field("x", json!(vec!["y"; 100_000])), &["the event has", "262144"]);
}

#[test]
fn names_given_twice_are_rejected() {
    let twice = bill().to_string().replacen('{', r#"{"id":"b-2","#, 1);
    assert_rejected(&twice, &["id is given twice"]);
    let twice = with_field("x", json!(1)).replace("\"x\":1", "\"amount\":\"1\",\"x\":1");
    assert_rejected(&twice, &["data.amount is given twice"]);
    let twice = with_field("x", json!(1)).replace("\"x\":1", "\"x\":1,\"z\":2,\"x\":3");
    assert_rejected(&twice, &["data.x is given twice"]);
    let twice = with("x", json!(1)).replace("\"x\":1", "\"x\":1,\"y\":2,\"x\":3");
    assert_rejected(&twice, &["x is given twice"]);
}

#[test]
fn lines_that_are_bad_leave_the_others() {
    let good = bill().to_string();
    let mut body =
        format!("\u{feff}{good}\r\n\r\n   \nnot json\n{{\"id\":\n5\n{good}x\n").into_bytes();
    body.extend_from_slice(b"{\"id\":\"\xff\"}\n");
    body.extend_from_slice(good.as_bytes());
    let decoded = read(Format::Ndjson, &body).unwrap();
    assert_eq!(decoded.batches.len(), 1);
    assert_eq!(decoded.batches[0].rows.num_rows(), 2);
    let indices: Vec<usize> = decoded.rejected.iter().map(|r| r.index).collect();
    assert_eq!(indices, [1, 2, 3, 4, 5]);
    let reasons: Vec<&str> = decoded.rejected.iter().map(|r| r.reason.as_str()).collect();
    assert!(
        reasons[0].starts_with("not valid JSON: ") && reasons[0].contains("column"),
        "{}",
        reasons[0]
    );
    assert!(reasons[1].starts_with("not valid JSON: "), "{}", reasons[1]);
    assert!(reasons[2].contains("JSON object"), "{}", reasons[2]);
    assert!(reasons[3].starts_with("not valid JSON: "), "{}", reasons[3]);
    assert!(reasons[4].contains("UTF-8") && reasons[4].contains("byte 8"), "{}", reasons[4]);
}

#[test]
fn empty_bodies_hold_nothing_or_are_refused() {
    for (format, body) in [(Format::Ndjson, ""), (Format::Ndjson, "\n \r\n"), (Format::Batch, "[]")]
    {
        let decoded = read(format, body.as_bytes()).unwrap();
        assert!(decoded.batches.is_empty() && decoded.rejected.is_empty());
    }
    assert!(matches!(read(Format::Event, b""), Err(BodyError::Malformed(_))));
    assert!(matches!(read(Format::Batch, b""), Err(BodyError::Malformed(_))));
}

#[test]
fn a_single_event_is_taken_rejected_or_no_json() {
    let pretty = serde_json::to_string_pretty(&bill()).unwrap();
    assert_eq!(read(Format::Event, pretty.as_bytes()).unwrap().batches.len(), 1);
    let decoded = read(Format::Event, without("id").as_bytes()).unwrap();
    assert_eq!((decoded.batches.len(), decoded.rejected[0].index), (0, 0));
    let Err(BodyError::Malformed(reason)) = read(Format::Event, &pretty.as_bytes()[..60]) else {
        panic!("a cut event was taken");
    };
    assert!(reason.contains("not valid JSON") && reason.contains("line"), "{reason}");
    let Err(BodyError::Malformed(reason)) = read(Format::Event, b"{\"id\":\"\xc3\"}") else {
        panic!("invalid UTF-8 was taken");
    };
    assert!(reason.contains("UTF-8") && reason.contains("byte 8"), "{reason}");
}

#[test]
fn a_batch_is_taken_by_elements_and_refused_whole_if_it_is_no_json() {
    let good = bill().to_string();
    let body = format!("[{good}, 5, {}, {good}, null]", without("time"));
    let decoded = read(Format::Batch, body.as_bytes()).unwrap();
    assert_eq!(decoded.batches[0].rows.num_rows(), 2);
    let indices: Vec<usize> = decoded.rejected.iter().map(|r| r.index).collect();
    assert_eq!(indices, [1, 2, 4]);
    for broken in [
        format!("[{good}, {{]"),
        format!("[{good}"),
        format!("[{good}] x"),
        format!("[{good},]"),
        good,
    ] {
        let error = read(Format::Batch, broken.as_bytes()).unwrap_err();
        assert!(matches!(error, BodyError::Malformed(_)), "{error}");
    }
    let error = read(Format::Batch, b"{}").unwrap_err().to_string();
    assert!(error.contains("JSON array of events"), "{error}");
}

#[test]
fn bodies_over_a_limit_are_refused() {
    let limits = Limits { max_body: 10, ..Limits::default() };
    let error = read_with(&limits, Format::Ndjson, b"12345678901").unwrap_err();
    assert_eq!(error, BodyError::TooLarge { size: 11, limit: 10 });
    let limits = Limits { max_rejected: 2, ..Limits::default() };
    assert_eq!(read_with(&limits, Format::Ndjson, b"x\nx").unwrap().rejected.len(), 2);
    for (format, body) in [(Format::Ndjson, "x\nx\nx"), (Format::Batch, "[1,1,1]")] {
        let error = read_with(&limits, format, body.as_bytes()).unwrap_err();
        assert!(matches!(error, BodyError::TooManyRejected { limit: 2, .. }), "{error}");
        assert!(error.to_string().contains("number 0"), "{error}");
    }
}

#[test]
fn events_are_grouped_by_type_in_their_order() {
    let bill_of = |id: &str| with("id", json!(id));
    let other = r#"{"specversion":"1.0","id":"h","source":"/hr","type":"hr.time_corrected","time":"2024-01-01T00:00:00Z","data":{"entry_id":"T","hours":"1"}}"#;
    let body = [
        bill_of("1"),
        other.to_owned(),
        bill_of("2"),
        with_field("amount", json!("x")),
        bill_of("3"),
    ]
    .join("\n");
    let decoded = read(Format::Ndjson, body.as_bytes()).unwrap();
    let names: Vec<&str> = decoded.batches.iter().map(|b| b.event_type.name()).collect();
    assert_eq!(names, ["purchasing.bill_received", "hr.time_corrected"]);
    let ids = decoded.batches[0].rows.column(0).as_string::<i32>();
    assert_eq!(ids.iter().flatten().collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(decoded.rejected.len(), 1);
}
