//! What is written as CSV is read back by another's reader, cell for cell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow::array::{
    Int16Array, Int32Array, ListArray, StructArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Field;
use proptest::prelude::*;

use super::*;

fn written(batch: &RecordBatch, raw: bool) -> Vec<u8> {
    let mut writer = CsvWriter::new(raw);
    let mut out = Vec::new();
    writer.head(batch.schema_ref(), &mut out).unwrap();
    writer.batch(batch, &mut out).unwrap();
    writer.tail(&mut out).unwrap();
    out
}

fn text(columns: Vec<(&str, ArrayRef)>, raw: bool) -> String {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    String::from_utf8(written(&batch, raw)).unwrap()
}

fn read(bytes: &[u8]) -> Vec<Vec<String>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(bytes)
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

fn decimals(values: Vec<Option<i128>>, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap())
}

#[test]
fn values_are_plain() {
    let written = text(
        vec![
            ("amount", decimals(vec![Some(-5), Some(123_450_000), None], 4)),
            ("units", decimals(vec![Some(0), Some(i128::from(i64::MAX)), Some(-7)], 0)),
            ("due", Arc::new(Date32Array::from(vec![Some(0), Some(19_782), None]))),
            (
                "at",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![Some(0), Some(1_500_000), None])
                        .with_timezone("UTC"),
                ),
            ),
            ("n", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(0), None]))),
            ("f", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("i", Arc::new(Int32Array::from(vec![Some(-1), Some(2), None]))),
        ],
        false,
    );
    assert_eq!(
        written,
        "amount,units,due,at,n,f,b,i\r\n\
         -0.0005,0,1970-01-01,1970-01-01T00:00:00Z,-9223372036854775808,0.5,true,-1\r\n\
         12345.0000,9223372036854775807,2024-02-29,1970-01-01T00:00:01.500Z,0,,false,2\r\n\
         ,-7,,,,,,\r\n"
    );
}

/// Ranks and months, which only functions bring forth, are written as everywhere else.
#[test]
fn whole_numbers_and_instants_of_other_types_are_plain_too() {
    let written = text(
        vec![
            ("rank", Arc::new(UInt64Array::from(vec![Some(1), Some(u64::MAX), None]))),
            ("month", Arc::new(TimestampNanosecondArray::from(vec![Some(0), None, None]))),
            ("small", Arc::new(Int16Array::from(vec![Some(-3), Some(i16::MAX), None]))),
        ],
        false,
    );
    assert_eq!(
        written,
        "rank,month,small\r\n1,1970-01-01T00:00:00Z,-3\r\n\
         18446744073709551615,,32767\r\n,,\r\n"
    );
}

#[test]
fn null_is_not_empty_text() {
    let two: ArrayRef = Arc::new(StringArray::from(vec![None, Some("")]));
    let other: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    assert_eq!(text(vec![("a", two.clone()), ("b", other)], false), "a,b\r\n,x\r\n\"\",\r\n");
    assert_eq!(text(vec![("a", two)], false), "a\r\n\"\"\r\n\"\"\r\n");
}

#[test]
fn formulas_are_guarded_in_every_text() {
    let cells = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=b", "'=", ""];
    let array: ArrayRef = Arc::new(StringArray::from(cells.to_vec()));
    let guarded = text(vec![("=name", array.clone())], false);
    let expected =
        "'=name\r\n'=1+1\r\n'+1\r\n'-1\r\n'@x\r\n\"'\tx\"\r\n\"'\rx\"\r\na=b\r\n'=\r\n\"\"\r\n";
    assert_eq!(guarded, expected);
    let raw = text(vec![("=name", array)], true);
    assert!(raw.starts_with("=name\r\n=1+1\r\n+1\r\n"), "{raw}");

    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 1]));
    let values: ArrayRef = Arc::new(StringArray::from(vec!["=x"]));
    let list: ArrayRef = Arc::new(ListArray::new(item, offsets, values.clone(), None));
    assert_eq!(text(vec![("l", list)], false), "l\r\n[=x]\r\n");
    let fields = vec![Arc::new(Field::new("f", DataType::Utf8, true))];
    let row: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![values], None));
    assert_eq!(text(vec![("s", row)], false), "s\r\n{f: =x}\r\n");
    let large: ArrayRef = Arc::new(arrow::array::LargeStringArray::from(vec!["=x"]));
    assert_eq!(text(vec![("t", large)], false), "t\r\n'=x\r\n");
    let view: ArrayRef = Arc::new(StringViewArray::from(vec!["=x"]));
    assert_eq!(text(vec![("t", view)], false), "t\r\n'=x\r\n");
}

/// The cell that a reader should find for a value.
fn cell(value: Option<&String>, raw: bool) -> String {
    let text = value.cloned().unwrap_or_default();
    if !raw && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return format!("'{text}");
    }
    text
}

proptest! {
    #[test]
    fn text_reads_back(
        rows in prop::collection::vec(
            (prop::option::of("(=|\\+|-|@|\t|\r|\n|\"|,| |a|ß|☃){0,6}"), prop::option::of("([ab]{0,9}[\"\r\n, a]){0,4}|.{0,12}")),
            0..20,
        ),
        raw: bool,
    ) {
        let left: ArrayRef = Arc::new(rows.iter().map(|r| r.0.as_ref()).collect::<StringArray>());
        let right: ArrayRef = Arc::new(rows.iter().map(|r| r.1.as_ref()).collect::<StringArray>());
        let batch = RecordBatch::try_from_iter_with_nullable([("a", left, true), ("b", right, true)]).unwrap();
        let mut expected = vec![vec!["a".to_owned(), "b".to_owned()]];
        expected.extend(rows.iter().map(|r| vec![cell(r.0.as_ref(), raw), cell(r.1.as_ref(), raw)]));
        prop_assert_eq!(read(&written(&batch, raw)), expected);
    }

    #[test]
    fn one_column_keeps_its_rows(rows in prop::collection::vec(prop::option::of("[ab\"\r\n]{0,3}"), 0..20)) {
        let array: ArrayRef = Arc::new(rows.iter().map(Option::as_ref).collect::<StringArray>());
        let batch = RecordBatch::try_from_iter_with_nullable([("a", array, true)]).unwrap();
        let mut expected = vec![vec!["a".to_owned()]];
        expected.extend(rows.iter().map(|r| vec![cell(r.as_ref(), true)]));
        prop_assert_eq!(read(&written(&batch, true)), expected);
    }

    #[test]
    fn decimals_read_back(digits in -99_999_999_999_999_999_999_999_999_999_999_999_999_i128..=99_999_999_999_999_999_999_999_999_999_999_999_999, scale in 0_i8..=38) {
        let mut out = Vec::new();
        write_decimal(&mut out, digits, scale.unsigned_abs().into());
        let written = String::from_utf8(out).unwrap();
        let (whole, places) = written.split_once('.').unwrap_or((&written, ""));
        prop_assert_eq!(places.len(), usize::from(scale.unsigned_abs()));
        prop_assert!(whole.ends_with(|c: char| c.is_ascii_digit()), "{}", written);
        let sign = if digits < 0 { "-" } else { "" };
        let is_plain = whole.strip_prefix(sign).is_some_and(|w| w == "0" || !w.starts_with(['0', '-']));
        prop_assert!(is_plain, "{}", written);
        prop_assert_eq!(format!("{whole}{places}").parse::<i128>().unwrap(), digits);
    }

    #[test]
    fn dates_read_back(days in -800_000_i32..3_000_000) {
        let mut out = Vec::new();
        write_date(&mut out, days);
        let written = String::from_utf8(out).unwrap();
        let date: NaiveDate = written.parse().unwrap();
        prop_assert_eq!(date, NaiveDate::from_epoch_days(days).unwrap());
    }

    #[test]
    fn instants_are_as_chrono_writes_them(
        seconds in prop_oneof![-62_500_000_000_i64..260_000_000_000, -8_000_000_000_000_i64..8_000_000_000_000],
        micros in prop_oneof![Just(0_i64), (0_i64..1000).prop_map(|n| n * 1000), 0_i64..1_000_000],
    ) {
        let instant = seconds * 1_000_000 + micros;
        let mut out = Vec::new();
        write_instant(&mut out, instant);
        let at = DateTime::from_timestamp_micros(instant).unwrap();
        let expected = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_must_be_quoted_is_found_wherever_it_is(text in "[a-z\u{0}-\u{ff},\"]{0,40}") {
        let special = text.contains(['"', ',', '\r', '\n']);
        prop_assert_eq!(has_special(text.as_bytes()), special);
    }
}
