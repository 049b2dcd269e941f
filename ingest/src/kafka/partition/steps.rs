//! Steps of a partition: what is made of messages is stored where it is no event, and otherwise entered
//! into the ledger and sent on.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use projections::{Tenant, Tick};
use tokio::time::timeout;

use super::Intake;
use crate::dead_letters::{DeadLetter, DeadLetterError};
use crate::intake::draft::Draft;
use crate::intake::{count, input};
use crate::kafka::error::SourceError;
use crate::kafka::messages::{Message, Translated};
use crate::kafka::reader::mark;
use crate::log::Segment;

/// How long a store of dead letters that cannot be written is left alone.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// How often a thread that waits for room looks whether it should end.
const ROOM: Duration = Duration::from_millis(100);
/// Steps whose offsets are remembered: more than are ever between here and the views.
const RECENT: usize = 1024;

impl Intake {
    /// Stores the dead letters, passes the messages that do not wait, and sends the events on.
    pub(super) fn take(
        &mut self,
        mut translated: Translated,
        messages: &[Message<'_>],
    ) -> Result<(), SourceError> {
        self.bury(std::mem::take(&mut translated.letters))?;
        let mut held = translated.held.iter().copied().peekable();
        let mut last: HashMap<&str, &Message<'_>> = HashMap::new();
        for (place, message) in messages.iter().enumerate() {
            if held.next_if_eq(&place).is_none() {
                last.insert(message.topic, message);
            }
        }
        for message in last.into_values() {
            let identity = mark(message.timestamp, message.key, message.value);
            self.offsets.pass(message.topic, message.offset, identity);
        }
        self.step(translated, &[])
    }

    /// Stores dead letters, for as long as it takes; they are stored before anything passes them.
    fn bury(&self, letters: Vec<DeadLetter>) -> Result<(), SourceError> {
        if letters.is_empty() {
            return Ok(());
        }
        for letter in &letters {
            let DeadLetter { topic, partition, offset, reason, .. } = letter;
            tracing::warn!(topic, partition, offset, reason, "a dead letter");
        }
        loop {
            let stored = self.letters.store(letters.clone());
            match self.translator.runtime.block_on(stored) {
                Ok(()) => {
                    metrics::counter!("tidemark_dead_letters_total")
                        .increment(letters.len() as u64);
                    return Ok(());
                }
                Err(DeadLetterError::Full { limit, stored }) => {
                    let letter = letters.into_iter().nth(stored).ok_or(SourceError::Stopped)?;
                    let DeadLetter { topic, partition, offset, reason, .. } = letter;
                    return Err(SourceError::DeadLettersFull {
                        topic,
                        partition,
                        offset,
                        limit,
                        reason,
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "the partition waits until they can be");
                    if self.shared.is_closing() {
                        return Err(SourceError::Stopped);
                    }
                    thread::sleep(STORE_AGAIN);
                }
            }
        }
    }

    /// Enters what is new into the ledger, and sends it on as one input.
    pub(super) fn step(
        &mut self,
        translated: Translated,
        ticks: &[Tick],
    ) -> Result<(), SourceError> {
        let Translated { segments, clocks, deleted, .. } = translated;
        count("deleted", deleted);
        let rows: usize = segments.iter().map(|segment| segment.rows.num_rows()).sum();
        let mut accepted = 0;
        let frame = {
            let mut ledger = self.shared.ledger();
            let mut draft = Draft::new(&mut ledger);
            for segment in segments {
                let clock = |tenant: Tenant| clocks.get(&tenant).copied();
                accepted +=
                    draft.admit(&segment.event_type, segment.tenants, segment.rows, clock)?;
            }
            draft.ticks(ticks);
            let frame = draft.frame()?;
            draft.settle();
            frame
        };
        count("accepted", accepted);
        count("duplicate", rows - accepted);
        let is_new = !frame.is_empty();
        if is_new {
            self.step += 1;
        }
        self.remember();
        if is_new {
            // In history before the views tell of it.
            self.keep(frame.segments.clone())?;
            let input = input(frame, self.step)?;
            self.outlet.forward.blocking_send(input).map_err(|_| SourceError::Stopped)?;
            self.shared.step.send_replace(self.step);
        }
        Ok(())
    }

    /// Keeps the events of the step until a cut makes history of them; waits while there is no room.
    fn keep(&self, segments: Vec<Segment>) -> Result<(), SourceError> {
        let tail = &self.outlet.tail;
        loop {
            let room = async { timeout(ROOM, tail.room()).await };
            if self.translator.runtime.block_on(room).is_ok() {
                break;
            }
            if self.shared.is_closing() {
                return Err(SourceError::Stopped);
            }
        }
        tail.push(self.step, segments);
        Ok(())
    }

    /// Notes the offsets of the step; those that brought nothing new are of the last one.
    pub(super) fn remember(&self) {
        let mut recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        match recent.back_mut() {
            Some((step, offsets)) if *step == self.step => offsets.clone_from(&self.offsets),
            _ => recent.push_back((self.step, self.offsets.clone())),
        }
        while recent.len() > RECENT {
            recent.pop_front();
        }
    }
}
