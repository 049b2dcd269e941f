//! The functions of a session: DataFusion's, but for those that read more than their arguments
//! and those that make text without bound, and the engine's own.
//!
//! The memory pool counts what operators hold, not what a function is just making, so the
//! functions that can make much text from little are bounded here, before they make it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use crate::QueryError;
use crate::error::LimitKind;

/// Bytes of text that one function may make for one batch of rows.
pub(crate) const BATCH_TEXT: usize = 64 << 20;

/// Left out: what tells of the engine, reads the machine's clock, or makes values of any width.
const LEFT_OUT: [&str; 6] =
    ["version", "current_time", "arrow_cast", "arrow_try_cast", "arrow_metadata", "with_metadata"];

/// The scalar functions of a session.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter(|function| !LEFT_OUT.contains(&function.name()))
        .map(|function| match Growth::of(function.name()) {
            Some(growth) => Arc::new(ScalarUDF::from(Bounded { inner: function, growth })),
            None => function,
        })
        .chain(projections::functions::scalar())
        .collect()
}

/// The aggregate functions of a session; `sum` is the one that never wraps, as in views.
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let exact = |function: Arc<AggregateUDF>| {
        if function.name() == "sum" { projections::exact_sum() } else { function }
    };
    SessionStateDefaults::default_aggregate_functions().into_iter().map(exact).collect()
}

/// How a function's text grows from its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
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
}

impl Growth {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "concat" | "concat_ws" => Self::Concat,
            "repeat" => Self::Repeat,
            "lpad" | "rpad" => Self::Pad,
            "replace" => Self::Replace,
            "regexp_replace" => Self::ReplaceMatches,
            _ => return None,
        })
    }

    /// At most how many bytes one row makes.
    fn bytes(self, arguments: &[ColumnarValue], row: usize) -> usize {
        let length = |i: usize| arguments.get(i).map_or(0, |a| text_bytes(a, row));
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
        }
    }
}

/// A function of DataFusion's that fails rather than make too much text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = arguments.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { arguments.number_rows };
        let mut bytes = 0_usize;
        for row in 0..rows {
            bytes = bytes.saturating_add(self.growth.bytes(&arguments.args, row));
        }
        if bytes > BATCH_TEXT {
            return Err(too_much_text(self.name()).into_datafusion());
        }
        self.inner.invoke_with_args(arguments)
    }
}

/// The error of making more than [`BATCH_TEXT`].
pub(crate) fn too_much_text(function: &str) -> QueryError {
    QueryError::Limit {
        which: LimitKind::Memory,
        limit: format!("{} MiB of text made by {function} for one batch", BATCH_TEXT >> 20),
    }
}

/// The bytes of a text in one row; 0 for what is no text.
pub(crate) fn text_bytes(value: &ColumnarValue, row: usize) -> usize {
    match value {
        ColumnarValue::Array(array) => array_text_bytes(array, row),
        ColumnarValue::Scalar(scalar) => match scalar {
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)) => text.len(),
            _ => 0,
        },
    }
}

fn array_text_bytes(array: &ArrayRef, row: usize) -> usize {
    if array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).len(),
        DataType::Utf8View => array.as_string_view().value(row).len(),
        _ => 0,
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
