#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use projections::{Tenant, View};

use super::*;

const BOUND: usize = 1 << 20;

/// A circuit that says what it was told to say.
struct Fake(Arc<Mutex<Rows>>);

impl Circuit for Fake {
    fn over(&self, _: &TenantSnapshot) -> Rows {
        self.0.lock().unwrap().clone()
    }
}

fn batch(name: &str, rows: &[i64]) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(rows.to_vec()));
    RecordBatch::try_from_iter([(name, numbers)]).unwrap()
}

fn kept(rows: &[i64]) -> Rows {
    let rows = batch("n", rows);
    let view = View::new("@kept", "", rows.schema(), vec![0]);
    Rows::At(ViewSnapshot::from_batch(Arc::new(view), &rows).unwrap())
}

fn snapshot() -> TenantSnapshot {
    TenantSnapshot::with_views(Tenant(1), 1, None, Vec::new())
}

fn waiting() -> (Course, Arc<Mutex<Rows>>) {
    let rows = Arc::new(Mutex::new(Rows::NotYet));
    (Course::Waiting(Box::new(Fake(rows.clone()))), rows)
}

/// Compares with an answer of these rows.
fn compare(course: &mut Course, answer: &RecordBatch) {
    let schema = answer.schema();
    let table = Table::of_batches(&schema, std::slice::from_ref(answer), BOUND).unwrap();
    course.compare(&snapshot(), &schema, &table, BOUND);
}

fn changes(course: &mut Course) -> Vec<(i64, String)> {
    match course.say(&snapshot()) {
        Said::Changed(changes) => changes,
        Said::Same => Vec::new(),
        Said::Nothing => panic!("it says nothing"),
    }
}

#[test]
fn a_circuit_that_has_the_answer_keeps_it_and_says_what_changes() {
    let (mut course, rows) = waiting();
    assert!(!course.is_ready(&snapshot()) && !course.is_kept());
    compare(&mut course, &batch("n", &[1]));
    assert!(matches!(course, Course::Waiting(_)), "it is not ready");
    *rows.lock().unwrap() = kept(&[2, 1, 1]);
    assert!(course.is_ready(&snapshot()));
    compare(&mut course, &batch("n", &[1, 2, 1]));
    assert!(course.is_kept() && !course.is_open());
    assert!(changes(&mut course).is_empty());
    *rows.lock().unwrap() = kept(&[1, 2, 2, 3]);
    let due = [(-1, "[1]".to_owned()), (1, "[2]".to_owned()), (1, "[3]".to_owned())];
    assert_eq!(changes(&mut course), due);
    // The same rows, though they were put in anew.
    *rows.lock().unwrap() = kept(&[3, 2, 2, 1]);
    assert!(changes(&mut course).is_empty());
}

#[test]
fn one_that_has_another_answer_in_any_way_never_keeps_it() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let small: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![1]));
    for answer in [
        batch("n", &[1, 1]),
        batch("n", &[]),
        batch("m", &[1]),
        // Types that are one in JSON too.
        RecordBatch::try_from_iter([("n", small)]).unwrap(),
        RecordBatch::try_from_iter([("n", texts)]).unwrap(),
    ] {
        let (mut course, rows) = waiting();
        *rows.lock().unwrap() = kept(&[1]);
        compare(&mut course, &answer);
        assert!(matches!(course, Course::AskingOnly), "{answer:?}");
    }
}

#[test]
fn one_that_is_lost_leaves_the_answer_to_be_asked_for() {
    for (lost, is_open) in [(Rows::Anew, true), (Rows::Never, false), (Rows::NotYet, false)] {
        let (mut course, rows) = waiting();
        *rows.lock().unwrap() = kept(&[1]);
        compare(&mut course, &batch("n", &[1]));
        assert!(course.is_kept());
        *rows.lock().unwrap() = lost;
        assert!(matches!(course.say(&snapshot()), Said::Nothing));
        assert_eq!((course.is_kept(), course.is_open()), (false, is_open));
    }
    for (lost, is_open) in [(Rows::Anew, true), (Rows::Never, false)] {
        let (mut course, rows) = waiting();
        *rows.lock().unwrap() = lost;
        assert!(!course.is_ready(&snapshot()));
        assert_eq!(course.is_open(), is_open);
    }
}
