//! `business_days(from, to [, holidays])`: Mondays to Fridays between two dates.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, Date32Type, Field};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::{Arguments, is_date};

/// The number of Mondays to Fridays from the first date on and before the second; negative when
/// the second is the earlier one. Those among the holidays, a list of dates, do not count.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct BusinessDays {
    signature: Signature,
}

impl BusinessDays {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// 1970-01-01 is a Thursday, 1970-01-05 the Monday after it.
const MONDAY: i64 = 4;

/// Mondays to Fridays from the first Monday of 1970 on and before `day`; negative before it.
pub(super) fn before(day: i64) -> i64 {
    let since = day - MONDAY;
    since.div_euclid(7) * 5 + since.rem_euclid(7).min(5)
}

fn is_business_day(day: i64) -> bool {
    (day - MONDAY).rem_euclid(7) < 5
}

/// The signed number of business days in `[from, to)`.
pub(super) fn between(from: i32, to: i32, holidays: &[i32]) -> i64 {
    let (first, last) = (i64::from(from.min(to)), i64::from(from.max(to)));
    let within = |day: &&i32| (first..last).contains(&i64::from(**day));
    let mut off: Vec<i32> = holidays.iter().filter(within).copied().collect();
    off.sort_unstable();
    off.dedup();
    let off = off.into_iter().filter(|day| is_business_day(i64::from(*day))).count();
    let days = before(last) - before(first) - off as i64;
    if from <= to { days } else { -days }
}

impl ScalarUDFImpl for BusinessDays {
    fn name(&self) -> &'static str {
        "business_days"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Date32, true)));
        match types {
            [from, to] if is_date(from) && is_date(to) => Ok(vec![DataType::Date32; 2]),
            [from, to, holidays] if is_date(from) && is_date(to) && is_date_list(holidays) => {
                Ok(vec![DataType::Date32, DataType::Date32, list])
            }
            _ => plan_err!(
                "business_days takes two dates, and a list of dates if there are holidays"
            ),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let args = Arguments::new(args)?;
        let (from, to) = (args.dates(0)?, args.dates(1)?);
        let holidays = if args.arrays.len() > 2 { Some(args.lists(2)?) } else { None };
        let of_row = |row: usize| {
            if from.is_null(row) || to.is_null(row) {
                return None;
            }
            let off: Vec<i32> = match holidays {
                None => Vec::new(),
                Some(lists) if lists.is_null(row) => return None,
                Some(lists) => {
                    lists.value(row).as_primitive::<Date32Type>().iter().flatten().collect()
                }
            };
            Some(between(from.value(row), to.value(row), &off))
        };
        let days: Int64Array = (0..args.rows).map(of_row).collect();
        Ok(ColumnarValue::Array(Arc::new(days)))
    }
}

fn is_date_list(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) => is_date(field.data_type()),
        other => other.is_null(),
    }
}
