//! Slots by hash: an open table with linear probing (Knuth, The Art of Computer Programming,
//! volume 3, section 6.4, algorithms L and R).
//!
//! Hash and slot stand side by side, so that a look-up costs one wait for memory, and those of many
//! keys can wait together.

/// Where the slots of keys stand.
#[derive(Default)]
pub(crate) struct SlotIndex {
    entries: Vec<Entry>,
    used: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    slot: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;
const EMPTY: Entry = Entry { hash: 0, slot: NONE };
const SMALLEST: usize = 8;
/// Groups in which many slots are put in at once: each group's places stay in the cache.
const GROUP_BITS: u32 = 12;

/// The bytes that an entry takes, with the free ones beside it.
pub(crate) const ENTRY_COST: usize = size_of::<Entry>() * 2;

impl SlotIndex {
    /// An index of slots, each with its hash. They are put in about in the order in which they will
    /// stand, so that of millions none waits for memory that is nowhere near.
    pub(crate) fn of(slots: &[(u32, u32)]) -> Self {
        let mut index = Self::default();
        if slots.is_empty() {
            return index;
        }
        let places = (slots.len() * 8).div_ceil(5).next_power_of_two().max(SMALLEST);
        index.entries = vec![EMPTY; places];
        index.used = slots.len();
        let shift = places.trailing_zeros().saturating_sub(GROUP_BITS);
        let group = |index: &Self, hash: u32| index.home(hash) >> shift;
        let mut ends = vec![0_usize; 1 << GROUP_BITS];
        slots.iter().for_each(|(hash, _)| ends[group(&index, *hash)] += 1);
        let mut before = 0;
        for end in &mut ends {
            before += std::mem::replace(end, before);
        }
        let mut grouped = vec![EMPTY; slots.len()];
        for (hash, slot) in slots {
            let end = &mut ends[group(&index, *hash)];
            grouped[*end] = Entry { hash: *hash, slot: *slot };
            *end += 1;
        }
        grouped.into_iter().for_each(|entry| index.put(entry));
        index
    }

    /// Where the search for a hash begins: its bits are spread over those that name a place.
    fn home(&self, hash: u32) -> usize {
        let spread = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (u64::BITS - self.entries.len().trailing_zeros())) as usize
    }

    /// Reads the place where the search for a hash begins, so that it is near when it is needed.
    pub(crate) fn touch(&self, hash: u32) -> u32 {
        if self.entries.is_empty() { NONE } else { self.entries[self.home(hash)].slot }
    }

    /// The first slot of that hash that is `wanted`.
    pub(crate) fn find(&self, hash: u32, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(hash, wanted).map(|place| self.entries[place].slot)
    }

    fn place(&self, hash: u32, wanted: impl Fn(u32) -> bool) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let mask = self.entries.len() - 1;
        let mut place = self.home(hash);
        loop {
            let entry = self.entries[place];
            if entry.slot == NONE {
                return None;
            }
            if entry.hash == hash && wanted(entry.slot) {
                return Some(place);
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a slot.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        // At least three eighths stay free.
        if (self.used + 1) * 8 > self.entries.len() * 5 {
            let larger = (self.entries.len() * 2).max(SMALLEST);
            let old = std::mem::replace(&mut self.entries, vec![EMPTY; larger]);
            old.into_iter().filter(|entry| entry.slot != NONE).for_each(|entry| self.put(entry));
        }
        self.put(Entry { hash, slot });
        self.used += 1;
    }

    fn put(&mut self, entry: Entry) {
        let mask = self.entries.len() - 1;
        let mut place = self.home(entry.hash);
        while self.entries[place].slot != NONE {
            place = (place + 1) & mask;
        }
        self.entries[place] = entry;
    }

    /// Removes a slot; those behind it that were put off move up.
    pub(crate) fn remove(&mut self, hash: u32, slot: u32) {
        let Some(mut hole) = self.place(hash, |other| other == slot) else { return };
        let mask = self.entries.len() - 1;
        let mut place = hole;
        loop {
            place = (place + 1) & mask;
            let entry = self.entries[place];
            if entry.slot == NONE {
                break;
            }
            // It may move to the hole if its search passes there.
            let (from_home, from_hole) =
                (place.wrapping_sub(self.home(entry.hash)) & mask, place.wrapping_sub(hole) & mask);
            if from_home >= from_hole {
                self.entries[hole] = entry;
                hole = place;
            }
        }
        self.entries[hole] = EMPTY;
        self.used -= 1;
    }

    /// All slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().map(|entry| entry.slot).filter(|slot| *slot != NONE)
    }
}

#[cfg(test)]
mod tests;
