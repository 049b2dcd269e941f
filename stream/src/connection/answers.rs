//! The subscriptions of a connection to SQL: what of the answers of standing queries its client gets,
//! and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use projections::Position;

use super::{Connection, PART_BYTES, Stage, Step};
use crate::body::{Body, Format};
use crate::merge::{Merge, MergeError};
use crate::message::{Mark, Message, quoted};
use crate::meter;
use crate::problem::Problem;
use crate::snapshot::PartBounds;
use crate::standing::{self, Begin, Follow, News, TableReader};
use crate::subscription::Subscription;

const NOT_A_POSITION: &str =
    "the position to resume from is not one that this tenant was given so far";
const NOT_THE_ANSWER: &str =
    "the answer at the position to resume from is not known to be the one at hand";
const TOO_LARGE: &str = "what changed in the answer exceeds what may wait for one connection";

/// A subscription to SQL.
pub(super) struct Following {
    serial: u64,
    id: String,
    quoted_id: String,
    follow: Follow,
    interval: Option<Duration>,
    next_due: Instant,
    /// When there is something to send, if it waits for nothing else.
    waits_until: Option<Instant>,
    state: State,
}

enum State {
    /// Needs an answer; unless that is the one that its client says to hold, at this position.
    Wanting { resume: Option<Position> },
    /// Has one, which goes out when the others have reached its position. `since` is when its first
    /// part went out.
    Joining { number: u64, reader: TableReader, since: Option<Instant> },
    /// Its client holds the answer of this number, which it was told at `told`, and nothing up to
    /// `sent` is still to come.
    Live { number: u64, told: u64, sent: u64 },
}

impl Following {
    /// When a step may bring something of it although nothing has changed.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waits_until
    }

    /// Whether its client holds an answer.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// The sequence up to which nothing is to come for what its client holds, as far as is known; none
    /// if it holds nothing.
    pub(super) fn reached(&self) -> Option<u64> {
        match self.state {
            State::Live { sent, .. } => Some(sent),
            State::Wanting { resume } => resume.map(|position| position.sequence),
            State::Joining { .. } => None,
        }
    }

    /// Whether what its client holds is the answer at this sequence, as far as it was told.
    pub(super) fn stands_by(&self, sequence: u64) -> bool {
        matches!(self.state, State::Live { told, sent, .. } if (told..=sent).contains(&sequence))
    }

    fn after_interval(&self, now: Instant) -> Instant {
        now + self.interval.unwrap_or_default()
    }
}

impl Connection {
    /// Lets it follow SQL from now on, or not: then its subscriptions to SQL end.
    pub(crate) fn may_ask(&mut self, asking: Result<(), Problem>) {
        if let Err(problem) = &asking {
            while !self.following.is_empty() {
                self.end_following(0, problem);
            }
        }
        self.asking = asking;
    }

    /// Whether a subscription to SQL has this id.
    pub(super) fn follows(&self, id: &str) -> bool {
        self.following.iter().any(|f| f.id == id)
    }

    /// Adds a subscription to SQL. What is wrong with the SQL is told when it is evaluated.
    pub(super) fn follow(
        &mut self,
        sql: &str,
        wanted: &Subscription,
        now: Instant,
    ) -> Result<(), Problem> {
        self.asking.clone()?;
        let channel = self.seat.channel();
        let register = channel.register();
        let follow = register.follow(&self.hub, channel, sql, wanted.interval, &self.news)?;
        let newest = self.hub.shared.snapshot(channel.tenant()).position();
        let position =
            wanted.resume.as_deref().and_then(|text| Position::parse(channel.tenant(), text).ok());
        let resume = position.filter(|position| position.sequence <= newest.sequence);
        self.following.push(Following {
            serial: self.next_serial,
            id: wanted.id.clone(),
            quoted_id: quoted(&wanted.id),
            follow,
            interval: wanted.interval,
            next_due: now,
            waits_until: None,
            state: State::Wanting { resume },
        });
        self.next_serial += 1;
        meter::subscriptions(1.0);
        if wanted.resume.is_some() && resume.is_none() {
            self.reset_following(self.following.len() - 1, NOT_A_POSITION);
        }
        Ok(())
    }

    /// Ends a subscription to SQL. False if none has this id.
    pub(super) fn unfollow(&mut self, id: &str) -> bool {
        let index = self.following.iter().position(|f| f.id == id);
        if let Some(index) = index {
            self.remove_following(index);
        }
        index.is_some()
    }

    /// Has the next of what there is of the answers sent. False if there is nothing to be done.
    pub(super) fn take_answers(&mut self, now: Instant) -> bool {
        // Nothing goes ahead of the views.
        let place = (!self.subs.is_empty()).then_some(self.place);
        for index in 0..self.following.len() {
            match self.take_answer(index, place, now) {
                Ok(false) => continue,
                // To the end of the line, so that with a slow client too all get their turn.
                Ok(true) => self.following[index..].rotate_left(1),
                Err(problem) => self.end_following(index, &problem),
            }
            return true;
        }
        false
    }

    /// Notes up to where the answers hold that clients have, so that it can be told.
    pub(super) fn note_answers(&mut self) {
        let place = (!self.subs.is_empty()).then_some(self.place);
        for following in &mut self.following {
            if let State::Live { number, sent, .. } = &mut following.state
                && let Ok(News::None(holds_to)) = following.follow.news(*number, place)
                && place.is_none_or(|place| holds_to <= place)
            {
                *sent = holds_to;
            }
        }
    }

    /// The same of one subscription; or why it is to end.
    fn take_answer(
        &mut self,
        index: usize,
        place: Option<u64>,
        now: Instant,
    ) -> Result<bool, Problem> {
        let is_reached = |sequence: u64| place.is_none_or(|place| sequence <= place);
        let following = &mut self.following[index];
        following.waits_until = None;
        let (number, sent) = match &mut following.state {
            State::Wanting { resume } => {
                let (resume, begin) = (*resume, following.follow.begin()?);
                if let Some(begin) = &begin {
                    self.begin_following(index, begin, resume);
                }
                return Ok(begin.is_some());
            }
            State::Joining { reader, .. } => {
                let is_due =
                    is_reached(reader.position().sequence) && following.follow.may_tell()?;
                if is_due {
                    self.stage = Stage::Answer(following.serial);
                }
                return Ok(is_due);
            }
            State::Live { number, sent, .. } => (*number, sent),
        };
        let news = following.follow.news(number, place)?;
        match &news {
            News::None(holds_to) => {
                if is_reached(*holds_to) {
                    *sent = *holds_to;
                }
                return Ok(false);
            }
            News::Ahead => return Ok(false),
            News::Steps(_) | News::Gone(_) if following.next_due > now => {
                following.waits_until = Some(following.next_due);
                return Ok(false);
            }
            News::Steps(steps) => self.step_on(index, steps, now),
            News::Gone(reason) => self.reset_following(index, reason),
        }
        Ok(true)
    }

    /// Lets a subscription go on from where its client says it was, or begin with the newest answer.
    fn begin_following(&mut self, index: usize, begin: &Begin, resume: Option<Position>) {
        let following = &mut self.following[index];
        match resume {
            None => {
                let (number, reader) = (begin.number(), begin.reader());
                following.state = State::Joining { number, reader, since: None };
            }
            Some(position) if begin.resumes(position.sequence) => {
                let (number, told) = (begin.number(), position.sequence);
                following.state = State::Live { number, told, sent: told };
                let message = Message::resumed(&following.quoted_id, position);
                self.outbox.push_back((Some(following.serial), message));
            }
            Some(_) => self.reset_following(index, NOT_THE_ANSWER),
        }
    }

    /// Sends what leads on from the answer that the client holds, as one.
    fn step_on(&mut self, index: usize, steps: &[Arc<standing::Step>], now: Instant) {
        let bound = self.limits().connection_bytes;
        let following = &mut self.following[index];
        let Some(last) = steps.last() else { return };
        let position = last.position();
        let message = match steps {
            [only] if only.wire_bytes() > bound => Err(MergeError::TooLarge),
            [only] => {
                let body = Arc::clone(only.encoded());
                Ok(Some(Message::shared_delta(&following.quoted_id, body, position)))
            }
            several => merged(several, position, bound).map(|body| {
                body.map(|body| Message::delta(&following.quoted_id, &body.text, position))
            }),
        };
        // Of rows that are not filtered that is the only error.
        let Ok(message) = message else { return self.reset_following(index, TOO_LARGE) };
        let told = position.sequence;
        following.state = State::Live { number: last.to(), told, sent: told };
        if let Some(message) = message {
            meter::delta();
            following.next_due = following.after_interval(now);
            self.outbox.push_back((Some(following.serial), message));
        }
    }

    /// The next part of an answer that is being sent.
    pub(super) fn next_answer_part(&mut self, serial: u64, now: Instant) -> Option<Step> {
        self.stage = Stage::Between;
        let limits = self.limits();
        let patience = limits.ring_age().max(limits.stall());
        let bounds = PartBounds {
            rows: limits.snapshot_part_rows,
            bytes: limits.connection_bytes.min(PART_BYTES),
        };
        let following = self.following.iter_mut().find(|f| f.serial == serial)?;
        // What has begun goes on when it may, or ends: `take_answer` sees to both.
        if !matches!(following.follow.may_tell(), Ok(true)) {
            return None;
        }
        let State::Joining { number, reader, since } = &mut following.state else { return None };
        if now.duration_since(*since.get_or_insert(now)) > patience {
            return Some(Step::Stalled);
        }
        let (number, position) = (*number, reader.position());
        let (body, is_last) = reader.next(bounds);
        let mark = if is_last { Mark::At(position) } else { Mark::Keep };
        if is_last {
            let told = position.sequence;
            following.state = State::Live { number, told, sent: told };
            following.next_due = following.after_interval(now);
        } else {
            self.stage = Stage::Answer(serial);
        }
        Some(Step::Message(Message::snapshot(&following.quoted_id, &body, mark)))
    }

    /// Tells a subscription that what its client holds is void; a snapshot follows.
    fn reset_following(&mut self, index: usize, reason: &str) {
        meter::reset();
        let following = &mut self.following[index];
        following.state = State::Wanting { resume: None };
        let message = Message::reset(&following.quoted_id, reason);
        self.outbox.push_back((Some(following.serial), message));
    }

    /// Ends a subscription whose query is not answered.
    fn end_following(&mut self, index: usize, problem: &Problem) {
        let id = self.following[index].id.clone();
        self.remove_following(index);
        self.refuse(&id, problem);
    }

    /// Removes a subscription with all that it was still to be sent.
    fn remove_following(&mut self, index: usize) {
        let gone = self.following.remove(index).serial;
        self.outbox.retain(|(serial, _)| *serial != Some(gone));
        meter::subscriptions(-1.0);
    }
}

/// Several steps as one: the end of a `delta` message, if anything is left.
fn merged(
    steps: &[Arc<standing::Step>],
    position: Position,
    bound: usize,
) -> Result<Option<Body>, MergeError> {
    let mut merge = Merge::new(bound);
    for step in steps {
        merge.add_rows(step.rows())?;
    }
    meter::conflation();
    Ok(merge.finish(position, Format::Json)?)
}

#[cfg(test)]
#[path = "answers_circuits_tests.rs"]
mod circuits_tests;
#[cfg(test)]
#[path = "answers_doubt_tests.rs"]
mod doubt_tests;
#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
