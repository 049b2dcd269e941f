//! Values by slot, in pages: as there come to be more of them, none is moved.

use std::ops::{Index, IndexMut};

/// The values of a page; a power of two.
const PAGE: usize = 1 << 10;

/// Values by slot. Those between slots in use are the default.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// All but the last are full. Only the first one grows by being moved, for most are small.
    pages: Vec<Vec<T>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: Default> Slots<T> {
    /// One more than the last slot.
    pub(crate) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    /// Adds a value behind all others; answers its slot.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let slot = self.len() as u32;
        match self.pages.last_mut() {
            Some(last) if last.len() < PAGE => last.push(value),
            _ => {
                let mut page = Vec::with_capacity(if self.pages.is_empty() { 1 } else { PAGE });
                page.push(value);
                self.pages.push(page);
            }
        }
        slot
    }

    /// The value of a slot, made when it is not there.
    pub(crate) fn at(&mut self, slot: u32) -> &mut T {
        while self.len() <= slot as usize {
            self.push(T::default());
        }
        &mut self[slot]
    }

    /// The value of a slot, if it is there.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.pages.get_mut(slot as usize / PAGE)?.get_mut(slot as usize % PAGE)
    }

    /// All values.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pages.iter_mut().flatten()
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        &self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        &mut self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_where_they_are_put() {
        let mut slots: Slots<u32> = Slots::default();
        assert_eq!(slots.get(0), None);
        for slot in [0, 1, PAGE as u32 - 1, PAGE as u32, 3 * PAGE as u32 + 5] {
            *slots.at(slot) = slot + 1;
            assert_eq!(slots.len(), slot as usize + 1);
        }
        assert_eq!(slots.push(7), 3 * PAGE as u32 + 6);
        assert_eq!((slots[0], slots[2], slots[PAGE as u32]), (1, 0, PAGE as u32 + 1));
        assert_eq!(slots.iter_mut().filter(|value| **value != 0).count(), 6);
    }
}
