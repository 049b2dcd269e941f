//! The processors that long queries may take.
//!
//! A query that runs for long takes a lane; there are fewer lanes than processors, so however many long
//! queries there are, short ones and the rest of the service find a processor free. Tenants take turns:
//! the lane goes to the tenant that was given one least recently. When a query takes one and gives it
//! back is in `turn.rs`. One that should have ended and has not, since nothing ends its step, has its lane
//! taken: whoever waits would wait for it otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use projections::Tenant;

use crate::guard::Watch;

/// How often one that waits looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);

/// The lanes of all long queries.
#[derive(Debug)]
pub(crate) struct Lanes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Those who have a lane, by its number, and when they should end.
    taken: Vec<(u64, Arc<Watch>)>,
    /// Those who wait by their number, which is the order in which they came.
    waiting: Vec<(u64, Tenant)>,
    next: u64,
    /// The turn at which each tenant was given a lane last; only of tenants that have one or wait.
    given: HashMap<Tenant, u64>,
    turn: u64,
}

/// A lane; given back when dropped, unless it was taken from its query.
#[derive(Debug)]
pub(crate) struct Lane {
    lanes: Arc<Lanes>,
    number: u64,
}

impl Lanes {
    /// Half of the processors, at least one.
    pub(crate) fn new() -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self::of((processors / 2).max(1))
    }

    pub(crate) fn of(count: usize) -> Arc<Self> {
        let (taken, waiting, given) = Default::default();
        let state = State { free: count, taken, waiting, next: 0, given, turn: 0 };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Whether somebody waits for a lane.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Waits for a lane; none for a query that is to end, for it has only that left to do.
    pub(crate) fn wait(self: &Arc<Self>, tenant: Tenant, watch: &Arc<Watch>) -> Option<Lane> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.waiting.push((number, tenant));
        while !state.has_free() || state.first() != Some(number) {
            if watch.check().is_err() {
                state.leave(number, tenant);
                drop(state);
                self.changed.notify_all();
                return None;
            }
            let waited = self.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.free -= 1;
        state.taken.push((number, Arc::clone(watch)));
        state.turn += 1;
        let turn = state.turn;
        state.given.insert(tenant, turn);
        state.waiting.retain(|(n, _)| *n != number);
        drop(state);
        self.changed.notify_all();
        Some(Lane { lanes: Arc::clone(self), number })
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there is a lane, also one of a query that should have ended.
    fn has_free(&mut self) -> bool {
        if self.free == 0 {
            let before = self.taken.len();
            self.taken.retain(|(_, watch)| watch.check().is_ok());
            self.free += before - self.taken.len();
        }
        self.free > 0
    }

    /// Takes a lane back from who has it.
    fn give_back(&mut self, number: u64) {
        if let Some(place) = self.taken.iter().position(|(n, _)| *n == number) {
            self.taken.swap_remove(place);
            self.free += 1;
        }
    }

    /// Who is next: of the tenant that was given a lane least recently, the one that came first.
    fn first(&self) -> Option<u64> {
        let turn = |tenant: &Tenant| self.given.get(tenant).copied().unwrap_or(0);
        let next = self.waiting.iter().min_by_key(|(number, tenant)| (turn(tenant), *number));
        next.map(|(number, _)| *number)
    }

    fn leave(&mut self, number: u64, tenant: Tenant) {
        self.waiting.retain(|(n, _)| *n != number);
        if self.waiting.iter().all(|(_, t)| *t != tenant) {
            self.given.remove(&tenant);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.lanes.state();
        state.give_back(self.number);
        // What was given long ago says nothing any more, and the list stays short.
        if state.waiting.is_empty() {
            state.given.clear();
        }
        drop(state);
        self.lanes.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn lanes_are_never_more_and_are_all_given_back() {
        let lanes = Lanes::of(2);
        let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for tenant in 0..8 {
                let (lanes, at_once, most) = (&lanes, &at_once, &most);
                scope.spawn(move || {
                    let watch = Arc::new(Watch::new(600));
                    for _ in 0..50 {
                        let lane = lanes.wait(Tenant(tenant % 3), &watch).unwrap();
                        most.fetch_max(
                            at_once.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        std::thread::yield_now();
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        drop(lane);
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
        let state = lanes.state();
        assert_eq!((state.free, state.waiting.len(), state.given.len()), (2, 0, 0));
    }

    #[test]
    fn tenants_take_turns_however_many_of_one_wait() {
        let mut state = State {
            free: 0,
            taken: Vec::new(),
            waiting: (0..10).map(|n| (n, Tenant(1))).collect(),
            next: 11,
            given: HashMap::from([(Tenant(1), 5)]),
            turn: 5,
        };
        state.waiting.push((10, Tenant(2)));
        assert_eq!(state.first(), Some(10));
        state.given.insert(Tenant(2), 6);
        assert_eq!(state.first(), Some(0));
    }

    #[test]
    fn who_is_to_end_waits_no_more() {
        let lanes = Lanes::of(1);
        let watch = Arc::new(Watch::new(600));
        let taken = lanes.wait(Tenant(1), &watch);
        let ending = Arc::new(Watch::new(600));
        ending.abandon();
        assert!(lanes.wait(Tenant(2), &ending).is_none());
        assert!(lanes.state().waiting.is_empty());
        drop(taken);
        assert_eq!(lanes.state().free, 1);
    }

    #[test]
    fn who_should_have_ended_keeps_no_lane_and_gives_none_back_twice() {
        let lanes = Lanes::of(1);
        let stuck = Arc::new(Watch::new(600));
        let of_stuck = lanes.wait(Tenant(1), &stuck).unwrap();
        stuck.abandon();
        let other = lanes.wait(Tenant(2), &Arc::new(Watch::new(600))).unwrap();
        let free_and_taken = || {
            let state = lanes.state();
            (state.free, state.taken.len())
        };
        drop(of_stuck);
        assert_eq!(free_and_taken(), (0, 1));
        drop(other);
        assert_eq!(free_and_taken(), (1, 0));
    }
}
