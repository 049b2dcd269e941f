#![allow(clippy::unwrap_used)]

use serde_json::json;
use tenancy::AlertState;

use super::*;

/// An alert of these columns (with their types), subject and details.
fn alert(columns: &[(&str, &str)], subject: &Value, details: &Value) -> StoredAlert {
    let column = |(name, kind): &(&str, &str)| json!({ "name": name, "type": kind });
    let columns: Vec<Value> = columns.iter().map(column).collect();
    StoredAlert {
        id: "a".to_owned(),
        rule_id: "r".to_owned(),
        subject: subject.to_string(),
        details: details.to_string(),
        columns: Value::from(columns).to_string(),
        title: String::new(),
        severity: String::new(),
        state: AlertState::Open,
        sequence: 1,
        fired_at: DateTime::UNIX_EPOCH,
        cleared_at: None,
        acknowledged_by: None,
        acknowledged_at: None,
        snoozed_until: None,
    }
}

fn words(columns: &[(&str, &str)], subject: &Value, details: &Value) -> Words {
    Words::of(&alert(columns, subject, details), Tz::Europe__Berlin)
}

const BUDGET: [(&str, &str); 6] = [
    ("project_id", "text"),
    ("currency", "text"),
    ("budget", "decimal"),
    ("spent", "decimal"),
    ("used", "decimal"),
    ("exceeded", "bool"),
];

#[test]
fn amounts_have_their_currency_and_no_zeros_that_say_nothing() {
    let subject = json!({ "currency": "EUR", "project_id": "P1" });
    let details = json!({
        "budget": "16000.0000", "spent": "16000.1250", "used": "1.0001", "exceeded": true,
    });
    let words = words(&BUDGET, &subject, &details);
    // In the order of the columns, whatever the order of the members.
    assert_eq!(words.subject, ["project P1", "currency EUR"]);
    let said = ["budget 16000.00 EUR", "spent 16000.125 EUR", "used 100.01%", "exceeded yes"];
    assert_eq!(words.details, said);
    assert_eq!(
        words.sentence("Alert: Budget exceeded"),
        "Alert: Budget exceeded: project P1, currency EUR; budget 16000.00 EUR, \
         spent 16000.125 EUR, used 100.01%, exceeded yes."
    );
}

#[test]
fn a_decimal_that_is_no_amount_has_no_currency() {
    let columns = [("owed", "decimal"), ("on_hand", "decimal"), ("share", "decimal")];
    let row = json!({ "owed": "12000.5000", "on_hand": "5.0000", "share": "0.25000000" });
    assert_eq!(
        words(&columns, &row, &json!({})).subject,
        ["owed 12000.5", "on hand 5", "share 0.25"]
    );
    let currency = json!({ "currency": "EUR" });
    assert_eq!(
        words(&columns, &row, &currency).subject,
        ["owed 12000.50 EUR", "on hand 5", "share 0.25"]
    );
}

#[test]
fn a_share_is_said_in_hundredths() {
    for (share, said) in [
        ("0.0000", "0%"),
        ("0.0500", "5%"),
        ("-0.1250", "-12.5%"),
        ("1.2408", "124.08%"),
        ("12.3456", "1234.56%"),
        ("3", "300%"),
        ("0.5", "50%"),
    ] {
        assert_eq!(percent(share), said, "{share}");
    }
}

#[test]
fn days_and_moments_are_those_of_the_tenant() {
    let columns = [("due_date", "date"), ("failed_at", "timestamp"), ("days_overdue", "int")];
    let row = json!({
        "due_date": "2025-06-01", "failed_at": "2025-06-30T22:05:00.123Z", "days_overdue": 75,
    });
    assert_eq!(
        words(&columns, &row, &json!({})).subject,
        ["due date 1 Jun 2025", "failed at 1 Jul 2025, 00:05 CEST", "days overdue 75"]
    );
}

#[test]
fn text_is_what_it_is_on_one_line_and_what_is_null_is_not_said() {
    let columns = [("customer_id", "text"), ("bucket", "text"), ("margin", "decimal")];
    // Texts that look like something else.
    let row = json!({ "customer_id": "0012.5000\r\nowed 0", "bucket": "d61_90", "margin": null });
    assert_eq!(
        words(&columns, &row, &json!({})).subject,
        ["customer 0012.5000  owed 0", "bucket 61 to 90 days overdue"]
    );
    let words = words(&[], &json!({}), &json!({}));
    assert_eq!(words.sentence("Cleared: Too much"), "Cleared: Too much.");
}

#[test]
fn an_alert_of_before_its_columns_were_kept_says_its_values_as_they_are() {
    let mut old = alert(&[], &json!({ "project_id": "P1" }), &json!({ "spent": "120.5000" }));
    assert_eq!(Words::of(&old, Tz::UTC).details, ["spent 120.5000"]);
    old.columns = "what is this".to_owned();
    assert_eq!(Words::of(&old, Tz::UTC).subject, ["project P1"]);
}
