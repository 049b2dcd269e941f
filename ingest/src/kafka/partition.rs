//! The intake of one partition number: read, decoded, deduplicated, and sent on in steps.

mod beginning;
mod progress;
mod steps;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::Utc;
use projections::{EventRegistry, Input, Tenant, Tick};
use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::SourceError;
use super::messages::{KnownTenants, Message, Translated, Translator};
use super::offsets::Offsets;
use super::reader::{Reader, mark};
use super::settings::KafkaSettings;
use crate::avro::SchemaRegistry;
use crate::dead_letters::DeadLetters;
use crate::history::Tail;
use crate::intake::ledger::{Ledger, Marks};
use crate::{IntakeError, Known, Limits};

/// Commands that wait for the thread.
const COMMANDS: usize = 1024;
/// How long a poll waits for messages, and so how long a command waits for the thread.
const POLL: Duration = Duration::from_millis(20);
/// How often what waits for its schema is tried again.
const HELD_AGAIN: Duration = Duration::from_millis(500);

/// What all partitions of a source have in common.
#[derive(Clone)]
pub struct SourceParts {
    /// How Kafka is reached.
    pub settings: KafkaSettings,
    /// The event types.
    pub types: EventRegistry,
    /// What events may measure.
    pub limits: Limits,
    /// The tenants, by their ids.
    pub tenants: Arc<dyn KnownTenants>,
    /// Where schemas are asked for.
    pub registry: Option<SchemaRegistry>,
    /// Where dead letters are kept.
    pub letters: Arc<dyn DeadLetters>,
    /// The key of the hashes of event ids.
    pub id_key: [u8; 16],
}

/// Where a partition begins: nowhere, or at a cut.
#[derive(Default)]
pub struct Begin {
    /// From where each topic is read; from its beginning where there is nothing.
    pub offsets: Offsets,
    /// The step of the last input.
    pub step: u64,
    /// The events that had been taken by then, and how far each tenant had come.
    pub known: Known,
}

/// Where a partition's events go.
#[derive(Clone)]
pub struct Outlet {
    /// To the views.
    pub forward: mpsc::Sender<Input>,
    /// To history, where they are kept in memory until they are in its files.
    pub tail: Tail,
}

enum Command {
    Ticks { ticks: Vec<Tick>, reply: oneshot::Sender<()> },
    Topics(Vec<String>),
    Stop(SourceError),
    Forget { tenant: Tenant, reply: oneshot::Sender<u64> },
}

/// The way to the intake of one partition number; cheap to clone.
#[derive(Clone)]
pub struct KafkaPartition {
    number: i32,
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    alive: watch::Receiver<()>,
}

/// What others see of the thread.
struct Shared {
    ledger: Mutex<Ledger>,
    /// For the newest steps the offsets up to which everything is in them, oldest first.
    recent: Mutex<VecDeque<(u64, Offsets)>>,
    /// Changes with every step.
    step: watch::Sender<u64>,
    /// Whether all has been read that was there at the start.
    is_caught_up: watch::Sender<bool>,
    closing: AtomicBool,
    /// Why the thread ended, if not because it was closed.
    failure: Mutex<Option<SourceError>>,
}

/// The thread's own.
struct Intake {
    settings: KafkaSettings,
    reader: Reader,
    translator: Translator,
    letters: Arc<dyn DeadLetters>,
    commands: mpsc::Receiver<Command>,
    outlet: Outlet,
    shared: Arc<Shared>,
    offsets: Offsets,
    step: u64,
    /// Messages that wait for their schema, with those behind them in their topics.
    held: Vec<OwnedMessage>,
    held_since: Instant,
    /// Since when there have been some.
    waiting_since: Option<Instant>,
    /// Topics that are to be read too.
    asked: BTreeSet<String>,
    /// Where topics ended at the start, as long as it is not reached.
    ends: Vec<(String, i64)>,
    looked: Instant,
    committed: Instant,
}

impl KafkaPartition {
    /// Begins to read a partition number of `count` in these topics and all others that there are by
    /// then, and to send its steps as inputs; their offset is the number of the step. What cannot be
    /// read ends it, as later too; brokers that do not answer are waited for.
    ///
    /// # Errors
    /// Kafka's client cannot be set up.
    pub fn start(
        parts: &SourceParts,
        (number, count): (i32, i32),
        topics: Vec<String>,
        begin: Begin,
        outlet: Outlet,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, SourceError> {
        let reader = Reader::new(&parts.settings, number)?;
        let translator = Translator::new(
            parts.settings.topic_prefix.clone(),
            (number, count),
            parts.types.clone(),
            parts.limits.clone(),
            Arc::clone(&parts.tenants),
            parts.registry.clone(),
            runtime,
        );
        let ledger = Ledger::new(&parts.id_key, begin.known);
        let recent = VecDeque::from([(begin.step, begin.offsets.clone())]);
        let shared = Arc::new(Shared {
            ledger: Mutex::new(ledger),
            recent: Mutex::new(recent),
            step: watch::Sender::new(begin.step),
            is_caught_up: watch::Sender::new(false),
            closing: AtomicBool::new(false),
            failure: Mutex::default(),
        });
        let (sender, commands) = mpsc::channel(COMMANDS);
        let (alive, watched) = watch::channel(());
        let intake = Intake {
            settings: parts.settings.clone(),
            reader,
            translator,
            letters: Arc::clone(&parts.letters),
            commands,
            outlet,
            shared: Arc::clone(&shared),
            offsets: begin.offsets,
            step: begin.step,
            held: Vec::new(),
            held_since: Instant::now(),
            waiting_since: None,
            asked: topics.into_iter().collect(),
            ends: Vec::new(),
            looked: Instant::now(),
            committed: Instant::now(),
        };
        let name = format!("kafka-{number}");
        let thread = thread::Builder::new().name(name).spawn(move || {
            // Dropped at the end of the thread, however it ends.
            let _alive = alive;
            intake.work();
        });
        thread.map_err(|error| SourceError::Setup(format!("no thread: {error}")))?;
        Ok(Self { number, commands: sender, shared, alive: watched })
    }

    /// The partition number.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Records the dates that differ from the tenants' last ones.
    ///
    /// # Errors
    /// The partition is read no more.
    pub async fn tick(&self, ticks: Vec<Tick>) -> Result<(), IntakeError> {
        let (reply, done) = oneshot::channel();
        self.put(Command::Ticks { ticks, reply }).await?;
        done.await.map_err(|_| IntakeError::Closed)
    }

    /// Takes no dates of a deleted tenant any more, as [`KnownTenants`] gives no events of it;
    /// answers the step beyond which there is nothing of it.
    ///
    /// # Errors
    /// The partition was closed meanwhile.
    pub async fn forget(&self, tenant: Tenant) -> Result<u64, IntakeError> {
        let (reply, done) = oneshot::channel();
        let told = async {
            self.put(Command::Forget { tenant, reply }).await?;
            done.await.map_err(|_| IntakeError::Closed)
        };
        match told.await {
            // Nothing comes any more of one that has stopped.
            Err(IntakeError::Closed) if self.has_ended() => Ok(*self.shared.step.borrow()),
            told => told,
        }
    }

    /// Reads these topics too, from their beginning.
    ///
    /// # Errors
    /// The partition is read no more.
    pub async fn read(&self, topics: Vec<String>) -> Result<(), IntakeError> {
        self.put(Command::Topics(topics)).await
    }

    /// Has the partition stop for that reason.
    ///
    /// # Errors
    /// The partition is read no more.
    pub(crate) async fn stop(&self, error: SourceError) -> Result<(), IntakeError> {
        self.put(Command::Stop(error)).await
    }

    async fn put(&self, command: Command) -> Result<(), IntakeError> {
        self.commands.send(command).await.map_err(|_| IntakeError::Closed)
    }

    /// How far a tenant has come.
    pub(crate) fn marks(&self, tenant: Tenant) -> Marks {
        self.shared.ledger().marks.get(&tenant).copied().unwrap_or_default()
    }

    /// The hash by which an event is known here.
    pub(crate) fn hash(&self, tenant: Tenant, event_type: &str, id: &str) -> u128 {
        self.shared.ledger().hash(tenant, event_type, id)
    }

    /// Whether the events of all these hashes have been taken.
    pub(crate) fn has(&self, hashes: &[u128]) -> bool {
        let ledger = self.shared.ledger();
        hashes.iter().all(|hash| ledger.has(*hash))
    }

    /// The number of the last step, and every change of it.
    pub(crate) fn steps(&self) -> watch::Receiver<u64> {
        self.shared.step.subscribe()
    }

    /// The offsets up to which everything is in a step, if it is one of the newest.
    pub fn offsets(&self, step: u64) -> Option<Offsets> {
        let recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().rev().find(|(of, _)| *of == step).map(|(_, offsets)| offsets.clone())
    }

    /// Waits until all has been read that was there at the start; answers the last step then.
    ///
    /// # Errors
    /// The partition is read no more.
    pub async fn caught_up(&self) -> Result<u64, IntakeError> {
        let mut caught_up = self.shared.is_caught_up.subscribe();
        let mut alive = self.alive.clone();
        tokio::select! {
            reached = caught_up.wait_for(|is| *is) => {
                reached.map_err(|_| IntakeError::Closed)?;
                Ok(*self.shared.step.borrow())
            }
            _ = alive.changed() => Err(IntakeError::Closed),
        }
    }

    /// Whether the partition is read no more.
    pub fn has_ended(&self) -> bool {
        self.alive.has_changed().is_err()
    }

    /// Reads no more; what has been read is sent on.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
    }

    /// Returns when the partition is read no more: closed, or failed for the reason answered.
    pub async fn ended(&self) -> Option<SourceError> {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

impl Intake {
    fn work(mut self) {
        let number = self.translator.partition.0;
        let gauge = || metrics::gauge!("tidemark_kafka_stopped", "partition" => number.to_string());
        gauge().set(0.0);
        let mut turned = self.begin();
        while !self.shared.is_closing() {
            turned = match turned {
                Ok(()) => self.turn(),
                Err(error) if error.passes() => {
                    gauge().set(1.0);
                    tracing::warn!(%error, partition = number, "the partition is not read for now; trying again");
                    let again = self.rest().and_then(|()| self.begin_again());
                    if again.is_ok() {
                        gauge().set(0.0);
                        tracing::info!(partition = number, "the partition is read again");
                    }
                    again
                }
                Err(error) => {
                    // At the end of the service nobody takes inputs any more.
                    if !matches!(error, SourceError::Stopped) {
                        tracing::error!(%error, partition = number, "the partition stops");
                        gauge().set(1.0);
                        *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(error);
                    }
                    break;
                }
            };
        }
        self.reader.commit(&self.offsets);
    }

    /// Commands, what waits, and what one poll brings.
    fn turn(&mut self) -> Result<(), SourceError> {
        self.commands()?;
        if !self.asked.is_empty() {
            let asked: Vec<String> = std::mem::take(&mut self.asked).into_iter().collect();
            self.reader.read(&asked, &self.offsets)?;
        }
        if !self.held.is_empty() && self.held_since.elapsed() >= HELD_AGAIN {
            self.try_held()?;
        }
        let client = self.reader.client();
        let polled = self.reader.poll(&client, &self.offsets, POLL)?;
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
            self.pass_marks()?;
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
                Command::Topics(topics) => self.asked.extend(topics),
                Command::Stop(error) => return Err(error),
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
