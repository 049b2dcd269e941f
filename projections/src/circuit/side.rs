//! One side of a join: its rows by key.

use std::hash::BuildHasher;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use hashbrown::{DefaultHashBuilder, HashMap};

use super::arena::{Arena, Piece};
use super::evaluate::Expressions;
use super::index::SlotIndex;
use super::journal::Journal;
use super::memory::Tally;
use super::packed::{Packer, owner};
use super::slots::Slots;
use super::state::{Capture, Reader, put_i64};
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
    pieces: Slots<Piece>,
    states: Slots<RowState>,
    free: Vec<u32>,
    /// For each key the slots of its rows.
    by_key: Slots<Rows>,
    /// For keys with many rows, where rows have been looked for: the slots by the rows' hashes.
    indices: HashMap<u32, SlotIndex>,
    hasher: DefaultHashBuilder,
    tally: Tally,
    journal: Journal,
}

/// What is known of a kept row.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RowState {
    /// How many times it stands.
    pub(crate) weight: i64,
    /// The weights of its partners added up; kept for left rows only.
    pub(crate) partners: i64,
    /// The slot of its key.
    key: u32,
    /// Its place among the rows of its key.
    place: u32,
    /// Told apart by before its bytes are, if its side ever looks for rows.
    hash: u32,
}

/// What a checkpoint keeps of a row.
fn write_row(
    arena: &Arena,
    pieces: &Slots<Piece>,
    states: &Slots<RowState>,
    slot: u32,
    out: &mut Vec<u8>,
) {
    let row = pieces.get(slot).map_or(&[][..], |piece| arena.get(*piece));
    if !row.is_empty() {
        let RowState { weight, partners, key, .. } = states[slot];
        put_i64(out, weight);
        put_i64(out, partners);
        out.extend_from_slice(&key.to_le_bytes());
        out.extend_from_slice(row);
    }
}

/// What a row costs beside its bytes.
const ROW_COST: usize = size_of::<Piece>() + size_of::<RowState>() + size_of::<Rows>();

/// Rows of rows; most keys have one.
#[derive(Debug, Default)]
enum Rows {
    #[default]
    None,
    One([u32; 1]),
    Many(Vec<u32>),
}

impl Rows {
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
            pieces: Slots::default(),
            states: Slots::default(),
            free: Vec::new(),
            by_key: Slots::default(),
            indices: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
            tally: Tally::default(),
            journal: Journal::default(),
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

    /// Whether it is joined on nothing.
    pub(crate) fn is_without_key(&self) -> bool {
        self.keys.schema().fields().is_empty()
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
        self.by_key.get(key).map_or(&[], Rows::as_slice)
    }

    /// What is known of the row at a slot.
    pub(crate) fn state(&self, slot: u32) -> &RowState {
        &self.states[slot]
    }

    /// The same, to change the number of partners.
    pub(crate) fn state_mut(&mut self, slot: u32) -> &mut RowState {
        self.note(slot);
        &mut self.states[slot]
    }

    /// To be called before what is known of a row changes.
    fn note(&mut self, slot: u32) {
        let (arena, pieces, states) = (&self.arena, &self.pieces, &self.states);
        self.journal.before(slot, |out| write_row(arena, pieces, states, slot, out));
    }

    /// The bytes of the row at a slot.
    pub(crate) fn row(&self, slot: u32) -> &[u8] {
        self.arena.get(self.pieces[slot])
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
                return Some(self.push(key, row, 0, weight));
            }
            // What has just come is taken back.
            let came = self.of_key(key).iter().rev().find(|slot| self.row(**slot) == row).copied();
            if let Some(slot) = came.filter(|_| weight < 0) {
                self.remove(key, slot);
            }
            return None;
        }
        let hash = self.hasher.hash_one(row) as u32;
        let Some(slot) = self.find(key, row, hash) else {
            return (weight != 0).then(|| self.push(key, row, hash, weight));
        };
        self.note(slot);
        let state = &mut self.states[slot];
        state.weight += weight;
        if state.weight != 0 {
            return Some(slot);
        }
        self.remove(key, slot);
        None
    }

    fn find(&mut self, key: u32, row: &[u8], hash: u32) -> Option<u32> {
        let slots = self.by_key.get(key).map_or(&[][..], Rows::as_slice);
        let (arena, pieces, states) = (&self.arena, &self.pieces, &self.states);
        let equal = |slot: u32| arena.get(pieces[slot]) == row;
        match slots {
            // Its bytes are as near as its hash.
            [one] => return equal(*one).then_some(*one),
            few if few.len() <= FEW => {
                return few.iter().copied().find(|slot| states[*slot].hash == hash && equal(*slot));
            }
            _ => {}
        }
        let index = self.indices.entry(key).or_insert_with(|| {
            let mut index = SlotIndex::default();
            for slot in slots {
                index.insert(states[*slot].hash, *slot);
            }
            index
        });
        index.find(hash, equal)
    }

    fn push(&mut self, key: u32, row: &[u8], hash: u32, weight: i64) -> u32 {
        let slot = self.free.pop().unwrap_or(self.pieces.len() as u32);
        self.note(slot);
        self.put(slot, row, RowState { weight, partners: 0, key, place: 0, hash });
        slot
    }

    /// Puts a row at a slot that is free.
    fn put(&mut self, slot: u32, row: &[u8], state: RowState) {
        let slots = self.by_key.at(state.key);
        let place = slots.as_slice().len() as u32;
        slots.push(slot);
        if place as usize >= FEW
            && let Some(index) = self.indices.get_mut(&state.key)
        {
            index.insert(state.hash, slot);
        }
        *self.pieces.at(slot) = self.arena.add(row);
        *self.states.at(slot) = RowState { place, ..state };
        self.tally.add(owner(row), row.len() + ROW_COST);
    }

    fn remove(&mut self, key: u32, slot: u32) {
        self.note(slot);
        self.take_out(key, slot);
        self.free.push(slot);
    }

    fn take_out(&mut self, key: u32, slot: u32) {
        let RowState { place, hash, .. } = self.states[slot];
        let piece = std::mem::take(&mut self.pieces[slot]);
        let row = self.arena.get(piece);
        let slots = &mut self.by_key[key];
        slots.swap_remove(place as usize);
        if let Some(moved) = slots.as_slice().get(place as usize) {
            self.states[*moved].place = place;
        }
        // The index of a key goes as soon as its rows are few.
        let left = slots.as_slice().len();
        if left == FEW {
            self.indices.remove(&key);
        } else if left > FEW
            && let Some(index) = self.indices.get_mut(&key)
        {
            index.remove(hash, slot);
        }
        self.tally.remove(owner(row), piece.len() + ROW_COST);
        self.arena.remove(piece);
    }

    /// Begins a cut: see [`Operator::cut`](super::Operator::cut).
    pub(crate) fn cut(&mut self, whole: bool) {
        self.journal.cut(whole, self.pieces.len());
    }

    /// Gives rows of the cut: see [`Operator::capture`](super::Operator::capture).
    pub(crate) fn capture(&mut self, capture: &mut Capture, store: u32) -> bool {
        let (arena, pieces, states) = (&self.arena, &self.pieces, &self.states);
        let row = |slot, out: &mut Vec<u8>| write_row(arena, pieces, states, slot, out);
        self.journal.capture(capture, (store, 0), row)
    }

    /// Puts a row back.
    pub(crate) fn restore(&mut self, slot: u32, entry: &[u8]) -> Result<(), RuntimeError> {
        let mut entry = Reader(entry);
        let there = self.pieces.get(slot).is_some_and(|piece| piece.len() > 0);
        if entry.0.is_empty() {
            if there {
                self.take_out(self.states[slot].key, slot);
            }
            return Ok(());
        }
        let (weight, partners, key) = (entry.i64()?, entry.i64()?, entry.u32()?);
        let row = entry.0;
        if there && self.states[slot].key == key && self.row(slot) == row {
            let state = &mut self.states[slot];
            (state.weight, state.partners) = (weight, partners);
            return Ok(());
        }
        if there {
            self.take_out(self.states[slot].key, slot);
        }
        let hash = if self.append_only { 0 } else { self.hasher.hash_one(row) as u32 };
        self.put(slot, row, RowState { weight, partners, key, place: 0, hash });
        Ok(())
    }

    /// Says that all rows are restored.
    pub(crate) fn restored(&mut self) {
        self.journal.keep();
        let slots = 0..self.pieces.len() as u32;
        self.free = slots.filter(|slot| self.pieces[*slot].len() == 0).collect();
        self.tidy();
    }

    /// Lets go of what was given up, when that has become much. Rows stay good.
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
