//! What a subquery of a condition calls its columns is nobody's business.
//!
//! DataFusion 55 makes such a subquery a join, and adds the columns that its conditions compare with
//! the outer query to those it selects. One that it selects under the name of such a column
//! (`EXISTS (SELECT 1 AS id FROM t WHERE t.id = o.id)`) is then there twice, and the query is
//! refused. So what is computed gets a name that nothing else has.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Subquery};
use datafusion::optimizer::AnalyzerRule;

/// Renames the columns of the subqueries of conditions.
#[derive(Debug)]
pub(super) struct SubqueryNames;

impl AnalyzerRule for SubqueryNames {
    fn name(&self) -> &'static str {
        "subquery_names"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut named = 0;
        let rewritten = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(mut filter) => {
                let predicate = filter.predicate.transform_up(|expr| renamed(expr, &mut named))?;
                filter.predicate = predicate.data;
                let filter = LogicalPlan::Filter(filter);
                Ok(Transformed::new_transformed(filter, predicate.transformed))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rewritten.data)
    }
}

fn renamed(mut expr: Expr, named: &mut usize) -> Result<Transformed<Expr>> {
    let subquery = match &mut expr {
        Expr::Exists(exists) => &mut exists.subquery,
        Expr::InSubquery(within) => &mut within.subquery,
        Expr::ScalarSubquery(subquery) => subquery,
        _ => return Ok(Transformed::no(expr)),
    };
    let LogicalPlan::Projection(projection) = subquery.subquery.as_ref() else {
        return Ok(Transformed::no(expr));
    };
    let columns = projection.expr.iter().map(|column| match column {
        Expr::Column(_) => column.clone(),
        computed => {
            *named += 1;
            computed.clone().unalias().alias(format!("__subquery_{named}"))
        }
    });
    let columns = Projection::try_new(columns.collect(), projection.input.clone())?;
    let plan = Arc::new(LogicalPlan::Projection(columns));
    *subquery = Subquery { subquery: plan, ..subquery.clone() };
    Ok(Transformed::yes(expr))
}
