//! The growing columns of one event type.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::error::ArrowError;
use projections::EventType;
use projections::events::{FieldColumn, FieldValue, instant};

use crate::stored::stored_schema;

/// Bytes of a short text, for which room is made.
const TEXT_BYTES: usize = 16;

/// A column of texts with room for so many short ones.
fn texts(expected: usize) -> StringBuilder {
    StringBuilder::with_capacity(expected, expected * TEXT_BYTES)
}

/// The envelope of an event as it is kept.
pub(super) struct Head<'v> {
    pub(super) id: &'v str,
    pub(super) time: i64,
    pub(super) subject: Option<&'v str>,
    pub(super) source: &'v str,
    /// JSON, or empty.
    pub(super) extra: &'v str,
}

/// The columns of one type while they grow; all have the same length between appends.
pub(super) struct Columns {
    ids: StringBuilder,
    times: TimestampMicrosecondBuilder,
    subjects: StringBuilder,
    fields: Vec<FieldColumn>,
    sources: StringBuilder,
    extras: StringBuilder,
}

impl Columns {
    /// Empty columns with room for `expected` rows.
    pub(super) fn new(event_type: &EventType, expected: usize) -> Self {
        Self {
            ids: texts(expected),
            times: TimestampMicrosecondBuilder::with_capacity(expected).with_data_type(instant()),
            subjects: texts(expected),
            fields: (event_type.fields().iter())
                .map(|field| FieldColumn::new(field.kind, expected, expected * TEXT_BYTES))
                .collect(),
            sources: texts(expected),
            extras: texts(expected),
        }
    }

    /// Appends an event; `values` are those of the fields, in their order.
    pub(super) fn append<'v>(
        &mut self,
        head: &Head<'_>,
        values: impl Iterator<Item = FieldValue<'v>>,
    ) {
        self.ids.append_value(head.id);
        self.times.append_value(head.time);
        self.subjects.append_option(head.subject);
        for (column, value) in self.fields.iter_mut().zip(values) {
            column.append(&value);
        }
        self.sources.append_value(head.source);
        self.extras.append_option((!head.extra.is_empty()).then_some(head.extra));
    }

    pub(super) fn finish(mut self, event_type: &EventType) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.subjects.finish()),
        ];
        columns.extend(self.fields.into_iter().map(FieldColumn::finish));
        columns.push(Arc::new(self.sources.finish()));
        columns.push(Arc::new(self.extras.finish()));
        RecordBatch::try_new(stored_schema(event_type), columns)
    }
}
