//! From parts of state of any size to blocks that are worth reading alone.
//!
//! The engine captures a store slot by slot, but what is about to change before its turn: small parts
//! out of order. Those that follow on each other fill one block of the store, the strays another,
//! sorted when it is closed.

use std::collections::HashMap;

use super::error::CheckpointError;
use super::file::{ChunkEntry, Kind, state_block};
use super::files::Files;
use super::part::StatePart;

/// A part of at least this size becomes a block without being copied.
const LONE: usize = 256 << 10;
/// The largest block, but for one with a single larger entry.
const LARGEST: usize = 4 << 20;
/// What all blocks that are being filled may hold, in blocks.
const FILLING: usize = 16;

/// The blocks of state that are being filled.
#[derive(Debug)]
pub(super) struct StateBuilder {
    block_bytes: usize,
    stores: HashMap<(u32, Order), Filling>,
    held: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Order {
    InTurn,
    Stray,
}

#[derive(Debug, Default)]
struct Filling {
    slots: Vec<u64>,
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Filling {
    fn size(&self) -> usize {
        12 * self.slots.len() + self.bytes.len()
    }

    fn add(&mut self, part: &StatePart) {
        let before = self.bytes.len() as u32;
        self.slots.extend_from_slice(&part.slots);
        self.ends.extend(part.ends.iter().map(|end| before + end));
        self.bytes.extend_from_slice(&part.bytes);
    }

    fn close(self, store: u32, order: Order) -> StatePart {
        let Self { slots, ends, bytes } = self;
        let part = StatePart { store, slots, ends, bytes: bytes.into() };
        match order {
            Order::InTurn => part,
            Order::Stray => sorted(&part),
        }
    }
}

/// The entries in the order of their slots; of two with one slot the later.
fn sorted(part: &StatePart) -> StatePart {
    let mut order: Vec<usize> = (0..part.slots.len()).collect();
    order.sort_by_key(|at| part.slots[*at]);
    let mut sorted = Filling::default();
    for (place, at) in order.iter().enumerate() {
        if order.get(place + 1).is_some_and(|next| part.slots[*next] == part.slots[*at]) {
            continue;
        }
        sorted.slots.push(part.slots[*at]);
        sorted.bytes.extend_from_slice(&part.bytes[part.span(*at)]);
        sorted.ends.push(sorted.bytes.len() as u32);
    }
    sorted.close(part.store, Order::InTurn)
}

impl StateBuilder {
    pub(super) fn new(block_bytes: usize) -> Self {
        Self { block_bytes, stores: HashMap::new(), held: 0 }
    }

    /// Adds a part; writes the blocks that are full by it.
    pub(super) async fn add(
        &mut self,
        part: StatePart,
        files: &mut Files,
    ) -> Result<(), CheckpointError> {
        let (Some(first), Some(last)) = (part.slots.first(), part.slots.last()) else {
            return Ok(());
        };
        let (store, last) = (part.store, *last);
        if part.size() >= LONE.min(self.block_bytes) {
            // What was in turn before it is closed, so that blocks do not overlap without need.
            if self.last(store).is_some_and(|before| before < last) {
                self.write((store, Order::InTurn), files).await?;
            }
            return push(part, files).await;
        }
        let in_turn = self.last(store).is_none_or(|last| last < *first);
        let key = (store, if in_turn { Order::InTurn } else { Order::Stray });
        let filling = self.stores.entry(key).or_default();
        filling.add(&part);
        self.held += part.size();
        if filling.size() >= self.block_bytes {
            self.write(key, files).await?;
        }
        while self.held > FILLING * self.block_bytes {
            let Some(key) = self.largest() else { break };
            self.write(key, files).await?;
        }
        Ok(())
    }

    /// Writes all that is left.
    pub(super) async fn finish(&mut self, files: &mut Files) -> Result<(), CheckpointError> {
        let mut keys: Vec<_> = self.stores.keys().copied().collect();
        keys.sort_by_key(|(store, order)| (*store, *order == Order::Stray));
        for key in keys {
            self.write(key, files).await?;
        }
        Ok(())
    }

    async fn write(&mut self, key: (u32, Order), files: &mut Files) -> Result<(), CheckpointError> {
        let Some(filling) = self.stores.remove(&key) else { return Ok(()) };
        self.held -= filling.size();
        push(filling.close(key.0, key.1), files).await
    }

    /// The last slot of the block in turn.
    fn last(&self, store: u32) -> Option<u64> {
        self.stores.get(&(store, Order::InTurn))?.slots.last().copied()
    }

    fn largest(&self) -> Option<(u32, Order)> {
        self.stores.iter().max_by_key(|(_, filling)| filling.size()).map(|(key, _)| *key)
    }
}

/// Writes a part as one block, or as several where it is too large.
pub(super) async fn push(part: StatePart, files: &mut Files) -> Result<(), CheckpointError> {
    let mut from = 0;
    while from < part.slots.len() {
        let limit = part.span(from).start + LARGEST;
        let mut to = part.ends.partition_point(|end| *end as usize <= limit).max(from + 1);
        to = to.min(from + LARGEST / 8);
        let block = if to - from == part.slots.len() { part.clone() } else { part.slice(from, to) };
        let range = (part.slots[from], part.slots[to - 1]);
        let about = (part.store, to - from, range.0, range.1);
        files.push(Kind::State, about, state_block(block), &[]).await?;
        from = to;
    }
    Ok(())
}

/// The block of chunks that is being filled.
#[derive(Debug, Default)]
pub(super) struct ChunkBuilder {
    entries: Vec<ChunkEntry>,
    bytes: Vec<u8>,
}

/// The block of ids that is being filled.
#[derive(Debug, Default)]
pub(super) struct IdBuilder {
    bytes: Vec<u8>,
}

impl ChunkBuilder {
    pub(super) async fn add(
        &mut self,
        (id, bytes): (u64, &[u8]),
        block_bytes: usize,
        files: &mut Files,
    ) -> Result<(), CheckpointError> {
        let length = u32::try_from(bytes.len()).map_err(|_| {
            CheckpointError::Misuse(format!("the chunk {id} has {} bytes", bytes.len()))
        })?;
        self.entries.push(ChunkEntry { id, length });
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= block_bytes { self.close(files).await } else { Ok(()) }
    }

    pub(super) async fn close(&mut self, files: &mut Files) -> Result<(), CheckpointError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let Self { entries, bytes } = std::mem::take(self);
        files.push(Kind::Chunks, (0, entries.len(), 0, 0), [bytes.into()], &entries).await
    }
}

impl IdBuilder {
    pub(super) async fn add(
        &mut self,
        ids: &[u128],
        block_bytes: usize,
        files: &mut Files,
    ) -> Result<(), CheckpointError> {
        for ids in ids.chunks((block_bytes / 16).max(1)) {
            self.bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
            if self.bytes.len() >= block_bytes {
                self.close(files).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn close(&mut self, files: &mut Files) -> Result<(), CheckpointError> {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() {
            return Ok(());
        }
        files.push(Kind::Ids, (0, bytes.len() / 16, 0, 0), [bytes.into()], &[]).await
    }
}
