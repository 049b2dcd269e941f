//! The condition of a join beside its equal keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;

use crate::RuntimeError;
use crate::change::batch;
use crate::circuit::evaluate::matching;

/// The further condition of a join, over those columns of both sides that it reads.
pub(crate) struct Residual {
    condition: Arc<dyn PhysicalExpr>,
    /// The columns it reads, those of the left side first.
    pub(super) columns: Vec<usize>,
    schema: SchemaRef,
}

impl Residual {
    /// A condition over the columns of both sides, which are those of `schema`.
    pub(crate) fn new(
        condition: Arc<dyn PhysicalExpr>,
        schema: &Schema,
    ) -> Result<Self, RuntimeError> {
        let read: BTreeSet<usize> = collect_columns(&condition).iter().map(Column::index).collect();
        let columns: Vec<usize> = read.into_iter().collect();
        let place = |index: usize| columns.partition_point(|column| *column < index);
        let condition = condition.transform(|e| {
            let column = e.downcast_ref::<Column>();
            Ok(column.map_or_else(
                || Transformed::no(e.clone()),
                |c| Transformed::yes(Arc::new(Column::new(c.name(), place(c.index())))),
            ))
        })?;
        let schema = Arc::new(schema.project(&columns)?);
        Ok(Self { condition: condition.data, columns, schema })
    }

    /// For which of so many rows it holds, given the columns that it reads.
    pub(super) fn holds(
        &self,
        columns: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<BooleanArray, RuntimeError> {
        matching(self.condition.as_ref(), &batch(self.schema.clone(), columns, rows)?)
    }
}
