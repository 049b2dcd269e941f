//! Has a plan pause now and then, so that a step of its query stays short.

use std::task::Poll;
use std::time::{Duration, Instant};

use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

use crate::turn::Turn;

/// How long a plan runs on before it pauses at its next input batch. DataFusion's own pauses come
/// after so many batches, whatever is done with each.
const STEP: Duration = Duration::from_millis(10);

/// The batches of a leaf, with a pause before one when the last pause was long ago. Each step begins when
/// it is the query's turn, also in a part of the plan that is polled by itself.
pub(super) fn pace(
    mut input: SendableRecordBatchStream,
    context: &TaskContext,
) -> SendableRecordBatchStream {
    let schema = input.schema();
    let turn = context.session_config().get_extension::<Turn>();
    // None while it pauses: what it waits for then is no part of a step.
    let mut begun: Option<Instant> = None;
    let paced = stream::poll_fn(move |context| {
        if begun.is_none()
            && let Some(Err(error)) = turn.as_deref().map(Turn::look)
        {
            return Poll::Ready(Some(Err(error.into_datafusion())));
        }
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
