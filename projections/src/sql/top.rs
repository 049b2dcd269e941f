//! The first rows of partitions: a number over a window, and a filter on it.

use std::collections::HashMap;

use arrow::compute::SortOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, Operator, Projection, Window,
};

use super::columns::Columns;
use super::{Compiled, Compiler, arrow_schema};
use crate::circuit::{NodeId, Numbering, Top, TopRows};

impl Compiler {
    /// The rows of a filter over numbered rows, if it takes only the first of each partition.
    /// Between the filter and the numbers columns may have been left out.
    pub(super) fn top_of_partitions(&mut self, filter: &Filter) -> Compiled<Option<NodeId>> {
        match filter.input.as_ref() {
            LogicalPlan::Window(window) => self.top_of(window, &filter.predicate),
            LogicalPlan::Projection(projection) => {
                let LogicalPlan::Window(window) = projection.input.as_ref() else {
                    return Ok(None);
                };
                let Some(predicate) = before(projection, &filter.predicate)? else {
                    return Ok(None);
                };
                let Some(node) = self.top_of(window, &predicate)? else { return Ok(None) };
                let schema = arrow_schema(&projection.schema);
                Ok(Some(self.project(node, &window.schema, &projection.expr, schema)?))
            }
            _ => Ok(None),
        }
    }

    fn top_of(&mut self, window: &Window, predicate: &Expr) -> Compiled<Option<NodeId>> {
        let Some((function, numbering)) = numbered(window) else { return Ok(None) };
        let number = Column::from(window.schema.qualified_field(window.schema.fields().len() - 1));
        let bounds = split_conjunction(predicate).into_iter();
        let Some(up_to) = bounds.filter_map(|e| bound(e, &number)).min() else { return Ok(None) };
        let input = self.node(&window.input)?;
        let mut columns = all_columns(window.input.schema());
        let width = columns.expressions().len();
        let partition = function.params.partition_by.iter().map(|e| columns.place(e)).collect();
        let what = TopRows {
            partition,
            order: ordered(&function.params.order_by, &mut columns),
            width,
            numbering,
            skip: 0,
            up_to,
            numbered: true,
        };
        let before = self.columns(input, &columns)?;
        let rows = self.circuit.schema(before).clone();
        let schema = arrow_schema(&window.schema);
        let operator = Top::new(what, &rows, schema.clone())?;
        let node = self.circuit.add(Box::new(operator), vec![before], schema);
        Ok(Some(self.filtered(node, &window.schema, predicate)?))
    }
}

/// A condition behind a projection that only leaves columns out, as one before it.
fn before(projection: &Projection, predicate: &Expr) -> Compiled<Option<Expr>> {
    let columns: HashMap<Column, &Expr> =
        projection.schema.columns().into_iter().zip(&projection.expr).collect();
    let plain = |expr: &&Expr| matches!((*expr).clone().unalias(), Expr::Column(_));
    if !columns.values().all(plain) {
        return Ok(None);
    }
    let moved = predicate.clone().transform(|e| {
        let behind = if let Expr::Column(column) = &e { columns.get(column) } else { None };
        Ok(match behind {
            Some(expr) => Transformed::yes((*expr).clone().unalias()),
            None => Transformed::no(e),
        })
    })?;
    Ok(Some(moved.data))
}

/// All columns of a relation, in their order.
pub(super) fn all_columns(schema: &DFSchema) -> Columns<'_> {
    let mut columns = Columns::new(schema);
    for field in schema.iter() {
        columns.push(&Expr::Column(Column::from(field)));
    }
    columns
}

/// An order over the columns before an operator.
pub(super) fn ordered(order: &[Sort], columns: &mut Columns<'_>) -> Vec<(usize, SortOptions)> {
    let sort = |sort: &Sort| {
        let options = SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first };
        (columns.place(&sort.expr), options)
    };
    order.iter().map(sort).collect()
}

/// The one function of a window that numbers its rows in an order.
fn numbered(window: &Window) -> Option<(&WindowFunction, Numbering)> {
    let [expr] = window.window_expr.as_slice() else { return None };
    let function = match expr {
        Expr::WindowFunction(function) => function,
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::WindowFunction(function) => function,
            _ => return None,
        },
        _ => return None,
    };
    let numbering = match function.fun.name() {
        "row_number" => Numbering::RowNumber,
        "rank" => Numbering::Rank,
        "dense_rank" => Numbering::DenseRank,
        _ => return None,
    };
    (!function.params.order_by.is_empty()).then_some((function, numbering))
}

/// The highest number that a condition lets through.
fn bound(condition: &Expr, number: &Column) -> Option<u64> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let (op, value) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) if column == number => (*op, value),
        (Expr::Literal(value, _), Expr::Column(column)) if column == number => (op.swap()?, value),
        _ => return None,
    };
    let ScalarValue::UInt64(Some(value)) = value else { return None };
    match op {
        Operator::LtEq | Operator::Eq => Some(*value),
        Operator::Lt => Some(value.saturating_sub(1)),
        _ => None,
    }
}
