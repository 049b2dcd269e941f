//! Own views that would make too much or take too long.

use std::cell::Cell;
use std::time::Duration;

use arrow::array::Array;

use super::*;
use crate::StepTime;

/// That a view with this text fails at the next event and says this; nothing else does.
fn fails(sql: &str, said: &str) {
    let mut partition = partition(OwnLimits::default());
    define(&mut partition, ONE, &[("apart", VOIDED), ("mine", sql)]);
    let followed = pass(&mut partition, ONE, 1, sql);
    partition.apply(voided(&[(ONE, "a", "1"), (OTHER, "b", "2")]));
    let snapshot = partition.readers().snapshot(ONE);
    let why = failure(&snapshot, "mine").unwrap();
    assert!(why.contains(said), "{sql}: {why}");
    assert_eq!(followed.strong_count(), 0, "{sql}");
    assert_eq!(snapshot.view("apart").unwrap().row_count(), 1, "{sql}");
    let plain = |tenant| partition.readers().snapshot(tenant).view("plain").unwrap().row_count();
    assert_eq!((plain(ONE), plain(OTHER)), (1, 1), "{sql}");
    let again = begin_passing(&mut partition, ONE, &sql.replace(VOIDED, "SELECT * FROM plain"));
    let Err(FillError::Failed { error, .. }) = again.map(drop) else {
        panic!("{sql}: it is filled")
    };
    assert!(error.message.contains(said), "{sql}: {error}");
}

#[test]
fn a_view_that_makes_too_much_text_fails_before_it_makes_it() {
    let columns: Vec<String> =
        (0..100).map(|i| format!("repeat(reason, 80000000 + {i}) AS c{i}")).collect();
    let parts = vec!["repeat(reason, 50000000)"; 100].join(", ");
    let mut doubled = format!("WITH t0 AS (SELECT repeat(reason, 100000) AS x FROM ({VOIDED}))");
    for i in 1..13 {
        doubled.push_str(&format!(", t{i} AS (SELECT x || x AS x FROM t{})", i - 1));
    }
    for sql in [
        format!("SELECT invoice_id, repeat(reason, 2000000000) AS x FROM ({VOIDED})"),
        format!("SELECT invoice_id, repeat('x', 2000000000) AS x FROM ({VOIDED})"),
        format!("SELECT invoice_id FROM ({VOIDED}) WHERE lpad(reason, 2000000000) <> 'x'"),
        format!("SELECT {} FROM ({VOIDED})", columns.join(", ")),
        format!("SELECT length(concat({parts})) AS n FROM ({VOIDED})"),
        format!("SELECT to_char(DATE '2026-01-05', repeat('%Y', 30000000)) AS x FROM ({VOIDED})"),
        format!("{doubled} SELECT length(x) AS n FROM t12"),
    ] {
        fails(&sql, "more text in one step than the 128 MiB");
    }
}

#[test]
fn a_view_that_compares_long_texts_fails_before_it_compares_them() {
    let sql = format!(
        "SELECT invoice_id, levenshtein(repeat('a', 100000), repeat(reason, 100000)) AS n \
         FROM ({VOIDED})"
    );
    fails(&sql, "levenshtein would compare more characters in one step");
}

#[test]
fn what_is_evaluated_in_slices_is_what_it_is_at_once() {
    let mut partition = partition(OwnLimits::default());
    let sql = format!(
        "SELECT invoice_id, upper(reason) || '-' || invoice_id AS label FROM ({VOIDED}) \
         WHERE concat(reason, invoice_id) LIKE 'r%'"
    );
    define(&mut partition, ONE, &[("mine", &sql)]);
    let ids: Vec<String> = (0..10_000).map(|i| format!("i{i}")).collect();
    let reason = |i: usize| if i.is_multiple_of(3) { "other" } else { "r" };
    let events: Vec<(Tenant, &str, &str)> =
        ids.iter().enumerate().map(|(i, id)| (ONE, id.as_str(), reason(i))).collect();
    partition.apply(voided(&events));
    let snapshot = partition.readers().snapshot(ONE);
    let batches = snapshot.view("mine").unwrap().batches().unwrap();
    let mut rows = 0;
    for batch in batches {
        let column = |place: usize| {
            batch.column(place).as_any().downcast_ref::<StringArray>().unwrap().clone()
        };
        for (id, label) in column(0).iter().zip(column(1).iter()) {
            assert_eq!(label.unwrap(), format!("R-{}", id.unwrap()));
            rows += 1;
        }
    }
    assert_eq!(rows, 6_666);
}

#[test]
fn a_view_whose_step_takes_too_long_fails_with_its_readers_and_nothing_else_does() {
    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }
    fn later() -> Duration {
        NOW.set(NOW.get() + 1);
        Duration::from_secs(NOW.get())
    }
    let time = |step, fill| StepTime { clock: later, step, fill };
    let (none, enough) = (Duration::ZERO, Duration::from_hours(1));
    let mut partition = partition(OwnLimits::default());
    partition.time_own_views(time(none, enough));
    define(&mut partition, OTHER, &[("mine", VOIDED)]);
    partition.time_own_views(time(enough, none));
    let refused = begin(&mut partition, ONE, &[("mine", VOIDED)]).map(drop);
    let Err(FillError::Failed { error, .. }) = refused else { panic!("it is filled") };
    assert!(error.message.contains("takes more than the 0 ms"), "{error}");

    partition.time_own_views(time(enough, enough));
    define(&mut partition, ONE, &[("mine", VOIDED), ("on_it", "SELECT reason FROM mine")]);
    let followed = pass(&mut partition, ONE, 1, VOIDED);
    partition.apply(voided(&[(ONE, "a", "1"), (OTHER, "a", "1")]));
    assert_eq!(followed.strong_count(), 1);

    partition.time_own_views(time(none, enough));
    partition.apply(voided(&[(ONE, "b", "1")]));
    let snapshot = partition.readers().snapshot(ONE);
    assert!(failure(&snapshot, "mine").unwrap().contains("takes more than the 0 ms"));
    assert!(failure(&snapshot, "on_it").unwrap().contains("it reads 'mine', which failed"));
    assert_eq!(followed.strong_count(), 0);
    assert_eq!(snapshot.view("plain").unwrap().row_count(), 2);
    assert_eq!(failure(&partition.readers().snapshot(OTHER), "mine"), None);
}
