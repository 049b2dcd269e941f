//! The days of a crossing, against the comparison itself on every day.

use std::sync::Arc;

use datafusion::physical_expr::expressions::Column;
use proptest::prelude::*;

use super::{Crossing, NEVER};

/// A comparison, and on which of the two days it changes when the distance grows.
type Comparison = (fn(i64) -> bool, bool, bool);

const COMPARISONS: [Comparison; 6] = [
    (|distance| distance < 0, true, false),
    (|distance| distance >= 0, true, false),
    (|distance| distance <= 0, false, true),
    (|distance| distance > 0, false, true),
    (|distance| distance == 0, true, true),
    (|distance| distance != 0, true, true),
];

fn crossing(slope: i64, at: bool, after: bool) -> Crossing {
    let side = Arc::new(Column::new("c", 0));
    Crossing { left: side.clone(), right: side, slope, at, after }
}

proptest! {
    #[test]
    fn between_two_days_named_nothing_changes(
        which in 0_usize..6,
        slope in prop_oneof![Just(1_i64), Just(-1), Just(24), Just(-24)],
        start in -2_000_i64..2_000,
        day in -100_i32..100,
    ) {
        let (holds, mut at, mut after) = COMPARISONS[which];
        if slope < 0 && at != after {
            (at, after) = (after, at);
        }
        let next = crossing(slope, at, after).next(i128::from(start), day);
        let outcome = |day: i32| holds(start + slope * i64::from(day));
        let changes = (day + 1..5_000).find(|other| outcome(*other) != outcome(day));
        prop_assert!(next > day);
        // Equality with an instant inside a day never holds, so the day named may be idle.
        prop_assert!(changes.unwrap_or(NEVER) >= next, "{:?} before {}", changes, next);
        if start % slope == 0 || at != after {
            prop_assert_eq!(changes.unwrap_or(NEVER), next);
        }
    }
}

#[test]
fn a_row_too_far_away_is_looked_at_every_day() {
    let distance = i128::from(i64::MAX) * 2;
    assert_eq!(crossing(1, true, true).next(distance, 7), 8);
    assert_eq!(crossing(-1, true, true).next(-distance, 7), 8);
}
