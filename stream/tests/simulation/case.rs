//! What happens in a simulation, drawn at random.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use stream::StreamLimits;

use crate::link::Kind;
use crate::network::Pace;
use crate::viewer::{Act, Coming, Resume, Watch};

pub(crate) const TEAMS: [&str; 3] = ["red", "green", "blue"];
/// Seconds for which a message may stay unread.
pub(crate) const STALL_S: u64 = 30;
/// Viewers at most.
const VIEWERS: usize = 3;

/// The view, the item, and its team and amount, or nothing to remove it.
pub(crate) type Change = (usize, u8, Option<(usize, i8)>);

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) limits: StreamLimits,
    pub(crate) viewers: Vec<Plan>,
    pub(crate) ops: Vec<Op>,
}

/// A viewer at the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) pace: Pace,
    pub(crate) watches: Vec<Watch>,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Edits, and whether the hub hears of them at once.
    Apply {
        edits: Vec<Change>,
        is_published: bool,
    },
    /// A viewer does something, if there is one of that number.
    Act {
        viewer: usize,
        act: Act,
    },
    /// Others get so many turns.
    Turns(u8),
    Pass(Duration),
    /// The node that serves the tenant shuts down, or dies, and starts again.
    Restart {
        is_orderly: bool,
        away: Duration,
    },
    /// The tenant goes to the other node.
    Move {
        away: Duration,
    },
    /// All are to come again.
    Dismiss,
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (limits(), vec(plan(), 1..=VIEWERS), vec(op(), 1..50)).prop_map(|(limits, viewers, ops)| Case {
        limits,
        viewers,
        ops,
    })
}

fn limits() -> impl Strategy<Value = StreamLimits> {
    (
        prop_oneof![Just(200_usize), Just(900), Just(1 << 20)],
        prop_oneof![1 => Just(0_usize), 1 => Just(3_000), 2 => Just(1 << 20)],
        1..6_usize,
    )
        .prop_map(|(connection_bytes, ring_bytes, snapshot_part_rows)| StreamLimits {
            connection_bytes,
            ring_bytes,
            snapshot_part_rows,
            ring_age_s: 60,
            stall_s: STALL_S,
            ..StreamLimits::default()
        })
}

fn plan() -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![
        any::<bool>().prop_map(|is_known| Kind::Socket { is_known }),
        Just(Kind::Events)
    ];
    (kind, pace(), vec(watch(), 1..4)).prop_map(|(kind, pace, watches)| Plan {
        kind,
        pace,
        watches,
    })
}

/// One that is late carries enough for no message to stay unread too long. None carries less than a
/// WebSocket client takes for an answer to its handshake: it counts more than 64 small pieces as an attack.
fn pace() -> impl Strategy<Value = Pace> {
    prop_oneof![
        1 => (8..16_usize, Just(0_u64)),
        4 => (16..2_000_usize, Just(0_u64)),
        1 => (512..2_000_usize, 1..20_u64),
    ]
    .prop_map(|(bytes, delay)| Pace { bytes, delay: Duration::from_millis(delay) })
}

fn watch() -> impl Strategy<Value = Watch> {
    (0..2_usize, option::of(0..3_usize), prop_oneof![3 => Just(0_u16), 1 => 1..500_u16])
        .prop_map(|(view, team, rate_ms)| Watch { view, team, rate_ms })
}

fn op() -> impl Strategy<Value = Op> {
    let edit = (0..2_usize, 0..12_u8, option::weighted(0.7, (0..3_usize, any::<i8>())));
    let edits = prop_oneof![4 => vec(edit.clone(), 0..4), 1 => vec(edit, 20..40)];
    prop_oneof![
        8 => (edits, prop::bool::weighted(0.8))
            .prop_map(|(edits, is_published)| Op::Apply { edits, is_published }),
        6 => (0..VIEWERS, act()).prop_map(|(viewer, act)| Op::Act { viewer, act }),
        4 => (1..60_u8).prop_map(Op::Turns),
        3 => short().prop_map(Op::Pass),
        1 => away(20_000).prop_map(Op::Pass),
        1 => (any::<bool>(), away(3_000))
            .prop_map(|(is_orderly, away)| Op::Restart { is_orderly, away }),
        1 => away(3_000).prop_map(|away| Op::Move { away }),
        1 => Just(Op::Dismiss),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => watch().prop_map(Act::Watch),
        1 => (0..4_usize).prop_map(Act::Unwatch),
        2 => (0..4_usize, any::<bool>())
            .prop_map(|(place, is_newest)| Act::WatchAgain { place, is_newest }),
        3 => short().prop_map(Act::Pause),
        1 => away(70_000).prop_map(Act::Pause),
        3 => (resume(), away(5_000), prop::bool::weighted(0.2))
            .prop_map(|(resume, away, is_lost)| Act::Drop(Coming { resume, away, is_lost })),
    ]
}

fn resume() -> impl Strategy<Value = Resume> {
    prop_oneof![
        1 => Just(Resume::Afresh),
        3 => Just(Resume::LastId),
        3 => any::<bool>().prop_map(|is_newest| Resume::Own { is_newest }),
    ]
}

fn short() -> impl Strategy<Value = Duration> {
    (0..200_u64).prop_map(Duration::from_millis)
}

fn away(at_most_ms: u64) -> impl Strategy<Value = Duration> {
    (0..at_most_ms).prop_map(Duration::from_millis)
}
