use std::sync::Arc;

use arrow::array::{
    Date32Array, Decimal128Array, Float64Array, StringArray, TimestampMicrosecondArray,
};
use proptest::prelude::*;

use super::*;

fn json(array: ArrayRef) -> String {
    let batch = RecordBatch::try_from_iter_with_nullable([("v", array, true)]).unwrap();
    let mut out = Vec::new();
    let encoder = RowEncoder::new(&batch);
    for row in 0..batch.num_rows() {
        encoder.write_row(&mut out, row);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn values_are_exact() {
    let money = Decimal128Array::from(vec![Some(-5), Some(123_456), None, Some(0)])
        .with_precision_and_scale(38, 4)
        .unwrap();
    assert_eq!(json(Arc::new(money)), r#"["-0.0005"]["12.3456"][null]["0.0000"]"#);
    assert_eq!(json(Arc::new(Date32Array::from(vec![Some(0), None]))), r#"["1970-01-01"][null]"#);
    let at = TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC");
    assert_eq!(json(Arc::new(at)), r#"["1970-01-01T00:00:01.500Z"]"#);
    assert_eq!(json(Arc::new(Float64Array::from(vec![1.5, f64::NAN]))), "[1.5][null]");
}

#[test]
fn the_largest_decimal_is_written_whole() {
    let largest =
        Decimal128Array::from(vec![10_i128.pow(38) - 1]).with_precision_and_scale(38, 4).unwrap();
    assert_eq!(json(Arc::new(largest)), format!("[\"{}.9999\"]", "9".repeat(34)));
}

proptest! {
    #[test]
    fn any_text_reads_back(text: String) {
        let written = json(Arc::new(StringArray::from(vec![text.clone()])));
        let read: Vec<String> = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(read, vec![text]);
    }
}
