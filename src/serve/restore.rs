//! A partition put together again from its newest whole checkpoint.
//!
//! State that other views wrote (after an upgrade) does not fit; then the views are computed anew
//! from the history that the checkpoint lists, and only the positions are taken from it. So are the
//! views of a tenant of which one has failed: what failed it, such as a limit, may be another now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use ingest::checkpoint::{Checkpoint, CheckpointError, Checkpoints, Options, Restored};
use ingest::history::{Accepted, HistoryError, HistoryFile, HistoryStore, Recent};
use ingest::{Known, Log};
use object_store::ObjectStore;
use projections::{
    EventBatch, EventRegistry, EventTypes, Input, Partition, RuntimeError, SavedChunk, SavedMarks,
    StateLoader, Tenant, Tick, ViewDefinition, ViewSaver,
};
use tenancy::Store;

use super::ServeError;
use super::checkpointer::{Checkpointer, offset};
use super::commits::StoreCommits;
use super::engine::Cuts;

/// Threads that load state.
const THREADS: usize = 4;
/// The one partition of the embedded log.
const PARTITION: u32 = 0;

/// A partition as it goes on from its newest checkpoint, or from nothing.
pub(super) struct Opened {
    pub(super) partition: Partition,
    /// What the intake must know of what came before.
    pub(super) known: Known,
    /// The offset up to which the log's rows are in the partition.
    pub(super) offset: u64,
    /// All accepted events.
    pub(super) accepted: Accepted,
    /// Who writes the next checkpoint.
    pub(super) checkpointer: Checkpointer,
}

/// Takes the partition over and puts it together.
pub(super) async fn open(
    objects: Arc<dyn ObjectStore>,
    store: Store,
    log: &Log,
    types: &EventRegistry,
    cuts: Cuts,
) -> Result<Opened, ServeError> {
    let owner = std::process::id().to_string();
    let commits = Arc::new(StoreCommits(store));
    let checkpoints =
        Checkpoints::open(objects.clone(), commits, PARTITION, &owner, Options::default()).await?;
    let shared = types.shared();
    let restored = match checkpoints.restore(move |restored| load(restored, &shared)).await {
        // The log still has everything.
        Err(error @ CheckpointError::NothingWhole { .. }) if log.trimmed() == 0 => {
            tracing::warn!(%error, "the views are computed from the log");
            None
        }
        restored => restored?,
    };
    let (mut catalogue, mut files, mut from) = (BTreeMap::new(), Vec::new(), 0);
    if let Some((checkpoint, _)) = &restored {
        from = offset(checkpoint);
        files = history(checkpoint)?;
        let tenants = checkpoint.catalogue.iter();
        catalogue = tenants.map(|views| (Tenant(views.tenant), views.clone())).collect();
        log.expect(from).await?;
    }
    let history = HistoryStore::new(objects, PARTITION, checkpoints.epoch());
    let files = history.adopt(files);
    let accepted = Accepted::new(history, Recent::Log(log.clone()), files, from);
    let mut loaded = match restored {
        Some((_, loaded)) => loaded,
        None => Loaded::nothing(&types.shared())?,
    };
    let has_failed = !loaded.fits;
    let mut anew: BTreeSet<Tenant> = loaded.partition.failed_tenants();
    if !loaded.fits {
        tracing::info!("the views are others than those of the checkpoint: computed from history");
        anew = loaded.marks.keys().copied().collect();
    }
    for tenant in anew {
        rebuild(&mut loaded, tenant, &accepted, types, from).await?;
    }
    let checkpointer = Checkpointer {
        checkpoints,
        cuts,
        accepted: accepted.clone(),
        log: log.clone(),
        circuit: loaded.partition.fingerprint(),
        saver: ViewSaver::new(loaded.next_chunk),
        catalogue,
        has_failed,
        kept: Vec::new(),
        swept: None,
    };
    let Loaded { partition, known, .. } = loaded;
    Ok(Opened { partition, known, offset: from, accepted, checkpointer })
}

/// The files of history that a checkpoint lists.
fn history(checkpoint: &Checkpoint) -> Result<Vec<HistoryFile>, CheckpointError> {
    let listed = checkpoint.history.iter().cloned();
    listed.map(serde_json::from_value).collect::<Result<_, _>>().map_err(|error| unfit(&error))
}

/// What a checkpoint gave back.
struct Loaded {
    partition: Partition,
    /// How far each tenant had come.
    marks: BTreeMap<Tenant, SavedMarks>,
    known: Known,
    /// A number higher than those of all chunks.
    next_chunk: u64,
    /// Whether the state was of these views; if not, the views are empty.
    fits: bool,
}

impl Loaded {
    fn nothing(types: &EventTypes) -> Result<Self, ServeError> {
        let partition = Partition::new(types, ViewDefinition::builtin())?;
        let (marks, known) = (BTreeMap::new(), Known::default());
        Ok(Self { partition, marks, known, next_chunk: 0, fits: true })
    }
}

/// Loads a checkpoint. Blocks.
fn load(restored: &Restored, types: &EventTypes) -> Result<Loaded, CheckpointError> {
    let mut partition = Partition::new(types, ViewDefinition::builtin()).map_err(|e| unfit(&e))?;
    let fits = restored.checkpoint().circuit == partition.fingerprint();
    let mut known = std::thread::scope(|scope| {
        let known = scope.spawn(|| known(restored));
        if fits {
            load_state(restored, &mut partition)?;
        }
        known.join().map_err(|_| unfit(&"a thread that read the ids ended"))?
    })?;
    let records = records(restored)?;
    let mut marks = BTreeMap::new();
    let chunks = if fits { load_chunks(restored)? } else { HashMap::new() };
    for (tenant, record) in &records {
        marks.insert(*tenant, SavedMarks::read(record).map_err(|e| unfit(&e))?);
        if fits {
            partition.restore_views(*tenant, record, &chunks).map_err(|e| unfit(&e))?;
        }
    }
    for (tenant, marks) in &marks {
        known.resume(*tenant, marks.sequence, marks.today);
    }
    Ok(Loaded { partition, marks, known, next_chunk: restored.next_chunk(), fits })
}

/// State that cannot be put back is damage: the checkpoint before is worth a try.
fn unfit(error: &impl ToString) -> CheckpointError {
    CheckpointError::Damaged { path: "state".to_owned(), what: error.to_string() }
}

fn load_state(restored: &Restored, partition: &mut Partition) -> Result<(), CheckpointError> {
    let rest = {
        let loaders: Vec<Mutex<StateLoader<'_>>> =
            partition.loaders().into_iter().map(Mutex::new).collect();
        let rest = restored.load_stores(THREADS, |store, parts| {
            if store == Partition::VIEWS {
                return Ok(Vec::new());
            }
            let owner = loaders.iter().find(|loader| lock(loader).owns(store));
            let mut rest = Vec::new();
            for part in parts {
                let part = part?;
                let Some(owner) = owner else {
                    rest.push(part);
                    continue;
                };
                let mut loader = lock(owner);
                for (slot, entry) in part.entries() {
                    loader.load(store, slot, entry).map_err(|e: RuntimeError| unfit(&e))?;
                }
            }
            Ok::<_, CheckpointError>(rest)
        })?;
        for loader in loaders {
            loader.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        }
        rest
    };
    for (store, parts) in rest {
        for part in parts {
            for (slot, entry) in part.entries() {
                partition.restore_entry(store, slot, entry).map_err(|e| unfit(&e))?;
            }
        }
    }
    Ok(())
}

fn lock<'l, 'p>(loader: &'l Mutex<StateLoader<'p>>) -> MutexGuard<'l, StateLoader<'p>> {
    loader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The records of the tenants' views.
fn records(restored: &Restored) -> Result<BTreeMap<Tenant, Vec<u8>>, CheckpointError> {
    let mut records = BTreeMap::new();
    for blocks in restored.stores().iter().filter(|blocks| blocks.store == Partition::VIEWS) {
        for block in &blocks.blocks {
            for (tenant, record) in restored.state_part(*block)?.entries() {
                let tenant = Tenant(tenant as u32);
                if record.is_empty() {
                    records.remove(&tenant);
                } else {
                    records.insert(tenant, record.to_vec());
                }
            }
        }
    }
    Ok(records)
}

fn load_chunks(restored: &Restored) -> Result<HashMap<u64, SavedChunk>, CheckpointError> {
    let mut chunks = HashMap::new();
    for block in restored.chunk_blocks() {
        for (id, bytes) in restored.chunks(block)? {
            chunks.insert(id, SavedChunk::read(id, &bytes).map_err(|e| unfit(&e))?);
        }
    }
    Ok(chunks)
}

fn known(restored: &Restored) -> Result<Known, CheckpointError> {
    let (blocks, count) = restored.id_blocks();
    let mut known = Known::with_capacity(count);
    for block in blocks {
        known.add(&restored.ids(block)?);
    }
    for (tenant, newest) in restored.marks()? {
        if let Ok(newest) = <[u8; 8]>::try_from(newest.as_ref()) {
            known.newest(Tenant(tenant), i64::from_le_bytes(newest));
        }
    }
    Ok(known)
}

/// Computes the views of a tenant anew from history up to and with `offset`.
async fn rebuild(
    loaded: &mut Loaded,
    tenant: Tenant,
    accepted: &Accepted,
    types: &EventRegistry,
    offset: u64,
) -> Result<(), HistoryError> {
    let Some(marks) = loaded.marks.get(&tenant).copied() else { return Ok(()) };
    loaded.partition.forget(tenant);
    for event_type in types.visible(tenant).iter() {
        let rows = accepted.scan(tenant, event_type, offset, None);
        let mut rows = std::pin::pin!(rows);
        while let Some(rows) = rows.try_next().await? {
            let tenants = vec![tenant.0; rows.num_rows()].into();
            let events = vec![EventBatch { event_type: event_type.clone(), tenants, rows }];
            loaded.partition.apply(Input { events, ticks: Vec::new(), offset });
        }
    }
    let ticks = marks.today.map(|today| Tick { tenant, today }).into_iter().collect();
    loaded.partition.apply(Input { events: Vec::new(), ticks, offset });
    loaded.partition.resume(tenant, marks);
    Ok(())
}
