//! The tenant's date: recorded as data, read by `current_date`.

use arrow::datatypes::{DataType, Field};
use chrono::NaiveDate;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder, lit};
use std::sync::Arc;

use crate::Tenant;
use crate::events::instant;

/// A tenant's date becomes `today`. Recorded like an event, so that replay gives the same views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Whose date.
    pub tenant: Tenant,
    /// The new date; it may be earlier than the one before.
    pub today: NaiveDate,
}

/// The name under which compiled expressions read the tenant's date, as an extra column.
pub(crate) const TODAY: &str = "@today";

const EPOCH: NaiveDate = NaiveDate::from_epoch_days(0).unwrap();

/// Days since 1970-01-01, as Arrow's `Date32` counts them.
pub fn epoch_days(date: NaiveDate) -> i32 {
    date.signed_duration_since(EPOCH).num_days() as i32
}

/// Replaces `current_date` by the date `today` (null when the tenant has none yet) and `now()` by
/// its first instant in UTC. To be called on a plan before it is optimized, for the optimizer
/// would put in the machine's own clock.
pub fn pin(plan: LogicalPlan, today: Option<NaiveDate>) -> Result<LogicalPlan> {
    let days = today.map(epoch_days);
    replace(plan, &|what| {
        Ok(match what {
            ClockFunction::Today => lit(ScalarValue::Date32(days)),
            ClockFunction::Now => {
                Expr::Cast(Cast::new(Box::new(lit(ScalarValue::Date32(days))), instant()))
            }
        })
    })
}

/// Replaces `current_date` by a variable that no optimizer rule folds and the compiler turns into
/// a column, and `now()` by its first instant in UTC.
pub(crate) fn open(plan: LogicalPlan) -> Result<LogicalPlan> {
    let today = || {
        Expr::ScalarVariable(
            Arc::new(Field::new(TODAY, DataType::Date32, true)),
            vec![TODAY.to_owned()],
        )
    };
    replace(plan, &|what| {
        Ok(match what {
            ClockFunction::Today => today(),
            ClockFunction::Now => Expr::Cast(Cast::new(Box::new(today()), instant())),
        })
    })
}

#[derive(Clone, Copy)]
enum ClockFunction {
    Today,
    Now,
}

fn clock_function(expr: &Expr) -> Option<ClockFunction> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    match call.func.name() {
        "current_date" | "today" => Some(ClockFunction::Today),
        "now" | "current_timestamp" => Some(ClockFunction::Now),
        _ => None,
    }
}

/// Rewrites every call of a clock function, in subqueries too, keeping the names of columns.
fn replace(plan: LogicalPlan, with: &dyn Fn(ClockFunction) -> Result<Expr>) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|e| match clock_function(&e) {
                Some(what) => Ok(Transformed::yes(with(what)?)),
                None => Ok(Transformed::no(e)),
            })?;
            Ok(if changed.transformed { changed.update_data(|e| name.restore(e)) } else { changed })
        })?
        .map_data(|node| match node {
            // DataFusion leaves this schema what it was: an instant of another unit, never null.
            LogicalPlan::Values(values) => LogicalPlanBuilder::values(values.values)?.build(),
            other => other.recompute_schema(),
        })
    })?;
    Ok(rewritten.data)
}
