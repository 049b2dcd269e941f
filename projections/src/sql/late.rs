//! The date is read as late as possible: where its outcome is asked for.
//!
//! A column like `current_date - due_date` changes every day, and whatever reads it has to be
//! evaluated every day; the comparison `current_date - due_date <= 30` changes once. So such a
//! column, written in a subquery or made by the optimizer, is put into the expressions that read
//! it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan, Projection, SubqueryAlias};

use super::columns::reads_clock;

/// Parts of one node's expressions beyond which nothing more is put into them.
const PARTS: usize = 4_096;

/// The plan with the date read where its outcome is asked for.
pub(super) fn read_late(plan: LogicalPlan) -> Result<LogicalPlan> {
    let late = plan.transform_up_with_subqueries(|node| {
        Ok(match late(&node)? {
            Some(late) => Transformed::yes(late),
            None => Transformed::no(node),
        })
    })?;
    Ok(late.data)
}

fn late(node: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    Ok(match node {
        LogicalPlan::Projection(node) => match Early::of(&node.input) {
            Some(early) if early.fits(&node.expr) => {
                let expressions = early.inline(&node.expr)?;
                let schema = node.schema.clone();
                let input = early.projection.input.clone();
                let late = Projection::try_new_with_schema(expressions, input, schema)?;
                Some(LogicalPlan::Projection(late))
            }
            _ => None,
        },
        LogicalPlan::Aggregate(node) => match Early::of(&node.input) {
            Some(early) if early.fits(node.group_expr.iter().chain(&node.aggr_expr)) => {
                let late = Aggregate::try_new_with_schema(
                    early.projection.input.clone(),
                    early.inline_keys(&node.group_expr)?,
                    early.inline(&node.aggr_expr)?,
                    node.schema.clone(),
                )?;
                Some(LogicalPlan::Aggregate(late))
            }
            _ => None,
        },
        LogicalPlan::Filter(node) => match Early::of(&node.input) {
            Some(early) if early.fits([&node.predicate]) => {
                let predicate = early.inline([&node.predicate])?.swap_remove(0);
                let kept = Filter::try_new(predicate, early.projection.input.clone())?;
                Some(early.above(LogicalPlan::Filter(kept))?)
            }
            _ => None,
        },
        _ => None,
    })
}

/// A projection below a node that reads the date.
struct Early<'a> {
    projection: &'a Projection,
    /// The names it is given, the innermost last.
    aliases: Vec<&'a SubqueryAlias>,
    /// What each of its columns is.
    columns: HashMap<Column, Expr>,
}

impl<'a> Early<'a> {
    fn of(input: &'a LogicalPlan) -> Option<Self> {
        let mut aliases = Vec::new();
        let mut below = input;
        while let LogicalPlan::SubqueryAlias(alias) = below {
            aliases.push(alias);
            below = &alias.input;
        }
        let LogicalPlan::Projection(projection) = below else { return None };
        if !projection.expr.iter().any(reads_clock) {
            return None;
        }
        let expressions = projection.expr.iter().map(|e| e.clone().unalias());
        let columns = input.schema().columns().into_iter().zip(expressions).collect();
        Some(Self { projection, aliases, columns })
    }

    /// Whether expressions over its columns stay of a reasonable size.
    fn fits<'e>(&self, expressions: impl IntoIterator<Item = &'e Expr>) -> bool {
        let sizes: HashMap<&Column, usize> =
            self.columns.iter().map(|(column, e)| (column, size(e, &|_| 1))).collect();
        let part = |column: &Column| sizes.get(column).copied().unwrap_or(1);
        expressions.into_iter().map(|e| size(e, &part)).sum::<usize>() <= PARTS
    }

    /// Expressions over its columns as expressions over those of its input.
    fn inline<'e>(&self, expressions: impl IntoIterator<Item = &'e Expr>) -> Result<Vec<Expr>> {
        let inlined = |expr: &Expr| {
            let inlined = expr.clone().transform_up(|e| {
                Ok(match &e {
                    Expr::Column(column) => match self.columns.get(column) {
                        Some(expr) => Transformed::yes(expr.clone()),
                        None => Transformed::no(e),
                    },
                    _ => Transformed::no(e),
                })
            })?;
            Ok(inlined.data)
        };
        expressions.into_iter().map(inlined).collect()
    }

    /// The same for keys, under their names: two may become equal, and are still two.
    fn inline_keys(&self, keys: &[Expr]) -> Result<Vec<Expr>> {
        let inlined = |key: Expr| {
            if let Expr::GroupingSet(_) = key {
                return Ok(Transformed::no(key));
            }
            let (relation, name) = key.qualified_name();
            let inlined = self.inline([&key])?.swap_remove(0);
            let inlined = inlined.unalias().alias_qualified(relation, name);
            Ok(Transformed::new(inlined, true, TreeNodeRecursion::Jump))
        };
        keys.iter().map(|key| Ok(key.clone().transform_down(inlined)?.data)).collect()
    }

    /// The projection over another input.
    fn above(&self, input: LogicalPlan) -> Result<LogicalPlan> {
        let Projection { expr, schema, .. } = self.projection;
        let projection =
            Projection::try_new_with_schema(expr.clone(), Arc::new(input), schema.clone())?;
        self.aliases.iter().rev().try_fold(LogicalPlan::Projection(projection), |below, alias| {
            let alias = SubqueryAlias::try_new(Arc::new(below), alias.alias.clone())?;
            Ok(LogicalPlan::SubqueryAlias(alias))
        })
    }
}

/// The parts of an expression, where a column counts for as many as `of_column` says.
fn size(expr: &Expr, of_column: &dyn Fn(&Column) -> usize) -> usize {
    let mut size = 0_usize;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply(|e| {
        size = size.saturating_add(if let Expr::Column(c) = e { of_column(c) } else { 1 });
        Ok(TreeNodeRecursion::Continue)
    });
    size
}
