//! What a checkpoint takes of an operator: entries by slot, each as it stood at the cut.
//!
//! A cut is made between two steps and takes no longer than to say so. The entries are taken after
//! it, a few at a time between later steps; one that a step is about to change is taken just before
//! (copy on write, entry by entry). So no step waits for the whole, and nothing is kept twice but
//! what has been taken and not yet been carried off.

use std::collections::VecDeque;

use super::state::{Capture, StatePart};

/// Which entries of a store changed since the last cut, and which of the cut under way are still to
/// be taken. Keeps nothing before the first cut, which takes all.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    is_kept: bool,
    changed: Marks,
    pending: Marks,
    /// What steps were about to change of those to be taken.
    aside: VecDeque<Piece>,
}

/// Bytes of entries that are put in order at once: a large step may set much more aside.
const PIECE: usize = 1 << 18;

impl Journal {
    /// One that keeps account from the beginning, of a store that was not there at earlier cuts.
    pub(crate) fn kept() -> Self {
        Self { is_kept: true, ..Self::default() }
    }

    /// Keeps account from here on: what stands now is in a checkpoint already.
    pub(crate) fn keep(&mut self) {
        *self = Self::kept();
    }

    /// Whether it keeps account.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// What stands now is what is taken from here on: all `slots` entries, or, if not `whole`,
    /// those that changed since the last cut.
    pub(crate) fn cut(&mut self, whole: bool, slots: usize) {
        let changed = std::mem::take(&mut self.changed);
        self.pending = if whole || !self.is_kept { Marks::all(slots) } else { changed };
        self.aside.clear();
        self.is_kept = true;
    }

    /// To be called before an entry changes; `entry` writes what stands there, or nothing.
    pub(crate) fn before(&mut self, slot: u32, entry: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_kept {
            return;
        }
        if self.pending.remove(slot) {
            match self.aside.back_mut() {
                Some(piece) if piece.size() < PIECE => piece.add(slot, entry),
                _ => {
                    // After one that is full there will be more.
                    let mut piece = Piece::of(if self.aside.is_empty() { 0 } else { Piece::MANY });
                    piece.add(slot, entry);
                    self.aside.push_back(piece);
                }
            }
        }
        self.changed.add(slot);
    }

    /// Gives entries of the cut, as those of `store`, as long as there is room; answers whether none
    /// is left. `owner` stands before the slots; `entry` writes what stands at one.
    pub(crate) fn capture(
        &mut self,
        capture: &mut Capture,
        (store, owner): (u32, u32),
        entry: impl Fn(u32, &mut Vec<u8>),
    ) -> bool {
        while capture.room > 0 {
            // What steps have set aside goes first.
            let piece = match self.aside.pop_front() {
                Some(piece) => piece,
                None if self.pending.is_empty() => return true,
                None => self.take(capture.room, &entry),
            };
            capture.push(piece.part(store, owner));
        }
        self.pending.is_empty() && self.aside.is_empty()
    }

    /// Takes entries, about `room` bytes.
    fn take(&mut self, room: usize, entry: impl Fn(u32, &mut Vec<u8>)) -> Piece {
        let mut piece = Piece::of(self.pending.count);
        while piece.size() < room
            && let Some(slot) = self.pending.pop()
        {
            piece.add(slot, |bytes| entry(slot, bytes));
        }
        piece
    }
}

/// Entries in the order in which they were taken.
#[derive(Debug, Default)]
struct Piece {
    slots: Vec<u32>,
    /// Where the bytes of each end; they begin where those before it end.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Piece {
    /// What an entry costs beside its bytes.
    const COST: usize = 16;
    /// So many entries have about the bytes of a whole one.
    const MANY: usize = 4096;

    /// One for the first of `entries`: where these are many, with all the memory that it needs. To
    /// grow bit by bit takes longer than all the rest then.
    fn of(entries: usize) -> Self {
        if entries < Self::MANY {
            return Self::default();
        }
        Self {
            slots: Vec::with_capacity(Self::MANY),
            ends: Vec::with_capacity(Self::MANY),
            bytes: Vec::with_capacity(PIECE + PIECE / 16),
        }
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.slots.len() * Self::COST
    }

    fn add(&mut self, slot: u32, entry: impl FnOnce(&mut Vec<u8>)) {
        entry(&mut self.bytes);
        self.slots.push(slot);
        self.ends.push(self.bytes.len() as u32);
    }

    fn part(self, store: u32, owner: u32) -> StatePart {
        let owner = u64::from(owner) << 32;
        if self.slots.is_sorted() {
            let slots = self.slots.iter().map(|slot| owner | u64::from(*slot)).collect();
            let ends = self.ends.iter().map(|end| u64::from(*end)).collect();
            return StatePart { store, slots, ends, bytes: self.bytes };
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut entries: Vec<(u32, u32, u32)> = self
            .slots
            .iter()
            .zip(starts)
            .zip(&self.ends)
            .map(|((slot, start), end)| (*slot, start, *end))
            .collect();
        entries.sort_unstable_by_key(|(slot, ..)| *slot);
        let mut part = StatePart { store, ..StatePart::default() };
        part.bytes.reserve_exact(self.bytes.len());
        for (slot, start, end) in entries {
            part.slots.push(owner | u64::from(slot));
            part.bytes.extend_from_slice(&self.bytes[start as usize..end as usize]);
            part.ends.push(part.bytes.len() as u64);
        }
        part
    }
}

/// A set of slots: a bit for each.
#[derive(Debug, Default)]
struct Marks {
    words: Vec<u64>,
    /// No word before this one has a bit.
    first: usize,
    /// How many bits there are.
    count: usize,
}

impl Marks {
    fn all(slots: usize) -> Self {
        let mut words = vec![u64::MAX; slots / 64];
        if !slots.is_multiple_of(64) {
            words.push((1 << (slots % 64)) - 1);
        }
        Self { words, first: 0, count: slots }
    }

    fn add(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (slot % 64);
        self.count += usize::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
        self.first = self.first.min(word);
    }

    /// Takes a slot out; answers whether it was there.
    fn remove(&mut self, slot: u32) -> bool {
        let Some(word) = self.words.get_mut(slot as usize / 64) else { return false };
        let bit = 1 << (slot % 64);
        let there = *word & bit != 0;
        *word &= !bit;
        self.count -= usize::from(there);
        there
    }

    /// Takes the lowest slot out.
    fn pop(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        self.first += self.words[self.first..].iter().position(|word| *word != 0)?;
        self.count -= 1;
        let word = &mut self.words[self.first];
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        Some(self.first as u32 * 64 + bit)
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests;
