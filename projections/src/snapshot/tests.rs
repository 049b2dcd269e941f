use std::collections::BTreeMap;

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;

use super::*;

fn view() -> Arc<View> {
    let schema = Schema::new(vec![
        Field::new("note", DataType::Utf8, true),
        Field::new("id", DataType::Int64, false),
    ]);
    Arc::new(View::new("v", "", Arc::new(schema), vec![1]))
}

fn rows(view: &View, values: &[(i64, i64)]) -> RecordBatch {
    let notes: StringArray = values.iter().map(|(_, n)| Some(format!("note {n}"))).collect();
    let ids: Int64Array = values.iter().map(|(id, _)| Some(*id)).collect();
    RecordBatch::try_new(view.schema().clone(), vec![Arc::new(notes), Arc::new(ids)]).unwrap()
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|b| b.column(1).as_primitive::<Int64Type>().values().to_vec()).collect()
}

proptest! {
    /// Applying changes one after the other holds what a plain map holds, in order of key, and
    /// pages of any size put together are the whole.
    #[test]
    fn a_snapshot_is_the_sum_of_its_changes(
        steps in prop::collection::vec(prop::collection::vec((0_i64..3000, 0_i64..3), 1..900), 1..12),
        page in 1_usize..2000,
    ) {
        let view = view();
        let mut snapshot = ViewSnapshot::empty(view.clone()).unwrap();
        let mut model: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for step in steps {
            let before = snapshot.clone();
            let kept = ids(&before.batches().unwrap());
            let mut net: BTreeMap<(i64, i64), i64> = BTreeMap::new();
            for row in &step {
                // A row is removed once at most, however often it is drawn.
                let entry = net.entry(*row).or_default();
                *entry = if model.contains_key(row) { -1 } else { *entry + 1 };
            }
            let (keys, weights): (Vec<_>, Vec<_>) = net.into_iter().unzip();
            let owners = UInt32Array::from(vec![7; keys.len()]);
            let change = Change::new(owners, rows(&view, &keys), Int64Array::from(weights.clone()));
            for part in snapshot.layout.part(&change).unwrap() {
                prop_assert_eq!(part.tenant, Tenant(7));
                snapshot.apply(&part.delta);
            }
            for (key, weight) in keys.into_iter().zip(weights) {
                let sum = model.entry(key).or_default();
                *sum += weight;
                if *sum == 0 { model.remove(&key); }
            }
            prop_assert_eq!(kept, ids(&before.batches().unwrap()), "an older snapshot changed");
            prop_assert!(leads_from(&before, &snapshot)?);
        }
        let expected: Vec<i64> = model.iter().flat_map(|((id, _), n)| vec![*id; *n as usize]).collect();
        prop_assert_eq!(snapshot.row_count(), expected.len());
        prop_assert_eq!(ids(&snapshot.batches().unwrap()), expected.clone());

        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let part = snapshot.page(after.as_deref(), page).unwrap();
            paged.extend(ids(&[part.rows]));
            match part.next { Some(next) => after = Some(next), None => break }
        }
        prop_assert_eq!(paged, expected);
        let nothing = ViewSnapshot::empty(view).unwrap();
        prop_assert!(leads_from(&nothing, &snapshot)? && leads_from(&snapshot, &nothing)?);
    }
}

/// How often each row stands.
fn counted(snapshot: &ViewSnapshot) -> BTreeMap<(i64, String), i64> {
    let mut counted = BTreeMap::new();
    for batch in snapshot.batches().unwrap() {
        for row in named(&batch) {
            *counted.entry(row).or_default() += 1;
        }
    }
    counted
}

fn named(batch: &RecordBatch) -> Vec<(i64, String)> {
    let notes = batch.column(0).as_string::<i32>().iter();
    let ids = batch.column(1).as_primitive::<Int64Type>().values();
    ids.iter().copied().zip(notes.map(|note| note.unwrap().to_owned())).collect()
}

/// Whether the difference of two snapshots leads from one to the other, with each row once and those
/// that go first.
fn leads_from(before: &ViewSnapshot, after: &ViewSnapshot) -> Result<bool, TestCaseError> {
    let (rows, weights) = after.difference(before).unwrap();
    prop_assert_eq!(rows.num_rows(), weights.len());
    prop_assert!(weights.is_sorted_by_key(|weight| *weight > 0) && !weights.contains(&0));
    let mut sum = counted(before);
    let mut seen = std::collections::BTreeSet::new();
    for (row, weight) in named(&rows).into_iter().zip(weights) {
        prop_assert!(seen.insert(row.clone()), "{:?} stands twice", row);
        *sum.entry(row).or_default() += weight;
    }
    sum.retain(|_, times| *times != 0);
    Ok(sum == counted(after))
}
