//! Standing queries: SQL that is followed, answered once for all of a tenant who follow the same.
//!
//! **In:** a text of SQL and the tenant's snapshots. **Out:** its newest answer, and how the latest
//! answers came from one another.
//!
//! A standing query begins with its first follower and ends with its last. A task evaluates it whenever
//! what it reads is another, though not more often than its followers want it, and numbers its answers.
//! After the first one it asks for a circuit that keeps the rows up to date. Once that is ready and has
//! the rows of an evaluation over the same snapshot, the answers are what the circuit has, until it is
//! lost; then they are evaluated again.
//! A follower holds no answer but the number of the one that its client has, and takes the steps from
//! there on: a slow client makes nothing pile up.
//!
//! Invariants:
//! - Each answer is that to the query over one snapshot, and stands at the snapshot's position, whether
//!   it was evaluated or is a circuit's.
//! - Once views are defined anew or hidden, nothing of an answer is told until it is known that the names
//!   in the SQL still mean what they did, or it was evaluated again.
//! - An answer and the steps after it make the next answer; where that cannot be, followers are told to
//!   begin anew.
//! - What standing queries hold is bounded, each and in all, and so is the number of those that are
//!   evaluated at a time for one tenant.
//! - A tenant's standing queries are in its channel, and what they read is that tenant's alone.

mod course;
mod evaluator;
mod register;
mod room;
mod steps;
mod table;
mod wording;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use projections::Position;
use tokio::sync::Notify;

pub(crate) use self::register::{Follow, Register};
pub(crate) use self::room::Room;
use self::room::{Slot, Space};
pub(crate) use self::steps::Step;
use self::steps::Steps;
use self::table::Table;
pub(crate) use self::table::TableReader;
use crate::meter;
use crate::problem::Problem;

/// Bytes of steps that are held however small the answer is.
const STEPS_LEAST: usize = 64 << 10;

const FELL_BEHIND: &str =
    "the client fell too far behind: the answers that it missed are no longer held";
const ANEW: &str = "what the query reads was defined anew";

/// A standing query.
#[derive(Debug)]
pub(crate) struct Standing {
    sql: String,
    state: Mutex<State>,
    /// Told when somebody begins to follow, or there is a doubt about the answer.
    looks: Notify,
    _slot: Slot,
}

#[derive(Debug, Default)]
struct State {
    /// None until it was evaluated for the first time.
    newest: Option<Newest>,
    steps: Steps,
    /// Why it is not evaluated any more.
    ended: Option<Problem>,
    followers: HashMap<u64, Follower>,
    next_follower: u64,
    /// How often the names in the SQL may have come to mean something else.
    doubts: u64,
    /// After how many of these the answer is known to be about what they mean.
    settled: u64,
}

/// The newest answer.
#[derive(Debug)]
struct Newest {
    number: u64,
    table: Arc<Table>,
    position: Position,
    /// The latest sequence at which it is known to be the answer.
    holds_to: u64,
    /// The first sequence at which a client that names it can hold nothing else.
    resumes_from: u64,
    /// The number of the first answer from which steps may lead to this one.
    first: u64,
    _space: Space,
}

/// The answer that was the newest before another.
struct Before {
    table: Arc<Table>,
    number: u64,
    holds_to: u64,
    first: u64,
}

#[derive(Debug)]
struct Follower {
    interval: Duration,
    wake: Arc<Notify>,
}

/// What the newest answer is to a client that has none.
#[derive(Debug)]
pub(crate) struct Begin {
    number: u64,
    table: Arc<Table>,
    position: Position,
    resumes: RangeInclusive<u64>,
}

impl Begin {
    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a client that says to be at this sequence holds this answer.
    pub(crate) fn resumes(&self, sequence: u64) -> bool {
        self.resumes.contains(&sequence)
    }

    /// Its rows.
    pub(crate) fn reader(&self) -> TableReader {
        TableReader::new(Arc::clone(&self.table), self.position)
    }
}

/// What is new to a client that holds an answer.
#[derive(Debug)]
pub(crate) enum News {
    /// It holds the newest, which is known to be the answer up to this sequence.
    None(u64),
    /// What is newer, if anything is, lies beyond the sequence that was asked for, or may not be told
    /// yet.
    Ahead,
    /// The steps to a newer one; never empty.
    Steps(Vec<Arc<Step>>),
    /// No steps lead on from there, and why.
    Gone(&'static str),
}

impl Standing {
    fn new(sql: String, slot: Slot) -> Self {
        Self { sql, state: Mutex::default(), looks: Notify::new(), _slot: slot }
    }

    fn sql(&self) -> &str {
        &self.sql
    }

    /// One more follower; its number.
    fn join(&self, interval: Duration, wake: Arc<Notify>) -> u64 {
        let mut state = self.state();
        let number = state.next_follower;
        state.next_follower += 1;
        state.followers.insert(number, Follower { interval, wake });
        drop(state);
        self.looks.notify_one();
        number
    }

    /// One follower less; whether there are none left.
    fn leave(&self, number: u64) -> bool {
        let mut state = self.state();
        state.followers.remove(&number);
        state.followers.is_empty()
    }

    /// How long its evaluations are apart, so that each follower gets news as often as it wants them
    /// and `least` allows.
    fn pace(&self, least: Duration) -> Duration {
        let state = self.state();
        let wanted = state.followers.values().map(|follower| follower.interval).min();
        wanted.unwrap_or_default().max(least)
    }

    /// Has nothing told until it was looked at whether the names still mean what they did. To be called
    /// after the snapshots show what they mean now.
    fn doubt(&self) {
        self.state().doubts += 1;
        self.looks.notify_one();
    }

    /// How often there was a doubt. Whatever is found over a snapshot that is taken later settles them.
    fn doubts(&self) -> u64 {
        self.state().doubts
    }

    /// So many doubts are settled: the answer is about what the names mean.
    fn settle(&self, doubts: u64) {
        let mut state = self.state();
        if state.settled < doubts {
            state.settled = doubts;
            if !state.is_doubtful() {
                state.wake();
            }
        }
    }

    fn is_doubtful(&self) -> bool {
        self.state().is_doubtful()
    }

    /// Whether answers may be told now; or why there will be none.
    fn may_tell(&self) -> Result<bool, Problem> {
        self.state().may_tell()
    }

    /// The newest answer, if there is one that may be told already; or why there will be none.
    fn begin(&self) -> Result<Option<Begin>, Problem> {
        let state = self.state();
        if !state.may_tell()? {
            return Ok(None);
        }
        Ok(state.newest.as_ref().map(|newest| Begin {
            number: newest.number,
            table: Arc::clone(&newest.table),
            position: newest.position,
            resumes: newest.resumes_from..=newest.holds_to,
        }))
    }

    /// What is new to a client that holds the answer of a number, at most up to a sequence; or why
    /// there will be nothing new.
    fn news(&self, number: u64, up_to: Option<u64>) -> Result<News, Problem> {
        let state = self.state();
        if !state.may_tell()? {
            return Ok(News::Ahead);
        }
        Ok(match &state.newest {
            Some(newest) if newest.number == number => News::None(newest.holds_to),
            Some(newest) if number < newest.first => News::Gone(ANEW),
            _ => match state.steps.from(number, up_to) {
                None => News::Gone(FELL_BEHIND),
                Some(steps) if steps.is_empty() => News::Ahead,
                Some(steps) => News::Steps(steps),
            },
        })
    }

    /// Takes the answer over a snapshot at `position`. `since` is the sequence up to which the same SQL
    /// may have been about something else. Called by its evaluator alone.
    fn answered(&self, table: Table, position: Position, since: Option<u64>, space: Space) {
        let sequence = position.sequence;
        let Some(before) = self.before() else {
            let resumes_from =
                since.map_or(sequence, |since| sequence.max(since.saturating_add(1)));
            self.put(table, position, (0, 0, resumes_from), None, space);
            return;
        };
        let next = before.number + 1;
        if !before.table.has_columns_of(&table) {
            self.put(table, position, (next, next, sequence + 1), None, space);
            return;
        }
        let step = Step::between(&before.table, &table, next, position);
        self.go_on(&before, table, step, position, space);
    }

    /// Takes the answer at `position` that the newest one became by `changes`. Called by its evaluator
    /// alone.
    fn moved(&self, table: Table, changes: &[(i64, &str)], position: Position, space: Space) {
        let Some(before) = self.before() else { return };
        let step = Step::of(changes, before.number + 1, position);
        self.go_on(&before, table, step, position, space);
    }

    /// Takes the answer that a step leads to; none: its rows are the same.
    fn go_on(
        &self,
        before: &Before,
        table: Table,
        step: Option<Step>,
        position: Position,
        space: Space,
    ) {
        let (next, sequence) = (before.number + 1, position.sequence);
        match step {
            None => self.confirm(position),
            // At the same position it was another: nobody could tell which of the two a client holds.
            Some(_) if sequence <= before.holds_to => {
                self.put(table, position, (next, next, sequence + 1), None, space);
            }
            step => self.put(table, position, (next, before.first, sequence), step, space),
        }
    }

    /// The newest answer, as the next one needs it.
    fn before(&self) -> Option<Before> {
        let state = self.state();
        state.newest.as_ref().map(|newest| Before {
            table: Arc::clone(&newest.table),
            number: newest.number,
            holds_to: newest.holds_to,
            first: newest.first,
        })
    }

    /// The newest answer.
    fn table(&self) -> Option<Arc<Table>> {
        self.state().newest.as_ref().map(|newest| Arc::clone(&newest.table))
    }

    /// Makes an answer the newest and wakes the followers.
    fn put(
        &self,
        table: Table,
        position: Position,
        (number, first, resumes_from): (u64, u64, u64),
        step: Option<Step>,
        space: Space,
    ) {
        let bound = steps_bound(&table);
        let mut state = self.state();
        match step {
            Some(step) => state.steps.push(step, bound),
            None => state.steps.clear(),
        }
        state.newest = Some(Newest {
            number,
            table: Arc::new(table),
            position,
            holds_to: position.sequence,
            resumes_from,
            first,
            _space: space,
        });
        state.wake();
    }

    /// The newest answer is still the answer at `position`.
    fn confirm(&self, position: Position) {
        if let Some(newest) = &mut self.state().newest {
            newest.holds_to = newest.holds_to.max(position.sequence);
        }
    }

    /// Ends it for all who follow it, unless it has ended.
    fn end(&self, problem: Problem) {
        let mut state = self.state();
        if state.ended.is_none() {
            if !state.followers.is_empty() {
                meter::sql_failure();
            }
            state.ended = Some(problem);
            (state.newest, state.steps) = (None, Steps::default());
            state.wake();
        }
    }

    #[cfg(test)]
    fn holds_to(&self) -> Option<u64> {
        self.state().newest.as_ref().map(|newest| newest.holds_to)
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_doubtful(&self) -> bool {
        self.settled < self.doubts
    }

    fn may_tell(&self) -> Result<bool, Problem> {
        match &self.ended {
            Some(problem) => Err(problem.clone()),
            None => Ok(!self.is_doubtful()),
        }
    }

    fn wake(&self) {
        for follower in self.followers.values() {
            follower.wake.notify_one();
        }
    }
}

/// The bytes of the steps to an answer that are held: more of them would be longer than the answer.
fn steps_bound(table: &Table) -> usize {
    STEPS_LEAST + 2 * table.bytes()
}

#[cfg(test)]
mod tests;
