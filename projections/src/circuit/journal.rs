//! What a checkpoint takes of an operator: entries by slot, each as it stood at the cut.
//!
//! A cut is made between two steps and takes no longer than to say so. The entries are taken after
//! it, a few at a time between later steps; one that a step is about to change is taken just before
//! (copy on write, entry by entry). So no step waits for the whole, and nothing is kept twice but
//! what has been taken and not yet been carried off.

use super::state::StatePart;

/// Which entries of a store changed since the last cut, and which of the cut under way are still to
/// be taken. Keeps nothing before the first cut, which takes all.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    is_kept: bool,
    changed: Marks,
    pending: Marks,
    taken: Taken,
}

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
        self.taken = Taken::default();
        self.is_kept = true;
    }

    /// To be called before an entry changes; `entry` writes what stands there, or nothing.
    pub(crate) fn before(&mut self, slot: u32, entry: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_kept {
            return;
        }
        if self.pending.remove(slot) {
            self.taken.add(slot, entry);
        }
        self.changed.add(slot);
    }

    /// Takes entries until `room` bytes are used up; answers whether none is left.
    pub(crate) fn take(&mut self, room: &mut usize, entry: impl Fn(u32, &mut Vec<u8>)) -> bool {
        while *room > 0 {
            let Some(slot) = self.pending.pop() else { return true };
            let before = self.taken.bytes.len();
            self.taken.add(slot, |bytes| entry(slot, bytes));
            *room = room.saturating_sub(self.taken.bytes.len() - before + Taken::COST);
        }
        self.pending.is_empty()
    }

    /// What has been taken and not been carried off yet, as entries of `store`; `owner` stands
    /// before the slots.
    pub(crate) fn carry_off(&mut self, store: u32, owner: u32) -> Option<StatePart> {
        let taken = std::mem::take(&mut self.taken);
        (!taken.entries.is_empty()).then(|| taken.part(store, owner))
    }
}

/// Entries in the order in which they were taken.
#[derive(Debug, Default)]
struct Taken {
    /// The slot of each, and where its bytes are.
    entries: Vec<(u32, usize, usize)>,
    bytes: Vec<u8>,
}

impl Taken {
    /// What an entry costs beside its bytes.
    const COST: usize = 16;

    fn add(&mut self, slot: u32, entry: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        entry(&mut self.bytes);
        self.entries.push((slot, start, self.bytes.len()));
    }

    fn part(mut self, store: u32, owner: u32) -> StatePart {
        let owner = u64::from(owner) << 32;
        let in_order = self.entries.is_sorted_by_key(|(slot, ..)| *slot);
        let mut part = StatePart { store, ..StatePart::default() };
        if in_order {
            part.slots = self.entries.iter().map(|(slot, ..)| owner | u64::from(*slot)).collect();
            part.ends = self.entries.iter().map(|(.., end)| *end as u64).collect();
            part.bytes = self.bytes;
            return part;
        }
        self.entries.sort_unstable_by_key(|(slot, ..)| *slot);
        part.bytes.reserve(self.bytes.len());
        for (slot, start, end) in self.entries {
            part.slots.push(owner | u64::from(slot));
            part.bytes.extend_from_slice(&self.bytes[start..end]);
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
        if slots % 64 > 0 {
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
