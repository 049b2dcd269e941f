//! Columns as Avro has them, as the columns of an event type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{CastOptions, and, cast, cast_with_options, is_not_null, not};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use projections::events::{DECIMAL, FieldType, instant};

/// The places of [`DECIMAL`].
const PLACES: i8 = 4;

/// How a column of a writer becomes that of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// By a cast that keeps every value or fails.
    Exact,
    /// By a cast that could round, which is looked for.
    Checked,
}

impl Conversion {
    /// How a writer's column becomes one of that kind.
    ///
    /// # Errors
    /// It cannot: what is expected and what was found.
    pub(super) fn of(kind: FieldType, written: &DataType) -> Result<Self, String> {
        let text = |found: &DataType| {
            matches!(found, DataType::Utf8)
                || matches!(found, DataType::Dictionary(_, value) if **value == DataType::Utf8)
        };
        let fits = match (kind, written) {
            (
                FieldType::Decimal,
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale),
            ) => Some(if *scale > PLACES { Self::Checked } else { Self::Exact }),
            (FieldType::Decimal | FieldType::Int, DataType::Int32 | DataType::Int64)
            | (FieldType::Date, DataType::Date32)
            | (
                FieldType::Timestamp,
                DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, Some(_)),
            )
            | (FieldType::Bool, DataType::Boolean)
            // A field that only ever was null.
            | (_, DataType::Null) => Some(Self::Exact),
            (FieldType::Text, found) => text(found).then_some(Self::Exact),
            _ => None,
        };
        fits.ok_or_else(|| format!("{} is expected, and it is {}", expected(kind), found(written)))
    }

    /// The column in the form of a field, and where a value did not fit.
    pub(super) fn apply(
        self,
        column: &ArrayRef,
        kind: FieldType,
    ) -> Result<(ArrayRef, Option<BooleanArray>), ArrowError> {
        let target = data_type(kind);
        if *column.data_type() == target {
            return Ok((Arc::clone(column), None));
        }
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let converted = cast_with_options(column, &target, &options)?;
        let lost = (converted.logical_null_count() > column.logical_null_count())
            .then(|| and(&is_not_null(column)?, &not(&is_not_null(&converted)?)?))
            .transpose()?;
        if self == Self::Exact {
            return Ok((converted, lost));
        }
        let back = cast_with_options(&converted, column.data_type(), &options)?;
        let rounded = distinct(&back, column)?;
        Ok((converted, (rounded.true_count() > 0).then_some(rounded)))
    }
}

/// The type of a field's column.
fn data_type(kind: FieldType) -> DataType {
    match kind {
        FieldType::Decimal => DECIMAL,
        FieldType::Timestamp => instant(),
        other => other.data_type(),
    }
}

/// A column of texts, read from one of texts or of an enum.
pub(super) fn texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Utf8 => Ok(Arc::clone(column)),
        _ => cast(column, &DataType::Utf8),
    }
}

fn expected(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text => "a string or an enum",
        FieldType::Decimal => "a decimal, an int or a long",
        FieldType::Date => "an int with the logicalType date",
        FieldType::Timestamp => "a long with the logicalType timestamp-micros or timestamp-millis",
        FieldType::Int => "an int or a long",
        FieldType::Bool => "a boolean",
    }
}

/// What a column is, in Avro's words.
fn found(written: &DataType) -> String {
    match written {
        DataType::Null => "null",
        DataType::Utf8 => "a string",
        DataType::Boolean => "a boolean",
        DataType::Int32 => "an int",
        DataType::Int64 => "a long",
        DataType::Float32 => "a float, which is not exact",
        DataType::Float64 => "a double, which is not exact",
        DataType::Binary => "bytes without the logicalType decimal",
        DataType::Date32 => "a date",
        DataType::Timestamp(_, None) => "a local timestamp, which has no zone",
        DataType::Timestamp(_, Some(_)) => "a timestamp",
        DataType::Dictionary(..) => "an enum",
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "a decimal",
        other => return format!("of another type ({other})"),
    }
    .to_owned()
}

/// A value of a field that no type has, as JSON text; none for a null.
pub(super) fn json(column: &dyn Array, row: usize) -> Result<Option<String>, ArrowError> {
    if column.is_null(row) {
        return Ok(None);
    }
    let text = match column.data_type() {
        DataType::Null => return Ok(None),
        DataType::Utf8 => serde_json::Value::from(column.as_string::<i32>().value(row)).to_string(),
        DataType::Boolean | DataType::Int32 | DataType::Int64 => {
            arrow::util::display::array_value_to_string(column, row)?
        }
        _ => serde_json::Value::from(arrow::util::display::array_value_to_string(column, row)?)
            .to_string(),
    };
    Ok(Some(text))
}
