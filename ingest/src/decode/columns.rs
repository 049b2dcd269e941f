//! The growing columns of one event type.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use projections::EventType;
use projections::events::{DECIMAL, FieldType, instant};

use super::value::Value;
use crate::stored::stored_schema;

/// A column of texts with room for so many short ones.
fn texts(expected: usize) -> StringBuilder {
    StringBuilder::with_capacity(expected, expected * 16)
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
    fields: Vec<Column>,
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
            fields: event_type.fields().iter().map(|f| Column::new(f.kind, expected)).collect(),
            sources: texts(expected),
            extras: texts(expected),
        }
    }

    /// Appends an event; `values` are those of the fields, in their order.
    pub(super) fn append<'v>(&mut self, head: &Head<'_>, values: impl Iterator<Item = Value<'v>>) {
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
        columns.extend(self.fields.iter_mut().map(Column::finish));
        columns.push(Arc::new(self.sources.finish()));
        columns.push(Arc::new(self.extras.finish()));
        RecordBatch::try_new(stored_schema(event_type), columns)
    }
}

enum Column {
    Text(StringBuilder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
}

impl Column {
    fn new(kind: FieldType, expected: usize) -> Self {
        match kind {
            FieldType::Text => Self::Text(texts(expected)),
            FieldType::Decimal => {
                Self::Decimal(Decimal128Builder::with_capacity(expected).with_data_type(DECIMAL))
            }
            FieldType::Date => Self::Date(Date32Builder::with_capacity(expected)),
            FieldType::Timestamp => Self::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(expected).with_data_type(instant()),
            ),
            FieldType::Int => Self::Int(Int64Builder::with_capacity(expected)),
            FieldType::Bool => Self::Bool(BooleanBuilder::with_capacity(expected)),
        }
    }

    /// Appends the value, which was parsed for this column's type or is null.
    fn append(&mut self, value: &Value<'_>) {
        match (self, value) {
            (Self::Text(column), Value::Text(value)) => column.append_value(value),
            (Self::Text(column), _) => column.append_null(),
            (Self::Decimal(column), Value::Decimal(value)) => column.append_value(*value),
            (Self::Decimal(column), _) => column.append_null(),
            (Self::Date(column), Value::Date(value)) => column.append_value(*value),
            (Self::Date(column), _) => column.append_null(),
            (Self::Timestamp(column), Value::Timestamp(value)) => column.append_value(*value),
            (Self::Timestamp(column), _) => column.append_null(),
            (Self::Int(column), Value::Int(value)) => column.append_value(*value),
            (Self::Int(column), _) => column.append_null(),
            (Self::Bool(column), Value::Bool(value)) => column.append_value(*value),
            (Self::Bool(column), _) => column.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Decimal(column) => Arc::new(column.finish()),
            Self::Date(column) => Arc::new(column.finish()),
            Self::Timestamp(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Bool(column) => Arc::new(column.finish()),
        }
    }
}
