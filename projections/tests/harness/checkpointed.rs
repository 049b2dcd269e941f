//! A partition that is checkpointed while it runs, and now and then put together again from its
//! checkpoints and what it was given since.

use std::collections::{BTreeMap, HashMap, HashSet};

use projections::events::EventTypes;
use projections::{
    CutSnapshots, DefineError, Input, Partition, SavedChunk, StatePart, Tenant, TenantDelta,
    ViewDefinition, ViewSaver,
};

/// Bytes that are taken of a cut after each input: few, so that inputs come in between.
const ROOM: usize = 300;

/// The partition, its checkpoints, and what it was given since the last of them.
pub(crate) struct Checkpointed {
    types: EventTypes,
    views: Vec<ViewDefinition>,
    pub(crate) partition: Partition,
    /// How often it may still be put together again.
    restores: usize,
    saver: ViewSaver,
    committed: Committed,
    under_way: Option<UnderWay>,
    since: Vec<Given>,
}

/// What files would hold.
#[derive(Default)]
struct Committed {
    cuts: usize,
    state: BTreeMap<(u32, u64), Vec<u8>>,
    records: BTreeMap<Tenant, Vec<u8>>,
    chunks: HashMap<u64, Vec<u8>>,
}

struct UnderWay {
    snapshots: CutSnapshots,
    parts: Vec<StatePart>,
    /// How much was given since the last cut when this one began.
    given: usize,
}

enum Given {
    Input(Input),
    Forget(Tenant),
}

impl Checkpointed {
    pub(crate) fn new(
        types: &EventTypes,
        views: Vec<ViewDefinition>,
        restores: usize,
    ) -> Result<Self, DefineError> {
        Ok(Self {
            types: types.clone(),
            partition: Partition::new(types, views.clone())?,
            views,
            restores,
            saver: ViewSaver::new(0),
            committed: Committed::default(),
            under_way: None,
            since: Vec::new(),
        })
    }

    pub(crate) fn apply(&mut self, input: Input) -> Vec<TenantDelta> {
        if self.restores > 0 {
            self.turn();
            self.since.push(Given::Input(input.clone()));
        }
        self.partition.apply(input)
    }

    pub(crate) fn forget(&mut self, tenant: Tenant) {
        if self.restores > 0 {
            self.since.push(Given::Forget(tenant));
        }
        self.partition.forget(tenant);
    }

    /// Begins a cut, or goes on with the one under way; when it is done, every second time, the
    /// partition is put together again from it.
    fn turn(&mut self) {
        let under_way = self.under_way.get_or_insert_with(|| UnderWay {
            // One of several is whole though it need not be, as after a failure.
            snapshots: {
                let whole = self.committed.cuts.is_multiple_of(4);
                if whole {
                    self.saver.forget();
                    self.committed =
                        Committed { cuts: self.committed.cuts, ..Committed::default() };
                }
                self.partition.cut(whole)
            },
            parts: Vec::new(),
            given: self.since.len(),
        });
        let (parts, done) = self.partition.capture(ROOM);
        under_way.parts.extend(parts);
        if !done {
            return;
        }
        let Some(UnderWay { snapshots, parts, given }) = self.under_way.take() else { return };
        self.committed.add(&snapshots, &parts, &mut self.saver);
        self.since.drain(..given);
        if self.committed.cuts.is_multiple_of(2) {
            self.restores -= 1;
            self.restore();
        }
    }

    fn restore(&mut self) {
        let mut partition = Partition::new(&self.types, self.views.clone()).unwrap();
        let saver = self.committed.restore(&mut partition);
        for given in &self.since {
            match given {
                Given::Input(input) => drop(partition.apply(input.clone())),
                Given::Forget(tenant) => partition.forget(*tenant),
            }
        }
        (self.partition, self.saver) = (partition, saver);
    }
}

impl Committed {
    fn add(&mut self, cut: &CutSnapshots, parts: &[StatePart], saver: &mut ViewSaver) {
        self.cuts += 1;
        for part in parts {
            assert!(part.slots.is_sorted_by(|a, b| a < b), "the slots of a part ascend");
            for (slot, bytes) in part.entries() {
                if bytes.is_empty() {
                    self.state.remove(&(part.store, slot));
                } else {
                    self.state.insert((part.store, slot), bytes.to_vec());
                }
            }
        }
        for (tenant, snapshot) in &cut.tenants {
            let Some(snapshot) = snapshot else {
                self.records.remove(tenant);
                continue;
            };
            let saved = saver.save(snapshot, cut.views);
            for chunk in &saved.new {
                assert!(self.chunks.insert(chunk.id, chunk.bytes()).is_none(), "a number twice");
            }
            for id in saved.chunks.iter().flat_map(|(_, ids)| ids) {
                assert!(self.chunks.contains_key(id), "a chunk that was never saved");
            }
            self.records.insert(*tenant, saved.record);
        }
    }

    fn restore(&self, partition: &mut Partition) -> ViewSaver {
        let mut owned = HashSet::new();
        for mut loader in partition.loaders() {
            for ((store, slot), entry) in &self.state {
                if loader.owns(*store) {
                    loader.load(*store, *slot, entry).unwrap();
                    owned.insert((*store, *slot));
                }
            }
            loader.finish();
        }
        for ((store, slot), entry) in &self.state {
            if !owned.contains(&(*store, *slot)) {
                partition.restore_entry(*store, *slot, entry).unwrap();
            }
        }
        let read = |(id, bytes): (&u64, &Vec<u8>)| (*id, SavedChunk::read(*id, bytes).unwrap());
        let chunks: HashMap<u64, SavedChunk> = self.chunks.iter().map(read).collect();
        for (tenant, record) in &self.records {
            partition.restore_views(*tenant, record, &chunks).unwrap();
        }
        ViewSaver::new(self.chunks.keys().max().map_or(0, |id| id + 1))
    }
}
