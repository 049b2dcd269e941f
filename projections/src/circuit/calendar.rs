//! The rows of one tenant, and the day on which each has to be looked at next.

use std::collections::BTreeMap;

use super::flips::NEVER;
use super::journal::Journal;
use super::slots::Slots;
use super::state::{Capture, Reader, put_i64};
use super::table::KeyTable;
use crate::{RuntimeError, Tenant};

/// Packed rows with their weights, by the day of their next flip.
pub(crate) struct Calendar {
    /// The tenant's date, once it has one.
    pub(crate) today: Option<i32>,
    rows: KeyTable,
    entries: Slots<Entry>,
    /// The slots of the rows of each day; a row stands at one day at most.
    days: BTreeMap<i32, Vec<u32>>,
    journal: Journal,
}

/// What a checkpoint keeps of a row.
fn write_row(rows: &KeyTable, entries: &Slots<Entry>, slot: u32, out: &mut Vec<u8>) {
    let row = rows.key_or_none(slot);
    if !row.is_empty() {
        let Entry { weight, next, .. } = entries[slot];
        put_i64(out, weight);
        put_i64(out, i64::from(next));
        out.extend_from_slice(row);
    }
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

/// A table of rows without any.
fn no_rows() -> KeyTable {
    KeyTable::new(size_of::<Entry>() + size_of::<u32>())
}

impl Calendar {
    /// A calendar without rows; `is_journaled` when cuts have been made already.
    pub(crate) fn new(is_journaled: bool) -> Self {
        let (entries, days) = Default::default();
        let journal = if is_journaled { Journal::kept() } else { Journal::default() };
        Self { today: None, rows: no_rows(), entries, days, journal }
    }

    /// Lets all rows and the date go.
    pub(crate) fn clear(&mut self, tenant: Tenant) {
        for slot in self.all(tenant) {
            self.note(slot);
        }
        (self.today, self.rows) = (None, no_rows());
        (self.entries, self.days) = Default::default();
    }

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
        if added {
            // Nothing stood there.
            self.journal.before(slot, |_| {});
        } else {
            self.note(slot);
        }
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
        self.note(slot);
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

    /// To be called before what is known of a row changes.
    fn note(&mut self, slot: u32) {
        let (rows, entries) = (&self.rows, &self.entries);
        self.journal.before(slot, |out| write_row(rows, entries, slot, out));
    }

    /// Begins a cut: see [`Operator::cut`](super::Operator::cut).
    pub(crate) fn cut(&mut self, whole: bool) {
        self.journal.cut(whole, self.rows.slots());
    }

    /// Gives rows of the cut: see [`Operator::capture`](super::Operator::capture).
    pub(crate) fn capture(&mut self, capture: &mut Capture, store: u32, tenant: Tenant) -> bool {
        let (rows, entries) = (&self.rows, &self.entries);
        let row = |slot, out: &mut Vec<u8>| write_row(rows, entries, slot, out);
        self.journal.capture(capture, (store, tenant.0), row)
    }

    /// Puts a row back.
    pub(crate) fn restore(&mut self, slot: u32, entry: &[u8]) -> Result<(), RuntimeError> {
        let mut entry = Reader(entry);
        if !self.rows.key_or_none(slot).is_empty() {
            self.schedule(slot, NEVER);
        }
        if entry.0.is_empty() {
            self.entries.at(slot).weight = 0;
            self.rows.restore(slot, &[]);
            return Ok(());
        }
        let (weight, next) = (entry.i64()?, entry.i64()?);
        *self.entries.at(slot) = Entry { weight, ..Entry::default() };
        self.rows.restore(slot, entry.0);
        self.schedule(slot, next as i32);
        Ok(())
    }

    /// Says that all rows are restored.
    pub(crate) fn restored(&mut self) {
        self.journal.keep();
        self.rows.restored();
    }

    /// The bytes of the rows and what stands beside them.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.rows.bytes(tenant)
    }
}
