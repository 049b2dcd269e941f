//! Which rows a query of the catalog has: many, those of an aggregate, or none for sure.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Join, JoinOperator, Query, Select, SelectItem, SetExpr, TableFactor,
    Visit, Visitor,
};

use super::columns::column_name;
use super::{boolean, null, words};
use crate::postgres::names;

/// Whether a query asks the catalog, and nothing else.
pub(super) fn is_of_catalog(select: &Select) -> bool {
    let is_of = |factor: &TableFactor| match factor {
        TableFactor::Table { name, .. } => match words(name).as_slice() {
            [name] => names::is_table(name),
            [schema, _] => schema == "pg_catalog" || schema == "information_schema",
            _ => false,
        },
        TableFactor::Derived { subquery, .. } => asks_catalog(&subquery.body),
        _ => false,
    };
    !select.from.is_empty()
        && select.from.iter().all(|from| {
            is_of(&from.relation) && from.joins.iter().all(|join| is_of(&join.relation))
        })
}

fn asks_catalog(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => is_of_catalog(select),
        SetExpr::Query(query) => asks_catalog(&query.body),
        SetExpr::SetOperation { left, right, .. } => asks_catalog(left) && asks_catalog(right),
        _ => false,
    }
}

/// Whether a query has no rows, because it needs a row of a table that never has one.
pub(super) fn is_empty(select: &Select) -> bool {
    let never = |factor: &TableFactor| match factor {
        TableFactor::Table { name, .. } => match words(name).as_slice() {
            [name] => names::is_never_filled(name),
            [schema, name] => schema == "pg_catalog" && names::is_never_filled(name),
            _ => false,
        },
        _ => false,
    };
    let needed = |join: &Join| {
        matches!(
            join.join_operator,
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
        )
    };
    // Each row of what is on the right of these is kept, whatever is on the left.
    let keeps_right = |join: &Join| {
        matches!(
            join.join_operator,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
        )
    };
    let is_needed = select.from.iter().any(|from| {
        !from.joins.iter().any(keeps_right)
            && (never(&from.relation)
                || from.joins.iter().any(|join| needed(join) && never(&join.relation)))
    });
    let is_listed = select.projection.iter().all(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            !is_aggregate(expr)
        }
        _ => false,
    });
    is_needed && is_listed && !is_grouped(select)
}

/// Whether its rows are made of groups of rows.
pub(super) fn is_grouped(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(by, _) => !by.is_empty(),
    }
}

/// Whether a value of many rows is made, here and not in a subquery.
pub(super) fn is_aggregate(expr: &Expr) -> bool {
    expr.visit(&mut Aggregates { depth: 0 }).is_break()
}

/// Finds aggregates outside of subqueries.
struct Aggregates {
    depth: usize,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        const AGGREGATES: [&str; 10] = [
            "array_agg",
            "avg",
            "bool_and",
            "bool_or",
            "count",
            "every",
            "max",
            "min",
            "string_agg",
            "sum",
        ];
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some(name) = words(&function.name).last()
            && AGGREGATES.contains(&name.as_str())
        {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The same columns, without a row and without all that is written of them.
pub(super) fn empty(select: &mut Select) {
    for item in &mut select.projection {
        let alias = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            SelectItem::UnnamedExpr(expr) => Ident::with_quote('"', column_name(expr)),
            _ => continue,
        };
        *item = SelectItem::ExprWithAlias { expr: null(), alias };
    }
    select.distinct = None;
    select.from = Vec::new();
    select.having = None;
    select.selection = Some(boolean(false));
}

/// Whether a query was made one without rows.
pub(super) fn is_emptied(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    select.from.is_empty() && select.selection == Some(boolean(false))
}
