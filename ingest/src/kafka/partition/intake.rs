//! The thread of a partition number: polls, decodes, drops repeats, buries what is no event, and
//! sends each step on.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::Utc;
use projections::{Tenant, Tick};
use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::timeout;

use super::{Command, Outlet, Shared};
use crate::dead_letters::{DeadLetter, DeadLetterError, DeadLetters};
use crate::intake::draft::Draft;
use crate::intake::{count, input};
use crate::kafka::error::SourceError;
use crate::kafka::messages::{Message, Translated, Translator};
use crate::kafka::offsets::Offsets;
use crate::kafka::reader::{Reader, mark};
use crate::log::Segment;

/// How long a poll waits for messages, and so how long a command waits for the thread.
const POLL: Duration = Duration::from_millis(20);
/// How often what waits for its schema is tried again, …
const HELD_AGAIN: Duration = Duration::from_millis(500);
/// … lag and ends of topics are looked at, …
const LOOK: Duration = Duration::from_secs(1);
/// … and offsets told to the group.
const COMMIT: Duration = Duration::from_secs(5);
/// How long a store of dead letters that cannot be written is left alone.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// How often a thread that waits for room looks whether it should end.
const ROOM: Duration = Duration::from_millis(100);
/// Steps whose offsets are remembered: more than are ever between here and the views.
const RECENT: usize = 1024;

/// The thread's own.
pub(super) struct Intake {
    pub(super) reader: Reader,
    pub(super) translator: Translator,
    pub(super) letters: Arc<dyn DeadLetters>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) outlet: Outlet,
    pub(super) shared: Arc<Shared>,
    pub(super) offsets: Offsets,
    pub(super) step: u64,
    /// Messages that wait for their schema, with those behind them in their topics.
    pub(super) held: Vec<OwnedMessage>,
    pub(super) held_since: Instant,
    /// Where topics ended at the start, as long as it is not reached.
    pub(super) ends: Vec<(String, i64)>,
    pub(super) looked: Instant,
    pub(super) committed: Instant,
}

impl Intake {
    /// Reads until it is closed or cannot go on.
    pub(super) fn work(mut self, topics: &[String]) {
        let number = self.translator.partition.0;
        let gauge = || metrics::gauge!("tidemark_kafka_stopped", "partition" => number.to_string());
        gauge().set(0.0);
        let mut turned = self.begin(topics);
        while !self.shared.is_closing() {
            if let Err(error) = turned {
                // At the end of the service nobody takes inputs any more.
                if !matches!(error, SourceError::Stopped) {
                    tracing::error!(%error, partition = number, "the partition stops");
                    gauge().set(1.0);
                    *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(error);
                }
                break;
            }
            turned = self.turn();
        }
        self.reader.commit(&self.offsets);
    }

    fn begin(&mut self, topics: &[String]) -> Result<(), SourceError> {
        self.ends = self.reader.ends(topics)?;
        self.reader.read(topics, &self.offsets)
    }

    /// Commands, what waits, and what one poll brings.
    fn turn(&mut self) -> Result<(), SourceError> {
        self.commands()?;
        if !self.held.is_empty() && self.held_since.elapsed() >= HELD_AGAIN {
            self.try_held()?;
        }
        let client = self.reader.client();
        let polled = self.reader.poll(&client, POLL)?;
        let is_idle = polled.is_empty();
        let mut messages = Vec::with_capacity(polled.len());
        for message in &polled {
            let message = Message::borrowed(message);
            let identity = || mark(message.timestamp, message.key, message.value);
            if !self.reader.is_repeat(message.topic, message.offset, identity)? {
                messages.push(message);
            }
        }
        if !messages.is_empty() {
            let waiting: BTreeSet<String> = self.reader.paused().iter().cloned().collect();
            let translated = self.translator.translate(&messages, &waiting, Utc::now())?;
            let held: Vec<OwnedMessage> =
                translated.held.iter().map(|place| owned(&messages[*place])).collect();
            self.take(translated, &messages)?;
            for message in held {
                self.reader.pause(message.topic())?;
                self.held.push(message);
            }
        }
        self.look(is_idle)
    }

    fn commands(&mut self) -> Result<(), SourceError> {
        let (mut ticks, mut replies) = (Vec::new(), Vec::new());
        loop {
            let command = match self.commands.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    // Nobody is left who could close it.
                    self.shared.closing.store(true, Ordering::Release);
                    break;
                }
            };
            match command {
                Command::Ticks { ticks: new, reply } => {
                    ticks.extend(new);
                    replies.push(reply);
                }
                Command::Topics(topics) => self.reader.read(&topics, &self.offsets)?,
                Command::Forget { tenant, reply } => {
                    self.shared.ledger().forget(tenant);
                    // Who has gone away in the meantime does not need an answer.
                    reply.send(self.step).ok();
                }
            }
        }
        if !replies.is_empty() {
            self.step(Translated::default(), &ticks)?;
            for reply in replies {
                // Who has gone away in the meantime does not need an answer.
                reply.send(()).ok();
            }
        }
        Ok(())
    }

    /// Tries what waits for its schema once more.
    fn try_held(&mut self) -> Result<(), SourceError> {
        self.held_since = Instant::now();
        let held = std::mem::take(&mut self.held);
        let messages: Vec<Message<'_>> = held.iter().map(Message::owned).collect();
        let translated = self.translator.translate(&messages, &BTreeSet::new(), Utc::now())?;
        let left: BTreeSet<usize> = translated.held.iter().copied().collect();
        let waiting: BTreeSet<String> =
            left.iter().map(|place| messages[*place].topic.to_owned()).collect();
        self.take(translated, &messages)?;
        let kept = held.into_iter().enumerate().filter(|(place, _)| left.contains(place));
        self.held = kept.map(|(_, message)| message).collect();
        let paused = self.reader.paused().to_vec();
        for topic in paused.iter().filter(|topic| !waiting.contains(*topic)) {
            self.reader.resume(topic)?;
        }
        Ok(())
    }

    /// Stores the dead letters, passes the messages that do not wait, and sends the events on.
    fn take(
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
    fn step(&mut self, translated: Translated, ticks: &[Tick]) -> Result<(), SourceError> {
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
    fn remember(&self) {
        let mut recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        match recent.back_mut() {
            Some((step, offsets)) if *step == self.step => offsets.clone_from(&self.offsets),
            _ => recent.push_back((self.step, self.offsets.clone())),
        }
        while recent.len() > RECENT {
            recent.pop_front();
        }
    }

    /// What is looked at now and then; `is_idle` if there was nothing to read.
    fn look(&mut self, is_idle: bool) -> Result<(), SourceError> {
        if !self.ends.is_empty() && is_idle {
            let reader = &self.reader;
            self.ends.retain(|(topic, end)| !reader.has_reached(topic, *end));
        }
        if self.ends.is_empty() && self.held.is_empty() && !*self.shared.is_caught_up.borrow() {
            self.shared.is_caught_up.send_replace(true);
        }
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.reader.check_ends()?;
            let number = self.translator.partition.0.to_string();
            if let Some(lag) = self.reader.lag() {
                metrics::gauge!("tidemark_kafka_lag", "partition" => number.clone())
                    .set(lag as f64);
            }
            metrics::gauge!("tidemark_kafka_waiting_for_schema", "partition" => number)
                .set(self.held.len() as f64);
        }
        if self.committed.elapsed() >= COMMIT {
            self.committed = Instant::now();
            self.reader.commit(&self.offsets);
        }
        Ok(())
    }
}

/// A message with memory of its own.
fn owned(message: &Message<'_>) -> OwnedMessage {
    let headers = message.is_json.then(|| {
        let value = Some("application/cloudevents+json");
        OwnedHeaders::new().insert(Header { key: "content-type", value })
    });
    OwnedMessage::new(
        message.value.map(<[u8]>::to_vec),
        message.key.map(<[u8]>::to_vec),
        message.topic.to_owned(),
        rdkafka::Timestamp::CreateTime(message.timestamp),
        message.partition,
        message.offset,
        headers,
    )
}
