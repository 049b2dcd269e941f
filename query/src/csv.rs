//! CSV (RFC 4180): UTF-8, a header row, `\r\n`, ISO dates, plain decimals.
//!
//! - Null is an empty cell and empty text is `""`. A row of one column that is null is written
//!   `""` too, for an empty line is no row to most readers.
//! - A text cell that a spreadsheet would take for a formula, because it begins with `=`, `+`,
//!   `-`, `@`, tab or CR, is prefixed with `'`, unless the cells are wanted raw. So are names of
//!   columns, which may come from a query.

use std::fmt::Display;
use std::io::Write;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use futures::Stream;

use crate::format::{Body, BodyWriter};
use crate::{Answer, QueryError};

/// The answer as CSV, a chunk a batch. `raw` leaves text as it is, without the guard against
/// formulas.
pub fn csv_body(answer: Answer, raw: bool) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
    Body::stream(answer, CsvWriter { raw })
}

struct CsvWriter {
    raw: bool,
}

impl BodyWriter for CsvWriter {
    fn head(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), QueryError> {
        for (i, field) in schema.fields().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_text(out, field.name(), self.raw);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                column.write(out, row, self.raw);
            }
            if let [only] = columns.as_slice()
                && only.is_null(row)
            {
                out.extend_from_slice(b"\"\"");
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn tail(&mut self, _out: &mut Vec<u8>) -> Result<(), QueryError> {
        Ok(())
    }
}

/// A column whose type is known, so that a cell costs no look-up.
enum Column<'a> {
    Text(&'a StringArray),
    TextView(&'a StringViewArray),
    Decimal(&'a Decimal128Array, usize),
    Date(&'a Date32Array),
    Instant(&'a TimestampMicrosecondArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Bool(&'a BooleanArray),
    /// Types that only ad hoc SQL brings forth, as Arrow writes them; whether they are text.
    Other(&'a ArrayRef, ArrayFormatter<'a>, bool),
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self, QueryError> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Utf8View => Self::TextView(array.as_string_view()),
            DataType::Decimal128(_, scale) if *scale >= 0 => Self::Decimal(
                array.as_primitive::<Decimal128Type>(),
                usize::from(scale.unsigned_abs()),
            ),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Instant(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>()),
            DataType::Boolean => Self::Bool(array.as_boolean()),
            other => {
                // Lists and structures may hold text, so they are guarded like it.
                let text = !(other.is_numeric() || other.is_temporal());
                let formatter = ArrayFormatter::try_new(array, &OPTIONS).map_err(|error| {
                    QueryError::invalid(format!("a column cannot be written as CSV: {error}"))
                })?;
                Self::Other(array, formatter, text)
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(a) => a.is_null(row),
            Self::TextView(a) => a.is_null(row),
            Self::Decimal(a, _) => a.is_null(row),
            Self::Date(a) => a.is_null(row),
            Self::Instant(a) => a.is_null(row),
            Self::Int(a) => a.is_null(row),
            Self::Float(a) => a.is_null(row),
            Self::Bool(a) => a.is_null(row),
            Self::Other(a, ..) => a.logical_nulls().is_some_and(|nulls| nulls.is_null(row)),
        }
    }

    fn write(&self, out: &mut Vec<u8>, row: usize, raw: bool) {
        if self.is_null(row) {
            return;
        }
        match self {
            Self::Text(a) => write_text(out, a.value(row), raw),
            Self::TextView(a) => write_text(out, a.value(row), raw),
            Self::Decimal(a, scale) => write_decimal(out, a.value(row), *scale),
            Self::Date(a) => write_date(out, a.value(row)),
            Self::Instant(a) => write_instant(out, a.value(row)),
            Self::Int(a) => write_int(out, a.value(row)),
            Self::Float(a) => write_float(out, a.value(row)),
            Self::Bool(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Self::Other(_, formatter, text) => {
                write_text(out, &formatter.value(row).to_string(), raw || !text);
            }
        }
    }
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new();

/// Writes a cell of text: guarded unless `raw`, quoted when it must be or when it is empty.
fn write_text(out: &mut Vec<u8>, text: &str, raw: bool) {
    let bytes = text.as_bytes();
    let formula = matches!(bytes.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'));
    let guard = formula && !raw;
    let quoted = bytes.is_empty()
        || bytes.iter().any(|b| matches!(b, b'"' | b',' | b'\r' | b'\n'))
        // Many readers strip these from a cell without quotes.
        || matches!(bytes.first(), Some(b' ' | b'\t'))
        || matches!(bytes.last(), Some(b' ' | b'\t'));
    if quoted {
        out.push(b'"');
    }
    if guard {
        out.push(b'\'');
    }
    if quoted {
        for (i, part) in text.split('"').enumerate() {
            if i > 0 {
                out.extend_from_slice(b"\"\"");
            }
            out.extend_from_slice(part.as_bytes());
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(bytes);
    }
}

/// Writes `value` × 10^−`scale` with all its places.
fn write_decimal(out: &mut Vec<u8>, value: i128, scale: usize) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [b'0'; 40];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    // Division of 128 bits is slow, and nearly every amount fits into 64.
    while rest > u128::from(u64::MAX) {
        start -= 1;
        digits[start] += (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        start -= 1;
        digits[start] += (rest % 10) as u8;
        rest /= 10;
    }
    // At least one digit before the point; what was not written is a zero already.
    let start = start.min(digits.len() - scale.min(38) - 1);
    let point = digits.len() - scale.min(38);
    out.extend_from_slice(&digits[start..point]);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(&digits[point..]);
    }
}

fn write_int(out: &mut Vec<u8>, value: i64) {
    write_decimal(out, value.into(), 0);
}

fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        write_display(out, value);
    }
}

/// Writes `YYYY-MM-DD`; a date beyond the calendar's reach, which only arithmetic makes, is empty.
fn write_date(out: &mut Vec<u8>, days: i32) {
    let Some(date) = NaiveDate::from_epoch_days(days) else { return };
    let Ok(year @ 0..=9999) = u16::try_from(date.year()) else {
        return write_display(out, date);
    };
    let digit = |n: u32| b'0' + (n % 10) as u8;
    let (year, month, day) = (u32::from(year), date.month(), date.day());
    out.extend_from_slice(&[
        digit(year / 1000),
        digit(year / 100),
        digit(year / 10),
        digit(year),
        b'-',
        digit(month / 10),
        digit(month),
        b'-',
        digit(day / 10),
        digit(day),
    ]);
}

fn write_instant(out: &mut Vec<u8>, micros: i64) {
    if let Some(at) = DateTime::from_timestamp_micros(micros) {
        write_display(out, at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    }
}

fn write_display(out: &mut Vec<u8>, value: impl Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests;
