//! A piece of an operator's state, as the engine hands it over and gets it back.

use bytes::Bytes;

use super::error::CheckpointError;

/// Some entries of one store, by slot. What the bytes of an entry say is the engine's affair.
///
/// An entry without bytes is gone: it takes away what earlier checkpoints have at its slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatePart {
    /// The store, as the engine numbers them; `u32::MAX` is not the engine's to use.
    pub store: u32,
    /// The slots, ascending.
    pub slots: Vec<u64>,
    /// For each slot, where its bytes end in `bytes`; they begin where those before end.
    pub ends: Vec<u32>,
    /// The bytes of all entries, one after another.
    pub bytes: Bytes,
}

impl StatePart {
    /// The entries: slot and bytes; none where it is gone.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..self.slots.len()).map(|at| (self.slots[at], &self.bytes[self.span(at)]))
    }

    /// The place of an entry's bytes.
    pub(super) fn span(&self, at: usize) -> std::ops::Range<usize> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        start..self.ends[at] as usize
    }

    /// Whether slots ascend and ends fit the bytes; what is wrong if not.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.slots.len() != self.ends.len() {
            return Err("it has not as many ends as slots");
        }
        if !self.slots.is_sorted_by(|a, b| a < b) {
            return Err("its slots do not ascend");
        }
        if !self.ends.is_sorted()
            || self.ends.last().map_or(0, |end| *end as usize) != self.bytes.len()
        {
            return Err("its ends do not fit its bytes");
        }
        Ok(())
    }

    pub(super) fn checked(self) -> Result<Self, CheckpointError> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(what) => {
                let store = self.store;
                Err(CheckpointError::Misuse(format!(
                    "a part of the state of store {store}: {what}"
                )))
            }
        }
    }

    /// The entries `from..to` as a part of its own; the bytes are shared.
    pub(super) fn slice(&self, from: usize, to: usize) -> Self {
        let start = if from == 0 { 0 } else { self.ends[from - 1] };
        let end = if to == 0 { 0 } else { self.ends[to - 1] };
        Self {
            store: self.store,
            slots: self.slots[from..to].to_vec(),
            ends: self.ends[from..to].iter().map(|e| e - start).collect(),
            bytes: self.bytes.slice(start as usize..end as usize),
        }
    }

    /// The size as a block.
    pub(super) fn size(&self) -> usize {
        12 * self.slots.len() + self.bytes.len()
    }
}
