#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use proptest::prelude::*;

use super::business_days::between;
use super::fiscal::{Part, part_of};
use super::hop::starts;
use super::lists::parts;

fn day(days: i32) -> NaiveDate {
    NaiveDate::from_epoch_days(days).unwrap()
}

/// Day by day.
fn counted(from: i32, to: i32, holidays: &[i32]) -> i64 {
    let counts = |d: &i32| {
        !matches!(day(*d).weekday(), Weekday::Sat | Weekday::Sun) && !holidays.contains(d)
    };
    let count = |a: i32, b: i32| (a..b).filter(counts).count() as i64;
    if from <= to { count(from, to) } else { -count(to, from) }
}

proptest! {
    #[test]
    fn business_days_are_those_counted_one_by_one(
        from in -800..800_i32,
        to in -800..800_i32,
        holidays in prop::collection::vec(-800..800_i32, 0..6),
    ) {
        prop_assert_eq!(between(from, to, &holidays), counted(from, to, &holidays));
        prop_assert_eq!(between(from, to, &[]), counted(from, to, &[]));
        prop_assert_eq!(between(from, to, &holidays), -between(to, from, &holidays));
    }

    #[test]
    fn fiscal_parts_are_those_of_the_months_walked(days in -9_000..30_000_i32, first in 1..=12_u32) {
        let date = day(days);
        // Back to the first day of the fiscal year, month by month.
        let mut begin = date.with_day(1).unwrap();
        let mut period = 1;
        while begin.month() != first {
            begin = begin - Months::new(1);
            period += 1;
        }
        let end = begin + Months::new(12) - Days::new(1);
        prop_assert_eq!(part_of(Part::Period, date, first), period);
        prop_assert_eq!(part_of(Part::Quarter, date, first), (period + 2) / 3);
        prop_assert_eq!(part_of(Part::Year, date, first), i64::from(end.year()));
    }

    #[test]
    fn a_moment_lies_in_all_its_windows_and_no_others(
        at in -500..500_i64,
        slide in 1..40_i64,
        size in 1..90_i64,
    ) {
        let found: Vec<i64> = starts(at, slide, size).collect();
        let all: Vec<i64> = (-50..50)
            .map(|i| i * slide)
            .chain((-1_000..1_000).filter(|s| s % slide == 0))
            .filter(|start| (*start..start + size).contains(&at))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        prop_assert_eq!(found, all);
    }
}

#[test]
fn texts_fall_apart_at_the_delimiter() {
    assert_eq!(parts("a,b,,c", ","), ["a", "b", "", "c"]);
    assert_eq!(parts("abc", ""), ["abc"]);
    assert_eq!(parts("", ","), Vec::<&str>::new());
}
