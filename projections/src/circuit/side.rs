//! One side of a join: its rows by key.

use std::hash::BuildHasher;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use hashbrown::{DefaultHashBuilder, HashMap};

use super::arena::{Arena, Piece};
use super::evaluate::Expressions;
use super::index::SlotIndex;
use super::memory::Tally;
use super::packed::{Packer, owner};
use super::table::at;
use crate::bytes::ByteRows;
use crate::{RuntimeError, Tenant};

/// Rows of one key that are looked through one by one to find an equal one.
const FEW: usize = 16;

/// One side: its rows by key.
pub(crate) struct JoinSide {
    keys: Expressions,
    key_packer: Packer,
    packer: Packer,
    schema: SchemaRef,
    /// Whether no row ever goes, so that none is ever looked for.
    append_only: bool,
    arena: Arena,
    pieces: Vec<Piece>,
    states: Vec<RowState>,
    free: Vec<u32>,
    /// For each key the slots of its rows.
    by_key: Vec<Slots>,
    /// For keys with many rows, where rows have been looked for: the slots by the rows' hashes.
    indices: HashMap<u32, SlotIndex>,
    hasher: DefaultHashBuilder,
    tally: Tally,
}

/// What is known of a kept row.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RowState {
    /// How many times it stands.
    pub(crate) weight: i64,
    /// The weights of its partners added up; kept for left rows only.
    pub(crate) partners: i64,
    /// Its place among the rows of its key.
    place: u32,
}

/// What a row costs beside its bytes.
const ROW_COST: usize = size_of::<Piece>() + size_of::<RowState>() + size_of::<Slots>();

/// Slots of rows; most keys have one.
#[derive(Debug, Default)]
enum Slots {
    #[default]
    None,
    One([u32; 1]),
    Many(Vec<u32>),
}

impl Slots {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(slot) => slot,
            Self::Many(slots) => slots,
        }
    }

    fn push(&mut self, slot: u32) {
        match self {
            Self::None => *self = Self::One([slot]),
            Self::One([first]) => *self = Self::Many(vec![*first, slot]),
            Self::Many(slots) => slots.push(slot),
        }
    }

    /// Takes the slot at a place out; the last one takes that place.
    fn swap_remove(&mut self, place: usize) {
        match self {
            Self::None => {}
            Self::One(_) => *self = Self::None,
            Self::Many(slots) => {
                slots.swap_remove(place);
                if slots.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }
}

impl JoinSide {
    /// A side with rows of `schema`, joined on `keys`.
    pub(crate) fn new(keys: Expressions, schema: SchemaRef) -> Result<Self, RuntimeError> {
        Ok(Self {
            key_packer: Packer::new(keys.schema())?,
            keys,
            packer: Packer::new(&schema)?,
            schema,
            append_only: false,
            arena: Arena::default(),
            pieces: Vec::new(),
            states: Vec::new(),
            free: Vec::new(),
            by_key: Vec::new(),
            indices: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
            tally: Tally::default(),
        })
    }

    /// Says whether no row ever goes, before the first one comes.
    pub(crate) fn set_append_only(&mut self, append_only: bool) {
        self.append_only = append_only;
    }

    /// The columns of its rows.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The values the rows are joined on.
    pub(crate) fn key_columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, RuntimeError> {
        self.keys.columns(rows)
    }

    /// Packs what [`JoinSide::key_columns`] gave.
    pub(crate) fn key_packer(&self) -> &Packer {
        &self.key_packer
    }

    /// Packs whole rows.
    pub(crate) fn packer(&self) -> &Packer {
        &self.packer
    }

    /// The slots of a key's rows.
    pub(crate) fn of_key(&self, key: u32) -> &[u32] {
        self.by_key.get(key as usize).map_or(&[], Slots::as_slice)
    }

    /// What is known of the row at a slot.
    pub(crate) fn state(&self, slot: u32) -> &RowState {
        &self.states[slot as usize]
    }

    /// The same, to change the number of partners.
    pub(crate) fn state_mut(&mut self, slot: u32) -> &mut RowState {
        &mut self.states[slot as usize]
    }

    /// The bytes of the row at a slot.
    pub(crate) fn row(&self, slot: u32) -> &[u8] {
        self.arena.get(self.pieces[slot as usize])
    }

    /// The columns of the rows at these slots; none is all null.
    pub(crate) fn columns(&self, slots: &[Option<u32>]) -> Result<Vec<ArrayRef>, RuntimeError> {
        let rows: Vec<Option<&[u8]>> = slots.iter().map(|slot| slot.map(|s| self.row(s))).collect();
        Ok(self.packer.unpack(&rows)?)
    }

    /// Adds to a row's weight; at zero it goes. Answers its slot while it is there.
    pub(crate) fn add(&mut self, key: u32, row: &[u8], weight: i64) -> Option<u32> {
        if self.append_only {
            if weight > 0 {
                return Some(self.push(key, row, weight));
            }
            // What has just come is taken back.
            let came = self.of_key(key).iter().rev().find(|slot| self.row(**slot) == row).copied();
            if let Some(slot) = came.filter(|_| weight < 0) {
                self.remove(key, slot);
            }
            return None;
        }
        let Some(slot) = self.find(key, row) else {
            return (weight != 0).then(|| self.push(key, row, weight));
        };
        let state = &mut self.states[slot as usize];
        state.weight += weight;
        if state.weight != 0 {
            return Some(slot);
        }
        self.remove(key, slot);
        None
    }

    fn find(&mut self, key: u32, row: &[u8]) -> Option<u32> {
        let slots = self.by_key.get(key as usize).map_or(&[][..], Slots::as_slice);
        let (arena, pieces, hasher) = (&self.arena, &self.pieces, &self.hasher);
        let equal = |slot: u32| arena.get(pieces[slot as usize]) == row;
        if slots.len() <= FEW {
            return slots.iter().copied().find(|slot| equal(*slot));
        }
        let index = self.indices.entry(key).or_insert_with(|| {
            let mut index = SlotIndex::default();
            for slot in slots {
                index.insert(hash(hasher, arena.get(pieces[*slot as usize])), *slot);
            }
            index
        });
        index.find(hash(hasher, row), equal)
    }

    fn push(&mut self, key: u32, row: &[u8], weight: i64) -> u32 {
        let piece = self.arena.add(row);
        let slots = at(&mut self.by_key, key);
        let place = slots.as_slice().len() as u32;
        let state = RowState { weight, partners: 0, place };
        let slot = if let Some(slot) = self.free.pop() {
            self.pieces[slot as usize] = piece;
            self.states[slot as usize] = state;
            slot
        } else {
            self.pieces.push(piece);
            self.states.push(state);
            (self.pieces.len() - 1) as u32
        };
        slots.push(slot);
        if place as usize >= FEW
            && let Some(index) = self.indices.get_mut(&key)
        {
            index.insert(hash(&self.hasher, row), slot);
        }
        self.tally.add(owner(row), row.len() + ROW_COST);
        slot
    }

    fn remove(&mut self, key: u32, slot: u32) {
        let RowState { place, .. } = self.states[slot as usize];
        let piece = std::mem::take(&mut self.pieces[slot as usize]);
        let row = self.arena.get(piece);
        let slots = &mut self.by_key[key as usize];
        slots.swap_remove(place as usize);
        if let Some(moved) = slots.as_slice().get(place as usize) {
            self.states[*moved as usize].place = place;
        }
        // The index of a key goes as soon as its rows are few.
        let left = slots.as_slice().len();
        if left == FEW {
            self.indices.remove(&key);
        } else if left > FEW
            && let Some(index) = self.indices.get_mut(&key)
        {
            index.remove(hash(&self.hasher, row), slot);
        }
        self.tally.remove(owner(row), piece.len() + ROW_COST);
        self.arena.remove(piece);
        self.free.push(slot);
    }

    /// Lets go of what was given up, when that has become much. Slots stay good.
    pub(crate) fn tidy(&mut self) {
        if self.arena.is_wasteful() {
            self.arena.compact(self.pieces.iter_mut());
        }
    }

    /// Packs the rows of a change.
    pub(crate) fn pack(&self, change: &crate::Change) -> Result<ByteRows, RuntimeError> {
        Ok(self.packer.pack(&change.tenants, change.rows.columns())?)
    }

    /// The bytes that a tenant's rows take.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.tally.bytes(tenant)
    }

    /// Lets all rows of a key go.
    pub(crate) fn clear(&mut self, key: u32) {
        while let Some(slot) = self.of_key(key).last().copied() {
            self.remove(key, slot);
        }
    }
}

/// The hash under which a row is found among those of its key.
fn hash(hasher: &DefaultHashBuilder, row: &[u8]) -> u32 {
    hasher.hash_one(row) as u32
}
