//! Bounds put into a plan that is ready to run.
//!
//! DataFusion gives control back between batches, and counts the memory of most operators. What
//! is left is closed here: a join that finds no match for a long time looks at its time and its lane
//! whenever it evaluates its condition; a join that finds many gives control back; what a window gathers
//! is counted; what a sort gathers is counted once; the texts that are made for a batch stay bounded
//! together; and windows that recompute a growing frame for each row are refused.

mod compact;
mod gathered;
mod paced;
mod passing;
mod texts;
mod watch;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, ScalarUDF, WindowFrameBound, WindowFunctionDefinition,
};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use projections::functions::{Open, charge, charge_column};

use compact::compact;
pub(crate) use compact::row_bytes;
use gathered::count;
use paced::pace;
use passing::{Pass, PassingExec};
use texts::Texts;
pub(crate) use watch::Watch;
use watch::Watched;

use crate::QueryError;
use crate::turn::Turn;

/// Aggregates that keep a sum, so that the next row's frame costs no more than the last one's.
const STEADY: [&str; 20] = [
    "sum",
    "count",
    "avg",
    "min",
    "max",
    "first_value",
    "last_value",
    "nth_value",
    "bool_and",
    "bool_or",
    "bit_and",
    "bit_or",
    "bit_xor",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "corr",
    "covar_samp",
    "covar_pop",
];

/// Refuses windows whose cost grows with the square of their rows.
pub(crate) fn check_windows(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::WindowFunction(window) = e
                    && let Some(name) = unsteady(window)
                {
                    refused = Some(name.to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match refused {
        Some(name) => Err(QueryError::invalid(format!(
            "{name} is not supported over a frame that moves or grows: use it with GROUP BY, or \
             with ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
        ))),
        None => Ok(()),
    }
}

/// The name of an aggregate that would be computed anew for each row.
fn unsteady(window: &WindowFunction) -> Option<&str> {
    let WindowFunctionDefinition::AggregateUDF(aggregate) = &window.fun else {
        return None;
    };
    let frame = &window.params.window_frame;
    let whole = matches!(&frame.start_bound, WindowFrameBound::Preceding(v) if v.is_null())
        && matches!(&frame.end_bound, WindowFrameBound::Following(v) if v.is_null());
    (!whole && !STEADY.contains(&aggregate.name())).then(|| aggregate.name())
}

/// Has the conditions of joins look at the query's turn, and bounds the texts that are made for a batch.
/// To be called on an optimized plan, for no rule knows these functions.
pub(crate) fn watch(plan: LogicalPlan, turn: &Arc<Turn>) -> Result<LogicalPlan> {
    let watched = Arc::new(ScalarUDF::from(Watched::new(turn.clone())));
    let texts = Texts::new(turn.clone());
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let input = match &node {
            LogicalPlan::Projection(projection) => Some(projection.input.schema().clone()),
            _ => None,
        };
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let open: &mut Open<'_> = &mut || Some(texts.open());
            let changed = charge(expr, open)?;
            let changed = match &input {
                Some(input) => {
                    changed.transform_data(|e| Ok(bound_column(e, input.as_ref(), open)))?
                }
                None => changed,
            };
            Ok(if changed.transformed { changed.update_data(|e| name.restore(e)) } else { changed })
        })?;
        node.transform_data(|node| match node {
            LogicalPlan::Join(mut join) if join.filter.is_some() => {
                join.filter = join.filter.map(|f| call(&watched, f));
                Ok(Transformed::yes(LogicalPlan::Join(join)))
            }
            other => Ok(Transformed::no(other)),
        })
    })?;
    Ok(rewritten.data)
}

/// Bounds a computed column that is text: it may be a literal in each row, or one of two texts.
fn bound_column(expr: Expr, input: &DFSchema, open: &mut Open<'_>) -> Transformed<Expr> {
    match expr {
        Expr::Alias(mut alias) => {
            let inner = bound_column(*alias.expr, input, open);
            alias.expr = Box::new(inner.data);
            Transformed::new(Expr::Alias(alias), inner.transformed, TreeNodeRecursion::Continue)
        }
        Expr::Case(_) | Expr::Cast(_) | Expr::TryCast(_) | Expr::ScalarFunction(_)
            if expr.get_type(input).is_ok_and(|of| of.is_string() || of.is_binary()) =>
        {
            Transformed::yes(charge_column(expr, open))
        }
        other => Transformed::no(other),
    }
}

fn call(function: &Arc<ScalarUDF>, argument: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func: function.clone(), args: vec![argument] })
}

/// Makes joins give control back and leaves pause, counts what windows gather, and gives sorts no more
/// than the rows they sort.
pub(crate) fn bound(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let bounded = plan.transform_up(|node| {
        Ok(Transformed::yes(match node.name() {
            "WindowAggExec" | "BoundedWindowAggExec" => passed("GatheredExec", &node, count)?,
            "SortExec" => passed("CompactExec", &node, compact)?,
            name if name.ends_with("JoinExec") => Arc::new(CooperativeExec::new(node)),
            _ if node.children().is_empty() => PassingExec::of("PacedExec", node, pace),
            _ => return Ok(Transformed::no(node)),
        }))
    })?;
    Ok(bounded.data)
}

/// The same operator, whose inputs come by way of `pass`.
fn passed(
    name: &'static str,
    node: &Arc<dyn ExecutionPlan>,
    pass: Pass,
) -> Result<Arc<dyn ExecutionPlan>> {
    let inputs = node.children().into_iter();
    let inputs = inputs.map(|input| PassingExec::of(name, Arc::clone(input), pass)).collect();
    let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(node).replace_children(inputs, recompute)
}
