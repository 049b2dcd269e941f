//! Values of rows as PostgreSQL writes them, as text and in binary.

use std::fmt::Write;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike};

/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = 10_957 * 86_400_000_000;

/// The values of one batch.
pub(super) struct Values<'a> {
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
    Text(&'a arrow::array::StringArray),
    Decimal(&'a arrow::array::Decimal128Array, u32),
    Other(&'a ArrayRef),
}

impl<'a> Values<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        let columns = batch.columns().iter().map(|array| match array.data_type() {
            DataType::Utf8 => Column::Text(array.as_string()),
            DataType::Decimal128(_, scale) if (0..=38).contains(scale) => {
                Column::Decimal(array.as_primitive::<Decimal128Type>(), scale.unsigned_abs().into())
            }
            _ => Column::Other(array),
        });
        Self { columns: columns.collect() }
    }

    /// Whether there is no value.
    pub(super) fn is_null(&self, column: usize, row: usize) -> bool {
        match self.columns.get(column) {
            Some(Column::Text(array)) => array.is_null(row),
            Some(Column::Decimal(array, _)) => array.is_null(row),
            // An array of the type Null has no map of what is null.
            Some(Column::Other(array)) => {
                array.data_type() == &DataType::Null || array.is_null(row)
            }
            None => true,
        }
    }

    /// Writes a value that is not null, without its length.
    pub(super) fn write(&self, out: &mut BytesMut, column: usize, row: usize, is_binary: bool) {
        match self.columns.get(column) {
            Some(Column::Text(array)) => out.put_slice(array.value(row).as_bytes()),
            Some(Column::Decimal(array, scale)) if is_binary => {
                binary_decimal(out, array.value(row), *scale);
            }
            Some(Column::Decimal(array, scale)) => put(out, plain(array.value(row), *scale)),
            Some(Column::Other(array)) if is_binary => binary(out, array, row),
            Some(Column::Other(array)) => text(out, array, row),
            None => {}
        }
    }
}

/// A value of any other type, as text.
fn text(out: &mut BytesMut, array: &ArrayRef, row: usize) {
    match array.data_type() {
        DataType::Boolean => {
            out.put_u8(if array.as_boolean().value(row) { b't' } else { b'f' });
        }
        DataType::Int64 => put(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt32 => put(out, array.as_primitive::<UInt32Type>().value(row)),
        DataType::Float32 => {
            float(out, array.as_primitive::<Float32Type>().value(row).into(), |out| {
                put(out, array.as_primitive::<Float32Type>().value(row));
            });
        }
        DataType::Float64 => float(out, array.as_primitive::<Float64Type>().value(row), |out| {
            put(out, array.as_primitive::<Float64Type>().value(row));
        }),
        DataType::Date32 => match date(array.as_primitive::<Date32Type>().value(row)) {
            Some(date) => write_date(out, date),
            None => shown(out, array, row),
        },
        DataType::Timestamp(_, zone) => {
            match micros(array, row).and_then(DateTime::from_timestamp_micros) {
                Some(moment) => {
                    write_date(out, moment.date_naive());
                    put(out, moment.format(" %H:%M:%S"));
                    let micros = moment.nanosecond() / 1_000 % 1_000_000;
                    if micros > 0 {
                        let digits = format!("{micros:06}");
                        put(out, format_args!(".{}", digits.trim_end_matches('0')));
                    }
                    if zone.is_some() {
                        out.put_slice(b"+00");
                    }
                }
                None => shown(out, array, row),
            }
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            out.put_slice(b"\\x");
            for byte in bytes(array, row) {
                put(out, format_args!("{byte:02x}"));
            }
        }
        _ => shown(out, array, row),
    }
}

/// A value of any other type, as PostgreSQL sends the type that [`PgType`](super::types::PgType)
/// gives the column.
fn binary(out: &mut BytesMut, array: &ArrayRef, row: usize) {
    match array.data_type() {
        DataType::Boolean => out.put_u8(array.as_boolean().value(row).into()),
        DataType::Int8 => out.put_i16(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::UInt8 => out.put_i16(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::Int16 => out.put_i16(array.as_primitive::<Int16Type>().value(row)),
        DataType::UInt16 => out.put_i32(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::Int32 => out.put_i32(array.as_primitive::<Int32Type>().value(row)),
        DataType::UInt32 => out.put_u32(array.as_primitive::<UInt32Type>().value(row)),
        DataType::Int64 => out.put_i64(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => {
            binary_decimal(out, array.as_primitive::<UInt64Type>().value(row).into(), 0);
        }
        DataType::Float16 => {
            out.put_f32(array.as_primitive::<Float16Type>().value(row).to_f32());
        }
        DataType::Float32 => out.put_f32(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => out.put_f64(array.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            out.put_i32(days.saturating_sub(EPOCH_DAYS));
        }
        DataType::Timestamp(..) => {
            // The ends of what can be said stand for what cannot.
            let micros = micros(array, row).unwrap_or(i64::MAX);
            out.put_i64(micros.saturating_sub(EPOCH_MICROS));
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            out.put_slice(bytes(array, row));
        }
        _ => shown(out, array, row),
    }
}

/// The value as Arrow shows it.
fn shown(out: &mut BytesMut, array: &ArrayRef, row: usize) {
    match ArrayFormatter::try_new(array, &FormatOptions::new()) {
        Ok(formatter) => put(out, formatter.value(row)),
        Err(error) => put(out, error),
    }
}

fn bytes(array: &ArrayRef, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        _ => &[],
    }
}

/// Microseconds since 1970, if they can be said.
fn micros(array: &ArrayRef, row: usize) -> Option<i64> {
    let DataType::Timestamp(unit, _) = array.data_type() else { return None };
    match unit {
        TimeUnit::Second => {
            array.as_primitive::<TimestampSecondType>().value(row).checked_mul(1_000_000)
        }
        TimeUnit::Millisecond => {
            array.as_primitive::<TimestampMillisecondType>().value(row).checked_mul(1_000)
        }
        TimeUnit::Microsecond => Some(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        TimeUnit::Nanosecond => {
            Some(array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000))
        }
    }
}

fn date(days: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::default();
    let distance = Days::new(days.unsigned_abs().into());
    if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }
}

/// ISO 8601, but for years before the first, which PostgreSQL counts without a year 0.
fn write_date(out: &mut BytesMut, date: NaiveDate) {
    let (year, month, day) = (date.year(), date.month(), date.day());
    if year > 0 {
        put(out, format_args!("{year:04}-{month:02}-{day:02}"));
    } else {
        put(out, format_args!("{:04}-{month:02}-{day:02} BC", 1 - year));
    }
}

fn float(out: &mut BytesMut, value: f64, finite: impl FnOnce(&mut BytesMut)) {
    if value.is_nan() {
        out.put_slice(b"NaN");
    } else if value.is_infinite() {
        out.put_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        finite(out);
    }
}

/// `value` × 10^−`scale` in plain digits.
fn plain(value: i128, scale: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs();
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    // A decimal has at most 38 places, so its power of ten fits.
    let one = 10_u128.pow(scale.min(38));
    format!("{sign}{}.{:0width$}", digits / one, digits % one, width = scale as usize)
}

/// As `numeric` is sent: how many groups of four digits, which power of 10,000 the first is of, the
/// sign, the digits behind the point, and the groups.
fn binary_decimal(out: &mut BytesMut, value: i128, scale: u32) {
    let scale = scale.min(38);
    let one = 10_u128.pow(scale);
    let digits = value.unsigned_abs();
    let (mut whole, mut rest) = (digits / one, digits % one);
    let mut groups = Vec::with_capacity(20);
    while whole > 0 {
        groups.push((whole % 10_000) as i16);
        whole /= 10_000;
    }
    groups.reverse();
    let mut weight = groups.len() as i16 - 1;
    // Four digits behind the point at a time; the last group may have fewer.
    let mut places = scale;
    while places > 0 {
        let taken = places.min(4);
        let unit = 10_u128.pow(places - taken);
        groups.push((rest / unit) as i16 * 10_i16.pow(4 - taken));
        rest %= unit;
        places -= taken;
    }
    let leading = groups.iter().take_while(|group| **group == 0).count();
    weight -= leading as i16;
    groups.drain(..leading);
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    groups.truncate(groups.len() - trailing);
    if groups.is_empty() {
        weight = 0;
    }
    out.put_i16(groups.len() as i16);
    out.put_i16(weight);
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_u16(scale as u16);
    for group in groups {
        out.put_i16(group);
    }
}

fn put(out: &mut BytesMut, value: impl std::fmt::Display) {
    // Writing into memory cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray, UInt32Array,
    };
    use proptest::prelude::*;

    use super::super::parameters;
    use super::*;

    fn written(array: ArrayRef, is_binary: bool) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter([("a", array)]).unwrap();
        let mut out = BytesMut::new();
        Values::new(&batch).write(&mut out, 0, 0, is_binary);
        out.to_vec()
    }

    fn as_text(array: ArrayRef) -> String {
        String::from_utf8(written(array, false)).unwrap()
    }

    fn moment(micros: i64) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"))
    }

    #[test]
    fn texts_are_those_of_postgresql() {
        let decimal = |value: i128| {
            let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, 4);
            as_text(Arc::new(array.unwrap()))
        };
        assert_eq!(decimal(-5), "-0.0005");
        assert_eq!(decimal(1_234_500), "123.4500");
        assert_eq!(as_text(Arc::new(BooleanArray::from(vec![true]))), "t");
        assert_eq!(as_text(Arc::new(Int64Array::from(vec![-7]))), "-7");
        assert_eq!(as_text(Arc::new(StringArray::from(vec!["ä'"]))), "ä'");
        assert_eq!(as_text(Arc::new(Date32Array::from(vec![20_269]))), "2025-06-30");
        assert_eq!(as_text(Arc::new(Date32Array::from(vec![-719_163]))), "0001-12-31 BC");
        assert_eq!(as_text(moment(1_748_772_000_120_000)), "2025-06-01 10:00:00.12+00");
        assert_eq!(as_text(moment(-1)), "1969-12-31 23:59:59.999999+00");
        assert_eq!(as_text(Arc::new(Float64Array::from(vec![0.1]))), "0.1");
        assert_eq!(as_text(Arc::new(Float64Array::from(vec![f64::NEG_INFINITY]))), "-Infinity");
        assert_eq!(as_text(Arc::new(UInt32Array::from(vec![u32::MAX]))), "4294967295");
    }

    #[test]
    fn binaries_are_those_of_postgresql() {
        // As PostgreSQL's numeric_send gives 123.45 with four places.
        let array = Decimal128Array::from(vec![1_234_500]).with_precision_and_scale(38, 4).unwrap();
        let sent = written(Arc::new(array), true);
        assert_eq!(sent, [0, 2, 0, 0, 0, 0, 0, 4, 0, 123, 0x11, 0x94]);
        assert_eq!(written(Arc::new(Date32Array::from(vec![10_958])), true), [0, 0, 0, 1]);
        assert_eq!(written(moment(946_684_800_000_002), true), 2_i64.to_be_bytes());
        assert_eq!(written(Arc::new(Int64Array::from(vec![-2])), true), (-2_i64).to_be_bytes());
    }

    proptest! {
        /// What a driver would send back as a parameter says the same number.
        #[test]
        fn decimals_go_and_come_back(value in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u32..=38) {
            let mut out = BytesMut::new();
            binary_decimal(&mut out, value, scale);
            let read = parameters::numeric(&out).unwrap();
            prop_assert_eq!(read, plain(value, scale));
        }
    }
}
