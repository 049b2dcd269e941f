//! `fiscal_year`, `fiscal_quarter` and `fiscal_period` of a date, for years that begin in any month.

use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use arrow::datatypes::DataType;
use chrono::{Datelike, NaiveDate};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::{Arguments, is_date, is_number};

/// What is asked of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The calendar year in which the fiscal year ends.
    Year,
    /// 1 to 4.
    Quarter,
    /// The month of the fiscal year, 1 to 12.
    Period,
}

/// `name(date, first_month)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Fiscal {
    part: Part,
    signature: Signature,
}

/// The three functions.
pub(super) fn all() -> impl Iterator<Item = Fiscal> {
    [Part::Year, Part::Quarter, Part::Period]
        .into_iter()
        .map(|part| Fiscal { part, signature: Signature::user_defined(Volatility::Immutable) })
}

/// The part of a date in years that begin in `first`, from 1 to 12.
pub(super) fn part_of(part: Part, date: NaiveDate, first: u32) -> i64 {
    let months = i64::from((date.month() + 12 - first) % 12);
    match part {
        Part::Year => {
            let next = first > 1 && date.month() >= first;
            i64::from(date.year()) + i64::from(next)
        }
        Part::Quarter => months / 3 + 1,
        Part::Period => months + 1,
    }
}

impl ScalarUDFImpl for Fiscal {
    fn name(&self) -> &'static str {
        match self.part {
            Part::Year => "fiscal_year",
            Part::Quarter => "fiscal_quarter",
            Part::Period => "fiscal_period",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [date, month] if is_date(date) && is_number(month) => {
                Ok(vec![DataType::Date32, DataType::Int64])
            }
            _ => plan_err!("{} takes a date and the first month of the year, 1 to 12", self.name()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let args = Arguments::new(args)?;
        let (dates, firsts) = (args.dates(0)?, args.numbers(1)?);
        let of_row = |row: usize| {
            if dates.is_null(row) || firsts.is_null(row) {
                return Ok(None);
            }
            let Ok(first @ 1..=12) = u32::try_from(firsts.value(row)) else {
                let (name, month) = (self.name(), firsts.value(row));
                return exec_err!("{name}: the first month is 1 to 12, not {month}");
            };
            let date = NaiveDate::from_epoch_days(dates.value(row));
            Ok(date.map(|date| part_of(self.part, date, first)))
        };
        let values = (0..args.rows).map(of_row).collect::<Result<Int64Array>>()?;
        Ok(ColumnarValue::Array(Arc::new(values)))
    }
}
