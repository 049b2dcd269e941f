//! Conditions on a total stay above it.
//!
//! An aggregate of all rows, alone or as a set among others, has a row also where there is nothing
//! to aggregate. DataFusion 55 forgets that when a condition reads no column, only the date or a
//! subquery: it puts it below the aggregate, where it takes the rows and not the total.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule that pushes conditions down, but not through totals.
#[derive(Debug)]
pub(super) struct KeepAboveTotals(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl KeepAboveTotals {
    /// The name of DataFusion's rule.
    pub(super) const OF: &str = "push_down_filter";
}

impl OptimizerRule for KeepAboveTotals {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        // Nothing that reads a column of theirs can go through them anyway.
        if is_of_total(&plan) { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

/// Whether a plan is a total, under conditions or none.
fn is_of_total(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => is_of_total(&filter.input),
        LogicalPlan::Aggregate(aggregate) => has_total(aggregate),
        _ => false,
    }
}

fn has_total(aggregate: &Aggregate) -> bool {
    match aggregate.group_expr.as_slice() {
        [] | [Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_))] => true,
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().any(Vec::is_empty),
        _ => false,
    }
}
