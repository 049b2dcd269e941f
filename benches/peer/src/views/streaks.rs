//! `completion_streaks`.

use std::io::Result;

use dbsp::algebra::UnimplementedSemigroup;
use dbsp::operator::Fold;
use dbsp::typed_batch::SpineSnapshot;
use dbsp::utils::{Tup2, Tup3, Tup4, Tup7};
use dbsp::{IndexedZSetHandle, OrdZSet, OutputHandle, RootCircuit, ZWeight};

use super::{Key, Key3, Moment, Source, key, moment, statements};
use crate::circuit::{Changes, Feed, Sink, Stated};

/// Cadence, first day, last day; days are counted from 0001-01-01, a Monday.
type Assignment = Tup3<u8, i32, Option<i32>>;
/// Task, user, day.
type Completion = Tup3<String, String, i32>;
/// Periods done in a row: the first, the last, the last day.
type Stretch = Tup3<i32, i32, i32>;
/// Tenant, task, user, current and longest streak, last day completed, completions.
type Streak = Tup7<u32, String, String, i32, i32, Option<i32>, i32>;

const DAILY: u8 = 0;
const WEEKDAYS: u8 = 1;
const WEEKLY: u8 = 2;
const UNKNOWN: u8 = 3;

/// 1970-01-01 in days since 0001-01-01.
const EPOCH: i32 = 719_162;

pub(super) struct Streaks {
    assigned: IndexedZSetHandle<Key3, Tup2<Moment, Assignment>>,
    completed: IndexedZSetHandle<Key, Tup2<Moment, Completion>>,
    revoked: IndexedZSetHandle<Key, bool>,
    streaks: OutputHandle<SpineSnapshot<OrdZSet<Streak>>>,
}

pub(super) fn build(circuit: &mut RootCircuit, dates: &Stated<u32, i32>) -> Streaks {
    let (assigned, assigned_handle) = statements::<Key3, Assignment>(circuit);
    let (completed, completed_handle) = statements::<Key, Completion>(circuit);
    let (revoked, revoked_handle) = circuit.add_input_indexed_zset::<Key, bool>();

    let stretches = completed
        .antijoin(&revoked)
        .map_index(|(Tup2(tenant, _), Tup3(task, user, day))| {
            (Tup3(*tenant, task.clone(), user.clone()), *day)
        })
        .join_index(&assigned, |key, day, assignment| {
            period(*day, assignment).map(|period| (key.clone(), Tup2(period, *day)))
        })
        .aggregate(Fold::<_, _, UnimplementedSemigroup<_>, _, _>::new(
            Vec::<Stretch>::new(),
            |stretches: &mut Vec<Stretch>, Tup2(period, day): &Tup2<i32, i32>, _: ZWeight| {
                // Periods come in order.
                match stretches.last_mut() {
                    Some(Tup3(_, last, latest)) if *period <= *last + 1 => {
                        *last = *period;
                        *latest = *day.max(latest);
                    }
                    _ => stretches.push(Tup3(*period, *period, *day)),
                }
            },
        ))
        .map_index(|(key, stretches)| (key.clone(), Some(stretches.clone())));
    let streaks = assigned
        .left_join_index(&stretches, |Tup3(tenant, task, user), assignment, stretches| {
            let stretches = stretches.clone().unwrap_or_default();
            Some((*tenant, Tup4(task.clone(), user.clone(), assignment.0, stretches)))
        })
        .join(dates, |tenant, Tup4(task, user, cadence, stretches), today| {
            streak(*tenant, task, user, current_period(*cadence, *today + EPOCH), stretches)
        });

    Streaks {
        assigned: assigned_handle,
        completed: completed_handle,
        revoked: revoked_handle,
        streaks: streaks.accumulate_output(),
    }
}

/// The due period that a day is in, if it counts.
fn period(day: i32, Tup3(cadence, first, last): &Assignment) -> Option<i32> {
    if day < *first || last.is_some_and(|last| day > last) {
        return None;
    }
    match *cadence {
        DAILY => Some(day),
        WEEKDAYS if day % 7 < 5 => Some(day / 7 * 5 + day % 7),
        WEEKLY => Some(day / 7),
        _ => None,
    }
}

fn current_period(cadence: u8, today: i32) -> i32 {
    match cadence {
        DAILY => today,
        WEEKDAYS => today / 7 * 5 + (today % 7).min(5),
        _ => today / 7,
    }
}

fn streak(tenant: u32, task: &str, user: &str, current: i32, stretches: &[Stretch]) -> Streak {
    let length = |Tup3(first, last, _): &Stretch| last - first + 1;
    let running = |Tup3(first, last, _): &&Stretch| *first <= current && *last >= current - 1;
    Tup7(
        tenant,
        task.to_owned(),
        user.to_owned(),
        stretches.iter().find(running).map_or(0, length),
        stretches.iter().map(length).max().unwrap_or(0),
        stretches.iter().map(|stretch| stretch.2).max(),
        stretches.iter().map(length).sum(),
    )
}

impl Streaks {
    pub(super) fn connect(
        self,
        source: &Source,
        feeds: &mut Vec<Box<dyn Feed>>,
        sinks: &mut Vec<(&'static str, Box<dyn Sink>)>,
    ) -> Result<()> {
        let assigned = source.steps("tasks.task_assigned", |row| {
            let Tup2(tenant, task) = key(row, "task_id");
            let cadence = match row.text("cadence").as_str() {
                "daily" => DAILY,
                "weekdays" => WEEKDAYS,
                "weekly" => WEEKLY,
                _ => UNKNOWN,
            };
            let first: i32 = row.number::<i32>("start_date") + EPOCH;
            let last = row.optional_number::<i32>("end_date").map(|day| day + EPOCH);
            let due = if cadence == WEEKLY {
                Tup3(cadence, first / 7 * 7, last.map(|day| day / 7 * 7 + 6))
            } else {
                Tup3(cadence, first, last)
            };
            Some((Tup3(tenant, task, row.text("user_id")), Tup2(moment(row), due)))
        })?;
        let completed = source.steps("tasks.task_completed", |row| {
            let day = row.number::<i32>("completed_on") + EPOCH;
            let completion = Tup3(row.text("task_id"), row.text("user_id"), day);
            Some((key(row, "completion_id"), Tup2(moment(row), completion)))
        })?;
        let revoked = source
            .steps("tasks.completion_revoked", |row| Some((key(row, "completion_id"), true)))?;
        feeds.push(Box::new((self.assigned, assigned)));
        feeds.push(Box::new((self.completed, completed)));
        feeds.push(Box::new((self.revoked, revoked)));
        sinks.push(("completion_streaks", Box::new(Changes::new(self.streaks, text))));
        Ok(())
    }
}

fn text(row: &Streak) -> String {
    let Tup7(tenant, task, user, current, longest, last, completions) = row;
    let last = last.map_or_else(|| "\\N".to_owned(), |day| (day - EPOCH).to_string());
    format!("{tenant}\t{task}\t{user}\t{current}\t{longest}\t{last}\t{completions}")
}
