//! Keys that could be left out of a grouping, but need not be.
//!
//! DataFusion leaves out keys that follow from others and puts them back above the aggregate. In
//! version 55 it fails where a key and its cast to the type that it has anyway are called the same.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule that leaves keys out; where it fails, they stay.
#[derive(Debug)]
pub(super) struct KeepKeys(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl KeepKeys {
    /// The name of DataFusion's rule.
    pub(super) const OF: &str = "eliminate_group_by_constant";
}

impl OptimizerRule for KeepKeys {
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
        let LogicalPlan::Aggregate(_) = plan else { return Ok(Transformed::no(plan)) };
        self.0.rewrite(plan.clone(), config).or(Ok(Transformed::no(plan)))
    }
}
