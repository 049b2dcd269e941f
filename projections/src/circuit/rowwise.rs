//! A plan that makes rows of each row alone, such as `UNNEST`: it runs over the change as it is.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Int64Type, SchemaRef, UInt32Type};

use super::{Operator, PlanRunner, Step};
use crate::change::batch;
use crate::{Change, RuntimeError};

/// The plan reads the tenant and the weight before the columns of the row, and passes them on.
pub(crate) struct RowWise {
    runner: PlanRunner,
    schema: SchemaRef,
}

impl RowWise {
    /// Rows of `schema`, as `runner` makes them.
    pub(crate) fn new(runner: PlanRunner, schema: SchemaRef) -> Self {
        Self { runner, schema }
    }
}

impl Operator for RowWise {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(change.tenants.clone()), Arc::new(change.weights.clone())];
        columns.extend_from_slice(change.rows.columns());
        let rows = batch(self.runner.schema().clone(), columns, change.len())?;
        let answer = self.runner.run(rows)?;
        let rows = batch(self.schema.clone(), answer.columns()[2..].to_vec(), answer.num_rows())?;
        Ok(Change::new(
            answer.column(0).as_primitive::<UInt32Type>().clone(),
            rows,
            answer.column(1).as_primitive::<Int64Type>().clone(),
        ))
    }
    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs[0]
    }
}
