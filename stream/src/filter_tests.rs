#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Array, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use projections::events::instant;

use super::*;

fn rows() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(38, 4), true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", instant(), true),
        Field::new("count", DataType::Int64, true),
        Field::new("done", DataType::Boolean, true),
    ]);
    let amounts = Decimal128Array::from(vec![Some(125_000), Some(-1), None]);
    let at = TimestampMicrosecondArray::from(vec![Some(1_000_000), Some(0), None]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a\"b"), Some("null"), None])),
        Arc::new(amounts.with_precision_and_scale(38, 4).unwrap()),
        Arc::new(Date32Array::from(vec![Some(0), Some(20_000), None])),
        Arc::new(at.with_timezone("UTC")),
        Arc::new(Int64Array::from(vec![Some(7), Some(i64::MAX), None])),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn select(wanted: &str) -> Result<Vec<usize>, String> {
    let rows = rows();
    let wanted = serde_json::from_str(wanted).unwrap();
    match Filter::compile(&rows.schema(), &wanted) {
        Ok(Some(filter)) => Ok(filter.select(&rows).unwrap()),
        Ok(None) => Ok((0..rows.num_rows()).collect()),
        Err(problem) => Err(problem.detail),
    }
}

#[test]
fn equality_in_every_type() {
    for (wanted, found) in [
        ("{}", vec![0, 1, 2]),
        (r#"{"text":"a\"b"}"#, vec![0]),
        (r#"{"text":"null"}"#, vec![1]),
        (r#"{"text":null}"#, vec![2]),
        (r#"{"text":"none such"}"#, vec![]),
        (r#"{"amount":12.5}"#, vec![0]),
        (r#"{"amount":"12.500000"}"#, vec![0]),
        (r#"{"amount":"-0.0001"}"#, vec![1]),
        (r#"{"day":"1970-01-01"}"#, vec![0]),
        (r#"{"at":"1970-01-01T00:00:01Z"}"#, vec![0]),
        (r#"{"at":"1970-01-01T01:00:00+01:00"}"#, vec![1]),
        (r#"{"count":7}"#, vec![0]),
        (r#"{"count":9223372036854775807}"#, vec![1]),
        (r#"{"done":false}"#, vec![1]),
        (r#"{"done":true,"count":7}"#, vec![0]),
        (r#"{"done":true,"count":8}"#, vec![]),
        (r#"{"done":null,"count":null}"#, vec![2]),
    ] {
        assert_eq!(select(wanted), Ok(found), "{wanted}");
    }
}

#[test]
fn what_no_row_can_have_is_refused() {
    for (wanted, said) in [
        (r#"{"nothing":1}"#, "no column 'nothing'; it has text, amount, day, at, count, done"),
        (r#"{"text":1}"#, "column 'text': expected a string, found 1"),
        (r#"{"amount":"12.34567"}"#, "expected a plain decimal"),
        (r#"{"amount":1e3}"#, "expected a plain decimal"),
        (r#"{"amount":""}"#, "expected a plain decimal"),
        (r#"{"amount":"99999999999999999999999999999999999999999"}"#, "is no value of this column"),
        (r#"{"day":"2024-02-30"}"#, "is no value of this column"),
        (r#"{"day":20240230}"#, "a date as \"YYYY-MM-DD\""),
        (r#"{"at":"yesterday"}"#, "is no value of this column"),
        (r#"{"count":1.5}"#, "is no value of this column"),
        (r#"{"count":9223372036854775808}"#, "is no value of this column"),
        (r#"{"done":"true"}"#, "true or false"),
        (r#"{"text":{"a":1}}"#, "expected one value"),
        (r#"{"text":["a"]}"#, "expected one value"),
    ] {
        let detail = select(wanted).unwrap_err();
        assert!(detail.contains(said), "{wanted}: {detail}");
    }
}

#[test]
fn the_compared_column_may_be_of_any_text_type() {
    let text = arrow::compute::cast(&StringArray::from(vec!["a", "b"]), &DataType::Utf8View);
    let text = text.unwrap();
    let schema = Schema::new(vec![Field::new("text", text.data_type().clone(), true)]);
    let rows = RecordBatch::try_new(Arc::new(schema), vec![text]).unwrap();
    let wanted = serde_json::from_str(r#"{"text":"b"}"#).unwrap();
    let filter = Filter::compile(&rows.schema(), &wanted).unwrap().unwrap();
    assert_eq!(filter.select(&rows).unwrap(), [1]);
}
