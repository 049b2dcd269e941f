//! Who goes first: the places of threads, by which the kernel gives out processors when there are too few.
//!
//! Answers, streams, the engines and queries that end soon stand where the process was started; what
//! feeds the engines, and what is written behind them, stands behind. An engine stands with the answers,
//! since a broker or a database on the same processors would otherwise go before it.
//!
//! Invariant: who stands back holds a lock that others take only for a look-up or a change in memory;
//! they would wait with it for a processor.

use std::sync::OnceLock;

use rustix::process::{getpriority_process, setpriority_process};

/// How far the background stands back, as `nice` has it: it gets a third of the time of those before,
/// when both want a processor. It is never none.
const STEPS: i32 = 5;
/// The last place there is.
const LAST: i32 = 19;

/// Where the process was started, as `nice` has it.
static START: OnceLock<i32> = OnceLock::new();

/// Notes where the process was started, by where this thread stands: to be called before any stands back.
pub(crate) fn begin() -> i32 {
    // Where the system does not say it, it is where most processes are started.
    *START.get_or_init(|| getpriority_process(None).unwrap_or(0))
}

/// Has this thread stand with the background, whoever started it: bodies to be decoded, checkpoints,
/// archives.
pub(crate) fn stand_back() {
    let place = begin().saturating_add(STEPS).min(LAST);
    // Where the system refuses it the work is done all the same, only not behind other work.
    if let Err(error) = setpriority_process(None, place) {
        tracing::debug!(%error, "a thread stays at the priority of those before it");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_does_not_depend_on_who_starts_the_thread() {
        let here = begin();
        let taken = || {
            stand_back();
            getpriority_process(None).unwrap()
        };
        let within =
            std::thread::spawn(move || (taken(), std::thread::spawn(taken).join().unwrap()));
        let behind = (here + STEPS).min(LAST);
        assert_eq!(within.join().unwrap(), (behind, behind));
        assert_eq!(getpriority_process(None).unwrap(), here);
    }
}
