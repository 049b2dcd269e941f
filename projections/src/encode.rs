//! A row's values as JSON, exactly: decimals as strings, dates and instants in ISO 8601.

use std::io::Write;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate};
use serde::Serialize;

/// A column's name and type, as answers and streams state them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnType {
    /// Its name.
    pub name: String,
    /// `text`, `decimal`, `date`, `timestamp`, `int`, `float`, `bool`, or Arrow's name of the type.
    pub r#type: String,
}

/// The names and types of all columns.
pub fn column_types(schema: &Schema) -> Vec<ColumnType> {
    schema
        .fields()
        .iter()
        .map(|f| ColumnType { name: f.name().clone(), r#type: type_name(f.data_type()) })
        .collect()
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Decimal128(..) | DataType::Decimal256(..) => "decimal".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Boolean => "bool".into(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "float".into(),
        integer if integer.is_integer() => "int".into(),
        other => other.to_string().to_lowercase(),
    }
}

/// Writes rows of one batch as JSON.
pub struct RowEncoder<'a> {
    columns: Vec<Column<'a>>,
}

/// A column whose type is known, so that a value costs no look-up.
enum Column<'a> {
    Text(&'a arrow::array::StringArray),
    Decimal(&'a arrow::array::Decimal128Array, u32),
    Date(&'a arrow::array::Date32Array),
    Micros(&'a arrow::array::TimestampMicrosecondArray),
    Int(&'a arrow::array::Int64Array),
    Bool(&'a arrow::array::BooleanArray),
    Other(&'a ArrayRef),
}

impl<'a> RowEncoder<'a> {
    /// An encoder of the rows of `batch`.
    pub fn new(batch: &'a RecordBatch) -> Self {
        Self { columns: batch.columns().iter().map(Column::new).collect() }
    }

    /// Writes `[v,…]`.
    pub fn write_row(&self, out: &mut Vec<u8>, row: usize) {
        out.push(b'[');
        for column in 0..self.columns.len() {
            if column > 0 {
                out.push(b',');
            }
            self.write_value(out, column, row);
        }
        out.push(b']');
    }

    /// Writes one value.
    pub fn write_value(&self, out: &mut Vec<u8>, column: usize, row: usize) {
        match &self.columns[column] {
            Column::Text(a) if a.is_valid(row) => write_text(out, a.value(row)),
            Column::Decimal(a, scale) if a.is_valid(row) => {
                out.push(b'"');
                write_decimal(out, a.value(row), *scale);
                out.push(b'"');
            }
            Column::Date(a) if a.is_valid(row) => write_date(out, a.value(row)),
            Column::Micros(a) if a.is_valid(row) => {
                write_instant(out, DateTime::from_timestamp_micros(a.value(row)));
            }
            Column::Int(a) if a.is_valid(row) => write_display(out, a.value(row)),
            Column::Bool(a) if a.is_valid(row) => write_display(out, a.value(row)),
            Column::Other(a) if a.is_valid(row) => write_other(out, a, row),
            _ => out.extend_from_slice(b"null"),
        }
    }
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Self {
        match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Decimal128(_, scale) if *scale >= 0 => {
                Self::Decimal(array.as_primitive::<Decimal128Type>(), scale.unsigned_abs().into())
            }
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Micros(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>()),
            DataType::Boolean => Self::Bool(array.as_boolean()),
            _ => Self::Other(array),
        }
    }
}

/// Writes `value` × 10^−`scale` in plain digits.
pub fn write_decimal(out: &mut Vec<u8>, value: i128, scale: u32) {
    if value < 0 {
        out.push(b'-');
    }
    let digits = value.unsigned_abs();
    if scale == 0 {
        return write_display(out, digits);
    }
    // A decimal has at most 38 places, so its power of ten fits.
    let one = 10_u128.pow(scale.min(38));
    write_display(out, digits / one);
    out.push(b'.');
    let _ = write!(out, "{:0width$}", digits % one, width = scale as usize);
}

fn write_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

/// Writes a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain..i]);
        plain = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

fn write_date(out: &mut Vec<u8>, days: i32) {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => {
            let _ = write!(out, "\"{date}\"");
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn write_instant(out: &mut Vec<u8>, instant: Option<DateTime<chrono::Utc>>) {
    match instant {
        Some(at) => {
            let _ = write!(out, "\"{}\"", at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// Types that only ad hoc SQL brings forth.
fn write_other(out: &mut Vec<u8>, array: &ArrayRef, row: usize) {
    macro_rules! number {
        ($type:ty) => {
            write_display(out, array.as_primitive::<$type>().value(row))
        };
    }
    macro_rules! float {
        ($type:ty) => {{
            let value = array.as_primitive::<$type>().value(row);
            if value.is_finite() {
                write_display(out, value)
            } else {
                out.extend_from_slice(b"null")
            }
        }};
    }
    match array.data_type() {
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => float!(Float32Type),
        DataType::Float64 => float!(Float64Type),
        DataType::Utf8View => write_text(out, array.as_string_view().value(row)),
        DataType::LargeUtf8 => write_text(out, array.as_string::<i64>().value(row)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            let value = array.as_primitive::<TimestampSecondType>().value(row);
            write_instant(out, DateTime::from_timestamp(value, 0));
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let value = array.as_primitive::<TimestampMillisecondType>().value(row);
            write_instant(out, DateTime::from_timestamp_millis(value));
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let value = array.as_primitive::<TimestampNanosecondType>().value(row);
            write_instant(out, Some(DateTime::from_timestamp_nanos(value)));
        }
        DataType::Null => out.extend_from_slice(b"null"),
        // Lists, intervals, binary and the like: Arrow's own text.
        _ => match ArrayFormatter::try_new(array, &FormatOptions::default()) {
            Ok(formatter) => write_text(out, &formatter.value(row).to_string()),
            Err(_) => out.extend_from_slice(b"null"),
        },
    }
}

#[cfg(test)]
mod tests;
