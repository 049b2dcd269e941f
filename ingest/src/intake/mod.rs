//! The one writer: submissions in, receipts out once their events are on disk.

pub(crate) mod draft;
mod group;
mod known;
pub(crate) mod ledger;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::Array;
use arrow::array::cast::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, NaiveDate, Utc};
use futures::TryStreamExt;
use projections::{Input, Position, Tenant, Tick};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::group::{Submission, Work};
pub(crate) use self::group::{count, input};
pub use self::known::{IdNotes, Known};
use self::ledger::{Ledger, Marks};
use self::writer::{OnDisk, Writer};
use crate::log::{Frame, blocking};
use crate::{Decoded, Log, LogError, Rejected, Sender};

/// Submissions and ticks that wait for the writer.
const QUEUE: usize = 1024;

/// KiB of decoded events that are under way between submission and disk.
const UNDER_WAY_KIB: usize = 64 << 10;

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Events that are now in the log.
    pub accepted: usize,
    /// Events whose id was there already, in the log or earlier in the same body.
    pub duplicates: usize,
    /// Events that were not taken.
    pub rejected: Vec<Rejected>,
    /// The tenant's position that holds all of it.
    pub position: Position,
}

/// A submission was not recorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    /// The log could not be written; nothing of the submission was kept, and it can be sent again.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Kafka did not acknowledge some of the events.
    #[error(
        "Kafka has not acknowledged all of the events: {0}; send them again, repeats have no effect"
    )]
    Undelivered(String),
    /// Kafka has no topic for events of this type, and the service cannot make it.
    #[error(
        "the event type `{0}` has no topic, and it cannot be made: make it with as many partitions as the \
         others have, and send the events again"
    )]
    NoTopic(String),
    /// Kafka cannot be used.
    #[error(transparent)]
    Source(#[from] crate::SourceError),
    /// The events were decoded for another tenant than the one that submits them.
    #[error("the events were decoded for another sender: decode and submit with the same one")]
    OtherSender,
    /// The tenant's partition of Kafka is read by another node now, or by none at this moment.
    #[error("the tenant is being handed over to another node: send the events again in a second")]
    Elsewhere,
    /// The tenant was deleted while the events were on their way: nothing of them was taken.
    #[error("the tenant is deleted, and nothing of it is taken any more")]
    Deleted,
    /// The intake has been closed or its writer has ended; what was waiting may have been recorded.
    #[error(
        "the intake is closed: send the events again once the service is back; repeats have no effect"
    )]
    Closed,
}

/// The way to the writer; cheap to clone. The writer ends when it is closed or all clones are gone.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Work>,
    under_way: Arc<Semaphore>,
    on_disk: OnDisk,
    alive: watch::Receiver<()>,
}

impl Intake {
    /// Replays the rows of `log` after the offset `after` through `forward`, each as an [`Input`]
    /// with its offset, and then starts the writer, which sends every later input the same way.
    /// `known` is what the rows up to there had. Returns when all is replayed.
    ///
    /// # Errors
    /// The log cannot be read, a row is damaged, or the receiver of `forward` has gone.
    pub async fn resume(
        log: Log,
        known: Known,
        after: u64,
        forward: mpsc::Sender<Input>,
    ) -> Result<Self, LogError> {
        let mut ledger = Ledger::new(log.id_key(), known);
        let mut rows = std::pin::pin!(log.replay_after(after));
        while let Some((offset, frame)) = rows.try_next().await? {
            let restored = blocking(move || {
                restore(&mut ledger, &frame);
                Ok((ledger, input(frame, offset)?))
            });
            let (known, input) = restored.await?;
            ledger = known;
            forward.send(input).await.map_err(|_| LogError::Stopped)?;
        }
        let on_disk = OnDisk::default();
        on_disk.write().unwrap_or_else(PoisonError::into_inner).clone_from(&ledger.marks);
        let (queue, works) = mpsc::channel(QUEUE);
        let (alive, watched) = watch::channel(());
        let writer = Writer {
            log,
            queue: works,
            forward,
            ledger: Arc::new(Mutex::new(ledger)),
            on_disk: Arc::clone(&on_disk),
            flight: None,
            open: true,
            _alive: alive,
        };
        tokio::spawn(writer.run());
        let under_way = Arc::new(Semaphore::new(UNDER_WAY_KIB));
        Ok(Self { queue, under_way, on_disk, alive: watched })
    }

    /// The same for a log from its first row on.
    pub async fn start(log: Log, forward: mpsc::Sender<Input>) -> Result<Self, LogError> {
        Self::resume(log, Known::default(), 0, forward).await
    }

    /// Records the events that are new; returns when they are on disk. Waits while the queue is full.
    ///
    /// # Errors
    /// Nothing of the submission was recorded, or the writer ended and cannot tell.
    pub async fn submit(&self, sender: &Sender, decoded: Decoded) -> Result<Receipt, IntakeError> {
        if decoded.tenant != sender.tenant {
            return Err(IntakeError::OtherSender);
        }
        let bytes: usize = decoded.batches.iter().map(|b| b.rows.get_array_memory_size()).sum();
        let share = (bytes / 1024).clamp(1, UNDER_WAY_KIB) as u32;
        let permit = Arc::clone(&self.under_way).acquire_many_owned(share).await;
        let permit = permit.map_err(|_| IntakeError::Closed)?;
        let (reply, receipt) = oneshot::channel();
        let submission = Submission { decoded, zone: sender.events_clock, reply, permit };
        self.put(Work::Submission(submission)).await?;
        receipt.await.unwrap_or(Err(IntakeError::Closed))
    }

    /// Records the dates that differ from the tenants' last ones; returns when they are on disk.
    ///
    /// # Errors
    /// None of them was recorded, or the writer ended and cannot tell.
    pub async fn tick(&self, ticks: Vec<Tick>) -> Result<(), IntakeError> {
        let (reply, done) = oneshot::channel();
        self.put(Work::Ticks { ticks, reply }).await?;
        done.await.unwrap_or(Err(IntakeError::Closed))
    }

    /// Takes nothing of a tenant any more; answers the offset beyond which there is nothing of it.
    ///
    /// # Errors
    /// The writer ended, or the group that it was in was not recorded: ask again.
    pub async fn forget(&self, tenant: Tenant) -> Result<u64, IntakeError> {
        let (reply, done) = oneshot::channel();
        self.put(Work::Forget { tenant, reply }).await?;
        done.await.unwrap_or(Err(IntakeError::Closed))
    }

    /// How many events and ticks of the tenant are on disk.
    pub fn sequence(&self, tenant: Tenant) -> u64 {
        self.marks(tenant).sequence
    }

    /// The tenant's last recorded date.
    pub fn last_date(&self, tenant: Tenant) -> Option<NaiveDate> {
        self.marks(tenant).date
    }

    /// The newest event time of the tenant.
    pub fn newest_event(&self, tenant: Tenant) -> Option<DateTime<Utc>> {
        self.marks(tenant).newest.and_then(DateTime::from_timestamp_micros)
    }

    /// Takes nothing new, records what is queued, and ends the writer, which drops `forward`.
    ///
    /// Inputs must still be received meanwhile.
    pub async fn close(&self) {
        if self.queue.send(Work::Close).await.is_ok() {
            self.ended().await;
        }
    }

    /// Returns when the writer has ended, closed or broken.
    pub async fn ended(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    async fn put(&self, work: Work) -> Result<(), IntakeError> {
        self.queue.send(work).await.map_err(|_| IntakeError::Closed)
    }

    fn marks(&self, tenant: Tenant) -> Marks {
        let on_disk = self.on_disk.read().unwrap_or_else(PoisonError::into_inner);
        on_disk.get(&tenant).copied().unwrap_or_default()
    }
}

/// Enters the events and ticks of a recorded row into the ledger.
fn restore(ledger: &mut Ledger, frame: &Frame) {
    for segment in &frame.segments {
        let ids = segment.rows.column(0).as_string::<i32>();
        let times = segment.rows.column(1).as_primitive::<TimestampMicrosecondType>();
        let mut tenant = None;
        for row in 0..ids.len() {
            let of_row = Tenant(segment.tenants.value(row));
            // A tenant's rows stand together: the prefix is hashed once for each run of them.
            let prefix = match tenant {
                Some((same, prefix)) if same == of_row => prefix,
                _ => ledger.prefix(of_row, segment.event_type.name()),
            };
            tenant = Some((of_row, prefix));
            ledger.restore(&prefix, of_row, ids.value(row), times.value(row));
        }
    }
    for tick in &frame.ticks {
        let marks = ledger.marks.entry(tick.tenant).or_default();
        marks.sequence += 1;
        marks.date = Some(tick.today);
    }
}
