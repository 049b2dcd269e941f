//! One tenant's bad value is that tenant's alone.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::Int64Type;

use crate::{EventBatch, EventTypes, Input, Partition, Tenant, ViewDefinition};

/// `invoicing.invoice_voided` events: tenant, invoice and reason of each.
fn voided(events: &[(u32, &str, &str)]) -> Input {
    let event_type = EventTypes::builtin().get("invoicing.invoice_voided").unwrap().clone();
    let text = |column: Vec<&str>| Arc::new(StringArray::from(column)) as ArrayRef;
    let ids: Vec<String> = (0..events.len()).map(|i| i.to_string()).collect();
    let at = TimestampMicrosecondArray::from(vec![0; events.len()]).with_timezone("UTC");
    let columns = vec![
        text(ids.iter().map(String::as_str).collect()),
        Arc::new(at),
        Arc::new(StringArray::new_null(events.len())),
        text(events.iter().map(|e| e.1).collect()),
        text(events.iter().map(|e| e.2).collect()),
    ];
    let rows = RecordBatch::try_new(event_type.relation().clone(), columns).unwrap();
    let tenants = events.iter().map(|e| e.0).collect::<UInt32Array>();
    Input {
        events: vec![EventBatch { event_type, tenants, rows, extra: None }],
        ..Input::default()
    }
}

fn partition() -> Partition {
    let cast =
        "SELECT invoice_id, CAST(reason AS BIGINT) AS n FROM events.\"invoicing.invoice_voided\"";
    let sum = "-- key: invoice_id\nSELECT invoice_id, sum(n) AS n FROM numbers GROUP BY invoice_id";
    let plain = "SELECT invoice_id FROM events.\"invoicing.invoice_voided\"";
    let views = [("numbers", cast), ("sums", sum), ("plain", plain)];
    let views = views.map(|(name, sql)| ViewDefinition::parse(name, sql)).to_vec();
    Partition::new(&EventTypes::builtin(), views).unwrap()
}

fn sum(partition: &Partition, tenant: u32) -> i64 {
    let snapshot = partition.readers().snapshot(Tenant(tenant));
    let view = snapshot.view("sums").unwrap();
    assert!(view.failure().is_none());
    view.batches().unwrap().iter().map(|b| b.column(1).as_primitive::<Int64Type>().value(0)).sum()
}

#[test]
fn a_bad_value_fails_the_views_that_read_it_for_its_tenant_only() {
    let mut partition = partition();
    partition.apply(voided(&[(1, "a", "1"), (2, "a", "10")]));
    partition.apply(voided(&[(1, "a", "what"), (2, "a", "20"), (3, "a", "5")]));
    let failed = partition.readers().snapshot(Tenant(1));
    for view in ["numbers", "sums"] {
        let view = failed.view(view).unwrap();
        assert!(view.failure().unwrap().message.contains("what"), "{view:?}");
        assert_eq!(view.row_count(), 0);
    }
    assert_eq!(failed.view("plain").unwrap().row_count(), 2);
    assert_eq!((sum(&partition, 2), sum(&partition, 3)), (30, 5));

    partition.apply(voided(&[(1, "a", "7"), (2, "a", "1")]));
    let failed = partition.readers().snapshot(Tenant(1));
    assert!(
        failed.view("sums").unwrap().failure().is_some(),
        "a failed view does not come back wrong"
    );
    assert_eq!(failed.view("plain").unwrap().row_count(), 3);
    assert_eq!(failed.position().sequence, 3);
    assert_eq!(sum(&partition, 2), 31);
}

#[test]
fn the_row_and_the_event_that_failed_a_view_are_told() {
    let mut partition = partition();
    let many: Vec<(u32, String, String)> =
        (0..100).map(|i| (1, format!("no {i}"), i.to_string())).collect();
    let mut many: Vec<(u32, &str, &str)> =
        many.iter().map(|(tenant, id, reason)| (*tenant, id.as_str(), reason.as_str())).collect();
    many[63].2 = "what";
    many.extend([(2, "other", "their secret"), (3, "fine", "3")]);
    partition.apply(voided(&many));
    let said = |tenant: u32| {
        let snapshot = partition.readers().snapshot(Tenant(tenant));
        snapshot.view("sums").unwrap().failure().map(|error| error.message.clone())
    };
    let one = said(1).unwrap();
    assert!(one.contains("invoice_id=no 63, reason=what"), "{one}");
    assert!(!one.contains("secret") && !one.contains("with the event"), "{one}");
    let two = said(2).unwrap();
    assert!(two.contains("with the event invoicing.invoice_voided '100'"), "{two}");
    assert_eq!(said(3), None);
}

#[test]
fn what_only_failed_views_need_is_let_go() {
    let mut partition = partition();
    partition.apply(voided(&[(1, "a", "1"), (2, "a", "1"), (1, "b", "1")]));
    let held = partition.state_bytes(Tenant(2));
    assert!(held > 0 && partition.state_bytes(Tenant(1)) > 0);
    partition.apply(voided(&[(1, "a", "what")]));
    assert_eq!(partition.state_bytes(Tenant(1)), 0);
    assert_eq!(partition.state_bytes(Tenant(2)), held);
    partition.forget(Tenant(1));
    partition.apply(voided(&[(1, "a", "5")]));
    assert_eq!(sum(&partition, 1), 5);
}

#[test]
fn a_panic_is_an_error() {
    let given = super::evaluate::guarded::<()>(|| panic!("at row {}", 3));
    assert_eq!(given.unwrap_err().message, "it could not be computed: at row 3");
}

#[test]
fn the_failure_is_told_in_the_snapshot_of_the_delta() {
    let mut partition = partition();
    let deltas = partition.apply(voided(&[(1, "a", "x"), (2, "b", "1")]));
    assert_eq!(deltas.len(), 2);
    assert!(deltas[0].snapshot.view("numbers").unwrap().failure().is_some());
    let changed: Vec<&str> = deltas[0].changes.iter().map(|c| c.view.name()).collect();
    assert_eq!(changed, ["plain"]);
    assert!(deltas[1].snapshot.view("numbers").unwrap().failure().is_none());
}
