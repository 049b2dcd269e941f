//! Lines of events, one thing wrong with each, and words that the reason must have.

use serde_json::{Value, json};

use crate::service::{event, invoice, payment};

/// A line and what must be said about it.
pub(crate) struct Bad {
    pub(crate) line: Vec<u8>,
    pub(crate) words: &'static [&'static str],
}

fn bad(line: impl Into<Vec<u8>>, words: &'static [&'static str]) -> Bad {
    Bad { line: line.into(), words }
}

/// A good invoice with some members of the envelope replaced, or taken away where null.
fn envelope(changes: &Value) -> String {
    let mut event = invoice("x", "c", "1");
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            event.as_object_mut().unwrap().remove(name);
        } else {
            event[name] = value.clone();
        }
    }
    event.to_string()
}

/// A good invoice with some of its data replaced.
fn data(changes: &Value) -> String {
    let mut event = invoice("x", "c", "1");
    for (name, value) in changes.as_object().unwrap() {
        event["data"][name] = value.clone();
    }
    event.to_string()
}

/// What no line of JSON can be, or JSON that is no event.
pub(crate) fn malformed() -> Vec<Bad> {
    let good = invoice("x", "c", "1").to_string();
    let mut invalid_utf8 = good.clone().into_bytes();
    let place = good.find("\"c\"").unwrap() + 1;
    invalid_utf8[place] = 0xff;
    vec![
        bad("nonsense", &["JSON"]),
        bad("{", &["JSON"]),
        bad(&good[..good.len() - 1], &["JSON"]),
        bad(format!("{good}}}"), &["JSON"]),
        bad(good.replace(':', " "), &["JSON"]),
        bad(invalid_utf8, &["UTF-8"]),
        bad("[]", &["object"]),
        bad("null", &["object"]),
        bad("17", &["object"]),
        bad("\"event\"", &["object"]),
        bad("[".repeat(100_000), &[]),
        bad(format!("{{\"data\":{}", "[{\"a\":".repeat(50_000)), &[]),
    ]
}

/// Envelopes that do not hold.
pub(crate) fn envelopes() -> Vec<Bad> {
    vec![
        bad("{}", &[]),
        bad(envelope(&json!({ "id": null })), &["id"]),
        bad(envelope(&json!({ "id": "" })), &["id"]),
        bad(envelope(&json!({ "id": 7 })), &["id"]),
        bad(envelope(&json!({ "id": "i".repeat(70_000) })), &["id"]),
        bad(envelope(&json!({ "id": "a\u{0}b" })), &["id", "NUL"]),
        bad(envelope(&json!({ "source": null })), &["source"]),
        bad(envelope(&json!({ "type": null })), &["type"]),
        bad(
            envelope(&json!({ "type": "invoicing.invoice_isued" })),
            &["invoicing.invoice_isued", "invoicing.invoice_issued"],
        ),
        bad(envelope(&json!({ "type": "no.such" })), &["no.such"]),
        bad(envelope(&json!({ "specversion": "0.3" })), &["specversion", "1.0"]),
        bad(envelope(&json!({ "time": null })), &["time"]),
        bad(envelope(&json!({ "time": "yesterday" })), &["time"]),
        bad(envelope(&json!({ "time": "2025-02-30T00:00:00Z" })), &["time"]),
        bad(envelope(&json!({ "time": "2025-02-03T00:00:00" })), &["time"]),
        bad(envelope(&json!({ "time": "1899-12-31T23:59:59Z" })), &["time", "1900-01-01"]),
        bad(envelope(&json!({ "time": "9999-01-01T00:00:00Z" })), &["time"]),
        bad(envelope(&json!({ "tenantid": "neighbour" })), &["tenantid"]),
        bad(envelope(&json!({ "tenantid": "nobody" })), &["tenantid"]),
        bad(envelope(&json!({ "data": null })), &["data"]),
        bad(envelope(&json!({ "data": [1] })), &["data"]),
        bad(envelope(&json!({ "data": "text" })), &["data"]),
        bad(
            invoice("x", "c", "1").to_string().replacen("\"id\":", "\"id\":\"y\",\"id\":", 1),
            &["id"],
        ),
        bad(envelope(&json!({ "extension": "e".repeat(300 << 10) })), &["262144"]),
    ]
}

/// Data that does not fit its type.
pub(crate) fn fields() -> Vec<Bad> {
    let time = |changes: &Value| {
        let mut entry = json!({
            "entry_id": "t", "employee_id": "e", "work_date": "2025-06-01", "hours": "1",
            "billable": true,
        });
        for (name, value) in changes.as_object().unwrap() {
            entry[name] = value.clone();
        }
        event("hr.time_logged", "x", &entry).to_string()
    };
    let call = |seconds: &Value| {
        let call = json!({
            "call_id": "k", "user_id": "u", "disposition": "d", "duration_s": seconds,
        });
        event("crm.call_logged", "x", &call).to_string()
    };
    vec![
        bad(data(&json!({ "invoice_id": null })), &["invoice_id"]),
        bad(data(&json!({ "customer_id": 7 })), &["customer_id"]),
        bad(data(&json!({ "customer_id": "c".repeat(70_000) })), &["customer_id"]),
        bad(data(&json!({ "customer_id": "a\u{0}" })), &["customer_id", "NUL"]),
        bad(data(&json!({ "due_date": "2025-02-29" })), &["due_date"]),
        bad(data(&json!({ "due_date": "2025-13-01" })), &["due_date"]),
        bad(data(&json!({ "due_date": "01.02.2025" })), &["due_date", "YYYY-MM-DD"]),
        bad(data(&json!({ "due_date": 20_250_201 })), &["due_date"]),
        bad(data(&json!({ "amount": "ten" })), &["amount"]),
        bad(data(&json!({ "amount": "" })), &["amount"]),
        bad(data(&json!({ "amount": "NaN" })), &["amount"]),
        bad(data(&json!({ "amount": "1,50" })), &["amount"]),
        bad(data(&json!({ "amount": true })), &["amount"]),
        bad(data(&json!({ "amount": {} })), &["amount"]),
        bad(data(&json!({ "amount": "0.00001" })), &["amount", "4"]),
        bad(data(&json!({ "amount": "10000000000000000000000000000000000" })), &["amount", "34"]),
        bad(data(&json!({ "amount": "-10000000000000000000000000000000000" })), &["amount", "34"]),
        bad(data(&json!({ "amount": "1e34" })), &["amount", "34"]),
        bad(data(&json!({ "amount": "1e999999999999" })), &["amount"]),
        bad(data(&json!({ "amount": "9".repeat(60_000) })), &["amount"]),
        bad(data(&json!({ "currency": "euro" })), &["currency"]),
        bad(data(&json!({ "currency": "eur" })), &["currency"]),
        bad(
            invoice("x", "c", "1").to_string().replacen(
                "\"amount\":",
                "\"amount\":\"2\",\"amount\":",
                1,
            ),
            &["amount"],
        ),
        bad(time(&json!({ "billable": "yes" })), &["billable"]),
        bad(time(&json!({ "billable": 1 })), &["billable"]),
        bad(time(&json!({ "hours": null })), &["hours"]),
        bad(call(&json!(1.5)), &["duration_s"]),
        bad(call(&json!("60")), &["duration_s"]),
        bad(
            call(&json!(1)).replace("\"duration_s\":1", "\"duration_s\":9223372036854775808"),
            &["duration_s"],
        ),
        bad(event("invoicing.invoice_voided", "x", &json!({})).to_string(), &["invoice_id"]),
        bad(payment("x", "i", "0.12345").to_string(), &["amount"]),
    ]
}
