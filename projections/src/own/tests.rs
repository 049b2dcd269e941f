//! Own views at their bounds: what they may hold, what fails with what, what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bounds;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};

use super::{Fill, FillError, OwnLimits, OwnView, PassingId, PassingLimits};
use crate::snapshot::{Unready, ViewSnapshot};
use crate::{
    DefineError, EventBatch, EventTypes, Hidden, Input, Partition, Tenant, TenantSnapshot, View,
    ViewDefinition,
};

const ONE: Tenant = Tenant(1);
const OTHER: Tenant = Tenant(2);
const VOIDED: &str = "SELECT invoice_id, reason FROM events.\"invoicing.invoice_voided\"";

fn definition(name: &str, sql: &str, key: &[&str]) -> ViewDefinition {
    let key = key.iter().map(|column| (*column).to_owned()).collect();
    ViewDefinition { name: name.to_owned(), sql: sql.to_owned(), key, internal: false }
}

/// `invoicing.invoice_voided` events: tenant, invoice and reason of each.
fn voided(events: &[(Tenant, &str, &str)]) -> Input {
    let event_type = EventTypes::builtin().get("invoicing.invoice_voided").unwrap().clone();
    let text = |column: Vec<&str>| Arc::new(StringArray::from(column)) as ArrayRef;
    let at = TimestampMicrosecondArray::from(vec![0; events.len()]).with_timezone("UTC");
    let columns = vec![
        text(events.iter().map(|e| e.1).collect()),
        Arc::new(at),
        Arc::new(StringArray::new_null(events.len())),
        text(events.iter().map(|e| e.1).collect()),
        text(events.iter().map(|e| e.2).collect()),
    ];
    let rows = RecordBatch::try_new(event_type.relation().clone(), columns).unwrap();
    let tenants = events.iter().map(|e| e.0.0).collect::<UInt32Array>();
    Input {
        events: vec![EventBatch { event_type, tenants, rows, extra: None }],
        ..Input::default()
    }
}

/// A built-in view whose cast can fail, and limits.
fn partition(limits: OwnLimits) -> Partition {
    let numbers = format!("SELECT invoice_id, CAST(reason AS BIGINT) AS n FROM ({VOIDED})");
    let views = vec![definition("numbers", &numbers, &[]), definition("plain", VOIDED, &[])];
    let mut partition = Partition::new(&EventTypes::builtin(), views).unwrap();
    partition.limit_own_views(limits);
    partition
}

fn begin(
    partition: &mut Partition,
    tenant: Tenant,
    views: &[(&str, &str)],
) -> Result<Fill, FillError> {
    let snapshot = partition.readers().snapshot(tenant);
    let mut readable: Vec<Arc<View>> = snapshot.views().iter().map(|v| v.view().clone()).collect();
    let mut compiled = Vec::new();
    for (name, sql) in views {
        readable.retain(|view| view.name() != *name);
        let definition = definition(name, sql, &[]);
        let own = OwnView::compile(&EventTypes::builtin(), &readable, &definition).unwrap();
        readable.push(own.view().clone());
        compiled.push(own);
    }
    let mut fill = partition.begin(tenant, compiled)?;
    fill.start()?;
    Ok(fill)
}

fn define(partition: &mut Partition, tenant: Tenant, views: &[(&str, &str)]) {
    let fill = begin(partition, tenant, views).unwrap();
    partition.attach(fill).unwrap();
}

fn failure(snapshot: &TenantSnapshot, view: &str) -> Option<String> {
    snapshot.view(view).unwrap().failure().map(ToString::to_string)
}

#[test]
fn what_is_no_view_is_refused() {
    let types = EventTypes::builtin();
    let compile = |sql: &str, key: &[&str]| {
        OwnView::compile(&types, &[], &definition("mine", sql, key)).map(|own| own.view().clone())
    };
    let wide: Vec<String> = (0..513).map(|i| format!("reason AS r{i}")).collect();
    for (sql, key, said) in [
        (format!("SELECT invoice_id, reason AS invoice_id FROM ({VOIDED})"), &[][..], "invoice_id"),
        (format!("SELECT {} FROM ({VOIDED})", wide.join(", ")), &[], "513 columns"),
        (VOIDED.to_owned(), &["reasons"], "'reasons', which is no column"),
        ("SELECT * FROM mine".to_owned(), &[], "mine"),
        ("SELECT * FROM standing_invoices".to_owned(), &[], "standing_invoices"),
    ] {
        match compile(&sql, key) {
            Err(DefineError::Invalid { view, message, .. }) => {
                assert_eq!(view, "mine");
                assert!(message.contains(said), "{message}");
            }
            Err(other) => panic!("{other}"),
            Ok(view) => panic!("{view:?} is taken"),
        }
    }
    assert_eq!(compile(VOIDED, &[]).unwrap().key(), [0, 1]);
    assert_eq!(compile(VOIDED, &["reason"]).unwrap().key(), [1]);
}

#[test]
fn a_key_that_is_not_unique_loses_no_row() {
    let mut partition = partition(OwnLimits::default());
    let own =
        OwnView::compile(&EventTypes::builtin(), &[], &definition("mine", VOIDED, &["reason"]));
    let fill = partition.begin(ONE, vec![own.unwrap()]).unwrap();
    partition.attach(fill).unwrap();
    partition.apply(voided(&[(ONE, "a", "1"), (ONE, "b", "1"), (ONE, "c", "0")]));
    let snapshot = partition.readers().snapshot(ONE);
    let rows = snapshot.view("mine").unwrap();
    assert_eq!(rows.row_count(), 3);
    let page = rows.page(None, 2).unwrap();
    assert_eq!(rows.page(page.next.as_deref(), 2).unwrap().rows.num_rows(), 1);
}

#[test]
fn tenants_may_give_views_the_same_name() {
    let mut partition = partition(OwnLimits::default());
    define(&mut partition, ONE, &[("mine", VOIDED)]);
    define(&mut partition, OTHER, &[("mine", "SELECT invoice_id FROM plain")]);
    let deltas =
        partition.apply(voided(&[(ONE, "a", "1"), (OTHER, "b", "2"), (Tenant(3), "c", "3")]));
    let changed: Vec<(u32, usize)> = deltas
        .iter()
        .flat_map(|delta| {
            let mine = delta.changes.iter().filter(|change| change.view.name() == "mine");
            mine.map(|change| (delta.snapshot.tenant().0, change.rows.num_columns()))
        })
        .collect();
    assert_eq!(changed, [(1, 2), (2, 1)]);
    assert!(partition.readers().snapshot(Tenant(3)).view("mine").is_none());
}

#[test]
fn a_fill_that_is_given_too_much_must_begin_anew() {
    let mut partition = partition(OwnLimits { buffer_bytes: 2_000, ..OwnLimits::default() });
    let views = [("mine", VOIDED)];
    let mut slow = begin(&mut partition, ONE, &views).unwrap();
    for i in 0..100 {
        partition.apply(voided(&[(ONE, &i.to_string(), "1"), (OTHER, "x", "1")]));
    }
    assert_eq!(slow.catch_up(), Err(FillError::Overrun(2_000)));
    assert_eq!(partition.attach(slow).unwrap_err(), FillError::Overrun(2_000));
    assert!(partition.readers().snapshot(ONE).view("mine").is_none());

    let mut again = begin(&mut partition, ONE, &views).unwrap();
    partition.apply(voided(&[(ONE, "last", "1")]));
    assert_eq!(again.catch_up(), Ok(1));
    partition.attach(again).unwrap();
    assert_eq!(partition.readers().snapshot(ONE).view("mine").unwrap().row_count(), 1);
}

#[test]
fn a_fill_that_is_dropped_leaves_nothing_behind() {
    let mut partition = partition(OwnLimits::default());
    drop(begin(&mut partition, ONE, &[("mine", VOIDED)]).unwrap());
    partition.apply(voided(&[(ONE, "a", "1")]));
    assert!(partition.own.taps.is_empty());
    assert!(partition.readers().snapshot(ONE).view("mine").is_none());
}

#[test]
fn the_largest_view_fails_when_a_tenant_holds_too_much() {
    let mut partition = partition(OwnLimits { state_bytes: 20_000, ..OwnLimits::default() });
    let readers = [("small", "SELECT reason, count(*) AS n FROM plain GROUP BY reason")];
    define(&mut partition, ONE, &readers);
    define(&mut partition, ONE, &[("large", VOIDED), ("on_it", "SELECT invoice_id FROM large")]);
    define(&mut partition, OTHER, &[("large", VOIDED)]);
    for i in 0..200 {
        let (first, second) = (format!("{i:0100}"), format!("{i:0101}"));
        partition.apply(voided(&[(ONE, &first, "x"), (ONE, &second, "x"), (OTHER, "a", "x")]));
    }
    let snapshot = partition.readers().snapshot(ONE);
    assert!(failure(&snapshot, "large").unwrap().contains("more than 20000 bytes"));
    assert!(failure(&snapshot, "on_it").unwrap().contains("it reads 'large', which failed"));
    assert_eq!(snapshot.view("large").unwrap().bytes(), 0);
    assert_eq!(failure(&snapshot, "small"), None);
    assert_eq!(snapshot.view("plain").unwrap().row_count(), 400);
    let other = partition.readers().snapshot(OTHER);
    assert_eq!(other.view("large").unwrap().row_count(), 200);

    let again = begin(&mut partition, ONE, &[("larger", "SELECT * FROM plain")]);
    let Err(FillError::Failed { view, error }) = again.map(drop) else { panic!("it is filled") };
    assert_eq!(view, "larger");
    assert!(error.message.contains("more than 20000 bytes"), "{error}");
}

#[test]
fn a_view_that_fails_takes_its_readers_with_it_and_nothing_else() {
    let mut partition = partition(OwnLimits::default());
    define(
        &mut partition,
        ONE,
        &[
            ("sums", "SELECT invoice_id, sum(n) AS n FROM numbers GROUP BY invoice_id"),
            ("on_sums", "SELECT n FROM sums"),
            ("halves", "SELECT invoice_id, 10 / n AS half FROM sums"),
            ("apart", "SELECT invoice_id FROM plain"),
        ],
    );
    partition.apply(voided(&[(ONE, "a", "2")]));
    partition.apply(voided(&[(ONE, "b", "0")]));
    let snapshot = partition.readers().snapshot(ONE);
    assert!(failure(&snapshot, "halves").unwrap().to_lowercase().contains("divide by zero"));
    assert_eq!(snapshot.view("on_sums").unwrap().row_count(), 2);
    let deltas = partition.apply(voided(&[(ONE, "c", "what")]));
    let snapshot = partition.readers().snapshot(ONE);
    assert!(failure(&snapshot, "sums").unwrap().contains("it reads 'numbers', which failed"));
    assert!(failure(&snapshot, "on_sums").unwrap().contains("it reads 'sums', which failed"));
    assert_eq!(snapshot.view("apart").unwrap().row_count(), 3);
    let changed: Vec<&str> = deltas[0].changes.iter().map(|c| c.view.name()).collect();
    assert_eq!(changed, ["plain", "apart"]);
    let refused = begin(&mut partition, ONE, &[("new", "SELECT n FROM numbers")]).map(drop);
    assert_eq!(refused.unwrap_err(), FillError::Changed("numbers".into()));
}

#[test]
fn a_fill_does_not_outlive_what_it_reads() {
    let mut partition = partition(OwnLimits::default());
    define(&mut partition, ONE, &[("base", VOIDED)]);
    let old = begin(&mut partition, ONE, &[("reader", "SELECT reason FROM base")]).unwrap();
    define(&mut partition, ONE, &[("base", "SELECT invoice_id FROM plain")]);
    assert_eq!(partition.attach(old).unwrap_err(), FillError::Changed("base".into()));
    let mut failing = begin(&mut partition, ONE, &[("reader", "SELECT n FROM numbers")]).unwrap();
    partition.apply(voided(&[(ONE, "a", "what")]));
    assert_eq!(failing.catch_up(), Err(FillError::Changed("numbers".into())));
}

#[test]
fn own_views_are_new_after_a_replay_and_those_to_come_are_announced() {
    let mut partition = partition(OwnLimits::default());
    define(&mut partition, ONE, &[("mine", VOIDED)]);
    let since = |partition: &Partition, view: &str| {
        partition.readers().snapshot(ONE).view(view).unwrap().since()
    };
    assert_eq!(since(&partition, "mine"), Some(0));
    partition.apply(voided(&[(ONE, "a", "1"), (ONE, "b", "1")]));
    assert_eq!(since(&partition, "mine"), Some(0));
    partition.settle();
    assert_eq!(since(&partition, "mine"), Some(2));
    assert_eq!(since(&partition, "plain"), None);

    let unready = Unready { name: "later".to_owned(), failure: None };
    partition.announce(ONE, vec![unready.clone()]);
    partition.apply(voided(&[(ONE, "c", "1")]));
    let snapshot = partition.readers().snapshot(ONE);
    assert_eq!(snapshot.unready("later"), Some(&unready));
    assert_eq!(snapshot.unready("mine"), None);
    assert_eq!(partition.readers().snapshot(OTHER).unready("later"), None);
}

/// Begins a passing view of this SQL over what the tenant has.
fn begin_passing(partition: &mut Partition, tenant: Tenant, sql: &str) -> Result<Fill, FillError> {
    let snapshot = partition.readers().snapshot(tenant);
    let readable: Vec<Arc<View>> = snapshot.views().iter().map(|v| v.view().clone()).collect();
    let definition = definition("@followed", sql, &[]);
    let own = OwnView::compile(&EventTypes::builtin(), &readable, &definition).unwrap();
    let mut fill = partition.begin_passing(tenant, own, &readable)?;
    fill.start()?;
    Ok(fill)
}

/// Puts one in; what lives as long as it.
fn pass(partition: &mut Partition, tenant: Tenant, id: u64, sql: &str) -> std::sync::Weak<()> {
    let fill = begin_passing(partition, tenant, sql).unwrap();
    let alive = Arc::new(());
    partition.attach_passing(PassingId(id), fill, &alive).unwrap();
    Arc::downgrade(&alive)
}

fn passing_rows(partition: &Partition, tenant: Tenant, id: u64) -> Option<usize> {
    let snapshot = partition.readers().snapshot(tenant);
    snapshot.passing(PassingId(id)).map(ViewSnapshot::row_count)
}

#[test]
fn a_passing_view_has_its_rows_and_is_none_of_the_views() {
    let mut partition = partition(OwnLimits::default());
    partition.apply(voided(&[(ONE, "a", "1"), (OTHER, "b", "1")]));
    let before = partition.readers().snapshot(ONE);
    let alive =
        pass(&mut partition, ONE, 1, "SELECT reason, count(*) AS n FROM plain GROUP BY reason");
    let snapshot = partition.readers().snapshot(ONE);
    assert_eq!(snapshot.position(), before.position());
    assert_eq!(snapshot.views().len(), before.views().len());
    assert_eq!(snapshot.bytes(), before.bytes());
    assert!(snapshot.view("@followed").is_none());
    assert_eq!(passing_rows(&partition, OTHER, 1), None);
    define(&mut partition, ONE, &[("mine", VOIDED)]);
    let deltas = partition.apply(voided(&[(ONE, "c", "2"), (OTHER, "d", "2")]));
    let changed: Vec<&str> = deltas[0].changes.iter().map(|c| c.view.name()).collect();
    assert!(changed.contains(&"mine") && !changed.contains(&"@followed"), "{changed:?}");
    assert_eq!(passing_rows(&partition, ONE, 1), Some(2));
    assert_eq!(passing_rows(&partition, ONE, 2), None);
    partition.remove_passing(ONE, PassingId(2));
    partition.remove_passing(ONE, PassingId(1));
    assert_eq!((passing_rows(&partition, ONE, 1), alive.strong_count()), (None, 0));
    partition.apply(voided(&[(ONE, "e", "2")]));
    assert!(partition.own.passing.is_empty());
}

#[test]
fn a_passing_view_goes_with_what_it_reads() {
    let mut partition = partition(OwnLimits::default());
    define(&mut partition, ONE, &[("mine", VOIDED), ("other", "SELECT invoice_id FROM plain")]);
    let on_mine = pass(&mut partition, ONE, 1, "SELECT reason FROM mine");
    let on_other = pass(&mut partition, ONE, 2, "SELECT invoice_id FROM other");
    let on_numbers = pass(&mut partition, ONE, 3, "SELECT n FROM numbers");
    let on_events = pass(&mut partition, ONE, 4, VOIDED);
    partition.apply(voided(&[(ONE, "a", "1")]));
    let gone = |alive: &std::sync::Weak<()>| alive.strong_count() == 0;
    define(&mut partition, ONE, &[("mine", "SELECT invoice_id AS reason FROM plain")]);
    assert!(gone(&on_mine) && !gone(&on_other));
    assert_eq!(passing_rows(&partition, ONE, 1), None);
    partition.remove(ONE, &["other"]);
    assert!(gone(&on_other) && !gone(&on_numbers));
    partition.apply(voided(&[(ONE, "b", "what")]));
    assert!(gone(&on_numbers) && !gone(&on_events));
    assert_eq!(passing_rows(&partition, ONE, 3), None);
    assert_eq!(passing_rows(&partition, ONE, 4), Some(2));
    partition.forget(ONE);
    assert!(gone(&on_events) && partition.own.passing.is_empty());
    assert_eq!(passing_rows(&partition, ONE, 4), None);
}

#[test]
fn a_passing_view_that_cannot_be_computed_or_holds_too_much_goes_and_nothing_else_does() {
    let bytes = 20_000;
    let passing = PassingLimits { bytes, ..PassingLimits::default() };
    let mut partition = partition(OwnLimits { passing, ..OwnLimits::default() });
    define(&mut partition, ONE, &[("mine", VOIDED)]);
    let division = "SELECT invoice_id, 10 / CAST(reason AS BIGINT) AS part FROM plain";
    let divides = pass(&mut partition, ONE, 1, division);
    let grows = pass(&mut partition, ONE, 2, VOIDED);
    let counts = pass(&mut partition, ONE, 3, "SELECT count(*) AS n FROM plain");
    partition.apply(voided(&[(ONE, "a", "0")]));
    assert_eq!((divides.strong_count(), grows.strong_count()), (0, 1));
    for i in 0..200 {
        partition.apply(voided(&[(ONE, &format!("{i:0200}"), "1")]));
    }
    assert_eq!((grows.strong_count(), counts.strong_count()), (0, 1));
    let snapshot = partition.readers().snapshot(ONE);
    assert_eq!((failure(&snapshot, "mine"), failure(&snapshot, "plain")), (None, None));
    assert_eq!(snapshot.view("mine").unwrap().row_count(), 201);
    let Err(FillError::Failed { error, .. }) =
        begin_passing(&mut partition, ONE, "SELECT * FROM plain").map(drop)
    else {
        panic!("it is filled")
    };
    assert!(error.message.contains("20000 bytes"), "{error}");
}

#[test]
fn what_a_passing_view_reads_is_what_it_was_compiled_over() {
    let mut partition = partition(OwnLimits::default());
    define(&mut partition, ONE, &[("mine", VOIDED)]);
    let fill = begin_passing(&mut partition, ONE, "SELECT reason FROM mine").unwrap();
    let snapshot = partition.readers().snapshot(ONE);
    let readable: Vec<Arc<View>> = snapshot.views().iter().map(|v| v.view().clone()).collect();
    let own = |readable: &[Arc<View>]| {
        let definition = definition("@followed", "SELECT reason FROM mine", &[]);
        OwnView::compile(&EventTypes::builtin(), readable, &definition).unwrap()
    };
    let compiled = own(&readable);
    define(&mut partition, ONE, &[("mine", "SELECT invoice_id AS reason FROM plain")]);
    let changed = FillError::Changed("mine".into());
    let refused = partition.begin_passing(ONE, compiled, &readable).map(drop);
    assert_eq!(refused.unwrap_err(), changed);
    let alive = Arc::new(());
    assert_eq!(partition.attach_passing(PassingId(1), fill, &alive), Err(changed));
    assert_eq!((Arc::strong_count(&alive), passing_rows(&partition, ONE, 1)), (1, None));
}

#[test]
fn a_passing_view_is_not_shown_where_what_it_reads_is_hidden() {
    let mut partition = partition(OwnLimits::default());
    pass(&mut partition, ONE, 1, VOIDED);
    pass(&mut partition, ONE, 2, "SELECT reason FROM plain");
    let mut hidden = Hidden::default();
    hidden.add_view("plain", "invoicing");
    let snapshot = partition.readers().snapshot(ONE);
    let shown = snapshot.hiding(Arc::new(hidden));
    let has = |id| shown.passing(PassingId(id)).is_some();
    assert_eq!((has(1), has(2)), (true, false));
    let shown = snapshot.hiding(Arc::new(Hidden::modules(["invoicing".to_owned()])));
    assert!(shown.passing(PassingId(1)).is_none());
}

#[test]
fn what_costs_as_much_as_a_query_or_is_rounded_does_not_pass() {
    let issued = "events.\"invoicing.invoice_issued\"";
    let passes = |sql: &str| {
        let definition = definition("@followed", sql, &[]);
        OwnView::compile(&EventTypes::builtin(), &[], &definition).unwrap().may_pass().is_ok()
    };
    for sql in [
        VOIDED.to_owned(),
        format!(
            "SELECT customer_id, sum(amount) AS a, avg(amount) AS b, max(due_date) AS c FROM {issued} GROUP BY customer_id"
        ),
        format!(
            "SELECT count(*) AS n, max(amount) AS most FROM {issued} WHERE due_date < current_date"
        ),
        format!(
            "SELECT i.amount, v.reason FROM {issued} i JOIN ({VOIDED}) v ON i.invoice_id = v.invoice_id"
        ),
        format!(
            "SELECT amount FROM (SELECT amount FROM {issued} ORDER BY amount DESC, event_id LIMIT 3)"
        ),
        format!(
            "SELECT DISTINCT customer_id FROM {issued} i WHERE NOT EXISTS (SELECT 1 FROM ({VOIDED}) v WHERE v.invoice_id = i.invoice_id)"
        ),
    ] {
        assert!(passes(&sql), "{sql}");
    }
    for sql in [
        format!("SELECT customer_id, median(amount) AS m FROM {issued} GROUP BY customer_id"),
        format!("SELECT stddev(amount) AS s FROM {issued}"),
        format!("SELECT invoice_id, CAST(amount AS DOUBLE) / 3 AS third FROM {issued}"),
        format!(
            "SELECT invoice_id, row_number() OVER (ORDER BY amount, event_id) AS n FROM {issued}"
        ),
        format!(
            "SELECT a.amount, b.most FROM {issued} a CROSS JOIN (SELECT max(amount) AS most FROM {issued}) b"
        ),
    ] {
        assert!(!passes(&sql), "{sql}");
    }
}
