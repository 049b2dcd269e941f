//! Aggregates of all rows: one row for every tenant, also over no rows.

use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit, when};

use super::super::columns::{Columns, name};
use super::super::{Compiled, Compiler};
use super::{Grouping, by_place, over_columns};
use crate::circuit::{JoinKind, NodeId};

impl Compiler {
    /// The aggregate over the rows there are, beside the row that every tenant is born with.
    pub(super) fn totals(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        let over_rows = self.grouped(grouping, functions)?;
        let births = self.one_row();
        let node = self.join_on(JoinKind::Left, (births, &[]), (over_rows, &[]))?;
        let defaults = self.over_nothing(grouping, functions)?;
        let columns = defaults
            .into_iter()
            .enumerate()
            .map(|(i, default)| {
                let column = Expr::Column(Column::from_name(name(i)));
                if default.is_null() {
                    return Ok(column);
                }
                when(column.clone().is_null(), lit(default)).otherwise(column)
            })
            .collect::<datafusion::common::Result<Vec<_>>>()?;
        let from = DFSchema::try_from(by_place(&grouping.schema).as_ref().clone())?;
        self.project(node, &from, &columns, grouping.schema.clone())
    }

    /// What the functions answer over no rows.
    pub(super) fn over_nothing(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<Vec<ScalarValue>> {
        if functions.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns = Columns::new(grouping.input_schema);
        let functions: Vec<Expr> =
            functions.iter().enumerate().map(|(i, f)| over_columns(i, f, &mut columns)).collect();
        let rows = columns.schema()?;
        let none: Vec<Expr> = Vec::new();
        let mut runner =
            self.runner(&rows, |scan: LogicalPlanBuilder| scan.aggregate(none, functions))?;
        let answer = runner.over_nothing()?;
        let columns = answer.columns().iter();
        columns.map(|column| Ok(ScalarValue::try_from_array(column, 0)?)).collect()
    }
}
