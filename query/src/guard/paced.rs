//! Has a plan pause now and then, so that a step of its query stays short.

use std::task::Poll;
use std::time::{Duration, Instant};

use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

/// How long a plan runs on before it pauses at its next input batch. DataFusion's own pauses come
/// after so many batches, whatever is done with each.
const STEP: Duration = Duration::from_millis(10);

/// The batches of a leaf, with a pause before one when the last pause was long ago.
pub(super) fn pace(
    mut input: SendableRecordBatchStream,
    _context: &TaskContext,
) -> SendableRecordBatchStream {
    let schema = input.schema();
    // None while it pauses: what it waits for then is no part of a step.
    let mut begun = Some(Instant::now());
    let paced = stream::poll_fn(move |context| {
        let since = *begun.get_or_insert_with(Instant::now);
        if since.elapsed() >= STEP {
            begun = None;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        input.poll_next_unpin(context)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, paced))
}
