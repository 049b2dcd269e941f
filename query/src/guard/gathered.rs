//! Counts the memory of batches that the next operator gathers without counting.

use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

/// The batches of the input, which stay counted until the stream is dropped.
pub(super) fn count(
    input: SendableRecordBatchStream,
    context: &TaskContext,
) -> SendableRecordBatchStream {
    let schema = input.schema();
    let reservation = MemoryConsumer::new("window").register(context.memory_pool());
    let counted = input.and_then(move |batch| {
        let grown = reservation.try_grow(batch.get_array_memory_size()).map(|()| batch);
        futures::future::ready(grown)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, counted))
}
