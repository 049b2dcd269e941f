//! A partition put together again from its newest whole checkpoint.
//!
//! State that other views wrote (after an upgrade) does not fit; then the views are computed anew
//! from the history that the checkpoint lists, and only the positions are taken from it. So are the
//! views of a tenant of which one has failed: what failed it, such as a limit, may be another now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::TryStreamExt;
use ingest::Known;
use ingest::checkpoint::{Checkpoint, CheckpointError, Checkpoints, Options, Restored, Source};
use ingest::history::{Accepted, HistoryError, HistoryFile, HistoryStore, Recent};
use ingest::objects::Address;
use object_store::ObjectStore;
use projections::{
    EventRegistry, EventTypes, Input, Partition, Readers, RuntimeError, SavedChunk, SavedMarks,
    StateLoader, Tenant, Tick, ViewDefinition, ViewSaver,
};
use tenancy::Store;

use super::ServeError;
use super::checkpointer::Checkpointer;
use super::commits::StoreCommits;
use super::engine::Cuts;

/// Threads that load state.
const THREADS: usize = 4;
/// A tenant has fewer events and ticks than two to this power, or they are counted anew in the epoch in
/// which half of that is reached.
const EPOCH_BITS: u32 = 32;
/// What is needed to put a partition together.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Where those are.
    pub(super) address: Address,
    pub(super) store: Store,
    pub(super) types: EventRegistry,
    /// The readers' side of all partitions.
    pub(super) readers: Readers,
    /// The key of the hashes of event ids.
    pub(super) id_key: [u8; 16],
    /// Who takes partitions over, for people who look into the control store or at other nodes.
    pub(super) owner: String,
}

/// A partition as it goes on from its newest checkpoint, or from nothing.
pub(super) struct Opened {
    pub(super) partition: Partition,
    /// What the intake must know of what came before.
    pub(super) known: Known,
    /// Where the source is to be read from; none: from its beginning.
    pub(super) source: Option<Source>,
    /// The offset, or step, up to which everything is in the partition.
    pub(super) offset: u64,
    /// The epoch under which it is held.
    pub(super) epoch: u64,
    /// All accepted events.
    pub(super) accepted: Accepted,
    /// Who writes the next checkpoint.
    pub(super) checkpointer: Checkpointer,
}

/// Which partition, and what becomes of what it had.
pub(super) struct Wanted {
    pub(super) number: u32,
    /// The epoch that it must have, 0 if nobody ever had it; none: whatever it has.
    pub(super) from: Option<u64>,
    /// The tenants that live in it, all that there may be events of.
    pub(super) tenants: BTreeSet<Tenant>,
    pub(super) recent: Recent,
    pub(super) cuts: Cuts,
}

/// Takes the partition over and puts it together.
pub(super) async fn open(place: &Place, wanted: Wanted) -> Result<Opened, ServeError> {
    let Wanted { number, from, tenants, recent, cuts } = wanted;
    let commits = Arc::new(StoreCommits { store: place.store.clone(), from });
    let (objects, options) = (Arc::clone(&place.objects), Options::default());
    let checkpoints =
        Checkpoints::open(objects.clone(), commits, number, &place.owner, options).await?;
    let epoch = checkpoints.epoch();
    let loading = (place.types.shared(), place.readers.clone(), tenants.clone());
    let load = move |restored: &Restored| {
        let (types, readers, tenants) = &loading;
        // An attempt before may have left some.
        readers.retain(|tenant| !tenants.contains(&tenant));
        load(restored, types, readers)
    };
    let has_everything = has_everything(&recent).await;
    let restored = match checkpoints.restore(load).await {
        // The log still has everything.
        Err(error @ CheckpointError::NothingWhole { .. }) if has_everything => {
            tracing::warn!(%error, "the views are computed from the log");
            place.readers.retain(|tenant| !tenants.contains(&tenant));
            None
        }
        restored => restored?,
    };
    let (mut catalogue, mut files, mut step) = (BTreeMap::new(), Vec::new(), 0);
    if let Some((checkpoint, _)) = &restored {
        step = checkpoint.step;
        files = history(checkpoint)?;
        let tenants = checkpoint.catalogue.iter();
        catalogue = tenants.map(|views| (Tenant(views.tenant), views.clone())).collect();
        if let Recent::Log(log) = &recent {
            log.expect(step).await?;
        }
    }
    let source = restored.as_ref().map(|(checkpoint, _)| checkpoint.source.clone());
    let history = HistoryStore::new(objects, number, epoch);
    let files = history.adopt(files);
    let moves = matches!(recent, Recent::Tail(_));
    if moves {
        // Steps beyond the checkpoint are given again, to what may be other events.
        let numbers: Vec<u32> = tenants.iter().map(|tenant| tenant.0).collect();
        place.store.forget_positions_beyond(&numbers, step).await?;
    }
    let accepted = Accepted::new(history, recent, files, step);
    let mut loaded = match restored {
        Some((_, loaded)) => loaded,
        None => Loaded::nothing(&place.types.shared(), &place.readers)?,
    };
    let has_failed = !loaded.fits;
    let mut anew: BTreeSet<Tenant> = loaded.partition.failed_tenants();
    if !loaded.fits {
        tracing::info!("the views are others than those of the checkpoint: computed from history");
        anew = loaded.marks.keys().copied().collect();
        loaded.pass_on();
    }
    for tenant in anew {
        rebuild(&mut loaded, tenant, &accepted, &place.types, step).await?;
    }
    if moves {
        loaded.renumber(epoch, &tenants, step);
    }
    let checkpointer = Checkpointer {
        number,
        address: place.address.clone(),
        store: place.store.clone(),
        checkpoints,
        cuts,
        accepted: accepted.clone(),
        id_key: place.id_key,
        circuit: loaded.partition.fingerprint(),
        saver: ViewSaver::new(loaded.next_chunk),
        catalogue,
        newest: loaded.known.newest_of_each(),
        has_failed,
        made: Instant::now(),
        kept: Vec::new(),
        swept: None,
        leftovers: Vec::new(),
    };
    let Loaded { partition, known, .. } = loaded;
    Ok(Opened { partition, known, source, offset: step, epoch, accepted, checkpointer })
}

/// Whether the source still has all events that ever were, of which there are some: there have been
/// checkpoints.
async fn has_everything(recent: &Recent) -> bool {
    match recent {
        // A log without a row is another one: that of the checkpoints is gone.
        Recent::Log(log) => log.trimmed() == 0 && log.expect(1).await.is_ok(),
        // What retention took cannot be seen from here: whoever knows removes the checkpoints.
        Recent::Tail(_) => false,
    }
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
    fn nothing(types: &EventTypes, readers: &Readers) -> Result<Self, ServeError> {
        let partition = Partition::new(types, ViewDefinition::builtin())?.beside(readers);
        let (marks, known) = (BTreeMap::new(), Known::default());
        Ok(Self { partition, marks, known, next_chunk: 0, fits: true })
    }

    /// Has all tenants come one step further: at the positions that were given before, clients hold rows
    /// of the views as they were, and whoever resumes from one is told so.
    fn pass_on(&mut self) {
        for (tenant, marks) in &mut self.marks {
            marks.sequence += 1;
            self.known.resume(*tenant, marks.sequence, marks.today);
        }
    }

    /// Has all positions of the epoch begin beyond those of the epochs before: what came behind the
    /// checkpoint is read again from several topics, maybe in another order, so that a position of
    /// then may stand for other contents now. Whoever resumes from one is told so. How many events and
    /// ticks a tenant had stays in the lower half.
    fn renumber(&mut self, epoch: u64, tenants: &BTreeSet<Tenant>, step: u64) {
        let sequence = (epoch - 1) << EPOCH_BITS;
        if sequence == 0 {
            return;
        }
        let all: BTreeSet<Tenant> = self.marks.keys().chain(tenants).copied().collect();
        for tenant in all {
            let nothing = SavedMarks { sequence: 0, offset: step, today: None };
            let before = self.marks.get(&tenant).copied().unwrap_or(nothing);
            let taken = before.sequence & ((1 << EPOCH_BITS) - 1);
            let taken = if taken < 1 << (EPOCH_BITS - 1) { taken } else { 0 };
            let marks = SavedMarks { sequence: sequence + taken, ..before };
            self.partition.resume(tenant, marks);
            self.known.resume(tenant, marks.sequence, marks.today);
        }
    }
}

/// Loads a checkpoint. Blocks.
fn load(
    restored: &Restored,
    types: &EventTypes,
    readers: &Readers,
) -> Result<Loaded, CheckpointError> {
    let partition = Partition::new(types, ViewDefinition::builtin()).map_err(|e| unfit(&e))?;
    let mut partition = partition.beside(readers);
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
    let mut ids = Vec::with_capacity(count);
    for block in blocks {
        ids.extend(restored.ids(block)?);
    }
    let mut known = Known::of(&ids);
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
        let mut batches = std::pin::pin!(accepted.events(tenant, event_type, offset));
        while let Some(events) = batches.try_next().await? {
            loaded.partition.apply(Input { events: vec![events], ticks: Vec::new(), offset });
        }
    }
    let ticks = marks.today.map(|today| Tick { tenant, today }).into_iter().collect();
    loaded.partition.apply(Input { events: Vec::new(), ticks, offset });
    loaded.partition.resume(tenant, marks);
    Ok(())
}
