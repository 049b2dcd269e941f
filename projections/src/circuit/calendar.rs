//! The rows of one tenant, and the day on which each has to be looked at next.

use std::collections::BTreeMap;

use super::flips::NEVER;
use super::slots::Slots;
use super::table::KeyTable;
use crate::Tenant;

/// Packed rows with their weights, by the day of their next flip.
pub(crate) struct Calendar {
    /// The tenant's date, once it has one.
    pub(crate) today: Option<i32>,
    rows: KeyTable,
    entries: Slots<Entry>,
    /// The slots of the rows of each day; a row stands at one day at most.
    days: BTreeMap<i32, Vec<u32>>,
}

/// What is known of a row.
#[derive(Clone, Copy)]
struct Entry {
    weight: i64,
    /// The day of its next flip.
    next: i32,
    /// Its place among the rows of that day.
    place: u32,
}

impl Default for Entry {
    fn default() -> Self {
        Self { weight: 0, next: NEVER, place: 0 }
    }
}

impl Default for Calendar {
    fn default() -> Self {
        let rows = KeyTable::new(size_of::<Entry>() + size_of::<u32>());
        Self { today: None, rows, entries: Slots::default(), days: BTreeMap::new() }
    }
}

impl Calendar {
    /// The slots of the rows that can flip up to and with a day.
    pub(crate) fn due(&self, day: i32) -> Vec<u32> {
        self.days.range(..=day).flat_map(|(_, slots)| slots).copied().collect()
    }

    /// The slots of all rows; `tenant` is whose they are.
    pub(crate) fn all(&self, tenant: Tenant) -> Vec<u32> {
        self.rows.of_tenant(tenant)
    }

    /// The bytes of a row.
    pub(crate) fn row(&self, slot: u32) -> &[u8] {
        self.rows.key(slot)
    }

    /// How many times a row stands.
    pub(crate) fn weight(&self, slot: u32) -> i64 {
        self.entries[slot].weight
    }

    /// A row comes or goes; it flips next on the day `next`.
    pub(crate) fn keep(&mut self, row: &[u8], weight: i64, next: i32) {
        let (slot, added) = self.rows.find_or_add(row);
        let entry = self.entries.at(slot);
        entry.weight += weight;
        if entry.weight == 0 {
            self.schedule(slot, NEVER);
            self.rows.remove(slot);
        } else if added {
            self.schedule(slot, next);
        }
    }

    /// Moves a row to another day.
    pub(crate) fn schedule(&mut self, slot: u32, next: i32) {
        let Entry { next: old, place, .. } = self.entries[slot];
        if old == next {
            return;
        }
        if let Some(slots) = self.days.get_mut(&old) {
            slots.swap_remove(place as usize);
            if let Some(moved) = slots.get(place as usize) {
                self.entries[*moved].place = place;
            } else if slots.is_empty() {
                self.days.remove(&old);
            }
        }
        let entry = &mut self.entries[slot];
        entry.next = next;
        if next != NEVER {
            let slots = self.days.entry(next).or_default();
            entry.place = slots.len() as u32;
            slots.push(slot);
        }
    }

    /// The bytes of the rows and what stands beside them.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.rows.bytes(tenant)
    }
}
