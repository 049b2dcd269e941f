//! Subqueries that are a value: each becomes a relation of at most one row, joined to the rest.
//!
//! DataFusion turns `IN`, `EXISTS` and correlated subqueries into joins itself; those that it
//! cannot are refused here.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias,
};

use super::limit::is_one_row;
use super::{Compiled, Compiler, unsupported_at};

/// What the relations made of subqueries are called.
const SCALAR: &str = "@scalar";

/// Whether a relation was made of a subquery that may have more rows than one.
pub(super) fn is_scalar(plan: &LogicalPlan) -> bool {
    let LogicalPlan::SubqueryAlias(alias) = plan else { return false };
    alias.alias.table().starts_with(SCALAR) && !is_one_row(&alias.input)
}

/// Whether a node holds subqueries that are values.
pub(super) fn has_scalars(plan: &LogicalPlan) -> bool {
    let mut found = false;
    // The closure never fails, so neither does the walk.
    let _ = plan.apply_expressions(|expr| {
        found |= expr.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_))))?;
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// Subqueries of one node, as they are taken out of its expressions.
struct Taken<'a> {
    number: &'a mut usize,
    subqueries: Vec<LogicalPlan>,
}

impl Taken<'_> {
    fn take(&mut self, expr: Expr) -> Result<Expr> {
        let taken = expr.transform_up(|e| match e {
            Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => {
                let alias = format!("{SCALAR}{}", self.number);
                *self.number += 1;
                // Under a name of its own its column is never confused with one that has none.
                let value =
                    Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)));
                let named = Projection::try_new(vec![value.alias(&alias)], subquery.subquery)?;
                let relation =
                    SubqueryAlias::try_new(Arc::new(LogicalPlan::Projection(named)), alias)?;
                let column = Column::from(relation.schema.qualified_field(0));
                self.subqueries.push(LogicalPlan::SubqueryAlias(relation));
                Ok(Transformed::yes(Expr::Column(column)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(taken.data)
    }

    fn take_all(&mut self, exprs: &[Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.take(expr.clone())).collect()
    }

    /// `input` with a column for each subquery.
    fn joined(self, input: &Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
        let mut plan = input.clone();
        for subquery in self.subqueries {
            let schema = datafusion::logical_expr::build_join_schema(
                plan.schema(),
                subquery.schema(),
                &JoinType::Left,
            )?;
            plan = Arc::new(LogicalPlan::Join(Join {
                left: plan,
                right: Arc::new(subquery),
                on: vec![],
                filter: None,
                join_type: JoinType::Left,
                join_constraint: datafusion::common::JoinConstraint::On,
                schema: Arc::new(schema),
                null_equality: datafusion::common::NullEquality::NullEqualsNothing,
                null_aware: false,
            }));
        }
        Ok(plan)
    }
}

impl Compiler {
    /// The node's plan with its subqueries joined to its input.
    pub(super) fn without_scalars(&mut self, plan: &LogicalPlan) -> Compiled<LogicalPlan> {
        let mut taken = Taken { number: &mut self.scalars, subqueries: Vec::new() };
        let rewritten = match plan {
            LogicalPlan::Projection(node) => {
                let exprs = taken.take_all(&node.expr)?;
                let input = taken.joined(&node.input)?;
                let schema = node.schema.clone();
                LogicalPlan::Projection(Projection::try_new_with_schema(exprs, input, schema)?)
            }
            LogicalPlan::Filter(node) => {
                let predicate = taken.take(node.predicate.clone())?;
                let input = taken.joined(&node.input)?;
                let filter = LogicalPlan::Filter(Filter::try_new(predicate, input)?);
                settled(&filter)?;
                only(filter, node.input.schema().columns())?
            }
            LogicalPlan::Aggregate(node) => {
                let groups = taken.take_all(&node.group_expr)?;
                let functions = taken.take_all(&node.aggr_expr)?;
                let input = taken.joined(&node.input)?;
                let schema = node.schema.clone();
                let node = Aggregate::try_new_with_schema(input, groups, functions, schema)?;
                LogicalPlan::Aggregate(node)
            }
            LogicalPlan::Join(node) => {
                let filter = node.filter.clone().map(|f| taken.take(f)).transpose()?;
                let left = taken.joined(&node.left)?;
                let schema = datafusion::logical_expr::build_join_schema(
                    left.schema(),
                    node.right.schema(),
                    &node.join_type,
                )?;
                let join = Join { left, filter, schema: Arc::new(schema), ..node.clone() };
                let join = LogicalPlan::Join(join);
                settled(&join)?;
                only(join, node.schema.columns())?
            }
            _ => plan.clone(),
        };
        settled(&rewritten)?;
        Ok(rewritten)
    }
}

/// Refuses a node that still holds subqueries: those that refer to its rows.
fn settled(plan: &LogicalPlan) -> Compiled<()> {
    if has_scalars(plan) { leftover(plan) } else { Ok(()) }
}

fn only(plan: LogicalPlan, columns: Vec<Column>) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(plan).project(columns.into_iter().map(Expr::Column))?.build()
}

/// Refuses a subquery that did not become a join.
pub(super) fn refuse_subqueries(plan: &LogicalPlan) -> Compiled<()> {
    let mut found = false;
    let _ = plan.apply_expressions(|expr| {
        found |= expr.exists(|e| {
            Ok(matches!(
                e,
                Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_)
                    | Expr::OuterReferenceColumn(..)
            ))
        })?;
        Ok(TreeNodeRecursion::Continue)
    });
    if found { leftover(plan) } else { Ok(()) }
}

fn leftover<T>(plan: &LogicalPlan) -> Compiled<T> {
    let mut name = ("a correlated subquery", "SELECT");
    let _ = plan.apply_expressions(|expr| {
        expr.apply(|e| {
            match e {
                Expr::Exists(_) => name = ("EXISTS outside WHERE", "EXISTS"),
                Expr::InSubquery(_) => name = ("IN (SELECT …) outside WHERE", "IN"),
                Expr::SetComparison(_) => {
                    name = ("a comparison with ANY or ALL of a subquery", "ANY");
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    unsupported_at(
        name.0,
        "join the subquery, grouped by what it is matched on, with LEFT JOIN",
        name.1,
    )
}
