//! A tenant whose views hold more than they may: its own fail first, then built-in ones, and no
//! other tenant notices.

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use projections::{
    EventBatch, EventTypes, Input, OwnView, Partition, Tenant, TenantSnapshot, ViewDefinition,
};
use std::sync::Arc;

const LARGE: Tenant = Tenant(1);
const SMALL: Tenant = Tenant(2);
const LIMIT: usize = 100_000;
const VOIDED: &str = "SELECT invoice_id, reason FROM events.\"invoicing.invoice_voided\"";

/// Invoices voided, from the one of number `from` on, for each of the tenants so many.
fn voided(from: usize, counts: [(Tenant, usize); 2]) -> Input {
    let event_type = EventTypes::builtin().get("invoicing.invoice_voided").unwrap().clone();
    let (mut tenants, mut ids) = (Vec::new(), Vec::new());
    for (tenant, count) in counts {
        tenants.extend(std::iter::repeat_n(tenant.0, count));
        ids.extend((from..from + count).map(|i| format!("{i:020}")));
    }
    let text =
        |rows: &[String]| Arc::new(rows.iter().map(Some).collect::<StringArray>()) as ArrayRef;
    let at = TimestampMicrosecondArray::from(vec![0; ids.len()]).with_timezone("UTC");
    let source = StringArray::new_null(ids.len());
    let columns = vec![text(&ids), Arc::new(at), Arc::new(source), text(&ids), text(&ids)];
    let rows = RecordBatch::try_new(event_type.relation().clone(), columns).unwrap();
    let tenants = UInt32Array::from(tenants);
    Input {
        events: vec![EventBatch { event_type, tenants, rows, extra: None }],
        ..Input::default()
    }
}

fn partition() -> Partition {
    let by_reason = format!("SELECT reason, count(*) AS n FROM ({VOIDED}) GROUP BY reason");
    let views = [
        ("total", format!("SELECT count(*) AS n FROM ({VOIDED})")),
        ("shared", by_reason.clone()),
        (
            "large",
            format!("SELECT s.*, v.invoice_id FROM shared s JOIN ({VOIDED}) v USING (reason)"),
        ),
        ("on_large", "SELECT invoice_id FROM large".to_owned()),
    ];
    let views = views.map(|(name, sql)| ViewDefinition::parse(name, &sql)).to_vec();
    let mut partition = Partition::new(&EventTypes::builtin(), views).unwrap();
    partition.limit_tenants(LIMIT);
    partition
}

fn failed(snapshot: &TenantSnapshot) -> Vec<&str> {
    let failed = snapshot.views().iter().filter(|view| view.failure().is_some());
    failed.map(|view| view.view().name()).collect()
}

#[test]
fn the_largest_view_and_those_that_read_it_fail_for_their_tenant_alone() {
    let _alone = super::ALONE.lock();
    let mut partition = partition();
    let mut from = 0;
    let snapshot = loop {
        let deltas = partition.apply(voided(from, [(LARGE, 50), (SMALL, 1)]));
        from += 50;
        assert!(from < 10_000, "no view fails at the limit");
        if !failed(&deltas[0].snapshot).is_empty() {
            let changed: Vec<&str> = deltas[0].changes.iter().map(|c| c.view.name()).collect();
            assert_eq!(changed, ["total", "shared"]);
            break deltas[0].snapshot.clone();
        }
    };
    assert_eq!(failed(&snapshot), ["large", "on_large"]);
    let error = snapshot.view("large").unwrap().failure().unwrap().to_string();
    assert!(error.contains("more than the 100000") && error.contains("'large'"), "{error}");
    assert!(error.contains("limits.views.tenant_bytes"), "{error}");
    assert_eq!(snapshot.view("large").unwrap().bytes(), 0);
    assert!(snapshot.bytes() < LIMIT / 2, "{} bytes are still held", snapshot.bytes());

    partition.apply(voided(from, [(LARGE, 1), (SMALL, 1)]));
    let readers = partition.readers();
    let (large, small) = (readers.snapshot(LARGE), readers.snapshot(SMALL));
    assert_eq!(large.view("shared").unwrap().row_count(), from + 1);
    assert_eq!(failed(&small), [""; 0]);
    assert_eq!(small.view("on_large").unwrap().row_count(), from / 50 + 1);
    assert!(partition.state_bytes(LARGE) <= large.bytes());
}

#[test]
fn own_views_fail_before_built_in_ones() {
    let _alone = super::ALONE.lock();
    let mut partition = partition();
    let readable: Vec<_> = partition.readers().views().to_vec();
    let define = |name: &str, sql: &str| {
        let definition = ViewDefinition::parse(name, sql);
        OwnView::compile(&EventTypes::builtin(), &readable, &definition).unwrap()
    };
    let wide = "SELECT a.invoice_id, b.reason, a.reason || b.reason || a.reason AS text \
                FROM large a JOIN shared b USING (reason)";
    let own = vec![define("wide", wide), define("narrow", "SELECT n FROM total")];
    let fill = partition.begin(LARGE, own).unwrap();
    partition.attach(fill).unwrap();
    let mut from = 0;
    while failed(&partition.readers().snapshot(LARGE)).is_empty() {
        partition.apply(voided(from, [(LARGE, 50), (SMALL, 1)]));
        from += 50;
        assert!(from < 10_000, "no view fails at the limit");
    }
    let snapshot = partition.readers().snapshot(LARGE);
    assert_eq!(failed(&snapshot), ["wide"]);
    let error = snapshot.view("wide").unwrap().failure().unwrap().to_string();
    assert!(error.contains("all views of the tenant together hold more than 100000"), "{error}");
    assert_eq!(snapshot.view("large").unwrap().row_count(), from);
    assert_eq!(failed(&partition.readers().snapshot(SMALL)), [""; 0]);
}
