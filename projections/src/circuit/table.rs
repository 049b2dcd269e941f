//! A table of packed keys: each distinct key has a slot number, and slots are used again.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::ops::Range;

use hashbrown::DefaultHashBuilder;

use super::arena::{Arena, Piece};
use super::index::{ENTRY_COST, SlotIndex};
use super::memory::Tally;
use super::packed::owner;
use super::slots::Slots;
use crate::Tenant;
use crate::bytes::ByteRows;

/// What a key costs beside its bytes.
const KEY_COST: usize = size_of::<Piece>() + ENTRY_COST;

/// How many keys are looked for together: what they wait for in memory, they wait for at once.
const TOGETHER: usize = 128;

/// Keys as bytes, each with a slot. What belongs to a key stands beside, indexed by its slot.
#[derive(Default)]
pub(crate) struct KeyTable {
    index: SlotIndex,
    pieces: Slots<Piece>,
    arena: Arena,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
    tally: Tally,
    /// What stands beside each key, in bytes.
    beside: usize,
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
    pub(crate) fn locate(&mut self, keys: &ByteRows) -> Vec<(u32, bool)> {
        let mut located = Vec::with_capacity(keys.len());
        let mut found = Vec::with_capacity(TOGETHER);
        for first in (0..keys.len()).step_by(TOGETHER) {
            let block = first..(first + TOGETHER).min(keys.len());
            self.look_up(keys, block.clone(), &mut found);
            for (i, Found { hash, slot, piece }) in block.zip(&found) {
                let key = keys.row(i);
                let slot = slot.filter(|_| self.arena.get(*piece) == key);
                located.push(match slot {
                    Some(slot) => (slot, false),
                    // It may be another key of that hash, or have come since.
                    None => self.find_or_add_hashed(key, *hash),
                });
            }
        }
        located
    }

    /// What stands at the hashes of some keys. Every pass reads one thing of each key, and none
    /// waits for that of another.
    fn look_up(&self, keys: &ByteRows, block: Range<usize>, found: &mut Vec<Found>) {
        found.clear();
        found.extend(block.map(|i| Found { hash: self.hash(keys.row(i)), ..Found::default() }));
        black_box(found.iter().fold(0, |read, key| read ^ self.index.touch(key.hash)));
        for key in found.iter_mut() {
            key.slot = self.index.find(key.hash, |_| true);
        }
        for key in found.iter_mut() {
            key.piece = key.slot.map_or_else(Piece::default, |slot| self.pieces[slot]);
        }
        let first = |key: &Found| self.arena.get(key.piece).first().copied().unwrap_or(0);
        black_box(found.iter().fold(0, |read, key| read ^ first(key)));
    }

    fn find_or_add_hashed(&mut self, key: &[u8], hash: u32) -> (u32, bool) {
        let equal = |slot: u32| self.arena.get(self.pieces[slot]) == key;
        if let Some(slot) = self.index.find(hash, equal) {
            return (slot, false);
        }
        let piece = self.arena.add(key);
        let slot = if let Some(slot) = self.free.pop() {
            self.pieces[slot] = piece;
            slot
        } else {
            self.pieces.push(piece)
        };
        self.index.insert(hash, slot);
        self.tally.add(owner(key), key.len() + KEY_COST + self.beside);
        (slot, true)
    }

    /// Removes the key of a slot; the slot may then be given to another key.
    pub(crate) fn remove(&mut self, slot: u32) {
        if self.take_out(slot) {
            self.free.push(slot);
        }
    }

    /// Takes the key of a slot out; answers whether there was one.
    fn take_out(&mut self, slot: u32) -> bool {
        let piece = std::mem::take(&mut self.pieces[slot]);
        if piece.len() == 0 {
            return false;
        }
        self.index.remove(self.hash(self.arena.get(piece)), slot);
        self.let_go(piece);
        true
    }

    /// Lets the bytes of a key go that stands at no slot any more.
    fn let_go(&mut self, piece: Piece) {
        let tenant = owner(self.arena.get(piece));
        self.tally.remove(tenant, piece.len() + KEY_COST + self.beside);
        self.arena.remove(piece);
        if self.arena.is_wasteful() {
            self.arena.compact(self.pieces.iter_mut());
        }
    }

    /// One more than the last slot.
    pub(crate) fn slots(&self) -> usize {
        self.pieces.len()
    }

    /// Puts a key at a slot, as a checkpoint has it, in place of what is there; no bytes: nothing.
    /// [`KeyTable::restored`] has to follow before the table is used.
    pub(crate) fn restore(&mut self, slot: u32, key: &[u8]) {
        self.pieces.at(slot);
        if self.key(slot) == key {
            return;
        }
        let piece = std::mem::take(&mut self.pieces[slot]);
        if piece.len() > 0 {
            self.let_go(piece);
        }
        if !key.is_empty() {
            self.pieces[slot] = self.arena.add(key);
            self.tally.add(owner(key), key.len() + KEY_COST + self.beside);
        }
    }

    /// Says that all keys are restored: now they can be found, and slots without one are free.
    pub(crate) fn restored(&mut self) {
        let mut entries = Vec::with_capacity(self.pieces.len());
        self.free.clear();
        for slot in 0..self.pieces.len() as u32 {
            match self.key(slot) {
                [] => self.free.push(slot),
                key => entries.push((self.hash(key), slot)),
            }
        }
        self.index = SlotIndex::of(&entries);
    }

    /// The key of a slot; no bytes where the slot is free or not there.
    pub(crate) fn key_or_none(&self, slot: u32) -> &[u8] {
        self.pieces.get(slot).map_or(&[], |piece| self.arena.get(*piece))
    }

    /// The key of a slot in use.
    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        self.arena.get(self.pieces[slot])
    }

    /// The slots of a tenant's keys.
    pub(crate) fn of_tenant(&self, tenant: Tenant) -> Vec<u32> {
        self.index.slots().filter(|slot| owner(self.key(*slot)) == tenant).collect()
    }

    /// The bytes that a tenant's keys take.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.tally.bytes(tenant)
    }
}

/// What is known of a key that is looked for.
#[derive(Default)]
struct Found {
    hash: u32,
    slot: Option<u32>,
    piece: Piece,
}

/// The slots touched in one step, each once, in the order of the first touch.
#[derive(Default)]
pub(crate) struct Touched {
    /// For each slot one more than its place in `slots`; 0: not touched.
    place: Slots<u32>,
    /// The slots.
    pub(crate) slots: Vec<u32>,
}

impl Touched {
    /// The place of the slot among the touched ones, and whether this is its first touch.
    pub(crate) fn touch(&mut self, slot: u32) -> (usize, bool) {
        let place = self.place.at(slot);
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
            self.place[slot] = 0;
        }
    }
}
