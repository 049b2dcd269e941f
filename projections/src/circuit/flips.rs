//! On which days the outcome of a row can change as the date goes on.

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use std::sync::Arc;

use super::temporal::with_today;
use crate::RuntimeError;
use crate::change::batch;
use crate::functions::made;

/// No day.
pub(crate) const NEVER: i32 = i32::MAX;

/// What an expression that reads the date asks of it. Whatever it computes follows from the row's
/// columns, the outcomes of the crossings and the values of the periods.
#[derive(Default)]
pub(crate) struct Flips {
    /// Comparisons that turn over once in the life of a row.
    pub(crate) crossings: Vec<Crossing>,
    /// What is computed from the date alone, such as its month, over the date as the only column.
    pub(crate) periods: Vec<Arc<dyn PhysicalExpr>>,
}

/// A comparison whose sides come nearer by the same amount every day. Their distance,
/// `left` − `right`, is a number that is given for day 0, 1970-01-01, and `slope` more each day.
pub(crate) struct Crossing {
    /// The left side, over the row's columns and the date; days or an instant, as a number.
    pub(crate) left: Arc<dyn PhysicalExpr>,
    /// The right side.
    pub(crate) right: Arc<dyn PhysicalExpr>,
    /// By how much the distance grows a day; not 0.
    pub(crate) slope: i64,
    /// Whether the outcome can change on the day that the distance is 0.
    pub(crate) at: bool,
    /// Whether it can change on the day after.
    pub(crate) after: bool,
}

impl Crossing {
    /// The first day after `day` on which the outcome can change, for a distance on day 0.
    fn next(&self, distance: i128, day: i32) -> i32 {
        let slope = i128::from(self.slope);
        let (rise, run) = (-distance * slope.signum(), slope.abs());
        // Division of 128 bits takes several times as long, and is hardly ever needed.
        let (zero, exact) = match (i64::try_from(rise), i64::try_from(run)) {
            (Ok(rise), Ok(run)) => (i128::from(rise.div_euclid(run)), rise.rem_euclid(run) == 0),
            _ => (rise.div_euclid(run), rise.rem_euclid(run) == 0),
        };
        let Ok(zero) = i32::try_from(zero) else {
            // So far away that the sides may have overflowed: such a row is looked at every day.
            return day.saturating_add(1);
        };
        if exact && self.at && zero > day {
            return zero;
        }
        let after = zero.saturating_add(1);
        if (self.after || !exact) && after > day { after } else { NEVER }
    }

    fn distances(&self, rows: &RecordBatch) -> Result<(Int64Array, Int64Array), RuntimeError> {
        let numbers = |side: &Arc<dyn PhysicalExpr>| -> Result<Int64Array, RuntimeError> {
            let values = made::within(|| Ok(side.evaluate(rows)?.into_array(rows.num_rows())?))?;
            Ok(cast(&values, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        };
        Ok((numbers(&self.left)?, numbers(&self.right)?))
    }
}

impl Flips {
    /// For rows with their columns and day 0 as the date: the first day after the date `days` of
    /// each on which its outcome can change, unless a period changes.
    pub(crate) fn next(&self, rows: &RecordBatch, days: &[Option<i32>]) -> Vec<i32> {
        let mut next = vec![NEVER; days.len()];
        if !self.crossings.is_empty() && days.iter().any(Option::is_some) {
            self.fill(rows, days, &mut next);
        }
        next
    }

    fn fill(&self, rows: &RecordBatch, days: &[Option<i32>], next: &mut [i32]) {
        if self.try_fill(rows, days, next).is_ok() {
            return;
        }
        // A row whose distances cannot be computed is looked at every day; the others are not.
        let half = days.len() / 2;
        if half == 0 {
            for (next, day) in next.iter_mut().zip(days) {
                *next = day.map_or(NEVER, |day| day.saturating_add(1));
            }
            return;
        }
        self.fill(&rows.slice(0, half), &days[..half], &mut next[..half]);
        self.fill(&rows.slice(half, days.len() - half), &days[half..], &mut next[half..]);
    }

    fn try_fill(
        &self,
        rows: &RecordBatch,
        days: &[Option<i32>],
        next: &mut [i32],
    ) -> Result<(), RuntimeError> {
        for crossing in &self.crossings {
            let (left, right) = crossing.distances(rows)?;
            for (i, (next, day)) in next.iter_mut().zip(days).enumerate() {
                if let Some(day) = day
                    && left.is_valid(i)
                    && right.is_valid(i)
                {
                    let distance = i128::from(left.value(i)) - i128::from(right.value(i));
                    *next = crossing.next(distance, *day).min(*next);
                }
            }
        }
        Ok(())
    }

    /// Whether all periods are on both days the same.
    pub(crate) fn same_periods(&self, old: i32, new: i32) -> bool {
        let same = |schema: &SchemaRef| -> Result<bool, RuntimeError> {
            let dates: ArrayRef = Arc::new(Date32Array::from(vec![old, new]));
            let rows = batch(schema.clone(), vec![dates], 2)?;
            for period in &self.periods {
                let values = period.evaluate(&rows)?.into_array(2)?;
                if values.slice(0, 1).as_ref() != values.slice(1, 1).as_ref() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        // One that cannot be computed may be needed by no row, or by all.
        let alone = with_today(&arrow::datatypes::Schema::empty());
        self.periods.is_empty() || same(&alone).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
