//! The threads of queries.
//!
//! A query plans and runs on a thread of its own, with a runtime of its own: what the engine starts beside
//! it, as for the inputs of a union, the parts of a sort and what is read back from disk, runs there too,
//! and never on a thread that answers. Only history is read in the runtime of who asked, whose connections
//! it uses.
//!
//! A thread waits for another query when its own has ended soon. What queries hold in memory comes from
//! their threads, and memory that a new thread takes must first be cleared, which takes longer than a small
//! query. One that has stood back cannot come forward again, and ends.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::FutureExt;
use rustix::process::getpriority_process;
use tokio::runtime::Builder;

use crate::QueryError;
use crate::standing::Standing;
use crate::turn::Turn;

/// The stack of a query's thread: expressions are trees as deep as their text is long, and are
/// walked by recursion. The pages that are not used are never taken.
const STACK_BYTES: usize = 32 << 20;
/// Threads that wait at most: as many as a board asks at once.
const WAITING: usize = 8;

/// One query, run to its end on the thread that has it. Tells whether the thread stands where it began.
type Job = Box<dyn FnOnce() -> bool + Send>;
/// By which each thread that waits is told its next query.
type Waiting = Mutex<Vec<Sender<Job>>>;

/// The threads of queries. Those that wait end when it is dropped.
#[derive(Default)]
pub(crate) struct Threads {
    waiting: Arc<Waiting>,
}

impl Threads {
    /// Runs a query on a thread that nothing else uses meanwhile.
    pub(crate) fn run<F: Future<Output = ()> + 'static>(
        &self,
        turn: Arc<Turn>,
        query: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<()> {
        let mut job: Job = Box::new(move || {
            let begun = getpriority_process(None);
            // Where it does not run, its channels close without an end, which the reader takes for
            // what it is.
            if let Err(error) = run(&turn, query) {
                tracing::error!(%error, "a query has no runtime");
            }
            begun.is_ok() && getpriority_process(None) == begun
        });
        // The one that waits since the shortest time: what it has in memory is likeliest to be at hand.
        while let Some(thread) = locked(&self.waiting).pop() {
            match thread.send(job) {
                Ok(()) => return Ok(()),
                Err(unsent) => job = unsent.0,
            }
        }
        let thread = std::thread::Builder::new().name("query".into()).stack_size(STACK_BYTES);
        let waiting = Arc::downgrade(&self.waiting);
        thread.spawn(move || serve(job, &waiting)).map(drop)
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

/// Runs one query after another, until its thread is not needed or has stood back.
fn serve(mut job: Job, waiting: &Weak<Waiting>) {
    while job() {
        let (sender, next) = mpsc::channel();
        {
            let Some(waiting) = waiting.upgrade() else { return };
            let mut waiting = locked(&waiting);
            if waiting.len() >= WAITING {
                return;
            }
            waiting.push(sender);
        }
        let Ok(told) = next.recv() else { return };
        job = told;
    }
}

/// Nothing is left half done under the lock, so a poisoned one is as good as any.
fn locked(waiting: &Waiting) -> MutexGuard<'_, Vec<Sender<Job>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::thread::ThreadId;
    use std::time::Duration;

    use rustix::process::setpriority_process;
    use tokio::sync::oneshot;

    use super::*;
    use crate::lanes::Lanes;
    use crate::turn::FREE;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_query_starts_runs_on_its_thread() {
        let (sender, same) = oneshot::channel();
        let threads = Threads::default();
        threads
            .run(Turn::of(1, &Lanes::of(1), Duration::ZERO), move || async move {
                let here = std::thread::current().id();
                let there = tokio::spawn(async { std::thread::current().id() }).await.unwrap();
                sender.send(here == there).unwrap();
            })
            .unwrap();
        assert!(same.await.unwrap());
    }

    /// The thread that a query ran on which stood back as `back` says.
    async fn thread_of(threads: &Threads, back: i32) -> ThreadId {
        let (sender, ran) = oneshot::channel();
        let query = move || async move {
            setpriority_process(None, getpriority_process(None).unwrap() + back).unwrap();
            sender.send(std::thread::current().id()).unwrap();
        };
        threads.run(Turn::of(1, &Lanes::of(1), Duration::ZERO), query).unwrap();
        ran.await.unwrap()
    }

    /// Waits until so many threads wait.
    fn until_waiting(threads: &Threads, count: usize) {
        while locked(&threads.waiting).len() != count {
            std::thread::yield_now();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_thread_waits_for_another_query_unless_it_has_stood_back() {
        let threads = Threads::default();
        let first = thread_of(&threads, 0).await;
        until_waiting(&threads, 1);
        assert_eq!(thread_of(&threads, 0).await, first);
        until_waiting(&threads, 1);
        assert_eq!(thread_of(&threads, 1).await, first);
        // It is gone, and so is what it was told by.
        assert_ne!(thread_of(&threads, 0).await, first);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn threads_that_wait_end_with_the_queries() {
        let threads = Threads::default();
        thread_of(&threads, 0).await;
        until_waiting(&threads, 1);
        let waiting = Arc::downgrade(&threads.waiting);
        drop(threads);
        assert!(waiting.upgrade().is_none());
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
        let threads = Threads::default();
        threads
            .run(Turn::of(1, &lanes, FREE), move || async move {
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
