//! Where events come into a circuit.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::NodeId;
use crate::EventBatch;
use crate::events::{Field, declared_columns, fit};

/// A node of an event type's events.
pub(super) struct Source {
    pub(super) node: NodeId,
    /// Fields that the tenant has declared, whose columns stand behind those of the type.
    pub(super) declared: Vec<Field>,
}

impl Source {
    /// A batch with the columns of the node, which are those of `schema`.
    pub(super) fn fitted(&self, batch: &EventBatch, schema: &SchemaRef) -> EventBatch {
        let mut batch = batch.clone();
        // The type may have gained columns since the views were compiled.
        if (!self.declared.is_empty() || batch.rows.num_columns() != schema.fields().len())
            && let Ok(rows) = self.rows(&batch, schema)
        {
            batch.rows = rows;
        }
        batch
    }

    fn rows(&self, batch: &EventBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        if self.declared.is_empty() {
            return fit(&batch.rows, schema);
        }
        let width = schema.fields().len().saturating_sub(self.declared.len());
        let of_type = Arc::new(Schema::new(schema.fields()[..width].to_vec()));
        let mut columns = fit(&batch.rows, &of_type)?.columns().to_vec();
        let (extra, height) = (batch.extra.as_ref(), batch.rows.num_rows());
        columns.extend(declared_columns(&self.declared, extra, height));
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}
