//! When a query needs a lane.
//!
//! A query runs freely for a moment, which is all that most need. One that goes on looks here between the
//! steps of its planning, whenever it is polled, where its leaves begin a step, and at each evaluation of
//! a join's condition: there it takes a lane, and gives it to one that waits once it has had it for a
//! while. While its thread sleeps it has none.
//!
//! All that a query does it does on its own thread (`thread.rs`), so it has one lane at most, and may wait
//! for it anywhere: it keeps no other work waiting, and what it holds meanwhile no other query waits for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use projections::Tenant;
use tokio::runtime::Handle;

use crate::QueryError;
use crate::guard::Watch;
use crate::lanes::{Lane, Lanes};

/// What a query may run before it needs a lane.
pub(crate) const FREE: Duration = Duration::from_millis(100);

/// How long it keeps a lane that others wait for.
const SLICE: Duration = Duration::from_millis(10);

/// One query among those that want a processor.
#[derive(Debug)]
pub(crate) struct Turn {
    tenant: Tenant,
    watch: Arc<Watch>,
    lanes: Arc<Lanes>,
    caller: Handle,
    run: Mutex<Run>,
}

#[derive(Debug)]
struct Run {
    /// For how long it has run, up to `since`.
    ran: Duration,
    /// None while its thread sleeps or waits for a lane.
    since: Option<Instant>,
    /// Since when it has the lane, or since when nobody else wanted it.
    lane: Option<(Lane, Instant)>,
}

impl Turn {
    /// A query that was asked on the runtime `caller`, and counts as having run for so long already.
    pub(crate) fn new(
        tenant: Tenant,
        watch: Arc<Watch>,
        lanes: Arc<Lanes>,
        caller: Handle,
        ran: Duration,
    ) -> Self {
        let run = Mutex::new(Run { ran, since: None, lane: None });
        Self { tenant, watch, lanes, caller, run }
    }

    /// When the query ends.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The runtime on which it was asked.
    pub(crate) fn caller(&self) -> &Handle {
        &self.caller
    }

    /// For how long it has run.
    pub(crate) fn ran(&self) -> Duration {
        let mut run = self.run();
        run.count(Instant::now());
        run.ran
    }

    /// Waits for a lane if it needs one; an error once the query should end. To be called on its thread.
    pub(crate) fn look(&self) -> Result<(), QueryError> {
        self.watch.check()?;
        if self.may_go_on() {
            return Ok(());
        }
        // Nothing is locked meanwhile.
        let lane = self.lanes.wait(self.tenant, &self.watch);
        let now = Instant::now();
        let mut run = self.run();
        run.since = Some(now);
        run.lane = lane.map(|lane| (lane, now));
        drop(run);
        self.watch.check()
    }

    /// The thread goes to sleep: others may have the lane.
    pub(crate) fn pause(&self) {
        let mut run = self.run();
        run.count(Instant::now());
        run.since = None;
        run.lane = None;
    }

    /// The thread begins, or has slept.
    pub(crate) fn resume(&self) {
        self.run().since = Some(Instant::now());
    }

    /// Whether it may run on as it is. If not, it counts as waiting from here on.
    fn may_go_on(&self) -> bool {
        let now = Instant::now();
        let mut run = self.run();
        run.count(now);
        if run.ran < FREE {
            return true;
        }
        if let Some((_, given)) = &mut run.lane {
            if now.duration_since(*given) < SLICE {
                return true;
            }
            if !self.lanes.is_wanted() {
                *given = now;
                return true;
            }
        }
        run.since = None;
        run.lane = None;
        false
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn count(&mut self, now: Instant) {
        if let Some(since) = &mut self.since {
            self.ran += now.duration_since(*since);
            *since = now;
        }
    }
}

#[cfg(test)]
impl Turn {
    /// One that counts as having run for so long, with a minute to go. To be called on a runtime.
    pub(crate) fn of(tenant: u32, lanes: &Arc<Lanes>, ran: Duration) -> Arc<Self> {
        let watch = Arc::new(Watch::new(60));
        Arc::new(Self::new(Tenant(tenant), watch, lanes.clone(), Handle::current(), ran))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn who_computes_on_gives_its_lane_to_one_that_waits() {
        let lanes = Lanes::of(1);
        let (first, second) = (Turn::of(1, &lanes, FREE), Turn::of(2, &lanes, FREE));
        first.look().unwrap();
        // A part of the same query needs no other lane.
        first.look().unwrap();
        let waiting = std::thread::spawn(move || {
            second.look().unwrap();
            second.pause();
        });
        while !waiting.is_finished() {
            first.look().unwrap();
        }
        waiting.join().unwrap();
    }

    #[tokio::test]
    async fn who_has_run_for_a_moment_needs_no_lane_and_who_sleeps_has_none() {
        let lanes = Lanes::of(1);
        let (long, other) = (Turn::of(1, &lanes, FREE), Turn::of(2, &lanes, FREE));
        let short = Turn::of(3, &lanes, Duration::ZERO);
        long.look().unwrap();
        short.look().unwrap();
        long.pause();
        other.look().unwrap();
        assert!(!lanes.is_wanted());
    }

    #[tokio::test]
    async fn who_is_to_end_waits_no_more_and_holds_nothing() {
        let lanes = Lanes::of(1);
        let (first, second) = (Turn::of(1, &lanes, FREE), Turn::of(2, &lanes, FREE));
        first.look().unwrap();
        let waiting = std::thread::spawn({
            let second = second.clone();
            move || second.look()
        });
        while !lanes.is_wanted() {
            assert!(!waiting.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        second.watch().abandon();
        assert!(waiting.join().unwrap().is_err());
        assert!(!lanes.is_wanted());
        first.pause();
        Turn::of(3, &lanes, FREE).look().unwrap();
    }
}
