//! The intake of one partition number: read, decoded, deduplicated, and sent on in steps. Here the
//! way to it; what its thread does is in [`intake`].

mod intake;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use projections::{EventRegistry, Input, Tenant, Tick};
use tokio::sync::{mpsc, oneshot, watch};

use self::intake::Intake;
use super::error::SourceError;
use super::messages::{KnownTenants, Translator};
use super::offsets::Offsets;
use super::reader::Reader;
use super::settings::KafkaSettings;
use crate::avro::SchemaRegistry;
use crate::dead_letters::DeadLetters;
use crate::history::Tail;
use crate::intake::ledger::{Ledger, Marks};
use crate::{IntakeError, Known, Limits};

/// Commands that wait for the thread.
const COMMANDS: usize = 1024;

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

impl KafkaPartition {
    /// Begins to read a partition number of `count` in these topics, and to send its steps as
    /// inputs; their offset is the number of the step. What cannot be read ends it, as later too.
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
            ends: Vec::new(),
            looked: Instant::now(),
            committed: Instant::now(),
        };
        let name = format!("kafka-{number}");
        let thread = thread::Builder::new().name(name).spawn(move || {
            // Dropped at the end of the thread, however it ends.
            let _alive = alive;
            intake.work(&topics);
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
