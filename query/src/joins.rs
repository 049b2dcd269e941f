//! Joins that need not be held in memory.

use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};

/// Puts a join of two sorted inputs in the place of one that holds an input in memory. To be the
/// first of all rules, for the others put in the sorting that it needs.
#[derive(Debug)]
pub(crate) struct SortedJoins;

impl PhysicalOptimizerRule for SortedJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sorted = plan.transform_up(|node| {
            // `NOT IN` over nulls has no sorted form.
            let join = node.downcast_ref::<HashJoinExec>().filter(|join| !join.null_aware);
            let Some(join) = join.filter(|join| !join.contains_projection()) else {
                return Ok(Transformed::no(node));
            };
            let sorted = SortMergeJoinExec::try_new(
                join.left().clone(),
                join.right().clone(),
                join.on().to_vec(),
                join.filter().cloned(),
                *join.join_type(),
                vec![SortOptions::default(); join.on().len()],
                join.null_equality(),
            )?;
            Ok(Transformed::yes(Arc::new(sorted) as Arc<dyn ExecutionPlan>))
        })?;
        Ok(sorted.data)
    }

    fn name(&self) -> &'static str {
        "sorted_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a plan holds one side of a join in memory that need not be.
pub(crate) fn is_hashed(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>() || plan.children().into_iter().any(is_hashed)
}
