//! Copies batches that are small parts of large ones, before an operator that gathers them.
//!
//! An aggregate gives its groups out as slices of one large batch, and a sort counts each of them as
//! if it held the whole: a hundred slices would be a hundred times the memory there is.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

/// So many times what its rows take is what a batch may hold.
const WASTE: usize = 2;
/// Columns that hold less are left as they are.
const SMALL: usize = 16 << 10;

/// The batches of the input, without what their rows do not need.
pub(super) fn compact(
    input: SendableRecordBatchStream,
    _context: &TaskContext,
) -> SendableRecordBatchStream {
    let schema = input.schema();
    let compacted = input.and_then(|batch| {
        let columns: Result<Vec<_>, _> = batch.columns().iter().map(fitting).collect();
        let batch = columns.and_then(|columns| RecordBatch::try_new(batch.schema(), columns));
        futures::future::ready(batch.map_err(Into::into))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, compacted))
}

/// The same values in no more memory than they need, or nearly. Lists stay as they are.
fn fitting(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let held = column.get_buffer_memory_size();
    if held <= SMALL || held / WASTE <= needed(column)? {
        return Ok(Arc::clone(column));
    }
    if column.data_type() == &DataType::Utf8View {
        return Ok(Arc::new(column.as_string_view().gc()));
    }
    take(column, &UInt64Array::from_iter_values(0..column.len() as u64), None)
}

/// The bytes of the rows of a batch, however much more it keeps alive.
pub(crate) fn row_bytes(batch: &RecordBatch) -> usize {
    let bytes =
        |column: &ArrayRef| needed(column).unwrap_or_else(|_| column.get_buffer_memory_size());
    batch.columns().iter().map(bytes).sum()
}

/// The bytes of the rows.
fn needed(column: &ArrayRef) -> Result<usize, ArrowError> {
    if let Some(views) = column.as_string_view_opt() {
        let long = |view: &u128| Some(*view as u32 as usize).filter(|length| *length > 12);
        return Ok(views.views().iter().filter_map(long).sum::<usize>() + 16 * views.len());
    }
    column.to_data().get_slice_memory_size()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Decimal128Array, Int64Array, StringArray, StringViewArray};

    use super::*;

    const ROWS: usize = 100_000;

    #[test]
    fn slices_hold_no_more_than_their_rows() {
        let texts = || (0..ROWS).map(|n| (n % 7 > 0).then(|| format!("customer number {n}")));
        let columns: [ArrayRef; 4] = [
            Arc::new(texts().collect::<StringArray>()),
            Arc::new(texts().collect::<StringViewArray>()),
            Arc::new(
                (0..ROWS as i128).map(|n| (n % 5 > 0).then_some(n)).collect::<Decimal128Array>(),
            ),
            Arc::new(Int64Array::from_iter_values(0..ROWS as i64)),
        ];
        for column in columns {
            assert!(Arc::ptr_eq(&fitting(&column).unwrap(), &column), "a whole one stays");
            let part = column.slice(ROWS / 2, 1_000);
            let fitted = fitting(&part).unwrap();
            assert_eq!(&fitted, &part);
            let (held, whole) = (fitted.get_buffer_memory_size(), part.get_buffer_memory_size());
            assert!(held * 20 < whole, "{held} of {whole} bytes of {}", column.data_type());
        }
    }
}
