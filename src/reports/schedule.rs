//! When a report is due: five fields of cron on the clock of an IANA zone.
//!
//! Where that clock is put forward, a time that it leaves out is due at the first instant after; where
//! it is put back, a time that it shows twice is due once, the first time. A schedule whose hour is `*`
//! or `*/n` means hours rather than times of the day: it is due in each hour that passes.

use std::collections::VecDeque;

use chrono::{DateTime, LocalResult, NaiveDateTime, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::definition::{CatchUp, Wrong};

/// The longest that a clock leaves out: islands have skipped a whole day.
const LONGEST_GAP: TimeDelta = TimeDelta::hours(25);
/// Times that were missed which are listed one by one.
const LISTED: usize = 100;
/// For how long a time that has passed counts as met.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// The times of a schedule.
#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    cron: Cron,
    zone: Tz,
    /// Whether it means hours rather than times of the day.
    by_hours: bool,
}

/// A time that a schedule named, and why it is not met if it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The time.
    pub(crate) at: DateTime<Utc>,
    /// Why nothing is made for it.
    pub(crate) missed: Option<String>,
}

impl Timetable {
    /// The times of `cron` on the clock of `zone`.
    pub(crate) fn new(cron: &str, zone: &str) -> Result<Self, Wrong> {
        let field = "schedule.cron";
        let zone: Tz = zone.parse().map_err(|_| {
            let shown: String = zone.chars().take(40).collect();
            let message = format!("'{shown}' is no IANA time zone like Europe/Berlin");
            Wrong::new("schedule.timezone", message)
        })?;
        let fields: Vec<&str> = cron.split_whitespace().collect();
        let &[_, hour, _, _, _] = fields.as_slice() else {
            let message = "five fields: minute, hour, day of the month, month, day of the week, as \
                           in `0 7 * * MON`";
            return Err(Wrong::new(field, message));
        };
        let by_hours = hour.contains('*');
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
        let cron = parser.build().parse(cron).map_err(|e| Wrong::new(field, e.to_string()))?;
        let times = Self { cron, zone, by_hours };
        match times.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err(Wrong::new(field, "no day has this time; choose one that comes")),
        }
    }

    /// The first time after an instant.
    pub(crate) fn after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = instant.with_timezone(&self.zone);
        if self.by_hours {
            let next = self.cron.find_next_occurrence(&local, false).ok()?;
            return Some(next.with_timezone(&Utc));
        }
        // On a clock that is never put forward or back, from what it shows now. What it has shown, or
        // has been put forward over, was due by now; where it has been put back, what it shows once more
        // was due the first time, and is passed over below.
        let mut shown = Utc.from_utc_datetime(&local.naive_local().trunc_subsecs(0));
        loop {
            shown = self.cron.find_next_occurrence(&shown, false).ok()?;
            let at = self.first(shown.naive_utc())?;
            if at > instant {
                return Some(at);
            }
        }
    }

    /// The first instant at which the clock shows a time, or a later one if it leaves that out.
    fn first(&self, shown: NaiveDateTime) -> Option<DateTime<Utc>> {
        let mut at = shown;
        while at - shown <= LONGEST_GAP {
            match self.zone.from_local_datetime(&at) {
                LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => {
                    return Some(instant.with_timezone(&Utc));
                }
                LocalResult::None => at += TimeDelta::minutes(1),
            }
        }
        None
    }

    /// What is to be done at `now` about the times from `from`, which is one of them, and when it is
    /// due next. Each time that has passed is looked for, so this may take long.
    pub(crate) fn due(
        &self,
        from: DateTime<Utc>,
        now: DateTime<Utc>,
        catch_up: CatchUp,
    ) -> (Vec<Due>, Option<DateTime<Utc>>) {
        let mut times = VecDeque::new();
        let mut left_out = 0_u64;
        let mut next = Some(from);
        while let Some(at) = next.filter(|at| *at <= now) {
            if times.len() == LISTED {
                times.pop_front();
                left_out += 1;
            }
            times.push_back(at);
            next = self.after(at);
        }
        let last = times.back().copied();
        let due = |at: DateTime<Utc>| {
            let is_met = now - at <= GRACE
                || match catch_up {
                    CatchUp::All => true,
                    CatchUp::Last => Some(at) == last,
                    CatchUp::None => false,
                };
            let why =
                "the service was not there at the time, and its schedule does not catch it up";
            Due { at, missed: (!is_met).then(|| why.to_owned()) }
        };
        let mut all: Vec<Due> = times.into_iter().map(due).collect();
        if let Some(first) = all.first_mut().filter(|_| left_out > 0) {
            let why = first.missed.take().unwrap_or_else(|| "there were too many".to_owned());
            first.missed = Some(format!("{why}; nor {left_out} before it"));
        }
        (all, next)
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
