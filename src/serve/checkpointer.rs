//! The writer of checkpoints: has the engine make cuts, and takes them to the object store.
//!
//! A checkpoint that fails costs nothing but itself: what it held comes again with the next, which is
//! then a whole one. Only a new owner of the partition ends the service.

mod erasure;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use ingest::checkpoint::{
    Checkpoint, CheckpointError, CheckpointWriter, Checkpoints, Committed, Cut, Extent, Source,
    TenantViews,
};
use ingest::history::{Accepted, HistoryError, HistoryFile};
use ingest::objects::Address;
use ingest::{IdNotes, KafkaPartition};
use projections::{CutSnapshots, Partition, StatePart, Tenant, ViewSaver};
use tenancy::{Store, StoreError};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub(super) use self::erasure::{Erasure, Leftover};
use super::engine::{Begun, Cuts, EngineEnded};

/// Why a checkpoint was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointFailure {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Ended(#[from] EngineEnded),
    #[error("where the topics were read at step {0} is not known any more")]
    Late(u64),
    #[error("the list of history files cannot be written: {0}")]
    Listing(#[from] serde_json::Error),
    #[error("the audit: {0}")]
    Audit(#[from] StoreError),
    #[error("what was left half-written cannot be removed: {0}")]
    HalfWritten(#[from] Arc<std::io::Error>),
}

impl CheckpointFailure {
    /// Whether it was the control store that failed, which may be well the next time.
    fn is_of_control(&self) -> bool {
        matches!(
            self,
            Self::Audit(_)
                | Self::Checkpoint(CheckpointError::Commits(_) | CheckpointError::Undecided { .. })
        )
    }
}

/// Writes the checkpoints of one partition.
pub(crate) struct Checkpointer {
    /// That of the partition.
    pub(super) number: u32,
    /// Where its files are.
    pub(super) address: Address,
    /// Where it is noted what is erased.
    pub(super) store: Store,
    pub(super) checkpoints: Checkpoints,
    pub(super) cuts: Cuts,
    pub(super) accepted: Accepted,
    /// The key of the hashes of event ids.
    pub(super) id_key: [u8; 16],
    pub(super) circuit: [u8; 16],
    pub(super) saver: ViewSaver,
    /// The chunks of each tenant's views in the newest checkpoint.
    pub(super) catalogue: BTreeMap<Tenant, TenantViews>,
    /// The time of each tenant's newest event in all that was ever noted, in microseconds.
    pub(super) newest: BTreeMap<Tenant, i64>,
    /// Whether what the last one held must come again.
    pub(super) has_failed: bool,
    /// When the last one was made, or the partition put together.
    pub(super) made: Instant,
    /// The checkpoints that are kept.
    pub(super) kept: Vec<Arc<Checkpoint>>,
    /// When files that nobody needs were looked for last.
    pub(super) swept: Option<Instant>,
    /// What is still to be removed of tenants that were erased.
    pub(super) leftovers: Vec<Leftover>,
}

/// When the checkpoints of this node's partitions are made.
#[derive(Clone)]
pub(super) struct Rhythm {
    /// The time between two of one partition.
    every: Duration,
    /// Turns to make one: were all partitions to make theirs at once, changes would come late for as
    /// long as it takes.
    turns: Arc<Semaphore>,
}

impl Rhythm {
    /// Half as many at once as there are processors, and at least one.
    pub(super) fn new(every: Duration) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self { every, turns: Arc::new(Semaphore::new((processors / 2).max(1))) }
    }
}

/// Where the events come from that checkpoints are made of.
#[derive(Clone)]
pub(super) enum Reading {
    /// The log: the offset of an input says all.
    Log,
    /// Kafka: a step stands for places in the topics.
    Kafka(KafkaPartition),
}

/// The time between two looks for files that nobody needs.
const BETWEEN_SWEEPS: Duration = Duration::from_mins(1);
/// The time between two checkpoints that say only how far the source was read.
const BETWEEN_PLACES: Duration = Duration::from_mins(1);
/// How long it waits after a failure at least, unless checkpoints are made more often.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Checkpointer {
    /// Makes checkpoints until `closing`, and those by which tenants are erased, and then gives
    /// itself back for a last one; ends by itself only when another process owns the partition, or
    /// when the engine has ended.
    pub(super) async fn run(
        mut self,
        reading: Reading,
        rhythm: Rhythm,
        mut erasures: mpsc::Receiver<Erasure>,
        closing: CancellationToken,
    ) -> Result<Self, CheckpointFailure> {
        let Rhythm { every, turns: places } = rhythm;
        let mut turns = interval(every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.tick().await;
        let mut is_failing = false;
        loop {
            let erasure = tokio::select! {
                () = closing.cancelled() => return Ok(self),
                Some(erasure) = erasures.recv() => Some(erasure),
                _ = turns.tick() => None,
                () = self.accepted.is_filling() => None,
            };
            let place = tokio::select! {
                () = closing.cancelled() => return Ok(self),
                place = places.acquire() => place,
            };
            let made = match erasure {
                Some(erasure) => self.erase(&reading, erasure).await,
                None => self.checkpoint(&reading).await,
            };
            drop(place);
            match made {
                Ok(()) => {
                    is_failing = false;
                    self.tidy().await;
                }
                Err(CheckpointFailure::Ended(_)) => return Ok(self),
                Err(CheckpointFailure::Checkpoint(error @ CheckpointError::Fenced { .. })) => {
                    return Err(error.into());
                }
                Err(error) => {
                    metrics::counter!("tidemark_checkpoints_failed_total").increment(1);
                    if error.is_of_control() && !is_failing {
                        tracing::warn!(%error, "a checkpoint was not made; the next one is tried");
                    } else {
                        tracing::error!(%error, "a checkpoint was not made; the next one holds it too");
                    }
                    is_failing = true;
                    self.has_failed = true;
                    tokio::time::sleep(AFTER_FAILURE.min(every)).await;
                }
            }
        }
    }

    /// Makes a checkpoint if anything has come, or files have been merged, since the last. Where the
    /// source was read on and nothing came of it, as of dead letters, that waits for a while.
    async fn checkpoint(&mut self, reading: &Reading) -> Result<(), CheckpointFailure> {
        self.checkpoint_within(reading, BETWEEN_PLACES).await
    }

    /// Makes the last one, if there is anything that the one before does not say.
    pub(super) async fn conclude(&mut self, reading: &Reading) -> Result<(), CheckpointFailure> {
        self.checkpoint_within(reading, Duration::ZERO).await
    }

    /// Makes a checkpoint, for the sake of the source alone only if the last one is so old.
    async fn checkpoint_within(
        &mut self,
        reading: &Reading,
        places: Duration,
    ) -> Result<(), CheckpointFailure> {
        self.resolve().await?;
        let started = Instant::now();
        let extent = if self.has_failed { Extent::Whole } else { self.checkpoints.extent() };
        let mut begun = self.cuts.begin(extent == Extent::Whole).await?;
        let source = reading.source(begun.offset);
        // What is behind it would be read again, and may have been removed from the source by then.
        let has_moved = source.is_some() && source != self.checkpoints.source();
        let is_idle = begun.snapshots.tenants.is_empty()
            && !self.checkpoints.has_merged()
            && !(has_moved && self.made.elapsed() >= places);
        if is_idle && extent == Extent::Changes {
            // Nothing has changed; the portions are taken to their end all the same.
            while begun.portions.recv().await.is_some_and(|portion| !portion.is_last) {}
            metrics::counter!("tidemark_checkpoints_idle_total").increment(1);
            return Ok(());
        }
        // Until it is committed, what the engine gave is nowhere else.
        self.has_failed = true;
        if extent == Extent::Whole {
            self.saver.forget();
            self.catalogue.clear();
        }
        let mut writer = self.checkpoints.begin(extent)?;
        state(&mut begun, &mut writer).await?;
        self.views(&begun.snapshots, &mut writer).await?;
        let source = source.ok_or(CheckpointFailure::Late(begun.offset))?;
        let (committed, files) = self.commit(writer, begun.offset, source).await?;
        self.accepted.publish(files, begun.offset);
        self.has_failed = false;
        self.made = Instant::now();
        metrics::histogram!("tidemark_checkpoint_seconds").record(started.elapsed());
        metrics::counter!("tidemark_checkpoint_bytes_total").increment(committed.written);
        metrics::counter!("tidemark_checkpoints_total").increment(1);
        let number = committed.checkpoint.number;
        tracing::debug!(number, bytes = committed.written, "checkpoint");
        self.trim(&committed).await;
        self.kept = committed.kept;
        Ok(())
    }

    /// Finds out what became of a checkpoint whose commit was not answered. Until then what it names
    /// may be in use, and is known to nobody here.
    async fn resolve(&mut self) -> Result<(), CheckpointError> {
        if let Some(committed) = self.checkpoints.resolve().await? {
            tracing::info!(number = committed.checkpoint.number, "a checkpoint had been committed");
            self.kept = committed.kept;
        }
        Ok(())
    }

    /// Writes what changed of the tenants' views.
    async fn views(
        &mut self,
        cut: &CutSnapshots,
        writer: &mut CheckpointWriter,
    ) -> Result<(), CheckpointError> {
        let mut records = StatePart { store: Partition::VIEWS, ..StatePart::default() };
        for (tenant, snapshot) in &cut.tenants {
            if let Some(snapshot) = snapshot {
                let saved = self.saver.save(snapshot, cut.views);
                for chunk in &saved.new {
                    writer.chunk(chunk.id, &chunk.bytes()).await?;
                }
                records.bytes.extend_from_slice(&saved.record);
                let views = TenantViews { tenant: tenant.0, views: saved.chunks };
                self.catalogue.insert(*tenant, views);
            } else {
                self.catalogue.remove(tenant);
            }
            records.slots.push(u64::from(tenant.0));
            records.ends.push(records.bytes.len() as u64);
        }
        if records.slots.is_empty() { Ok(()) } else { writer.state(part(records)).await }
    }

    /// Writes the events since the last checkpoint as history, and commits.
    async fn commit(
        &mut self,
        writer: CheckpointWriter,
        offset: u64,
        source: Source,
    ) -> Result<(Committed, Vec<Arc<HistoryFile>>), CheckpointFailure> {
        let mut notes = IdNotes::new(&self.id_key);
        let new = self.accepted.write(offset, &mut notes).await?;
        if writer.extent() == Extent::Whole {
            self.earlier(&mut notes).await?;
        }
        let mut files = self.accepted.files();
        files.extend(new);
        Ok((self.commit_files(writer, &notes, &files, offset, source).await?, files))
    }

    /// Commits a cut with these files as its history.
    async fn commit_files(
        &mut self,
        mut writer: CheckpointWriter,
        notes: &IdNotes,
        files: &[Arc<HistoryFile>],
        offset: u64,
        source: Source,
    ) -> Result<Committed, CheckpointFailure> {
        for ids in notes.ids.chunks(1 << 16) {
            writer.ids(ids).await?;
        }
        // Since the last cut late ones alone may have come, and of all marks that are written the last holds.
        let mut newest: BTreeMap<u32, Bytes> = BTreeMap::new();
        for (tenant, at) in &notes.newest {
            let known = self.newest.entry(*tenant).or_insert(*at);
            *known = (*known).max(*at);
            newest.insert(tenant.0, known.to_le_bytes().to_vec().into());
        }
        writer.marks(&newest).await?;
        let history =
            files.iter().map(|file| serde_json::to_value(&**file)).collect::<Result<_, _>>()?;
        let cut = Cut {
            circuit: self.circuit,
            source,
            step: offset,
            catalogue: self.catalogue.values().cloned().collect(),
            history,
            sections: BTreeMap::new(),
        };
        Ok(writer.commit(cut).await?)
    }

    /// The ids of the history that earlier checkpoints had.
    async fn earlier(&self, notes: &mut IdNotes) -> Result<(), CheckpointFailure> {
        for file in self.accepted.files() {
            self.accepted.store().note(&file, notes).await?;
        }
        Ok(())
    }

    /// Lets go of events that no kept checkpoint would read again.
    async fn trim(&self, committed: &Committed) {
        let needed = |kept: &Arc<Checkpoint>| match kept.source {
            Source::Log { offset } => offset,
            // Those before the newest stand in Kafka.
            Source::Kafka { .. } => committed.checkpoint.step,
        };
        let oldest = committed.kept.iter().map(needed).min().unwrap_or(0);
        if let Err(error) = self.accepted.trim(oldest).await {
            tracing::warn!(%error, "the log was not trimmed; the next checkpoint tries again");
        }
    }

    /// Merges files and removes those that nobody needs, between two checkpoints. What fails here is
    /// tried again after the next.
    async fn tidy(&mut self) {
        let checkpoints = self.checkpoints.clone();
        // A task of its own: a merge may take longer than the time between two checkpoints. One that
        // finds another at work leaves it to that.
        tokio::spawn(async move { merge(&checkpoints).await });
        match self.accepted.store().compact(&self.accepted.files()).await {
            Ok(None) => {}
            Ok(Some(change)) => {
                let files = change.apply(&self.accepted.files());
                self.accepted.publish(files, self.accepted.cut_offset());
            }
            Err(error) => tracing::warn!(%error, "files of history were not merged"),
        }
        // What is kept is known from the first commit on.
        let is_due = self.swept.is_none_or(|swept| swept.elapsed() >= BETWEEN_SWEEPS);
        if is_due && !self.kept.is_empty() {
            self.swept = Some(Instant::now());
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        if let Err(error) = self.checkpoints.sweep().await {
            tracing::warn!(%error, "files of checkpoints that nobody needs were not removed");
        }
        let listed = self.listed();
        let removed = self.accepted.store().remove_unlisted(&listed, Utc::now(), false).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "files of history that nobody needs were not removed");
        }
    }

    /// The paths of the history's files that are in use or named by a checkpoint that is kept.
    fn listed(&self) -> HashSet<String> {
        let kept = self.kept.iter().flat_map(|kept| &kept.history);
        let kept = kept.filter_map(|file| file["path"].as_str().map(str::to_owned));
        self.accepted.files().iter().map(|file| file.path.clone()).chain(kept).collect()
    }
}

/// Merges what is due.
async fn merge(checkpoints: &Checkpoints) {
    loop {
        match checkpoints.merge().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "files of checkpoints were not merged");
                return;
            }
        }
    }
}

/// Writes the state as the engine gives it.
async fn state(begun: &mut Begun, writer: &mut CheckpointWriter) -> Result<(), CheckpointFailure> {
    loop {
        let portion = begun.portions.recv().await.ok_or(EngineEnded)?;
        for given in portion.parts {
            writer.state(part(given)).await?;
        }
        if portion.is_last {
            return Ok(());
        }
    }
}

/// A part as files hold it.
fn part(part: StatePart) -> ingest::checkpoint::StatePart {
    let StatePart { store, slots, ends, bytes } = part;
    let ends = ends.into_iter().map(|end| end as u32).collect();
    ingest::checkpoint::StatePart { store, slots, ends, bytes: bytes.into() }
}

impl Reading {
    /// How far the source had been read at a step; none if that was too long ago to be known.
    fn source(&self, step: u64) -> Option<Source> {
        match self {
            Self::Log => Some(Source::Log { offset: step }),
            Self::Kafka(partition) => {
                partition.offsets(step).map(|offsets| Source::Kafka { offsets })
            }
        }
    }
}

#[cfg(test)]
mod tests;
