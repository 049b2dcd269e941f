//! Plans that claim nothing about which columns follow from which.
//!
//! DataFusion 55 derives functional dependencies that do not hold: grouping by the key of an
//! aggregated relation and more, after a join that repeats its rows, is taken to determine every
//! column; an unnested relation keeps the dependencies of the one before. Rules that rely on them
//! then drop columns of a grouping. Nothing else needs them, so they are forgotten.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{FunctionalDependencies, Result};
use datafusion::logical_expr::{Distinct, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Clears the functional dependencies of every node; to be put before each rule that reads them.
#[derive(Debug)]
pub(super) struct ForgetDependencies;

impl OptimizerRule for ForgetDependencies {
    fn name(&self) -> &'static str {
        "forget_dependencies"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        mut plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let schema = match &mut plan {
            LogicalPlan::Projection(node) => &mut node.schema,
            LogicalPlan::Window(node) => &mut node.schema,
            LogicalPlan::Aggregate(node) => &mut node.schema,
            LogicalPlan::Join(node) => &mut node.schema,
            LogicalPlan::SubqueryAlias(node) => &mut node.schema,
            LogicalPlan::Union(node) => &mut node.schema,
            LogicalPlan::TableScan(node) => &mut node.projected_schema,
            LogicalPlan::Unnest(node) => &mut node.schema,
            LogicalPlan::Values(node) => &mut node.schema,
            LogicalPlan::EmptyRelation(node) => &mut node.schema,
            LogicalPlan::Distinct(Distinct::On(node)) => &mut node.schema,
            // The others have the schema of their input.
            _ => return Ok(Transformed::no(plan)),
        };
        if schema.functional_dependencies().is_empty() {
            return Ok(Transformed::no(plan));
        }
        let bare = schema.as_ref().clone();
        *schema = Arc::new(bare.with_functional_dependencies(FunctionalDependencies::empty())?);
        Ok(Transformed::yes(plan))
    }
}
