//! How large a query becomes when its parts are put into each other.
//!
//! A `WITH` that is named twice is planned twice, and a computed column that is used twice may be
//! copied twice when a filter moves below it. A short text can so describe a plan of any size, in
//! memory that no operator accounts for. Both growths are computed before they happen. A relation of very
//! many columns takes memory with each batch of a few rows.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as PlanResult};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Visit, Visitor};

use crate::{QueryError, literals};

/// Columns of a relation, also of one inside the query.
const COLUMNS: usize = 1_000;

/// Bytes of a value that count for a term: where an expression is copied, so are its values.
const TERM_BYTES: usize = 256;

/// Relations that a query reads, each as often as it is read.
const RELATIONS: u64 = 100;

/// Terms of one expression with the expressions it is made of put in.
const TERMS: u64 = 50_000;

/// An error if the query reads too many relations once its `WITH`s are put in.
pub(crate) fn check_expansion(query: &Query) -> Result<(), QueryError> {
    let mut expansion = Expansion::default();
    expansion.scopes.push(Scope::default());
    let _: ControlFlow<()> = query.visit(&mut expansion);
    let relations = expansion.scopes.first().map_or(0, |scope| scope.relations);
    if relations <= RELATIONS {
        return Ok(());
    }
    Err(QueryError::invalid(format!(
        "the query reads {relations} relations once its WITHs are put in, more than the \
         {RELATIONS} allowed"
    )))
}

#[derive(Default)]
struct Expansion {
    scopes: Vec<Scope>,
    /// The queries of `WITH`s that are still to be visited, with their names.
    named: HashMap<*const Query, String>,
}

/// A query: the relations it reads and what its own `WITH`s read.
#[derive(Default)]
struct Scope {
    relations: u64,
    with: HashMap<String, u64>,
}

impl Visitor for Expansion {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let address: *const Query = cte.query.as_ref();
            self.named.insert(address, cte.alias.name.value.to_lowercase());
        }
        self.scopes.push(Scope::default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let relations = self.scopes.pop().map_or(0, |scope| scope.relations);
        let name = self.named.remove(&std::ptr::from_ref(query));
        if let Some(outer) = self.scopes.last_mut() {
            match name {
                Some(name) => {
                    outer.with.insert(name, relations);
                }
                None => outer.relations = outer.relations.saturating_add(relations),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.to_string().replace('"', "").to_lowercase();
        let reads = self.scopes.iter().rev().find_map(|scope| scope.with.get(&name).copied());
        if let Some(scope) = self.scopes.last_mut() {
            // A WITH that reads nothing costs a plan all the same.
            scope.relations = scope.relations.saturating_add(reads.unwrap_or(1).max(1));
        }
        ControlFlow::Continue(())
    }
}

/// An error if a relation of the plan has too many columns.
pub(crate) fn check_columns(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut most = 0;
    plan.apply_with_subqueries(|node| {
        most = most.max(node.schema().fields().len());
        Ok(TreeNodeRecursion::Continue)
    })?;
    if most <= COLUMNS {
        return Ok(());
    }
    Err(QueryError::invalid(format!(
        "a relation of the query has {most} columns, more than the {COLUMNS} allowed"
    )))
}

/// An error if a column's expression becomes too large once those it is made of are put in.
pub(crate) fn check_terms(plan: &LogicalPlan) -> Result<(), QueryError> {
    let largest = column_terms(plan)?.into_iter().max().unwrap_or(0);
    within_terms(largest)
}

fn within_terms(terms: u64) -> Result<(), QueryError> {
    if terms <= TERMS {
        return Ok(());
    }
    Err(QueryError::invalid(format!(
        "an expression has more than {TERMS} terms once those it is made of are put in: compute \
         less, or use each computed column less often"
    )))
}

/// The terms of each column that `plan` gives; along the way, each predicate is checked.
fn column_terms(plan: &LogicalPlan) -> Result<Vec<u64>, QueryError> {
    let mut inputs = Vec::new();
    for input in plan.inputs() {
        inputs.push(column_terms(input)?);
    }
    let terms = |expr: &Expr| match (plan.inputs().first(), inputs.first()) {
        (Some(input), Some(terms)) => expr_terms(expr, input.schema(), terms),
        _ => expr_terms(expr, &DFSchema::empty(), &[]),
    };
    let mut columns = match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().map(terms).collect::<Result<_, _>>()?
        }
        LogicalPlan::Filter(filter) => {
            within_terms(terms(&filter.predicate)?)?;
            inputs.swap_remove(0)
        }
        LogicalPlan::Aggregate(aggregate) => {
            for aggregated in &aggregate.aggr_expr {
                within_terms(terms(aggregated)?)?;
            }
            aggregate.group_expr.iter().map(terms).collect::<Result<_, _>>()?
        }
        LogicalPlan::Union(_) => inputs.into_iter().reduce(widest).unwrap_or_default(),
        LogicalPlan::Distinct(Distinct::On(_)) => vec![],
        _ => inputs.concat(),
    };
    // Columns that the plan makes itself, like a window's, cannot be put into others.
    columns.resize(plan.schema().fields().len(), 1);
    Ok(columns)
}

fn widest(a: Vec<u64>, b: Vec<u64>) -> Vec<u64> {
    a.into_iter().zip(b).map(|(a, b)| a.max(b)).collect()
}

fn expr_terms(expr: &Expr, schema: &DFSchema, columns: &[u64]) -> Result<u64, QueryError> {
    let mut total = 0_u64;
    let mut inner: Result<(), QueryError> = Ok(());
    let walked: PlanResult<_> = expr.apply(|node| {
        let terms = match node {
            Expr::Column(column) => schema
                .maybe_index_of_column(column)
                .and_then(|index| columns.get(index).copied())
                .unwrap_or(1),
            Expr::Literal(value, _) => 1 + (literals::value_bytes(value) / TERM_BYTES) as u64,
            _ => 1,
        };
        total = total.saturating_add(terms);
        let subquery = match node {
            Expr::ScalarSubquery(subquery) => Some(subquery),
            Expr::InSubquery(within) => Some(&within.subquery),
            Expr::Exists(exists) => Some(&exists.subquery),
            _ => None,
        };
        if let Some(subquery) = subquery {
            inner = check_terms(&subquery.subquery);
        }
        Ok(if inner.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walked?;
    inner?;
    within_terms(total)?;
    Ok(total)
}
