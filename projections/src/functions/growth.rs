//! How much a function makes, or computes, from what it is given.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowNativeType, DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;

/// How what a function makes grows with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// All arguments, and the first between them.
    Concat,
    /// The first, as often as the second says.
    Repeat,
    /// As many characters as the second says.
    Pad,
    /// The first, with the third in place of each of the second.
    Replace,
    /// The first, with the third in place of each match of the second.
    ReplaceMatches,
    /// The first, with the second in it.
    Overlay,
    /// The first, as often as the second has groups.
    Matches,
    /// A moment, as the second has it written.
    Format,
    /// No text, but each character of the first is compared with each of the second.
    Compare,
}

/// The most that a byte of a format becomes, as in `%+`.
const FORMATTED: usize = 20;
/// What a format makes at least, as of a duration.
const SHORTEST_FORMATTED: usize = 64;

impl Growth {
    /// That of a function of this name; none of one that makes no more than it is given.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "concat" | "concat_ws" => Self::Concat,
            "repeat" => Self::Repeat,
            "lpad" | "rpad" => Self::Pad,
            "replace" => Self::Replace,
            "regexp_replace" => Self::ReplaceMatches,
            "overlay" => Self::Overlay,
            "regexp_match" => Self::Matches,
            "to_char" => Self::Format,
            "levenshtein" => Self::Compare,
            _ => return None,
        })
    }

    /// At most how many bytes, or comparisons, so many rows come to.
    pub(super) fn of_rows(self, arguments: &[ColumnarValue], rows: usize) -> usize {
        if is_constant(arguments) {
            // It is made once, and put into every row where it becomes a column.
            return self.of_row(arguments, 0).saturating_mul(rows.max(1));
        }
        (0..rows).fold(0, |all, row| all.saturating_add(self.of_row(arguments, row)))
    }

    fn of_row(self, arguments: &[ColumnarValue], row: usize) -> usize {
        let text = |i: usize| arguments.get(i).and_then(|a| text(a, row));
        let length = |i: usize| text(i).map_or(0, str::len);
        let number = |i: usize| arguments.get(i).map_or(0, |a| whole_number(a, row));
        match self {
            Self::Concat => {
                let all: usize = (0..arguments.len()).map(length).sum();
                all.saturating_add(length(0).saturating_mul(arguments.len()))
            }
            Self::Repeat => length(0).saturating_mul(number(1)),
            Self::Pad => number(1).saturating_mul(4),
            Self::Replace => {
                let places = match length(1) {
                    0 => length(0) + 1,
                    pattern => length(0) / pattern,
                };
                places.saturating_mul(length(2)).saturating_add(length(0))
            }
            // A match may be empty, and a replacement may repeat what was matched.
            Self::ReplaceMatches => {
                (length(0) + 1).saturating_mul(2 * length(2) + 1).saturating_add(length(0))
            }
            Self::Overlay => length(0).saturating_add(length(1)),
            Self::Matches => {
                let groups = text(1).map_or(0, |pattern| pattern.matches('(').count());
                length(0).saturating_mul(groups + 1)
            }
            Self::Format => match length(1) {
                0 => 0,
                format => format.saturating_mul(FORMATTED).saturating_add(SHORTEST_FORMATTED),
            },
            Self::Compare => (length(0) + 1).saturating_mul(length(1) + 1),
        }
    }
}

/// Whether no argument differs from row to row.
pub(super) fn is_constant(arguments: &[ColumnarValue]) -> bool {
    arguments.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)))
}

/// The bytes that a value takes as a column of so many rows.
pub(super) fn value_bytes(value: &ColumnarValue, rows: usize) -> usize {
    match value {
        ColumnarValue::Array(array) => array_bytes(array),
        ColumnarValue::Scalar(scalar) => scalar_bytes(scalar).saturating_mul(rows.max(1)),
    }
}

/// The bytes of a scalar's text, or of what else it has beside itself.
pub(super) fn scalar_bytes(scalar: &ScalarValue) -> usize {
    scalar.size().saturating_sub(size_of_val(scalar))
}

/// The bytes of the values of a column, however much more it keeps alive.
pub(super) fn array_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => span(array.as_string::<i64>().value_offsets()),
        DataType::Utf8View => {
            let lengths = array.as_string_view().views().iter().map(|view| *view as u32 as usize);
            lengths.sum()
        }
        other => {
            if let Some(width) = other.primitive_width() {
                return array.len().saturating_mul(width);
            }
            let slice = array.to_data().get_slice_memory_size();
            slice.unwrap_or_else(|_| array.get_buffer_memory_size())
        }
    }
}

fn span<O: ArrowNativeType>(offsets: &[O]) -> usize {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => last.as_usize().saturating_sub(first.as_usize()),
        _ => 0,
    }
}

/// The text in one row; none of a null, and of what is no text.
fn text(value: &ColumnarValue, row: usize) -> Option<&str> {
    match value {
        ColumnarValue::Array(array) => array_text(array, row),
        ColumnarValue::Scalar(scalar) => match scalar {
            ScalarValue::Utf8(text)
            | ScalarValue::LargeUtf8(text)
            | ScalarValue::Utf8View(text) => text.as_deref(),
            _ => None,
        },
    }
}

fn array_text(array: &ArrayRef, row: usize) -> Option<&str> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

/// A whole number that is a count; 0 for a negative one.
fn whole_number(value: &ColumnarValue, row: usize) -> usize {
    let number = match value {
        ColumnarValue::Array(array) => match array.as_primitive_opt::<Int64Type>() {
            Some(numbers) if numbers.is_valid(row) => numbers.value(row),
            _ => 0,
        },
        ColumnarValue::Scalar(ScalarValue::Int64(Some(number))) => *number,
        ColumnarValue::Scalar(_) => 0,
    };
    usize::try_from(number).unwrap_or(0)
}
