//! The values that stand in a plan: those of the SQL, of its parameters, and those made of them while it
//! is planned. Nothing else counts what they take.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as PlanResult, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::QueryError;
use crate::error::LimitKind;
use crate::statement::TEXT_BYTES;

/// Bytes of all values of one plan.
const PLAN_BYTES: usize = 1 << 20;

/// Bytes of a value from which on it matters how often it is made.
const LONG: usize = 1 << 10;

/// What a value takes beside its place in the plan.
pub(crate) fn value_bytes(value: &ScalarValue) -> usize {
    value.size().saturating_sub(size_of_val(value))
}

/// What the values of a plan take.
pub(crate) fn bytes(plan: &LogicalPlan) -> PlanResult<usize> {
    let mut bytes = 0_usize;
    each(plan, |expr| {
        if let Expr::Literal(value, _) = expr {
            bytes = bytes.saturating_add(value_bytes(value));
        }
    })?;
    Ok(bytes)
}

/// Refuses a plan whose values take too much, or whose aggregates and window functions are given long ones:
/// they have them once for every row of a batch.
pub(crate) fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    let bytes = bytes(plan)?;
    if bytes > PLAN_BYTES {
        return Err(too_much(format!("{} KiB of values in the query itself", PLAN_BYTES >> 10)));
    }
    let mut given = 0_usize;
    each(plan, |expr| {
        let arguments: &[Expr] = match expr {
            Expr::AggregateFunction(call) => call.params.args.as_slice(),
            Expr::WindowFunction(call) => call.params.args.as_slice(),
            _ => &[],
        };
        for argument in arguments {
            if let Expr::Literal(value, _) = argument {
                let bytes = Some(value_bytes(value)).filter(|bytes| *bytes > LONG);
                given = given.saturating_add(bytes.unwrap_or(0));
            }
        }
    })?;
    if given > TEXT_BYTES {
        let most = TEXT_BYTES >> 10;
        return Err(too_much(format!("{most} KiB of texts given to aggregates in every row")));
    }
    Ok(())
}

fn too_much(limit: String) -> QueryError {
    QueryError::Limit { which: LimitKind::Memory, limit }
}

/// Looks at every part of every expression.
fn each(plan: &LogicalPlan, mut see: impl FnMut(&Expr)) -> PlanResult<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                see(e);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}
