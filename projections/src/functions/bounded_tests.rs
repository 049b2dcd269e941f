#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{col, lit};
use futures::executor::block_on;

use super::*;
use crate::sql::dialect;

/// What was asked for, and what was made.
#[derive(Debug, Default)]
struct Ledger(Mutex<Vec<(usize, usize)>>);

impl Account for Ledger {
    fn ask(&self, _by: &str, bytes: usize) -> Result<()> {
        self.0.lock().unwrap().push((bytes, 0));
        Ok(())
    }

    fn made(&self, bytes: usize) {
        self.0.lock().unwrap().last_mut().unwrap().1 = bytes;
    }
}

fn rows() -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("abab ü"), Some(""), None]));
    let others: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), Some("(x)"), Some("y")]));
    let moments = TimestampMicrosecondArray::from(vec![i64::MAX / 2_000, 0, -1]);
    let moments: ArrayRef = Arc::new(moments.with_timezone("+00:00"));
    RecordBatch::try_from_iter([("a", texts), ("b", others), ("at", moments)]).unwrap()
}

/// What an expression over these rows asks for and makes, call by call.
fn charges(sql: &str) -> Vec<(usize, usize)> {
    let (rows, ledger) = (rows(), Arc::new(Ledger::default()));
    let schema = DFSchema::try_from(rows.schema()).unwrap();
    let state = dialect::session().state();
    let expr = state.create_logical_expr(sql, &schema).unwrap();
    let account: Arc<dyn Account> = ledger.clone();
    let expr = charge(expr, &mut || Some(account.clone())).unwrap().data;
    let physical = state.create_physical_expr(expr, &schema).unwrap();
    physical.evaluate(&rows).unwrap();
    ledger.0.lock().unwrap().clone()
}

#[test]
fn no_function_makes_more_than_it_asks_for() {
    for sql in [
        "concat(a, b, a)",
        "concat_ws('--', a, b, a)",
        "repeat(a, 7)",
        "lpad(a, 20, b)",
        "rpad(a, 20, 'ü')",
        "replace(a, 'ab', 'xyz')",
        "replace(a, '', 'xyz')",
        "regexp_replace(a, 'b*', '<\\0>', 'g')",
        "overlay(a PLACING b FROM 2)",
        "to_char(at, '%+ %+ %c %A %B %s %v %D %Y %j %Z %.9f')",
        "to_char(at, concat('%+', b))",
    ] {
        for (asked, made) in charges(sql) {
            assert!(made <= asked && asked > 0, "{sql}: {made} of {asked}");
        }
    }
}

#[test]
fn what_is_the_same_in_every_row_is_asked_for_as_often() {
    assert_eq!(charges("repeat('ab', 1000)").last().unwrap().0, 6_000);
    assert_eq!(charges("repeat(a, 2)"), [(14, 14)]);
    let both: usize = charges("upper(a) || lower(b)").iter().map(|(asked, _)| asked).sum();
    assert_eq!(both, "abab ü".len() + "b(x)y".len());
}

#[test]
fn a_literal_is_counted_where_it_is_put_into_rows_and_no_where_else() {
    let charged = |expr: &Expr| charge(expr.clone(), &mut || None).unwrap().data;
    let (short, long) = (lit("x".repeat(64)), lit("x".repeat(65)));
    assert_eq!(charged(&short), short);
    assert_ne!(charged(&long), long);
    for compared in [
        col("a").eq(long.clone()),
        col("a").like(long.clone()),
        col("a").in_list(vec![long.clone(), lit("y")], false),
        col("a").between(lit("y"), long.clone()),
    ] {
        assert_eq!(charged(&compared), compared);
    }
    assert_eq!(charge_column(charged(&long), &mut || None), charged(&long), "and once");
}

/// The plan of a query, optimized.
fn planned(sql: &str) -> String {
    let state = dialect::session().state();
    let plan = block_on(state.create_logical_plan(sql)).unwrap();
    state.optimize(&plan).unwrap().display_indent().to_string()
}

#[test]
fn no_plan_holds_a_long_text_that_was_made_of_short_ones() {
    assert!(!planned("SELECT repeat('x', 1000) AS x").contains("repeat"));
    for sql in [
        "SELECT repeat('x', 1100) AS x",
        "SELECT repeat('x', 2000000000) AS x",
        "SELECT lpad('x', 1000000) AS x",
        "SELECT length(to_char(now(), repeat('%+', 30000000))) AS x",
        "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000)) AS x",
    ] {
        let plan = planned(sql);
        assert!(plan.contains("repeat") || plan.contains("lpad"), "{plan}");
        assert!(plan.len() < 1_000, "{sql}");
    }
}

#[test]
fn comparisons_of_long_texts_are_refused() {
    let texts = |bytes: usize| ColumnarValue::Scalar("x".repeat(bytes).into());
    let growth = |bytes| Growth::Compare.of_rows(&[texts(bytes), texts(bytes)], 1);
    assert!(growth(10_000) < COMPARISONS && growth(20_000) > COMPARISONS);
}
