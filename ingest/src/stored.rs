//! The columns that an event is kept with, and how rows of one form of a type are read as another.
//!
//! A type changes only by optional fields at its end. Its columns stand before `source` and
//! `extra`, so those two move when it grows.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use projections::{EventBatch, EventType};

/// How many columns stand behind those of the relation.
pub(crate) const BEHIND: usize = 2;

/// The columns that an event is kept with: its relation, then `source` and `extra`.
pub fn stored_schema(event_type: &EventType) -> SchemaRef {
    let mut fields = event_type.relation().fields().to_vec();
    fields.push(Arc::new(Field::new("source", DataType::Utf8, false)));
    fields.push(Arc::new(Field::new("extra", DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
}

/// Where each column of `to` stands among the stored columns `from`; none where it is not yet
/// there and therefore null. Nothing if they are not two forms of one type.
pub(crate) fn places(from: &Fields, to: &Fields) -> Option<Vec<Option<usize>>> {
    let (held, wanted) = (from.len().checked_sub(BEHIND)?, to.len().checked_sub(BEHIND)?);
    let common = held.min(wanted);
    let fits = from[..common] == to[..common]
        && from[held..] == to[wanted..]
        && to[common..wanted].iter().all(|field| field.is_nullable());
    let behind = (held..from.len()).map(Some);
    fits.then(|| {
        let relation = (0..wanted).map(|column| (column < held).then_some(column));
        relation.chain(behind).collect()
    })
}

/// Stored rows of an earlier form of a type with the columns of the form whose stored columns are
/// `schema`.
pub(crate) fn widen(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if rows.num_columns() == schema.fields().len() {
        return Ok(rows.clone());
    }
    let places = places(rows.schema().fields(), schema.fields()).ok_or_else(|| {
        ArrowError::SchemaError("the columns are of no earlier form of their type".to_owned())
    })?;
    let columns = places.iter().zip(schema.fields()).map(|(place, field)| match place {
        Some(place) => Arc::clone(rows.column(*place)),
        None => new_null_array(field.data_type(), rows.num_rows()),
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

/// What the views are given of stored rows: the relation, and `extra`, if that is the last of their
/// columns and has anything.
pub(crate) fn event_batch(
    event_type: Arc<EventType>,
    tenants: UInt32Array,
    rows: &RecordBatch,
) -> Result<EventBatch, ArrowError> {
    let width = event_type.relation().fields().len();
    let extra = match rows.columns().get(width..) {
        Some([.., last]) => last.as_string_opt::<i32>(),
        _ => None,
    };
    let extra = extra.filter(|extra| extra.null_count() < extra.len()).cloned();
    let relation: Vec<usize> = (0..width).collect();
    let rows = rows.project(&relation)?.with_schema(Arc::clone(event_type.relation()))?;
    Ok(EventBatch { event_type, tenants, rows, extra })
}

/// The bytes of rows, without what else may stand in the memory that their columns are parts of: the
/// columns of a row of the log are all parts of one piece.
pub(crate) fn row_bytes(rows: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| match column.to_data().get_slice_memory_size() {
        Ok(bytes) => bytes,
        Err(_) => column.get_array_memory_size(),
    };
    rows.columns().iter().map(bytes).sum()
}
