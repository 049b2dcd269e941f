#![allow(clippy::unwrap_used)]

use arrow::array::cast::AsArray;
use arrow::array::{Array, StringArray};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::super::{DECIMAL, instant};
use super::*;

fn field(name: &str, kind: FieldType) -> Field {
    Field { name: name.to_owned(), kind, optional: true }
}

/// The column of one field of this type, of events that carried these texts.
fn column(kind: FieldType, extra: &[Option<&str>]) -> ArrayRef {
    let extra = StringArray::from(extra.to_vec());
    let mut columns = declared_columns(&[field("x", kind)], Some(&extra), extra.len());
    columns.remove(0)
}

/// The column of one field, of events in whose data it is each of these.
fn of_values(kind: FieldType, values: &[&str]) -> ArrayRef {
    let texts: Vec<String> = values
        .iter()
        .map(|value| {
            format!(r#"{{"attributes":{{"x":"no"}},"data":{{"a":[{{"x":1}}],"x":{value},"z":0}}}}"#)
        })
        .collect();
    column(kind, &texts.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>())
}

#[test]
fn values_are_read_as_the_intake_reads_them() {
    let texts =
        of_values(FieldType::Text, &[r#""L-7""#, r#""a\u00e4\n""#, "7", "null", "[]", "{}"]);
    let texts: Vec<Option<&str>> = texts.as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("L-7"), Some("aä\n"), None, None, None, None]);

    let forms = ["12.50", r#""-0.0001""#, "1e3", r#""+.5""#, "0.00001", "true", r#""twelve""#];
    let numbers = of_values(FieldType::Decimal, &forms);
    assert_eq!(numbers.data_type(), &DECIMAL);
    let numbers: Vec<Option<i128>> = numbers.as_primitive::<Decimal128Type>().iter().collect();
    assert_eq!(numbers, [Some(125_000), Some(-1), Some(10_000_000), Some(5_000), None, None, None]);
    // No digit goes through a float.
    let long = of_values(FieldType::Decimal, &["1234567890123456789012345678901234.5678"]);
    let units: i128 = 12_345_678_901_234_567_890_123_456_789_012_345_678;
    assert_eq!(long.as_primitive::<Decimal128Type>().value(0), units);

    let whole = of_values(FieldType::Int, &["-3", "120.0", "1.5", r#""3""#, "9223372036854775808"]);
    let whole: Vec<Option<i64>> = whole.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(whole, [Some(-3), Some(120), None, None, None]);

    let days = of_values(FieldType::Date, &[r#""1970-01-02""#, r#""2025-02-29""#, "20250101"]);
    let days: Vec<Option<i32>> = days.as_primitive::<Date32Type>().iter().collect();
    assert_eq!(days, [Some(1), None, None]);

    let moments = [r#""1970-01-01T01:00:00.5+01:00""#, r#""1970-01-01""#, "0"];
    let moments = of_values(FieldType::Timestamp, &moments);
    assert_eq!(moments.data_type(), &instant());
    let moments: Vec<Option<i64>> =
        moments.as_primitive::<TimestampMicrosecondType>().iter().collect();
    assert_eq!(moments, [Some(500_000), None, None]);

    let flags = of_values(FieldType::Bool, &["true", "false", r#""true""#, "1"]);
    let flags: Vec<Option<bool>> = flags.as_boolean().iter().collect();
    assert_eq!(flags, [Some(true), Some(false), None, None]);
}

#[test]
fn what_is_not_there_is_null() {
    let kinds = [
        FieldType::Text,
        FieldType::Decimal,
        FieldType::Date,
        FieldType::Timestamp,
        FieldType::Int,
        FieldType::Bool,
    ];
    let extra = [
        None,
        Some(r#"{"attributes":{"x":"1"}}"#),
        Some(r#"{"data":{"X":1,"y":{"x":true}}}"#),
        Some(r#"{"data":null}"#),
        Some("{"),
    ];
    for kind in kinds {
        let column = column(kind, &extra);
        assert_eq!((column.len(), column.null_count()), (5, 5), "{kind:?}");
        assert_eq!(column.data_type(), &kind.data_type());
        for extra in [None, Some(StringArray::new_null(2))] {
            let of_none = declared_columns(&[field("x", kind)], extra.as_ref(), 2);
            assert_eq!((of_none[0].len(), of_none[0].null_count()), (2, 2), "{kind:?}");
            assert_eq!(of_none[0].data_type(), &kind.data_type());
        }
    }
}

#[test]
fn each_field_has_its_own_value() {
    let fields =
        [field("b", FieldType::Int), field("a", FieldType::Text), field("ü", FieldType::Bool)];
    let extra = StringArray::from(vec![
        Some(r#"{"data":{"a":"one","b":1}}"#),
        Some(r#"{"data":{"\u00fc":true,"b":2}}"#),
    ]);
    let columns = declared_columns(&fields, Some(&extra), 2);
    assert_eq!(columns[0].as_primitive::<Int64Type>().values(), &[1, 2]);
    let texts: Vec<Option<&str>> = columns[1].as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("one"), None]);
    let flags: Vec<Option<bool>> = columns[2].as_boolean().iter().collect();
    assert_eq!(flags, [None, Some(true)]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}|[\\[\\]{}:,\"0-9a-z\\\\.-]{0,60}") {
        for kind in [FieldType::Text, FieldType::Decimal, FieldType::Timestamp, FieldType::Int] {
            prop_assert_eq!(column(kind, &[Some(text.as_str())]).len(), 1);
            prop_assert_eq!(of_values(kind, &[text.as_str()]).len(), 1);
        }
    }
}
