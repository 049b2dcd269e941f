//! One tenant's bad value is that tenant's alone.

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
    Input { events: vec![EventBatch { event_type, tenants, rows }], ..Input::default() }
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
fn the_failure_is_told_in_the_snapshot_of_the_delta() {
    let mut partition = partition();
    let deltas = partition.apply(voided(&[(1, "a", "x"), (2, "b", "1")]));
    assert_eq!(deltas.len(), 2);
    assert!(deltas[0].snapshot.view("numbers").unwrap().failure().is_some());
    let changed: Vec<&str> = deltas[0].changes.iter().map(|c| c.view.name()).collect();
    assert_eq!(changed, ["plain"]);
    assert!(deltas[1].snapshot.view("numbers").unwrap().failure().is_none());
}
