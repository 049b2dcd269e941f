//! `hop(at, slide, size)`: the hopping windows that a moment or a day lies in.
//!
//! A window is `size` long and one begins every `slide`, counted from 1970-01-01 as `date_bin`
//! does. The answer is the list of the beginnings, ascending; `unnest` makes a row of each:
//!
//! ```sql
//! SELECT window_start, count(*) FROM (
//!     SELECT unnest(hop(occurred_at, INTERVAL '1 hour', INTERVAL '1 day')) AS window_start
//!     FROM events."crm.call_logged"
//! ) GROUP BY window_start
//! ```

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, IntervalMonthDayNanoArray, ListArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, IntervalUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::Arguments;
use crate::events::instant;

/// Windows that one moment may lie in.
const WINDOWS: i64 = 1_000;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    signature: Signature,
}

impl Hop {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The beginnings of the windows that `at` lies in.
pub(super) fn starts(at: i64, slide: i64, size: i64) -> impl Iterator<Item = i64> {
    let last = at.div_euclid(slide) * slide;
    // The first window begins after `at - size`.
    let first = (at - size).div_euclid(slide) * slide + slide;
    (0..).map(move |i| first + i * slide).take_while(move |start| *start <= last)
}

/// The length of an interval in microseconds.
fn micros(intervals: &IntervalMonthDayNanoArray, row: usize, unit: i64) -> Result<i64> {
    let interval = intervals.value(row);
    if interval.months != 0 {
        return exec_err!("hop: a month has no fixed length; give the interval in days");
    }
    let length = i64::from(interval.days)
        .checked_mul(DAY)
        .and_then(|days| days.checked_add(interval.nanoseconds / 1_000));
    match length {
        Some(length) if length > 0 && length % unit == 0 && interval.nanoseconds % 1_000 == 0 => {
            Ok(length)
        }
        _ if unit == DAY => exec_err!("hop: an interval over dates is a number of days above 0"),
        _ => exec_err!("hop: an interval is a number of microseconds above 0"),
    }
}

fn element(data_type: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type.clone(), true))
}

impl ScalarUDFImpl for Hop {
    fn name(&self) -> &'static str {
        "hop"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let is_interval = |t: &DataType| matches!(t, DataType::Interval(_)) || t.is_null();
        match types {
            [at, slide, size] if is_interval(slide) && is_interval(size) => match at {
                DataType::Date32 | DataType::Date64 => {
                    Ok(vec![DataType::Date32, interval.clone(), interval])
                }
                DataType::Timestamp(..) | DataType::Null => {
                    Ok(vec![instant(), interval.clone(), interval])
                }
                _ => plan_err!("hop takes a timestamp or a date first"),
            },
            _ => plan_err!("hop takes a timestamp or a date, and the intervals slide and size"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(element(types.first().unwrap_or(&DataType::Null))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let args = Arguments::new(args)?;
        let at = args.nth(0)?;
        let is_date = at.data_type() == &DataType::Date32;
        let unit = if is_date { DAY } else { 1 };
        let interval = |place: usize| -> Result<&IntervalMonthDayNanoArray> {
            datafusion::common::cast::as_interval_mdn_array(args.nth(place)?)
        };
        let (slides, sizes) = (interval(1)?, interval(2)?);
        let moment = |row: usize| {
            if is_date {
                i64::from(at.as_primitive::<Date32Type>().value(row)) * DAY
            } else {
                at.as_primitive::<TimestampMicrosecondType>().value(row)
            }
        };
        let (mut values, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..args.rows {
            let before = values.len();
            let known = !at.is_null(row) && !slides.is_null(row) && !sizes.is_null(row);
            if known {
                let (slide, size) = (micros(slides, row, unit)?, micros(sizes, row, unit)?);
                if size / slide > WINDOWS {
                    return exec_err!(
                        "hop: a moment would lie in {} windows, more than the {WINDOWS} allowed",
                        size / slide
                    );
                }
                values.extend(starts(moment(row), slide, size));
            }
            lengths.push(values.len() - before);
            valid.push(known);
        }
        let values: ArrayRef = if is_date {
            Arc::new(values.iter().map(|v| i32::try_from(v / DAY).ok()).collect::<Date32Array>())
        } else {
            let values = TimestampMicrosecondArray::from(values);
            let DataType::Timestamp(_, zone) = at.data_type() else {
                return plan_err!("hop takes a timestamp or a date first");
            };
            Arc::new(values.with_timezone_opt(zone.clone()))
        };
        let list = ListArray::try_new(
            element(values.data_type()),
            OffsetBuffer::from_lengths(lengths),
            values,
            Some(NullBuffer::from(valid)),
        )?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}
