//! How far the thread of a query stands back.
//!
//! A query that ends soon stands where answers do. One that computes on stands behind them, even in the
//! midst of a step that nothing else ends: a text that takes long to plan, a regular expression over a
//! batch, a sort. So it is another that has it stand back, by the time that
//! its thread has had a processor: not by the clock, or a busy machine would have short queries stand
//! behind as well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpriority_process, setpriority_process};
use tokio::task::JoinHandle;

use crate::turn::Turn;

/// After how much time of a processor a thread stands back: beyond what small queries take.
const AFTER: Duration = Duration::from_millis(10);
/// How far behind where it began, as `nice` has it: it gets a third of the time of those before, when
/// both want a processor. Twice as far, and a busy machine would have long queries miss their time.
const STEPS: i32 = 5;

/// A thread that is had to stand back, for as long as it runs.
pub(crate) struct Standing {
    thread: Arc<Mutex<Option<Place>>>,
    overseer: JoinHandle<()>,
}

/// Which thread it is, where it began, and the time that it had had a processor before.
#[derive(Clone, Copy)]
struct Place {
    thread: Pid,
    begun: i32,
    before: Duration,
}

impl Standing {
    /// Has this thread stand back after its time, or at once if the query is known to be long. Where the
    /// system does not say which thread it is, the lanes are what is left.
    pub(crate) fn watched(turn: &Arc<Turn>) -> Option<Self> {
        let thread = this_thread()?;
        let before = processor_time(thread).unwrap_or_default();
        let place = Place { thread, begun: getpriority_process(None).ok()?, before };
        if turn.ran() >= AFTER {
            place.stand_back();
            return None;
        }
        let thread = Arc::new(Mutex::new(Some(place)));
        let overseer = turn.caller().spawn(oversee(Arc::clone(&thread), place, Arc::clone(turn)));
        Some(Self { thread, overseer })
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        // From here on its number may be another's.
        *locked(&self.thread) = None;
        self.overseer.abort();
    }
}

impl Place {
    fn stand_back(self) {
        let Self { thread, begun, .. } = self;
        if let Err(error) = setpriority_process(Some(thread), begun.saturating_add(STEPS)) {
            tracing::debug!(%error, "a long query runs with the same priority as others");
        }
    }

    /// The time that the thread has had a processor since then, if the system says it.
    fn ran(self) -> Option<Duration> {
        processor_time(self.thread)?.checked_sub(self.before)
    }
}

/// The time that a thread has had a processor, if the system says it.
fn processor_time(thread: Pid) -> Option<Duration> {
    let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
    let text = std::fs::read_to_string(path).ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos)).filter(|time| !time.is_zero())
}

/// Has the thread stand back when its time has come.
async fn oversee(thread: Arc<Mutex<Option<Place>>>, place: Place, turn: Arc<Turn>) {
    let begun = Instant::now();
    let mut ran = Duration::ZERO;
    while ran < AFTER {
        // One that waits for its reader is looked at ever less often.
        tokio::time::sleep(AFTER.saturating_sub(ran).max(begun.elapsed() / 4)).await;
        ran = place.ran().unwrap_or_else(|| turn.ran());
    }
    if let Some(place) = *locked(&thread) {
        place.stand_back();
    }
}

/// The number of this thread.
fn this_thread() -> Option<Pid> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    Pid::from_raw(link.file_name()?.to_str()?.parse().ok()?)
}

/// Nothing is left half done under the lock, so a poisoned one is as good as any.
fn locked(thread: &Mutex<Option<Place>>) -> MutexGuard<'_, Option<Place>> {
    thread.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::sync::oneshot;

    use super::*;
    use crate::lanes::Lanes;
    use crate::thread::Threads;
    use crate::turn::FREE;

    /// Where a query's thread stands at last, that computes in one step until it does stand there, or
    /// its time is over.
    async fn stands(ran: Duration, wanted: i32) -> i32 {
        let (sender, receiver) = oneshot::channel();
        let turn = Turn::of(1, &Lanes::of(1), ran);
        let of_query = Arc::clone(&turn);
        Threads::default()
            .run(turn, move || async move {
                while getpriority_process(None).unwrap() < wanted
                    && of_query.watch().check().is_ok()
                {}
                sender.send(getpriority_process(None).unwrap()).unwrap();
            })
            .unwrap();
        receiver.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_thread_that_computes_on_stands_back_in_the_midst_of_a_step() {
        let here = getpriority_process(None).unwrap();
        let last = (here + STEPS).min(19);
        assert_eq!(stands(Duration::ZERO, last).await, last);
        assert_eq!(getpriority_process(None).unwrap(), here, "and no other does");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_is_known_to_be_long_stands_back_from_its_beginning() {
        let here = getpriority_process(None).unwrap();
        assert_eq!(stands(FREE, i32::MIN).await, (here + STEPS).min(19));
    }
}
