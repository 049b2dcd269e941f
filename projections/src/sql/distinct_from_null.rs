//! `IS DISTINCT FROM NULL` is `IS NOT NULL`.
//!
//! DataFusion 55 takes a `TRY_CAST` out of a comparison by casting the other side back, also out of
//! this one with a null: then a text that is no date is no longer one of the nulls. So a comparison
//! with a null is made before into what it means.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

/// Rewrites every such comparison, in subqueries too, keeping the names of columns.
#[derive(Debug)]
pub(super) struct DistinctFromNull;

impl AnalyzerRule for DistinctFromNull {
    fn name(&self) -> &'static str {
        "distinct_from_null"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(|e| Ok(plain(e)))?;
                let restored = |e| name.restore(e);
                Ok(if changed.transformed { changed.update_data(restored) } else { changed })
            })
        })?;
        Ok(rewritten.data)
    }
}

fn plain(expr: Expr) -> Transformed<Expr> {
    let test = match &expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::IsDistinctFrom, .. }) => Expr::IsNotNull,
        Expr::BinaryExpr(BinaryExpr { op: Operator::IsNotDistinctFrom, .. }) => Expr::IsNull,
        _ => return Transformed::no(expr),
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) if is_null(&right) => {
            Transformed::yes(test(left))
        }
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) if is_null(&left) => {
            Transformed::yes(test(right))
        }
        other => Transformed::no(other),
    }
}

/// Whether an expression is a null as it is written, of whatever type.
fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        _ => false,
    }
}
