//! When the outcome of an expression that reads the date can change.
//!
//! A comparison like `current_date - due_date <= 30` turns over once in the life of a row, on a day
//! that follows from the row: its sides come nearer by one day a day. What is computed from the
//! date alone, like `date_trunc('month', current_date)`, changes for all rows at once. Every place
//! that reads the date is within the one or the other, for the date itself is of the second kind.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, ExprSchemable, Operator};

use super::columns::{physical, reads_clock, with_clock};
use super::{Compiled, Compiler};
use crate::circuit::{Crossing, Flips};

impl Compiler {
    /// When the outcome of `expressions` over rows of `schema` can change.
    pub(super) fn flips<'a>(
        &self,
        expressions: impl IntoIterator<Item = &'a Expr>,
        schema: &DFSchema,
    ) -> Compiled<Flips> {
        let mut found = Found { schema, comparisons: Vec::new(), periods: Vec::new() };
        for expr in expressions {
            found.visit(expr)?;
        }
        let mut flips = Flips::default();
        for period in &found.periods {
            // What changes every day leaves nothing to be known of a single row.
            if slope(period, schema)?.is_some_and(|slope| slope != 0) {
                found.comparisons.clear();
            }
            let (period, alone) = with_clock(period, &DFSchema::empty())?;
            flips.periods.push(physical(self.state(), &period, &alone)?);
        }
        for Comparison { left, right, slope, at, after } in &found.comparisons {
            let (left, right) = (self.physical(left, schema)?, self.physical(right, schema)?);
            flips.crossings.push(Crossing { left, right, slope: *slope, at: *at, after: *after });
        }
        Ok(flips)
    }
}

/// The parts of expressions that read the date.
struct Found<'a> {
    schema: &'a DFSchema,
    comparisons: Vec<Comparison>,
    periods: Vec<Expr>,
}

/// A comparison that reads the date, as [`Crossing`] has it.
struct Comparison {
    left: Expr,
    right: Expr,
    slope: i64,
    at: bool,
    after: bool,
}

impl Found<'_> {
    fn visit(&mut self, expr: &Expr) -> Result<()> {
        if !reads_clock(expr) {
            return Ok(());
        }
        if !expr.exists(|e| Ok(matches!(e, Expr::Column(_))))? {
            self.periods.push(expr.clone());
            return Ok(());
        }
        if let Some(comparisons) = self.comparisons(expr)? {
            self.comparisons.extend(comparisons);
            return Ok(());
        }
        expr.apply_children(|child| {
            self.visit(child)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    /// An expression as comparisons whose outcomes are all it takes of the date.
    fn comparisons(&self, expr: &Expr) -> Result<Option<Vec<Comparison>>> {
        let parts: Vec<(&Expr, Operator, &Expr)> = match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => vec![(left, *op, right)],
            Expr::Between(Between { expr, low, high, .. }) => {
                vec![(expr, Operator::GtEq, low), (expr, Operator::LtEq, high)]
            }
            Expr::InList(InList { expr, list, .. }) => {
                list.iter().map(|value| (expr.as_ref(), Operator::Eq, value)).collect()
            }
            _ => return Ok(None),
        };
        let mut comparisons = Vec::with_capacity(parts.len());
        for (left, op, right) in parts {
            let Some(slope) = self.slope_between(left, right)? else { return Ok(None) };
            let growing = slope > 0;
            let (at, after) = match op {
                Operator::Lt | Operator::GtEq => (growing, !growing),
                Operator::LtEq | Operator::Gt => (!growing, growing),
                Operator::Eq
                | Operator::NotEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom => (true, true),
                _ => return Ok(None),
            };
            if slope != 0 {
                let (left, right) = (left.clone(), right.clone());
                comparisons.push(Comparison { left, right, slope, at, after });
            }
        }
        Ok(Some(comparisons))
    }

    /// By how much the distance of two sides grows each day, if always by the same.
    fn slope_between(&self, left: &Expr, right: &Expr) -> Result<Option<i64>> {
        let types = (left.get_type(self.schema)?, right.get_type(self.schema)?);
        let numbers = match &types {
            (DataType::Timestamp(left, _), DataType::Timestamp(right, _)) => left == right,
            (left, right) => left == right && (is_date(left) || is_whole(left)),
        };
        if !numbers {
            return Ok(None);
        }
        let (left, right) = (slope(left, self.schema)?, slope(right, self.schema)?);
        Ok(left.zip(right).and_then(|(left, right)| left.checked_sub(right)))
    }
}

/// By how much the value of an expression, as a number, grows each day, if always by the same.
fn slope(expr: &Expr, schema: &DFSchema) -> Result<Option<i64>> {
    if !reads_clock(expr) {
        return Ok(Some(0));
    }
    match expr {
        Expr::ScalarVariable(..) => Ok(Some(1)),
        Expr::Alias(alias) => slope(&alias.expr, schema),
        Expr::Cast(Cast { expr, field }) => {
            let scale = scale(&expr.get_type(schema)?, field.data_type());
            Ok(slope(expr, schema)?.zip(scale).and_then(|(slope, scale)| slope.checked_mul(scale)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let types = (left.get_type(schema)?, right.get_type(schema)?);
            let (first, second) = (slope(left, schema)?, slope(right, schema)?);
            Ok(match (op, types) {
                (Operator::Minus, (DataType::Date32, DataType::Date32)) => {
                    first.zip(second).and_then(|(first, second)| first.checked_sub(second))
                }
                (Operator::Minus, (one, other)) if is_whole(&one) && one == other => {
                    first.zip(second).and_then(|(first, second)| first.checked_sub(second))
                }
                (Operator::Plus, (one, other)) if is_whole(&one) && one == other => {
                    first.zip(second).and_then(|(first, second)| first.checked_add(second))
                }
                (Operator::Plus | Operator::Minus, (of, _)) if is_fixed(right, &of, schema)? => {
                    first
                }
                (Operator::Plus, (_, of)) if is_fixed(left, &of, schema)? => second,
                _ => None,
            })
        }
        _ => Ok(None),
    }
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

fn is_whole(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int32 | DataType::Int64)
}

/// Whether a cast or a sum of days knows of no summer time.
fn is_utc(zone: Option<&str>) -> bool {
    matches!(zone, None | Some("UTC" | "+00:00"))
}

/// Whether an interval has the same length on every day that it is added to a value of the type
/// `of`. A number of days added to a date has been made a duration and then an interval.
fn is_fixed(interval: &Expr, of: &DataType, schema: &DFSchema) -> Result<bool> {
    let without_months = match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => interval.months == 0,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(_)), _) => true,
        Expr::Cast(Cast { expr, .. }) if !reads_clock(expr) => {
            matches!(expr.get_type(schema)?, DataType::Duration(_))
        }
        _ => false,
    };
    Ok(match of {
        DataType::Date32 => without_months,
        DataType::Timestamp(_, zone) => without_months && is_utc(zone.as_deref()),
        _ => false,
    })
}

/// By how much a cast multiplies the number that a value is.
fn scale(from: &DataType, to: &DataType) -> Option<i64> {
    match (from, to) {
        (DataType::Date32, DataType::Int32 | DataType::Int64)
        | (DataType::Int32, DataType::Int64) => Some(1),
        (DataType::Date32, DataType::Timestamp(unit, zone)) if is_utc(zone.as_deref()) => {
            Some(86_400 * per_second(*unit))
        }
        (DataType::Timestamp(one, from), DataType::Timestamp(other, to))
            if is_utc(from.as_deref()) && is_utc(to.as_deref()) =>
        {
            let (one, other) = (per_second(*one), per_second(*other));
            (other % one == 0).then_some(other / one)
        }
        (from, to) => (from == to).then_some(1),
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
