//! Plans that claim nothing about which columns follow from which.
//!
//! DataFusion 55 derives functional dependencies that do not hold: grouping by the key of an
//! aggregated relation and more, after a join that repeats its rows, is taken to determine every
//! column; an unnested relation keeps the dependencies of the one before. Rules that rely on them
//! then drop columns of a grouping, or add some. Nothing else needs them, so they are forgotten:
//! when a relation is planned, for grouping by its key adds columns there, and before each rule of
//! the optimizer that reads them.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{FunctionalDependencies, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Distinct, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::sql::sqlparser::ast::TableFactor;

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
        let forgotten = forget(&mut plan)?;
        Ok(Transformed::new_transformed(plan, forgotten))
    }
}

/// Plans the relations of `FROM` as DataFusion does, and forgets what they claim.
#[derive(Debug)]
pub(super) struct ForgetRelations;

thread_local! {
    /// Whether the relation asked for next is one that is being planned already.
    static BEING_PLANNED: Cell<bool> = const { Cell::new(false) };
}

impl RelationPlanner for ForgetRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if BEING_PLANNED.take() {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        BEING_PLANNED.set(true);
        let mut plan = context.plan(relation)?;
        forget_output(&mut plan)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// Clears what the output of a plan claims, which for some nodes is what their input does.
fn forget_output(plan: &mut LogicalPlan) -> Result<()> {
    match plan {
        LogicalPlan::Filter(node) => forget_output(Arc::make_mut(&mut node.input)),
        LogicalPlan::Sort(node) => forget_output(Arc::make_mut(&mut node.input)),
        LogicalPlan::Limit(node) => forget_output(Arc::make_mut(&mut node.input)),
        LogicalPlan::Distinct(Distinct::All(input)) => forget_output(Arc::make_mut(input)),
        LogicalPlan::Subquery(node) => forget_output(Arc::make_mut(&mut node.subquery)),
        other => forget(other).map(|_| ()),
    }
}

/// Clears the functional dependencies of one node; answers whether there were any.
fn forget(plan: &mut LogicalPlan) -> Result<bool> {
    let schema = match plan {
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
        _ => return Ok(false),
    };
    if schema.functional_dependencies().is_empty() {
        return Ok(false);
    }
    let bare = schema.as_ref().clone();
    *schema = Arc::new(bare.with_functional_dependencies(FunctionalDependencies::empty())?);
    Ok(true)
}
