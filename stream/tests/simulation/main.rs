//! The whole live part with time and a network of its own: both edges over pipes in memory that break
//! messages anywhere, viewers that read slowly, drop out and resume, two nodes that restart, die and
//! hand the tenant over.
//!
//! Whatever happens, a viewer holds the view at every position that it is told, in the end it holds
//! what there is, and no connection ends for nothing. What is drawn and what fails is kept as
//! `docs/testing.md` says.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod cluster;
mod link;
mod network;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod viewer;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use crate::case::{Case, Op, Plan, case};
use crate::link::Kind;
use crate::network::Pace;
use crate::run::simulate;
use crate::viewer::{Act, Coming, Resume, Tally, Watch, lock};

/// Cases, where nothing says for how long.
const CASES: u32 = 1_000;
/// Cases that failed once; they are tried first.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/regressions.txt");
/// What must have been heard, or the cases were too tame to prove anything.
const HEARD: [&str; 15] = [
    "events: delta",
    "events: end",
    "events: heartbeat",
    "events: refused",
    "events: reset",
    "events: resumed",
    "events: snapshot",
    "socket: delta",
    "socket: end",
    "socket: end 4000",
    "socket: end 4007",
    "socket: heartbeat",
    "socket: reset",
    "socket: resumed",
    "socket: snapshot",
];

#[test]
fn viewers_hold_what_is_true_whatever_happens() {
    let until = std::env::var("LIVE_SECONDS").ok().map(|seconds| {
        Instant::now() + Duration::from_secs(seconds.parse().expect("LIVE_SECONDS is no number"))
    });
    let heard = Mutex::new(Tally::new());
    let mut cases = 0;
    loop {
        let config = Config {
            cases: CASES,
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
            max_shrink_iters: 4_096,
            ..Config::default()
        };
        let tried = TestRunner::new(config).run(&case(), |case| {
            for (what, count) in simulate(&case) {
                *lock(&heard).entry(what).or_default() += count;
            }
            Ok(())
        });
        tried.unwrap_or_else(|failure| panic!("{failure}"));
        cases += CASES;
        if until.is_none_or(|until| Instant::now() >= until) {
            break;
        }
    }
    let heard = lock(&heard);
    println!("{cases} cases: {heard:#?}");
    for what in HEARD {
        assert!(heard.contains_key(what), "nobody heard '{what}'");
    }
}

const WHOLE: Watch = Watch { view: 0, team: None, rate_ms: 0 };
const SLOW: Watch = Watch { view: 0, team: None, rate_ms: 400 };
const GOOD: Pace = Pace { bytes: 1_000, delay: Duration::ZERO };
const SECOND: Duration = Duration::from_secs(1);

fn simulated(kind: Kind, watches: Vec<Watch>, ops: Vec<Op>) -> Tally {
    let viewers = vec![Plan { kind, pace: GOOD, watches }];
    simulate(&Case { limits: stream::StreamLimits::default(), viewers, ops })
}

fn put(item: u8, amount: i8) -> Op {
    Op::Apply { edits: vec![(0, item, Some((0, amount)))], is_published: true }
}

/// Changes are kept by the node that made them: after a drop they are told, after a restart and
/// on another node the whole view is.
#[test]
fn a_drop_is_resumed_and_a_restart_and_a_move_are_not_missed() {
    for kind in [Kind::Socket { is_known: true }, Kind::Socket { is_known: false }, Kind::Events] {
        let who = if kind == Kind::Events { "events" } else { "socket" };
        let drop = Coming { resume: Resume::LastId, away: SECOND, is_lost: false };
        let dropped = vec![
            Op::Pass(SECOND),
            put(1, 1),
            Op::Pass(SECOND),
            Op::Act { viewer: 0, act: Act::Drop(drop) },
            Op::Turns(9),
            put(1, 2),
            Op::Pass(3 * SECOND),
        ];
        let heard = simulated(kind, vec![WHOLE], dropped);
        let count = |what: &str| heard.get(&format!("{who}: {what}")).copied().unwrap_or_default();
        assert_eq!([count("snapshot"), count("delta"), count("resumed")], [1, 2, 1], "{heard:?}");

        let restarted = vec![
            Op::Pass(SECOND),
            Op::Restart { is_orderly: true, away: SECOND },
            Op::Pass(SECOND),
            Op::Restart { is_orderly: false, away: SECOND },
            put(1, 1),
            Op::Pass(SECOND),
            Op::Move { away: SECOND },
            put(1, 2),
        ];
        let heard = simulated(kind, vec![WHOLE, SLOW], restarted);
        let count = |what: &str| heard.get(&format!("{who}: {what}")).copied().unwrap_or_default();
        assert!(count("refused") + count("end") + count("end 4000") + count("end 4007") >= 3);
        assert!(count("reset") >= 2, "{heard:?}");
    }
}

/// Whoever reads nothing is given up, and misses nothing when it comes again.
#[test]
fn a_viewer_that_does_not_read_is_given_up_and_comes_again() {
    for kind in [Kind::Socket { is_known: true }, Kind::Events] {
        let who = if kind == Kind::Events { "events" } else { "socket" };
        let mut ops = vec![
            Op::Pass(SECOND),
            Op::Act { viewer: 0, act: Act::Pause(200 * SECOND) },
            Op::Turns(9),
        ];
        for amount in 0..100 {
            ops.extend([put(1, amount), Op::Pass(SECOND)]);
        }
        let heard = simulated(kind, vec![WHOLE], ops);
        let ends: u64 = heard
            .iter()
            .filter(|(what, _)| what.starts_with(&format!("{who}: end")))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(ends, 1, "{heard:?}");
    }
}
