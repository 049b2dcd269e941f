//! The way by which entries get into their chains: a bounded queue, and a task that writes what
//! waits in it together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{AuditEntry, AuditKey, Chain};
use crate::Store;

/// What may wait to be written, in KiB.
const ROOM_KIB: usize = 32 << 10;
/// Of this, for one chain: whoever is recorded faster than is written keeps only itself waiting.
const CHAIN_KIB: usize = ROOM_KIB / 4;
/// Entries that are written in one transaction.
const BATCH: usize = 1_024;
/// How long entries wait for others to be written with, unless one must be on disk.
const GATHER: Duration = Duration::from_millis(100);
/// How long a caller waits for room, or to be told that its entry is on disk. Longer than another
/// node that is halted keeps the chain in PostgreSQL (`store/scope.rs`).
const PATIENCE: Duration = Duration::from_secs(12);
/// After a writing that failed.
const AGAIN: Duration = Duration::from_millis(500);
/// For what waits to be written at the end.
const END_TIME: Duration = Duration::from_secs(2);

/// The way into the chains. Cheap to clone; all clones are one queue.
#[derive(Clone, Debug)]
pub struct Trail {
    room: Arc<Room>,
    queue: mpsc::UnboundedSender<Message>,
}

/// An entry could not be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrailError {
    /// There is no room for it, or it is not on disk yet: the control store does not take records.
    #[error("the audit could not be written in time")]
    Late,
    /// The service is stopping.
    #[error("the audit is closed")]
    Closed,
}

#[derive(Debug)]
enum Message {
    Entry(Box<Waiting>),
    End,
}

/// The room of all, and of each chain that was ever recorded in.
#[derive(Debug)]
struct Room {
    all: Arc<Semaphore>,
    chains: Mutex<HashMap<Chain, Arc<Semaphore>>>,
}

/// The room of one entry: of its chain's, and of all.
type Place = [OwnedSemaphorePermit; 2];

/// An entry with its room, and who is to be told that it is on disk.
#[derive(Debug)]
struct Waiting {
    entry: AuditEntry,
    room: Option<Place>,
    told: Option<oneshot::Sender<()>>,
}

/// The task that writes; it ends with [`Trail::close`].
#[derive(Debug)]
struct Writer {
    store: Store,
    key: AuditKey,
    queue: mpsc::UnboundedReceiver<Message>,
}

impl Trail {
    /// Starts the task that writes to the store, sealing with the key.
    pub fn start(store: Store, key: AuditKey) -> (Self, JoinHandle<()>) {
        let (queue, messages) = mpsc::unbounded_channel();
        let writer = Writer { store, key, queue: messages };
        let trail = Self { room: Arc::new(Room::new()), queue };
        (trail, tokio::spawn(writer.run()))
    }

    /// Records an entry within a tenth of a second or so. Waits for room.
    pub async fn record(&self, entry: AuditEntry) -> Result<(), TrailError> {
        let room = self.room(&entry).await?;
        self.send(Waiting { entry, room: Some(room), told: None })
    }

    /// Records an entry and returns when it is on disk.
    pub async fn keep(&self, entry: AuditEntry) -> Result<(), TrailError> {
        let room = self.room(&entry).await?;
        let (told, done) = oneshot::channel();
        self.send(Waiting { entry, room: Some(room), told: Some(told) })?;
        match timeout(PATIENCE, done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(TrailError::Closed),
            Err(_) => Err(TrailError::Late),
        }
    }

    /// Records an entry where nothing can be waited for, as when a caller goes away: also where
    /// there is no room. There is at most one such for each connection.
    pub fn note(&self, entry: AuditEntry) {
        let room = self.room.try_take(&entry);
        if let Err(error) = self.send(Waiting { entry, room, told: None }) {
            tracing::warn!(%error, "what a caller did last is not in the audit");
        }
    }

    /// Writes what waits, and ends the task.
    pub fn close(&self) {
        // Its end is there already if nobody receives.
        self.queue.send(Message::End).ok();
    }

    async fn room(&self, entry: &AuditEntry) -> Result<Place, TrailError> {
        match timeout(PATIENCE, self.room.take(entry)).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) => Err(TrailError::Closed),
            Err(_) => Err(TrailError::Late),
        }
    }

    fn send(&self, waiting: Waiting) -> Result<(), TrailError> {
        self.queue.send(Message::Entry(Box::new(waiting))).map_err(|_| TrailError::Closed)
    }
}

impl Room {
    fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(ROOM_KIB)), chains: Mutex::default() }
    }

    fn of(&self, chain: Chain) -> Arc<Semaphore> {
        // An insertion leaves the map whole.
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(chains.entry(chain).or_insert_with(|| Arc::new(Semaphore::new(CHAIN_KIB))))
    }

    /// Waits for room: of the chain first, so that nobody waits for that while holding of all.
    async fn take(&self, entry: &AuditEntry) -> Result<Place, AcquireError> {
        let permits = permits(entry);
        let own = self.of(entry.chain).acquire_many_owned(permits).await?;
        let all = Arc::clone(&self.all).acquire_many_owned(permits).await?;
        Ok([own, all])
    }

    fn try_take(&self, entry: &AuditEntry) -> Option<Place> {
        let permits = permits(entry);
        let own = self.of(entry.chain).try_acquire_many_owned(permits).ok()?;
        let all = Arc::clone(&self.all).try_acquire_many_owned(permits).ok()?;
        Some([own, all])
    }
}

fn permits(entry: &AuditEntry) -> u32 {
    u32::try_from(entry.size().div_ceil(1024).min(CHAIN_KIB)).unwrap_or(u32::MAX)
}

impl Writer {
    async fn run(mut self) {
        let mut is_ending = false;
        while !is_ending {
            let (batch, ends) = self.gather().await;
            is_ending = ends;
            self.write(batch, is_ending).await;
        }
        // What came in between is written too.
        self.queue.close();
        let mut left = Vec::new();
        while let Some(message) = self.queue.recv().await {
            if let Message::Entry(waiting) = message {
                left.push(*waiting);
            }
        }
        for batch in chunks(left) {
            self.write(batch, true).await;
        }
    }

    /// Entries to be written together, and whether they are the last.
    async fn gather(&mut self) -> (Vec<Waiting>, bool) {
        let mut batch = Vec::new();
        let mut until: Option<Instant> = None;
        while batch.len() < BATCH {
            let message = match until {
                None => self.queue.recv().await,
                Some(until) => match timeout_at(until, self.queue.recv()).await {
                    Ok(message) => message,
                    Err(_) => return (batch, false),
                },
            };
            let Some(Message::Entry(waiting)) = message else { return (batch, true) };
            // Whoever waits for the disk waits for nothing else but what is there already.
            let at = if waiting.told.is_some() { Instant::now() } else { Instant::now() + GATHER };
            until = Some(until.map_or(at, |until| until.min(at)));
            batch.push(*waiting);
        }
        (batch, false)
    }

    /// Writes a batch, as often as it takes; at the end for as long as that may last.
    async fn write(&self, batch: Vec<Waiting>, is_ending: bool) {
        if batch.is_empty() {
            return;
        }
        let (entries, told): (Vec<AuditEntry>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.entry, (waiting.room, waiting.told))).unzip();
        let begun = Instant::now();
        while let Err(error) = self.store.append_audit(&self.key, &entries).await {
            if is_ending && begun.elapsed() > END_TIME {
                let lost = entries.len();
                tracing::error!(%error, lost, "the last records of the audit could not be written");
                return;
            }
            // Another node may hold the chain for a while. Whom that leaves unanswered is an error of
            // its own.
            tracing::warn!(%error, "the audit could not be written; trying again");
            sleep(AGAIN).await;
        }
        for told in told.into_iter().filter_map(|(_, told)| told) {
            // Who has gone away in the meantime does not need to be told.
            told.send(()).ok();
        }
    }
}

fn chunks(mut left: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut batches = Vec::new();
    while left.len() > BATCH {
        let rest = left.split_off(BATCH);
        batches.push(std::mem::replace(&mut left, rest));
    }
    batches.push(left);
    batches
}
