//! A table of encoded keys: each distinct key has a slot number, and slots are used again.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Keys as bytes, each with a slot. What belongs to a key stands beside, indexed by its slot.
#[derive(Default)]
pub(crate) struct KeyTable {
    table: HashTable<u32>,
    keys: Vec<Box<[u8]>>,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
}

impl KeyTable {
    /// The slot of a key, which is added when it is not there: then the second value is true.
    pub(crate) fn find_or_add(&mut self, key: &[u8]) -> (u32, bool) {
        let hash = self.hasher.hash_one(key);
        let keys = &mut self.keys;
        if let Some(slot) = self.table.find(hash, |slot| &*keys[*slot as usize] == key) {
            return (*slot, false);
        }
        let slot = if let Some(slot) = self.free.pop() {
            keys[slot as usize] = key.into();
            slot
        } else {
            keys.push(key.into());
            (keys.len() - 1) as u32
        };
        let hasher = &self.hasher;
        self.table.insert_unique(hash, slot, |slot| hasher.hash_one(&*keys[*slot as usize]));
        (slot, true)
    }

    /// Removes the key of a slot; the slot may then be given to another key.
    pub(crate) fn remove(&mut self, slot: u32) {
        let key = std::mem::take(&mut self.keys[slot as usize]);
        let hash = self.hasher.hash_one(&*key);
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == slot) {
            entry.remove();
            self.free.push(slot);
        }
    }

    /// The key of a slot in use.
    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        &self.keys[slot as usize]
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

/// Rows as bytes, in their order, each with the number of times it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ordered(Vec<(Box<[u8]>, i64)>);

impl Ordered {
    /// Adds to the number of times a row stands; at zero it goes.
    pub(crate) fn add(&mut self, row: &[u8], weight: i64) {
        match self.0.binary_search_by(|(other, _)| other.as_ref().cmp(row)) {
            Ok(i) => {
                self.0[i].1 += weight;
                if self.0[i].1 == 0 {
                    self.0.remove(i);
                }
            }
            Err(i) => self.0.insert(i, (row.into(), weight)),
        }
    }

    /// The row that comes last.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.0.last().map(|(row, _)| row.as_ref())
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All rows, each as many times as it stands.
    pub(crate) fn repeated(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|(row, weight)| {
            std::iter::repeat_n(row.as_ref(), usize::try_from(*weight).unwrap_or(0))
        })
    }
}
