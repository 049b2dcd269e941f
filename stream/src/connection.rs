//! A connection: the subscriptions of one client, and what it is to be sent next.
//!
//! It does no I/O and reads no clock. An edge calls [`Connection::step`] whenever its client has
//! taken the message before, so a client that does not read makes nothing pile up: the connection
//! is a place in its tenant's ring and, while a snapshot is being sent, that snapshot.

mod advance;
mod alerts;
mod answers;
mod payload;
mod redefine;
mod refusals;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use projections::{Position, RuntimeError, TenantSnapshot, View, ViewSnapshot};
use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};

use self::alerts::Bell;
use self::answers::Following;
use self::payload::Payload;
use self::refusals::{
    absent, duplicate, too_many_subscriptions, unknown_subscription, view_failed,
};
use crate::body::Format;
use crate::filter::Filter;
use crate::hub::{Hub, Seat};
use crate::limits::StreamLimits;
use crate::message::{Mark, Message, quoted};
use crate::meter;
use crate::problem::Problem;
use crate::snapshot::{Part, PartBounds, SnapshotReader};
use crate::subscription::{Subscription, Target};

/// Turns in one step, after which others get theirs.
const TURNS: usize = 64;

/// About as many bytes as one part of a snapshot takes. A WebSocket keeps as much room as its longest
/// message took, for as long as it lasts; what a connection may have waiting is far more than that.
const PART_BYTES: usize = 64 << 10;

/// What a step brings.
#[derive(Debug)]
pub(crate) enum Step {
    /// To be sent.
    Message(Message),
    /// There is more to do; let others go first.
    Again,
    /// Nothing until the ring grows or [`Connection::deadline`] comes.
    Idle,
    /// The client takes too long to read a snapshot: end it.
    Stalled,
}

/// One client's subscriptions, all of one tenant.
pub(crate) struct Connection {
    hub: Hub,
    seat: Seat,
    /// The subscriptions to views.
    subs: Vec<Sub>,
    /// Those to SQL.
    following: Vec<Following>,
    /// Whether SQL may be followed; otherwise why not.
    asking: Result<(), Problem>,
    /// Told when there is news of the SQL that is followed.
    news: Arc<Notify>,
    /// Those to alerts.
    bells: Vec<Bell>,
    next_serial: u64,
    /// What goes before anything else, and the subscription it is of.
    outbox: VecDeque<(Option<u64>, Message)>,
    stage: Stage,
    /// The sequence to which the ring has been read.
    place: u64,
    /// The ring's count of definitions for which the subscriptions have been looked through.
    definitions: u64,
    next_heartbeat: Instant,
    is_idle: bool,
    /// Whether something that was asked for was refused or has ended. An event stream asks once, so
    /// its client holds nothing of that however long it lasts, and there is no position from which all
    /// that it asks for could go on. A WebSocket resumes each subscription by itself.
    is_short: bool,
}

struct Sub {
    /// Tells subscriptions apart that had the same id one after the other.
    serial: u64,
    id: String,
    quoted_id: String,
    view: Arc<View>,
    filter: Option<Filter>,
    /// The filter as it was asked for.
    wanted: BTreeMap<String, Box<RawValue>>,
    interval: Option<Duration>,
    format: Format,
    next_due: Instant,
    state: State,
}

enum State {
    /// Needs a snapshot.
    Wanting,
    /// Has a snapshot, which goes out when the others have reached its position.
    /// `since` is when its first part went out.
    Joining { reader: SnapshotReader, since: Option<Instant> },
    /// Everything up to `sent` has been sent. If it is dirty, something after it is to be merged
    /// and sent when it is due; if not, it stands where the connection stands, or ahead of it.
    Live { sent: u64, is_dirty: bool },
}

/// What is being sent.
enum Stage {
    Between,
    /// The snapshot of the subscription with this serial.
    Snapshot(u64),
    /// The same of one to SQL.
    Answer(u64),
    /// Deltas of one position.
    Deltas {
        position: Position,
        due: VecDeque<(u64, Payload)>,
    },
}

impl Connection {
    /// A connection without subscriptions; `asking` says whether it may have some to SQL.
    pub(crate) fn new(hub: Hub, seat: Seat, asking: Result<(), Problem>, now: Instant) -> Self {
        let next_heartbeat = now + hub.shared.limits.heartbeat();
        let definitions = seat.channel().ring().definitions();
        Self {
            hub,
            seat,
            subs: Vec::new(),
            following: Vec::new(),
            asking,
            news: Arc::default(),
            bells: Vec::new(),
            next_serial: 0,
            outbox: VecDeque::new(),
            stage: Stage::Between,
            place: 0,
            definitions,
            next_heartbeat,
            is_idle: false,
            is_short: false,
        }
    }

    /// Becomes true when it is to end.
    pub(crate) fn left(&self) -> watch::Receiver<bool> {
        self.seat.left()
    }

    /// Adds a subscription, or has an `error` sent that says why not; answers whether it was added.
    pub(crate) fn subscribe(&mut self, wanted: Subscription, now: Instant) -> bool {
        self.is_idle = false;
        let id = wanted.id.clone();
        let added = self.add(wanted, now);
        if let Err(problem) = &added {
            self.refuse(&id, problem);
        }
        added.is_ok()
    }

    /// Has an `error` sent that says why there is nothing of a subscription, or nothing any more.
    pub(crate) fn refuse(&mut self, id: &str, problem: &Problem) {
        self.is_short = true;
        self.say(Message::error(Some(id), problem));
    }

    /// Ends a subscription, or has an `error` sent that says why not.
    pub(crate) fn unsubscribe(&mut self, id: &str) {
        self.is_idle = false;
        match self.subs.iter().position(|s| s.id == id) {
            Some(index) => self.remove(index),
            None if self.unfollow(id) => {}
            None if self.unfollow_alerts(id) => {}
            None => self.say(Message::error(Some(id), &unknown_subscription())),
        }
    }

    /// Has a message sent before anything else.
    pub(crate) fn say(&mut self, message: Message) {
        self.is_idle = false;
        self.outbox.push_back((None, message));
    }

    /// The next thing to do. `now` must not run backwards.
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        let step = self.turn(now);
        self.is_idle = matches!(step, Step::Idle);
        match step {
            Step::Message(message) => Step::Message(message.settled(self.level())),
            other => other,
        }
    }

    fn turn(&mut self, now: Instant) -> Step {
        for _ in 0..TURNS {
            // Before each message: what may no longer be shown is not sent to the end first, however
            // slowly its client reads.
            self.look_at_definitions();
            if let Some((_, message)) = self.outbox.pop_front() {
                return Step::Message(message);
            }
            let step = match self.stage {
                Stage::Between => self.plan(now),
                Stage::Snapshot(serial) => self.next_part(serial, now),
                Stage::Answer(serial) => self.next_answer_part(serial, now),
                Stage::Deltas { .. } => self.next_delta(now),
            };
            if let Some(step) = step {
                return step;
            }
        }
        Step::Again
    }

    /// Waits until a step may bring something, at most until `limit`. May be dropped and called
    /// again at any time.
    pub(crate) async fn ready(&mut self, limit: Instant) {
        if !self.is_idle {
            return;
        }
        let deadline = self.deadline().min(limit);
        tokio::select! {
            () = self.seat.changed() => {}
            () = self.news.notified() => {}
            () = tokio::time::sleep_until(deadline.into()) => {}
        }
        self.is_idle = false;
    }

    /// When a step may bring something although the ring has not grown.
    pub(crate) fn deadline(&self) -> Instant {
        let due = self.subs.iter().filter_map(|s| match s.state {
            State::Live { is_dirty: true, .. } => Some(s.next_due),
            _ => None,
        });
        let due = due.chain(self.following.iter().filter_map(Following::waits_until));
        due.fold(self.next_heartbeat, Instant::min)
    }

    /// The position up to which everything has been sent for every subscription.
    fn complete(&self) -> Option<Position> {
        if self.following.iter().all(Following::is_live) { self.reached() } else { None }
    }

    /// The same, but for SQL whose first answer is still to come: that may take long.
    fn reached(&self) -> Option<Position> {
        let tenant = self.seat.channel().tenant();
        let mut lowest = self.following.iter().filter_map(Following::reached).min();
        for sub in &self.subs {
            let State::Live { sent, .. } = sub.state else { return None };
            lowest = Some(lowest.map_or(sent, |lowest| lowest.min(sent)));
        }
        Some(match lowest {
            Some(lowest) => Position::new(tenant, lowest),
            None => self.hub.shared.snapshot(tenant).position(),
        })
    }

    /// The position at which all subscriptions stand, if it is the same and none is missing: of none
    /// of them has anything later been sent, so that what a client holds of all that it asked for is
    /// what was true there.
    fn level(&self) -> Option<Position> {
        if self.is_short {
            return None;
        }
        let lowest = self.complete()?;
        let is_level = self.subs.iter().all(|sub| match sub.state {
            State::Live { sent, .. } => sent == lowest.sequence,
            State::Wanting | State::Joining { .. } => false,
        });
        let is_level = is_level && self.following.iter().all(|f| f.stands_by(lowest.sequence));
        is_level.then_some(lowest)
    }

    /// How many subscriptions there are, of whichever kind.
    fn subscriptions(&self) -> usize {
        self.subs.len() + self.following.len() + self.bells.len()
    }

    fn limits(&self) -> &StreamLimits {
        &self.hub.shared.limits
    }

    fn add(&mut self, wanted: Subscription, now: Instant) -> Result<(), Problem> {
        let is_taken = self.subs.iter().any(|s| s.id == wanted.id);
        if is_taken || self.follows(&wanted.id) || self.follows_alerts(&wanted.id) {
            return Err(duplicate(&wanted.id));
        }
        if self.subscriptions() >= self.limits().subscriptions {
            return Err(too_many_subscriptions(self.limits().subscriptions));
        }
        let name = match &wanted.target {
            Target::View(name) => name,
            Target::Sql(sql) => return self.follow(sql, &wanted, now),
            Target::Alerts => {
                self.follow_alerts(wanted.id);
                return Ok(());
            }
        };
        let snapshot = self.hub.shared.snapshot(self.seat.channel().tenant());
        let found = snapshot.view(name).ok_or_else(|| absent(name, &snapshot))?;
        if let Some(failure) = found.failure() {
            return Err(view_failed(name, failure));
        }
        let view = found.view().clone();
        let filter = Filter::compile(view.schema(), &wanted.filter)?;
        let mut sub = Sub {
            serial: self.next_serial,
            quoted_id: quoted(&wanted.id),
            id: wanted.id,
            view,
            filter,
            wanted: wanted.filter,
            interval: wanted.interval,
            format: wanted.format,
            next_due: now,
            state: State::Wanting,
        };
        self.next_serial += 1;
        if let Some(text) = &wanted.resume {
            self.resume(&mut sub, text, &snapshot, found);
        }
        meter::subscriptions(1.0);
        self.subs.push(sub);
        Ok(())
    }

    /// Lets a subscription go on from where its client says it was, or tells it to start anew.
    fn resume(
        &mut self,
        sub: &mut Sub,
        text: &str,
        snapshot: &TenantSnapshot,
        view: &ViewSnapshot,
    ) {
        let sequence = match self.resumable(text, snapshot, view) {
            Ok(position) => {
                let message = Message::resumed(&sub.quoted_id, position);
                self.outbox.push_back((Some(sub.serial), message));
                position.sequence
            }
            Err(reason) => {
                meter::reset();
                let message = Message::reset(&sub.quoted_id, reason);
                self.outbox.push_back((Some(sub.serial), message));
                return;
            }
        };
        let has_place = self.has_live() || matches!(self.stage, Stage::Snapshot(_));
        if !has_place {
            self.place = sequence;
        }
        sub.state = State::Live { sent: sequence, is_dirty: sequence < self.place };
    }

    fn resumable(
        &self,
        text: &str,
        snapshot: &TenantSnapshot,
        view: &ViewSnapshot,
    ) -> Result<Position, &'static str> {
        let position = Position::parse(snapshot.tenant(), text)
            .map_err(|_| "the position to resume from is not one that this tenant was given")?;
        let newest = snapshot.position().sequence;
        if position.sequence > newest {
            return Err("the position to resume from lies ahead of what is known");
        }
        if view.since().is_some_and(|since| position.sequence <= since) {
            return Err("the view may have been another at the position to resume from");
        }
        if position.sequence == newest || self.seat.channel().ring().covers(position.sequence) {
            return Ok(position);
        }
        Err("the changes since the position to resume from are no longer held")
    }

    fn next_part(&mut self, serial: u64, now: Instant) -> Option<Step> {
        self.stage = Stage::Between;
        let limits = self.limits();
        let patience = limits.ring_age().max(limits.stall());
        let bytes = limits.connection_bytes.min(PART_BYTES);
        let bounds = PartBounds { rows: limits.snapshot_part_rows, bytes };
        let place = self.place;
        let index = self.subs.iter().position(|s| s.serial == serial)?;
        let sub = &mut self.subs[index];
        let State::Joining { reader, since } = &mut sub.state else { return None };
        if now.duration_since(*since.get_or_insert(now)) > patience {
            return Some(Step::Stalled);
        }
        let position = reader.position();
        match reader.next(&sub.view, sub.filter.as_ref(), bounds, sub.format) {
            Ok(Part::Rows(body, true)) => {
                let is_dirty = position.sequence < place;
                sub.state = State::Live { sent: position.sequence, is_dirty };
                sub.next_due = if is_dirty { now } else { sub.after_interval(now) };
                let mark = Mark::At(position);
                let message = Message::snapshot(&sub.quoted_id, &body.text, mark);
                Some(Step::Message(message.followed_by(body.rows)))
            }
            Ok(Part::Rows(body, false)) => {
                self.stage = Stage::Snapshot(serial);
                let message = Message::snapshot(&sub.quoted_id, &body.text, Mark::Keep);
                Some(Step::Message(message.followed_by(body.rows)))
            }
            Ok(Part::Again) => {
                self.stage = Stage::Snapshot(serial);
                Some(Step::Again)
            }
            Err(error) => {
                self.fail(index, &error);
                None
            }
        }
    }

    fn next_delta(&mut self, now: Instant) -> Option<Step> {
        let Stage::Deltas { position, due } = &mut self.stage else { return None };
        let position = *position;
        let Some((serial, payload)) = due.pop_front() else {
            self.stage = Stage::Between;
            return None;
        };
        let index = self.subs.iter().position(|s| s.serial == serial)?;
        let sub = &mut self.subs[index];
        // One that was reset since gets a snapshot of now instead.
        let State::Live { .. } = sub.state else { return None };
        sub.state = State::Live { sent: position.sequence, is_dirty: false };
        sub.next_due = sub.after_interval(now);
        match sub.delta(payload, position) {
            Ok(Some(message)) => {
                meter::delta();
                Some(Step::Message(message))
            }
            Ok(None) => None,
            Err(error) => {
                self.fail(index, &error);
                None
            }
        }
    }

    fn has_live(&self) -> bool {
        self.subs.iter().any(|s| matches!(s.state, State::Live { .. }))
    }

    /// Tells a subscription that what its client holds is void; a snapshot follows.
    fn reset(&mut self, index: usize, reason: &str) {
        meter::reset();
        let sub = &mut self.subs[index];
        sub.state = State::Wanting;
        let message = Message::reset(&sub.quoted_id, reason);
        self.outbox.push_back((Some(sub.serial), message));
    }

    /// Ends a subscription whose view cannot be read any more.
    fn fail(&mut self, index: usize, error: &RuntimeError) {
        let problem = view_failed(self.subs[index].view.name(), error);
        self.end(index, &problem);
    }

    /// Removes a subscription with all that it was still to be sent.
    fn remove(&mut self, index: usize) {
        let gone = self.subs.remove(index).serial;
        self.outbox.retain(|(serial, _)| *serial != Some(gone));
        meter::subscriptions(-1.0);
    }
}

impl Sub {
    fn after_interval(&self, now: Instant) -> Instant {
        now + self.interval.unwrap_or_default()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        meter::subscriptions(-(self.subscriptions() as f64));
    }
}

#[cfg(test)]
mod answers_model_tests;
#[cfg(test)]
mod arrow_tests;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod rights_tests;
#[cfg(test)]
mod tests;
