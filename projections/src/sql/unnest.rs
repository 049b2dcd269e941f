//! `UNNEST`: a row for each element of a list, made of every row alone.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, RecursionUnnestOption, UnnestOptions};
use datafusion::logical_expr::{LogicalPlanBuilder, Unnest};

use super::aggregate::by_place;
use super::columns::name;
use super::{Compiled, Compiler, arrow_schema};
use crate::circuit::{NodeId, RowWise};

impl Compiler {
    pub(super) fn unnest(&mut self, unnest: &Unnest) -> Compiled<NodeId> {
        let input = self.node(&unnest.input)?;
        let from = unnest.input.schema();
        let placed = |column: &Column| -> datafusion::common::Result<Column> {
            Ok(Column::new(Some("slot"), name(from.index_of_column(column)?)))
        };
        let lists = unnest.exec_columns.iter().map(placed).collect::<Result<Vec<_>, _>>()?;
        let recursions = unnest
            .options
            .recursions
            .iter()
            .map(|r| {
                Ok(RecursionUnnestOption { input_column: placed(&r.input_column)?, ..r.clone() })
            })
            .collect::<datafusion::common::Result<Vec<_>>>()?;
        let options = UnnestOptions { recursions, ..unnest.options.clone() };
        let mut fields = vec![Arc::new(Field::new("@weight", DataType::Int64, false))];
        fields.extend(by_place(self.circuit.schema(input)).fields().iter().cloned());
        let rows = Arc::new(Schema::new(fields));
        let runner = self.runner(&rows, |scan: LogicalPlanBuilder| {
            scan.unnest_columns_with_options(lists, options)
        })?;
        let schema = arrow_schema(&unnest.schema);
        let operator = RowWise::new(runner, schema.clone());
        Ok(self.circuit.add(Box::new(operator), vec![input], schema))
    }
}
