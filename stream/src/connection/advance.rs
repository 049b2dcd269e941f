//! How a connection moves from one position to the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use projections::{Position, RuntimeError};

use super::{Connection, Payload, Stage, State, Step};
use crate::body::{Body, Format};
use crate::filter::Filter;
use crate::merge::{Merge, MergeError};
use crate::message::Message;
use crate::meter;
use crate::ring::{Entry, Next};
use crate::snapshot::SnapshotReader;

const TOO_FAR_BEHIND: &str =
    "the client fell too far behind: the changes it missed are no longer held";
const TOO_LARGE: &str =
    "the changes since the last message exceed what may wait for one connection";

/// What a merge of changes for one subscription came to.
enum Merged {
    Body(Body),
    Nothing,
    TooLarge,
    Failed(RuntimeError),
}

impl Connection {
    /// Decides what comes next when nothing is being sent. None: look again.
    pub(super) fn plan(&mut self, now: Instant) -> Option<Step> {
        self.look_at_alerts();
        self.take_snapshots();
        if !self.outbox.is_empty() {
            return None;
        }
        if now >= self.next_heartbeat {
            self.next_heartbeat = now + self.limits().heartbeat();
            self.note_answers();
            if let Some(position) = self.reached() {
                return Some(Step::Message(Message::heartbeat(position)));
            }
        }
        if self.flush_due(now) || self.take_answers(now) {
            return None;
        }
        if let Some(serial) = self.reached_snapshot() {
            self.stage = Stage::Snapshot(serial);
            return None;
        }
        self.advance()
    }

    /// Gives all that want a snapshot the same one. If nobody else is on the way, the connection
    /// begins there.
    fn take_snapshots(&mut self) {
        if self.subs.iter().any(|s| matches!(s.state, State::Wanting)) {
            let snapshot = self.hub.shared.snapshot(self.seat.channel().tenant());
            let mut index = 0;
            while index < self.subs.len() {
                // The snapshot may be of a view that was defined anew a moment ago.
                let is_wanting = matches!(self.subs[index].state, State::Wanting);
                if is_wanting && !self.renew(index, &snapshot) {
                    continue;
                }
                if is_wanting {
                    let reader = SnapshotReader::new(snapshot.clone());
                    self.subs[index].state = State::Joining { reader, since: None };
                }
                index += 1;
            }
        }
        if !self.has_live()
            && let Some(first) = self.next_snapshot()
        {
            self.place = first;
        }
    }

    /// The lowest sequence at which a snapshot waits to be sent.
    fn next_snapshot(&self) -> Option<u64> {
        let waiting = self.subs.iter().filter_map(|s| match &s.state {
            State::Joining { reader, .. } => Some(reader.position().sequence),
            _ => None,
        });
        waiting.min()
    }

    /// A subscription whose snapshot is of the position that all others have reached.
    fn reached_snapshot(&self) -> Option<u64> {
        let reached = self.subs.iter().find(|s| match &s.state {
            State::Joining { reader, .. } => reader.position().sequence <= self.place,
            _ => false,
        });
        reached.map(|s| s.serial)
    }

    /// Merges what is due for subscriptions that lag behind: those with a rate, and those that
    /// resumed from before the others. False if there was nothing to do.
    fn flush_due(&mut self, now: Instant) -> bool {
        let to = self.place;
        let mut budget = self.limits().connection_bytes;
        let (mut due, mut is_busy, mut index) = (VecDeque::new(), false, 0);
        while index < self.subs.len() {
            let sub = &self.subs[index];
            let State::Live { sent, is_dirty: true } = sub.state else {
                index += 1;
                continue;
            };
            if sub.next_due > now {
                index += 1;
                continue;
            }
            is_busy = true;
            let range = self.seat.channel().ring().range(sent, to);
            let Some(entries) = range else {
                self.reset(index, TOO_FAR_BEHIND);
                index += 1;
                continue;
            };
            if self.take_merged(index, sent, &entries, to, &mut budget, &mut due) {
                index += 1;
            }
        }
        self.begin_deltas(to, due);
        is_busy
    }

    /// Takes the next change from the ring, or all there are as one if they are too many.
    fn advance(&mut self) -> Option<Step> {
        if !self.has_live() {
            return Some(Step::Idle);
        }
        let ring = self.seat.channel().ring();
        if ring.definitions() != self.definitions {
            return None;
        }
        let next = ring.next(self.place);
        drop(ring);
        match next {
            Next::Nothing => return Some(Step::Idle),
            Next::Gone => self.start_anew(),
            Next::Entry(entry, waiting) if waiting <= self.limits().connection_bytes as u64 => {
                self.take_entry(&entry);
            }
            Next::Entry(..) => self.conflate(),
        }
        None
    }

    /// Everybody starts anew: the ring no longer holds what comes next.
    fn start_anew(&mut self) {
        for index in 0..self.subs.len() {
            match self.subs[index].state {
                State::Live { .. } => self.reset(index, TOO_FAR_BEHIND),
                // Nothing of it has been sent, and what follows it is lost: take a newer one.
                State::Joining { .. } => self.subs[index].state = State::Wanting,
                State::Wanting => {}
            }
        }
    }

    /// One change: to all whom it concerns, before anything else.
    fn take_entry(&mut self, entry: &Arc<Entry>) {
        let (mut due, mut index) = (VecDeque::new(), 0);
        while index < self.subs.len() {
            match self.concern(index, entry) {
                Ok(payload) => {
                    if let Some(payload) = payload {
                        due.push_back((self.subs[index].serial, payload));
                    }
                    index += 1;
                }
                // It is removed, so the next one stands here.
                Err(error) => self.fail(index, &error),
            }
        }
        self.place = entry.to();
        self.begin_deltas(entry.to(), due);
    }

    /// What a change means for one subscription.
    fn concern(
        &mut self,
        index: usize,
        entry: &Arc<Entry>,
    ) -> Result<Option<Payload>, RuntimeError> {
        let sub = &mut self.subs[index];
        let State::Live { sent, is_dirty } = &mut sub.state else { return Ok(None) };
        if *sent >= entry.to() {
            return Ok(None);
        }
        if entry.has_failed(sub.view.name()) {
            return Err(failed());
        }
        let Some(change) = entry.change(sub.view.name()) else {
            if !*is_dirty {
                *sent = entry.to();
            }
            return Ok(None);
        };
        if *is_dirty || sub.interval.is_some() {
            *is_dirty = true;
            return Ok(None);
        }
        let Some(filter) = &sub.filter else {
            return Ok(Some(Payload::Whole(entry.clone())));
        };
        let selected = filter.select(change.rows())?;
        if selected.is_empty() {
            *sent = entry.to();
            return Ok(None);
        }
        Ok(Some(Payload::Selected(entry.clone(), selected)))
    }

    /// All changes that wait, as one: up to the newest, or to the next snapshot to be sent.
    fn conflate(&mut self) {
        let from = self.place;
        let ring = self.seat.channel().ring();
        if ring.definitions() != self.definitions {
            return;
        }
        let to = self.next_snapshot().unwrap_or(u64::MAX).min(ring.head());
        let range = ring.range(from, to);
        drop(ring);
        let Some(entries) = range else { return self.start_anew() };
        let mut budget = self.limits().connection_bytes;
        let (mut due, mut index) = (VecDeque::new(), 0);
        while index < self.subs.len() {
            let sub = &mut self.subs[index];
            let State::Live { sent, is_dirty } = &mut sub.state else {
                index += 1;
                continue;
            };
            if *sent >= to {
                index += 1;
                continue;
            }
            if *is_dirty || sub.interval.is_some() {
                let name = sub.view.name();
                if entries.iter().any(|e| e.has_failed(name)) {
                    self.fail(index, &failed());
                    continue;
                }
                let has_change = entries.iter().any(|e| e.change(name).is_some());
                *is_dirty |= has_change;
                if !*is_dirty {
                    *sent = to;
                }
                index += 1;
                continue;
            }
            let sent = *sent;
            if self.take_merged(index, sent, &entries, to, &mut budget, &mut due) {
                index += 1;
            }
        }
        self.place = to;
        self.begin_deltas(to, due);
    }

    /// Merges the changes after `sent` for one subscription and makes them due, or resets it if
    /// they exceed the budget. False if the subscription failed and was removed.
    fn take_merged(
        &mut self,
        index: usize,
        sent: u64,
        entries: &[Arc<Entry>],
        to: u64,
        budget: &mut usize,
        due: &mut VecDeque<(u64, Payload)>,
    ) -> bool {
        let sub = &mut self.subs[index];
        let position = Position::new(self.seat.channel().tenant(), to);
        let entries = entries.iter().filter(|e| e.from() >= sent).map(AsRef::as_ref);
        let (view, filter) = (sub.view.name(), sub.filter.as_ref());
        match merged(entries, view, filter, sub.format, position, budget) {
            Merged::Body(body) => due.push_back((sub.serial, Payload::Merged(body))),
            Merged::Nothing => sub.state = State::Live { sent: to, is_dirty: false },
            Merged::TooLarge => self.reset(index, TOO_LARGE),
            Merged::Failed(error) => {
                self.fail(index, &error);
                return false;
            }
        }
        true
    }

    fn begin_deltas(&mut self, to: u64, due: VecDeque<(u64, Payload)>) {
        if !due.is_empty() {
            let position = Position::new(self.seat.channel().tenant(), to);
            self.stage = Stage::Deltas { position, due };
        }
    }
}

/// The sum of what `entries` changed in a view, taken out of the budget.
fn merged<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    view: &str,
    filter: Option<&Filter>,
    format: Format,
    position: Position,
    budget: &mut usize,
) -> Merged {
    let mut merge = Merge::new(*budget);
    for entry in entries {
        if entry.has_failed(view) {
            return Merged::Failed(failed());
        }
        match merge.add(entry, view, filter) {
            Ok(()) => {}
            Err(MergeError::TooLarge) => return Merged::TooLarge,
            Err(MergeError::Filter(error)) => return Merged::Failed(error.into()),
        }
    }
    *budget = budget.saturating_sub(merge.bytes());
    if merge.changes() > 1 {
        meter::conflation();
    }
    match merge.finish(position, format) {
        Ok(body) => body.map_or(Merged::Nothing, Merged::Body),
        Err(error) => Merged::Failed(error.into()),
    }
}

fn failed() -> RuntimeError {
    let message = "it failed on the latest changes; GET /v1/views/{name}/status says why".into();
    RuntimeError { message }
}
