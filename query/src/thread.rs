//! The thread of a query.
//!
//! A query plans and runs on a thread of its own, with a runtime of its own: what the engine starts beside
//! it, as for the inputs of a union, the parts of a sort and what is read back from disk, runs there too,
//! and never on a thread that answers. Only history is read in the runtime of who asked, whose connections
//! it uses.

use std::future::poll_fn;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures::FutureExt;
use tokio::runtime::Builder;

use crate::QueryError;
use crate::standing::Standing;
use crate::turn::Turn;

/// The stack of a query's thread: expressions are trees as deep as their text is long, and are
/// walked by recursion. The pages that are not used are never taken.
const STACK_BYTES: usize = 32 << 20;

/// Starts the thread of a query, which ends with it.
pub(crate) fn spawn<F: Future<Output = ()> + 'static>(
    turn: Arc<Turn>,
    query: impl FnOnce() -> F + Send + 'static,
) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("query".into()).stack_size(STACK_BYTES);
    let running = thread.spawn(move || {
        // Where it does not run, its channels close without an end, which the reader takes for what it is.
        if let Err(error) = run(&turn, query) {
            tracing::error!(%error, "a query has no runtime");
        }
    });
    running.map(drop)
}

/// What some work of the engine comes to. In some places it gives up with a panic: that is an error of the
/// query, and the thread has its end to tell.
pub(crate) async fn unpanicked<T>(
    work: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|panic| Err(QueryError::given_up(panic.as_ref())))
}

fn run<F: Future<Output = ()>>(turn: &Arc<Turn>, query: impl FnOnce() -> F) -> io::Result<()> {
    let (pausing, resuming) = (Arc::clone(turn), Arc::clone(turn));
    let runtime = Builder::new_current_thread()
        .enable_time()
        .on_thread_park(move || pausing.pause())
        .on_thread_unpark(move || resuming.resume())
        .build()?;
    let _standing = Standing::watched(turn);
    turn.resume();
    let _ending = Ending(turn);
    let mut query = pin!(AssertUnwindSafe(query()).catch_unwind());
    let stepped = poll_fn(|context| {
        // One that should end has only that left to do.
        let _ = turn.look();
        query.as_mut().poll(context)
    });
    // What the engine gives up with has been told; this is the rest.
    if runtime.block_on(stepped).is_err() {
        tracing::error!("a query panicked");
    }
    Ok(())
}

/// Gives the lane back when the query is over, however that came.
struct Ending<'a>(&'a Turn);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.pause();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::lanes::Lanes;
    use crate::turn::FREE;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_query_starts_runs_on_its_thread() {
        let (sender, same) = oneshot::channel();
        spawn(Turn::of(1, &Lanes::of(1), Duration::ZERO), move || async move {
            let here = std::thread::current().id();
            let there = tokio::spawn(async { std::thread::current().id() }).await.unwrap();
            sender.send(here == there).unwrap();
        })
        .unwrap();
        assert!(same.await.unwrap());
    }

    #[tokio::test]
    async fn a_panic_is_an_error_that_says_why() {
        let ended = unpanicked::<()>(async { panic!("offset overflow\nin the midst of a batch") });
        let error = ended.await.unwrap_err();
        assert_eq!(error, QueryError::GivenUp { reason: "offset overflow".into() });
        assert_eq!(unpanicked(async { Ok(1) }).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_long_query_has_a_lane_except_while_it_waits_and_when_it_is_over() {
        let lanes = Lanes::of(1);
        let (begun, has_begun) = oneshot::channel();
        let (go, going) = oneshot::channel::<()>();
        spawn(Turn::of(1, &lanes, FREE), move || async move {
            begun.send(()).unwrap();
            // It ends badly.
            going.await.unwrap();
        })
        .unwrap();
        has_begun.await.unwrap();
        let other = Turn::of(2, &lanes, FREE);
        other.look().unwrap();
        drop(go);
        // Even to end it needs the lane.
        while !lanes.is_wanted() {
            other.watch().check().unwrap();
            std::thread::yield_now();
        }
        other.pause();
        Turn::of(3, &lanes, FREE).look().unwrap();
    }
}
