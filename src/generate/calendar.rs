//! Days and working time, as whole numbers.

use chrono::{DateTime, Datelike, NaiveDate};

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// Working time of a day, in milliseconds: from 08:00 to 18:00.
const WORKDAY_MS: u64 = 10 * 3_600_000;

/// A calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i32);

impl Day {
    /// The day of a date.
    pub(crate) fn of(date: NaiveDate) -> Self {
        Self((date - NaiveDate::default()).num_days() as i32)
    }

    /// `days` later.
    pub(crate) fn plus(self, days: i64) -> Self {
        Self(self.0 + days as i32)
    }

    /// 0 on Monday, 6 on Sunday.
    pub(crate) fn weekday(self) -> i32 {
        (self.0 + 3).rem_euclid(7)
    }

    /// Its midnight in UTC, as seconds since 1970.
    pub(crate) fn midnight(self) -> i64 {
        i64::from(self.0) * DAY
    }

    /// The Monday of its week.
    pub(crate) fn monday(self) -> Self {
        Self(self.0 - self.weekday())
    }

    /// Year, month, day.
    pub(crate) fn parts(self) -> (i32, u32, u32) {
        let date = DateTime::from_timestamp(self.midnight(), 0).unwrap_or_default().date_naive();
        (date.year(), date.month(), date.day())
    }
}

/// Milliseconds of working time in `days` calendar days.
pub(crate) fn working_ms(days: u64) -> u64 {
    days * WORKDAY_MS * 5 / 7
}

/// The moment, in seconds since 1970, after `worked` milliseconds of working time from `monday` on.
pub(crate) fn moment(monday: Day, worked: u64) -> i64 {
    let workday = worked / WORKDAY_MS;
    let within = (worked % WORKDAY_MS) / 1000;
    let day = monday.plus((workday / 5 * 7 + workday % 5) as i64);
    day.midnight() + 8 * 3600 + within as i64
}
