//! A table of packed keys: each distinct key has a slot number, and slots are used again.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::arena::{Arena, Piece};
use super::memory::Tally;
use super::packed::{Packed, owner};
use crate::Tenant;

/// What a key costs beside its bytes: its piece, its hash, and its place in the table.
const KEY_COST: usize = size_of::<Piece>() + 4 + 8;

/// Keys as bytes, each with a slot. What belongs to a key stands beside, indexed by its slot.
#[derive(Default)]
pub(crate) struct KeyTable {
    table: HashTable<u32>,
    pieces: Vec<Piece>,
    hashes: Vec<u32>,
    arena: Arena,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
    tally: Tally,
    /// What stands beside each key, in bytes.
    beside: usize,
}

/// A hash of 32 bits, spread over 64: tables take its bits from both ends.
pub(crate) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl KeyTable {
    /// A table whose keys have `beside` bytes of state beside them each.
    pub(crate) fn new(beside: usize) -> Self {
        Self { beside, ..Self::default() }
    }

    /// The hash under which a key is found.
    fn hash(&self, key: &[u8]) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    /// The slot of a key, which is added when it is not there: then the second value is true.
    pub(crate) fn find_or_add(&mut self, key: &[u8]) -> (u32, bool) {
        let hash = self.hash(key);
        self.find_or_add_hashed(key, hash)
    }

    /// The slot of each key of a batch, and whether it was added.
    pub(crate) fn locate(&mut self, keys: &Packed) -> Vec<(u32, bool)> {
        let hashes: Vec<u32> = keys.iter().map(|key| self.hash(key)).collect();
        hashes
            .into_iter()
            .enumerate()
            .map(|(i, hash)| self.find_or_add_hashed(keys.row(i), hash))
            .collect()
    }

    fn find_or_add_hashed(&mut self, key: &[u8], hash: u32) -> (u32, bool) {
        if let Some(slot) = self.find_hashed(key, hash) {
            return (slot, false);
        }
        let piece = self.arena.add(key);
        let slot = if let Some(slot) = self.free.pop() {
            self.pieces[slot as usize] = piece;
            self.hashes[slot as usize] = hash;
            slot
        } else {
            self.pieces.push(piece);
            self.hashes.push(hash);
            (self.pieces.len() - 1) as u32
        };
        let hashes = &self.hashes;
        self.table.insert_unique(spread(hash), slot, |slot| spread(hashes[*slot as usize]));
        self.tally.add(owner(key), key.len() + KEY_COST + self.beside);
        (slot, true)
    }

    fn find_hashed(&self, key: &[u8], hash: u32) -> Option<u32> {
        let equal = |slot: &u32| {
            let slot = *slot as usize;
            self.hashes[slot] == hash && self.arena.get(self.pieces[slot]) == key
        };
        self.table.find(spread(hash), equal).copied()
    }

    /// Removes the key of a slot; the slot may then be given to another key.
    pub(crate) fn remove(&mut self, slot: u32) {
        let hash = spread(self.hashes[slot as usize]);
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == slot) {
            entry.remove();
            let piece = std::mem::take(&mut self.pieces[slot as usize]);
            self.tally.remove(owner(self.arena.get(piece)), piece.len() + KEY_COST + self.beside);
            self.arena.remove(piece);
            self.free.push(slot);
            if self.arena.is_wasteful() {
                self.arena.compact(self.pieces.iter_mut());
            }
        }
    }

    /// The key of a slot in use.
    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        self.arena.get(self.pieces[slot as usize])
    }

    /// The slots of a tenant's keys.
    pub(crate) fn of_tenant(&self, tenant: Tenant) -> Vec<u32> {
        self.table.iter().copied().filter(|slot| owner(self.key(*slot)) == tenant).collect()
    }

    /// The bytes that a tenant's keys take.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.tally.bytes(tenant)
    }
}

/// The value of a slot, made when it is not there.
pub(crate) fn at<T: Default>(values: &mut Vec<T>, slot: u32) -> &mut T {
    let slot = slot as usize;
    if values.len() <= slot {
        values.resize_with(slot + 1, T::default);
    }
    &mut values[slot]
}

/// The slots touched in one step, each once, in the order of the first touch.
#[derive(Default)]
pub(crate) struct Touched {
    /// For each slot one more than its place in `slots`; 0: not touched.
    place: Vec<u32>,
    /// The slots.
    pub(crate) slots: Vec<u32>,
}

impl Touched {
    /// The place of the slot among the touched ones, and whether this is its first touch.
    pub(crate) fn touch(&mut self, slot: u32) -> (usize, bool) {
        let place = at(&mut self.place, slot);
        let first = *place == 0;
        if first {
            self.slots.push(slot);
            *place = self.slots.len() as u32;
        }
        (*place as usize - 1, first)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        for slot in self.slots.drain(..) {
            self.place[slot as usize] = 0;
        }
    }
}
