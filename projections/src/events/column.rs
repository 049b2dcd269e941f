//! The values of fields, and the columns that they are gathered in.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};

use super::{DECIMAL, FieldType, instant};

/// The value of a field, borrowed from where it was read as far as it stands there.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// None.
    Null,
    /// Text without NUL.
    Text(Cow<'a, str>),
    /// In units of 0.0001.
    Decimal(i128),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since the epoch.
    Timestamp(i64),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
}

/// The growing column of a field.
pub struct FieldColumn(Builder);

enum Builder {
    Text(StringBuilder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
}

impl FieldColumn {
    /// An empty column of that type with room for so many rows, of which texts have so many bytes
    /// together.
    pub fn new(kind: FieldType, rows: usize, text_bytes: usize) -> Self {
        Self(match kind {
            FieldType::Text => Builder::Text(StringBuilder::with_capacity(rows, text_bytes)),
            FieldType::Decimal => {
                Builder::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(DECIMAL))
            }
            FieldType::Date => Builder::Date(Date32Builder::with_capacity(rows)),
            FieldType::Timestamp => Builder::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(instant()),
            ),
            FieldType::Int => Builder::Int(Int64Builder::with_capacity(rows)),
            FieldType::Bool => Builder::Bool(BooleanBuilder::with_capacity(rows)),
        })
    }

    /// Appends a value of the column's type; one of another type is null.
    #[inline]
    pub fn append(&mut self, value: &FieldValue<'_>) {
        match (&mut self.0, value) {
            (Builder::Text(column), FieldValue::Text(value)) => column.append_value(value),
            (Builder::Text(column), _) => column.append_null(),
            (Builder::Decimal(column), FieldValue::Decimal(value)) => column.append_value(*value),
            (Builder::Decimal(column), _) => column.append_null(),
            (Builder::Date(column), FieldValue::Date(value)) => column.append_value(*value),
            (Builder::Date(column), _) => column.append_null(),
            (Builder::Timestamp(column), FieldValue::Timestamp(value)) => {
                column.append_value(*value);
            }
            (Builder::Timestamp(column), _) => column.append_null(),
            (Builder::Int(column), FieldValue::Int(value)) => column.append_value(*value),
            (Builder::Int(column), _) => column.append_null(),
            (Builder::Bool(column), FieldValue::Bool(value)) => column.append_value(*value),
            (Builder::Bool(column), _) => column.append_null(),
        }
    }

    /// The column with the rows that were appended.
    pub fn finish(self) -> ArrayRef {
        match self.0 {
            Builder::Text(mut column) => Arc::new(column.finish()),
            Builder::Decimal(mut column) => Arc::new(column.finish()),
            Builder::Date(mut column) => Arc::new(column.finish()),
            Builder::Timestamp(mut column) => Arc::new(column.finish()),
            Builder::Int(mut column) => Arc::new(column.finish()),
            Builder::Bool(mut column) => Arc::new(column.finish()),
        }
    }
}
