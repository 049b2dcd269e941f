//! What a partition holds, in plain maps, with changes at random; and the same written as
//! checkpoints and read back.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::{
    CheckpointError, Checkpoints, Committed, Cut, Extent, Restored, Source, StatePart, TenantViews,
};

/// Small numbers at random, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn bytes(&mut self, longest: u64) -> Vec<u8> {
        let length = 1 + self.below(longest);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// A chunk's id and bytes.
type Chunk = (u64, Vec<u8>);

/// What a cut holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) state: BTreeMap<(u32, u64), Vec<u8>>,
    pub(crate) views: BTreeMap<u32, BTreeMap<String, Vec<Chunk>>>,
    pub(crate) ids: BTreeSet<u128>,
    pub(crate) marks: BTreeMap<u32, Vec<u8>>,
}

/// What it holds, and what has changed since the last checkpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) held: Held,
    state: BTreeSet<(u32, u64)>,
    chunks: BTreeSet<u64>,
    ids: BTreeSet<u128>,
    marks: BTreeSet<u32>,
    next_chunk: u64,
}

impl Model {
    /// A model of what was restored, with nothing changed.
    pub(crate) fn new(held: Held, next_chunk: u64) -> Self {
        Self { held, next_chunk, ..Default::default() }
    }

    /// All that has changed is committed.
    pub(crate) fn committed(&mut self) {
        *self = Self::new(std::mem::take(&mut self.held), self.next_chunk);
    }

    pub(crate) fn change(&mut self, random: &mut Random) {
        for _ in 0..random.below(60) {
            let key = (random.below(5) as u32, random.below(120));
            if random.below(4) == 0 {
                self.held.state.remove(&key);
            } else {
                let longest = if random.below(20) == 0 { 900 } else { 20 };
                self.held.state.insert(key, random.bytes(longest));
            }
            self.state.insert(key);
        }
        for _ in 0..random.below(6) {
            let (tenant, view) = (random.below(4) as u32, format!("v{}", random.below(3)));
            let chunks = self.held.views.entry(tenant).or_default().entry(view).or_default();
            match random.below(3) {
                0 if !chunks.is_empty() => {
                    chunks.remove(random.below(chunks.len() as u64) as usize);
                }
                1 if !chunks.is_empty() => {
                    let at = random.below(chunks.len() as u64) as usize;
                    chunks[at] = (self.next_chunk, random.bytes(100));
                    self.chunks.insert(self.next_chunk);
                    self.next_chunk += 1;
                }
                _ => {
                    chunks.push((self.next_chunk, random.bytes(100)));
                    self.chunks.insert(self.next_chunk);
                    self.next_chunk += 1;
                }
            }
        }
        for _ in 0..random.below(30) {
            let id = u128::from(random.below(u64::MAX)) << 64 | u128::from(random.below(u64::MAX));
            self.held.ids.insert(id);
            self.ids.insert(id);
        }
        for _ in 0..random.below(4) {
            let tenant = random.below(6) as u32;
            if random.below(5) == 0 {
                self.held.marks.remove(&tenant);
            } else {
                self.held.marks.insert(tenant, random.bytes(12));
            }
            self.marks.insert(tenant);
        }
    }

    /// Writes and commits a checkpoint.
    pub(crate) async fn write(
        &self,
        checkpoints: &Checkpoints,
        extent: Extent,
        step: u64,
        random: &mut Random,
    ) -> Result<Committed, CheckpointError> {
        let whole = extent == Extent::Whole;
        let mut writer = checkpoints.begin(extent)?;
        let all: Vec<(u32, u64)> = self.held.state.keys().copied().collect();
        let keys = if whole { all } else { self.state.iter().copied().collect() };
        for part in self.parts(keys, random) {
            writer.state(part).await?;
        }
        let views = self.held.views.values().flat_map(BTreeMap::values).flatten();
        let chunks: Vec<_> =
            views.filter(|(id, _)| whole || self.chunks.contains(id)).cloned().collect();
        for (id, bytes) in chunks {
            writer.chunk(id, &bytes).await?;
        }
        let ids = if whole { &self.held.ids } else { &self.ids };
        for ids in ids.iter().copied().collect::<Vec<_>>().chunks(7) {
            writer.ids(ids).await?;
        }
        let tenants = self.held.marks.keys().chain(&self.marks);
        let marks: BTreeMap<u32, Bytes> = tenants
            .filter(|tenant| whole || self.marks.contains(tenant))
            .map(|tenant| {
                (*tenant, Bytes::from(self.held.marks.get(tenant).cloned().unwrap_or_default()))
            })
            .collect();
        writer.marks(&marks).await?;
        writer.commit(self.cut(step)).await
    }

    pub(crate) fn cut(&self, step: u64) -> Cut {
        let ids = |chunks: &Vec<(u64, Vec<u8>)>| chunks.iter().map(|(id, _)| *id).collect();
        let catalogue = self.held.views.iter().map(|(tenant, views)| TenantViews {
            tenant: *tenant,
            views: views.iter().map(|(name, chunks)| (name.clone(), ids(chunks))).collect(),
        });
        Cut {
            circuit: [7; 16],
            source: Source::Log { offset: 10 * step },
            step,
            catalogue: catalogue.collect(),
            history: vec![serde_json::json!({"path": format!("file of {step}")})],
            sections: BTreeMap::from([("clock".to_owned(), Bytes::from(step.to_string()))]),
        }
    }

    /// The entries of the keys, in parts: most in turn, some before their turn.
    fn parts(&self, keys: Vec<(u32, u64)>, random: &mut Random) -> Vec<StatePart> {
        let (early, in_turn): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|_| random.below(5) == 0);
        let mut parts = Vec::new();
        for keys in [in_turn, early] {
            let mut part = StatePart::default();
            let mut bytes = Vec::new();
            let mut close = |part: &mut StatePart, bytes: &mut Vec<u8>| {
                let closed =
                    StatePart { bytes: std::mem::take(bytes).into(), ..std::mem::take(part) };
                parts.push(closed);
            };
            for (store, slot) in keys {
                if part.store != store || random.below(8) == 0 {
                    close(&mut part, &mut bytes);
                    part.store = store;
                }
                bytes.extend(self.held.state.get(&(store, slot)).into_iter().flatten());
                part.slots.push(slot);
                part.ends.push(bytes.len() as u32);
            }
            close(&mut part, &mut bytes);
        }
        // The early ones somewhere among the others, and stores side by side.
        let mut mixed = Vec::new();
        for part in parts {
            let after = mixed.iter().rposition(|other: &StatePart| {
                other.store == part.store && other.slots.first() < part.slots.first()
            });
            let from = after.map_or(0, |at| at + 1);
            let at = from + random.below((mixed.len() - from + 1) as u64) as usize;
            mixed.insert(at, part);
        }
        mixed
    }
}

/// Reads all of a checkpoint back.
pub(crate) fn load(restored: &Restored) -> Result<(Held, u64), CheckpointError> {
    let mut held = Held::default();
    let stores = restored.load_stores(2, |_, parts| {
        let mut entries = BTreeMap::new();
        for part in parts {
            for (slot, bytes) in part?.entries() {
                match bytes {
                    [] => entries.remove(&slot),
                    bytes => entries.insert(slot, bytes.to_vec()),
                };
            }
        }
        Ok::<_, CheckpointError>(entries)
    })?;
    for (store, entries) in stores {
        held.state.extend(entries.into_iter().map(|(slot, bytes)| ((store, slot), bytes)));
    }
    let mut chunks = BTreeMap::new();
    for block in restored.chunk_blocks() {
        chunks.extend(restored.chunks(block)?);
    }
    for TenantViews { tenant, views } in &restored.checkpoint().catalogue {
        for (name, ids) in views {
            let chunks = ids.iter().map(|id| (*id, chunks[id].to_vec())).collect();
            held.views.entry(*tenant).or_default().insert(name.clone(), chunks);
        }
    }
    let (blocks, most) = restored.id_blocks();
    for block in blocks {
        held.ids.extend(restored.ids(block)?);
    }
    assert!(held.ids.len() <= most);
    held.marks = restored.marks()?.into_iter().map(|(t, bytes)| (t, bytes.to_vec())).collect();
    Ok((held, restored.next_chunk()))
}
