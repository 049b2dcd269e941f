//! The rows of a message: JSON within it, or an Arrow IPC stream that goes out right after it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use projections::Position;

/// The column of the weights, behind those of the view.
const WEIGHT: &str = "tidemark.weight";

/// How a subscription's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Arrow,
}

/// The end of a message with rows, from the position to the last brace.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) text: String,
    /// The rows, if they are not in the text.
    pub(crate) rows: Option<Bytes>,
}

impl Body {
    /// A body with the rows in it.
    pub(crate) fn json(text: String) -> Self {
        Self { text, rows: None }
    }

    /// The body of a `delta` whose rows go out after it.
    pub(crate) fn arrow_delta(position: Position, rows: Bytes) -> Self {
        let text = format!("\"position\":\"{position}\",{}}}", announcement(&rows));
        Self { text, rows: Some(rows) }
    }
}

/// The members that say that rows follow a message, and how many bytes of them.
pub(crate) fn announcement(rows: &Bytes) -> String {
    format!("\"format\":\"arrow\",\"bytes\":{}", rows.len())
}

/// Rows and the weight of each as a whole Arrow IPC stream: the schema, one batch, the end.
///
/// It has nothing of the subscription that it goes to in it, so that it can be shared by many.
pub(crate) fn arrow_rows(rows: &RecordBatch, weights: &Int64Array) -> Result<Bytes, ArrowError> {
    let mut fields: Vec<FieldRef> = rows.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(WEIGHT, DataType::Int64, false)));
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns.push(Arc::new(weights.clone()));
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&rows)?;
    Ok(writer.into_inner()?.into())
}
