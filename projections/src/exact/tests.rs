use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Array, Int64Array, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use datafusion::prelude::SessionContext;
use futures::executor::block_on;

use super::*;

const LARGEST: i128 = 10_i128.pow(38) - 1;

/// The rows of one query over `t(g, d, i)`: two of the largest values in group 1, cancelled in 2.
fn answer(sql: &str) -> RecordBatch {
    let context = SessionContext::new();
    context.register_udaf(exact_sum().as_ref().clone());
    context.register_udaf(exact_average().as_ref().clone());
    let groups = Int64Array::from(vec![1, 1, 2, 2, 2, 3]);
    let decimals = Decimal128Array::from(vec![
        Some(LARGEST),
        Some(LARGEST),
        Some(LARGEST),
        Some(LARGEST),
        Some(-LARGEST),
        None,
    ]);
    let decimals = decimals.with_precision_and_scale(38, 4).unwrap();
    let most = i64::MAX;
    let ints =
        Int64Array::from(vec![Some(most), Some(most), Some(most), Some(most), Some(-most), None]);
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("g", Arc::new(groups), false),
        ("d", Arc::new(decimals), true),
        ("i", Arc::new(ints), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    context.register_batch("t", batch).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let frame = block_on(context.sql(sql)).unwrap();
    let batches = runtime.block_on(frame.collect()).unwrap();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn decimals(batch: &RecordBatch, column: usize) -> Vec<Option<i128>> {
    batch.column(column).as_primitive::<Decimal128Type>().iter().collect()
}

#[test]
fn a_total_beyond_the_type_is_null_and_one_that_comes_back_is_exact() {
    let sums = answer("SELECT g, sum(d), sum(i) FROM t GROUP BY g ORDER BY g");
    assert_eq!(decimals(&sums, 1), [None, Some(LARGEST), None]);
    let ints: Vec<_> = sums.column(2).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(ints, [None, Some(i64::MAX), None]);
}

#[test]
fn an_average_beyond_its_type_is_null_and_one_that_fits_is_exact() {
    let averages = answer("SELECT g, avg(d), mean(d) FROM t GROUP BY g ORDER BY g");
    assert_eq!(decimals(&averages, 1), [None, None, None]);
    assert_eq!(averages.column(1), averages.column(2));
    let small = answer(
        "SELECT g, avg(arrow_cast(i % 1000, 'Decimal128(38, 4)')), avg(i % 1000) FROM t \
         GROUP BY g ORDER BY g",
    );
    // 807, and (807 + 807 - 807) / 3 = 269.
    assert_eq!(decimals(&small, 1), [Some(80_700_000_000), Some(26_900_000_000), None]);
    let all = answer("SELECT avg(d), avg(DISTINCT d) FROM t WHERE g = 1");
    assert!(all.column(0).is_null(0) && all.column(1).is_null(0));
    let window = answer(
        "SELECT avg(arrow_cast(i % 1000, 'Decimal128(38, 4)')) \
         OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WHERE g = 2",
    );
    let window = decimals(&window, 0);
    assert_eq!(window, [Some(-80_700_000_000), Some(0), Some(80_700_000_000)]);
}

#[test]
fn without_groups_distinct_and_in_windows_too() {
    let all = answer("SELECT sum(d) FROM t WHERE g = 1");
    assert!(all.column(0).is_null(0));
    let distinct = answer("SELECT sum(DISTINCT d) FROM t WHERE g = 1");
    assert_eq!(decimals(&distinct, 0), [Some(LARGEST)]);
    let window = answer(
        "SELECT sum(d) OVER (ORDER BY d ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WHERE g = 2",
    );
    let window = decimals(&window, 0);
    assert_eq!(window, [Some(-LARGEST), Some(0), None]);
}
