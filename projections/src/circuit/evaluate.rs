//! Operators without state: project, filter, union.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;

use super::{Operator, Step};
use crate::change::batch;
use crate::{Change, RuntimeError};

/// Scalar expressions over the columns of one input.
#[derive(Debug, Clone)]
pub(crate) struct Expressions {
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
}

impl Expressions {
    /// Expressions that make rows of `schema`.
    pub(crate) fn new(expressions: Vec<Arc<dyn PhysicalExpr>>, schema: SchemaRef) -> Self {
        Self { expressions, schema }
    }

    /// The columns they make.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The values of all expressions for all rows.
    pub(crate) fn columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, RuntimeError> {
        self.expressions
            .iter()
            .map(|e| Ok(e.evaluate(rows)?.into_array(rows.num_rows())?))
            .collect()
    }

    /// The same as a batch.
    pub(crate) fn evaluate(&self, rows: &RecordBatch) -> Result<RecordBatch, RuntimeError> {
        Ok(batch(self.schema.clone(), self.columns(rows)?, rows.num_rows())?)
    }
}

/// The rows for which a predicate is true; not those for which it is null.
pub(crate) fn matching(
    predicate: &dyn PhysicalExpr,
    rows: &RecordBatch,
) -> Result<BooleanArray, RuntimeError> {
    let values = predicate.evaluate(rows)?.into_array(rows.num_rows())?;
    let values = values
        .as_boolean_opt()
        .ok_or_else(|| RuntimeError { message: format!("{predicate} is no condition") })?;
    Ok(truths(values))
}

/// The condition with its nulls as false.
pub(crate) fn truths(values: &BooleanArray) -> BooleanArray {
    if values.null_count() == 0 { values.clone() } else { prep_null_mask_filter(values) }
}

/// New columns from old ones.
pub(crate) struct Project(pub(crate) Expressions);

impl Operator for Project {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        Ok(change.with_rows(self.0.evaluate(&change.rows)?))
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs[0]
    }
}

/// The rows that satisfy a predicate.
pub(crate) struct Filter(pub(crate) Arc<dyn PhysicalExpr>);

impl Operator for Filter {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        Ok(change.filter(&matching(self.0.as_ref(), &change.rows)?)?)
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs[0]
    }
}

/// The rows of all inputs.
pub(crate) struct Union(pub(crate) SchemaRef);

impl Operator for Union {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let parts = step
            .inputs
            .iter()
            .filter(|change| !change.is_empty())
            .map(|change| {
                let columns = change.rows.columns().to_vec();
                Ok(change.with_rows(batch(self.0.clone(), columns, change.len())?))
            })
            .collect::<Result<Vec<_>, RuntimeError>>()?;
        Ok(Change::concat(&self.0, &parts)?)
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs.iter().all(|input| *input)
    }
}
