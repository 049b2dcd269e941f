//! Who goes first: the places of threads, by which the kernel gives out processors when there are too few.
//!
//! Answers, streams and queries that end soon stand where the process was started; the engines behind
//! them; what feeds the engines, and what is written behind them, last. An answer takes a fraction of a
//! millisecond, and stands behind no step and no body that takes several.
//!
//! Invariant: who stands back holds a lock that others take only for a look-up or a change in memory;
//! they would wait with it for a processor.

use std::sync::OnceLock;

use rustix::process::{nice, setpriority_process};

/// The last place there is.
const LAST: i32 = 19;

/// Where the process was started, as `nice` has it.
static START: OnceLock<i32> = OnceLock::new();

/// A place behind the first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rank {
    /// What keeps views current.
    Engine,
    /// What can wait for it: bodies to be decoded, checkpoints, archives.
    Background,
}

impl Rank {
    /// How far behind, as `nice` has it: each five steps a third of the time of those before, when both
    /// want a processor. It is never none.
    const fn steps(self) -> i32 {
        match self {
            Self::Engine => 5,
            Self::Background => 10,
        }
    }

    /// Notes where the process was started, by where this thread stands: to be called before any has
    /// taken a rank.
    pub(crate) fn begin() -> i32 {
        // Where the system does not say it, it is where most processes are started.
        *START.get_or_init(|| nice(0).unwrap_or(0))
    }

    /// The place, as `nice` has it.
    fn place(self) -> i32 {
        Self::begin().saturating_add(self.steps()).min(LAST)
    }

    /// Has this thread take the place, whoever started it.
    pub(crate) fn take(self) {
        // Where the system refuses it the work is done all the same, only not behind other work.
        if let Err(error) = setpriority_process(None, self.place()) {
            tracing::debug!(%error, ?self, "a thread stays at the priority of those before it");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_does_not_depend_on_who_starts_the_thread() {
        let here = nice(0).unwrap();
        let taken = |rank: Rank| {
            rank.take();
            nice(0).unwrap()
        };
        let within = std::thread::spawn(move || {
            let outer = taken(Rank::Background);
            (outer, std::thread::spawn(move || taken(Rank::Background)).join().unwrap())
        });
        let engine = std::thread::spawn(move || taken(Rank::Engine)).join().unwrap();
        assert_eq!(within.join().unwrap(), ((here + 10).min(LAST), (here + 10).min(LAST)));
        assert_eq!(engine, (here + 5).min(LAST));
        assert_eq!(nice(0).unwrap(), here);
    }
}
