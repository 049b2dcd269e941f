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

use crate::format::{Body, BodyWriter, CHUNK_ROWS, usual};
use crate::{Answer, QueryError};

/// The answer as CSV, in chunks of some rows. `raw` leaves text as it is, without the guard against
/// formulas.
pub fn csv_body(answer: Answer, raw: bool) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
    Body::stream(answer, CsvWriter::new(raw))
}

struct CsvWriter {
    raw: bool,
    /// Bytes that the next rows are likely to take.
    room: usize,
}

impl CsvWriter {
    fn new(raw: bool) -> Self {
        Self { raw, room: 0 }
    }
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
        let usual = usual(batch)?;
        let columns = usual.iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
        let before = out.len();
        out.reserve(self.room);
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
        let written = out.len() - before;
        self.room = written + written / 8;
        Ok(())
    }

    fn tail(&mut self, _out: &mut Vec<u8>) -> Result<(), QueryError> {
        Ok(())
    }

    fn rows_at_once(&self) -> usize {
        CHUNK_ROWS
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

    #[inline]
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
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        out.extend_from_slice(b"\"\"");
        return;
    };
    let guard = !raw && matches!(first, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r');
    // Many readers strip spaces and tabs at the ends of a cell without quotes.
    let is_quoted =
        has_special(bytes) || matches!(first, b' ' | b'\t') || matches!(last, b' ' | b'\t');
    if is_quoted {
        out.push(b'"');
    }
    if guard {
        out.push(b'\'');
    }
    if !is_quoted {
        out.extend_from_slice(bytes);
        return;
    }
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

/// Whether a quote, a comma or a line break is among the bytes. Eight are looked at together, since
/// most of a file is text that has none.
fn has_special(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= special_marks(u64::from_le_bytes(*word));
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b',' | b'\r' | b'\n');
    found != 0 || rest.iter().any(is_special)
}

/// Not 0 if one of eight bytes is special: subtracting 1 from each byte borrows at one that is 0, and
/// sets its highest bit where there was none. A mark above a 0 may be of the borrow alone.
fn special_marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let equal = |byte: u8| zeros(word ^ (ONES * u64::from(byte)));
    equal(b'"') | equal(b',') | equal(b'\r') | equal(b'\n')
}

/// The two digits of each number below 100.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// The two digits of a number; of a larger one, its last two.
fn pair(n: u32) -> [u8; 2] {
    PAIRS[(n % 100) as usize]
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
    while rest >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&pair((rest % 100) as u32));
        rest /= 100;
    }
    if rest > 0 {
        start -= 1;
        digits[start] += rest as u8;
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
    match ten_digits(date) {
        Some(text) => out.extend_from_slice(&text),
        None => write_display(out, date),
    }
}

/// `YYYY-MM-DD`, of a year that has four digits.
fn ten_digits(date: NaiveDate) -> Option<[u8; 10]> {
    let year = u32::try_from(date.year()).ok().filter(|year| *year <= 9999)?;
    let ([c0, c1], [y0, y1]) = (pair(year / 100), pair(year));
    let ([m0, m1], [d0, d1]) = (pair(date.month()), pair(date.day()));
    Some([c0, c1, y0, y1, b'-', m0, m1, b'-', d0, d1])
}

/// Writes an instant as RFC 3339 in UTC, with 3 or 6 places if it has any; one beyond the calendar's
/// reach is empty.
fn write_instant(out: &mut Vec<u8>, micros: i64) {
    const DAY: i64 = 86_400_000_000;
    let days = i32::try_from(micros.div_euclid(DAY)).ok();
    let Some(date) = days.and_then(NaiveDate::from_epoch_days) else { return };
    let Some(date) = ten_digits(date) else {
        if let Some(at) = DateTime::from_timestamp_micros(micros) {
            write_display(out, at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        }
        return;
    };
    let of_day = micros.rem_euclid(DAY);
    let (seconds, micros) = ((of_day / 1_000_000) as u32, (of_day % 1_000_000) as u32);
    let ([h0, h1], [m0, m1], [s0, s1]) =
        (pair(seconds / 3600), pair(seconds / 60 % 60), pair(seconds % 60));
    out.extend_from_slice(&date);
    out.extend_from_slice(&[b'T', h0, h1, b':', m0, m1, b':', s0, s1]);
    if micros > 0 {
        let mut places = [b'.'; 7];
        places[1..3].copy_from_slice(&pair(micros / 10_000));
        places[3..5].copy_from_slice(&pair(micros / 100));
        places[5..7].copy_from_slice(&pair(micros));
        out.extend_from_slice(if micros % 1000 == 0 { &places[..4] } else { &places });
    }
    out.push(b'Z');
}

fn write_display(out: &mut Vec<u8>, value: impl Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests;
