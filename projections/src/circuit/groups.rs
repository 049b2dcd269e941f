//! What several operators keep by group: found by the group's key, counted by tenant, and given to
//! checkpoints. What it is that a group keeps is the operator's affair.

use super::journal::Journal;
use super::memory::Tally;
use super::packed::owner;
use super::slots::Slots;
use super::state::{Capture, Reader, put_bytes, store};
use super::table::{KeyTable, Touched};
use crate::bytes::ByteRows;
use crate::{RuntimeError, Tenant};

/// What is kept of a group.
pub(super) trait Kept: Default {
    /// Whether there is nothing left of it.
    fn is_empty(&self) -> bool;

    /// The bytes it takes, as the operator counts them.
    fn cost(&self) -> usize;

    /// Writes what [`Kept::read`] reads.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads to the end of the entry.
    fn read(entry: &mut Reader<'_>) -> Result<Self, RuntimeError>;
}

/// Groups by key. A group that keeps nothing is gone when its step ends.
#[derive(Default)]
pub(super) struct Groups<K> {
    pub(super) keys: KeyTable,
    pub(super) kept: Slots<K>,
    /// The groups that the step has touched so far.
    pub(super) touched: Touched,
    /// The bytes of what is kept.
    pub(super) tally: Tally,
    journal: Journal,
}

impl<K: Kept> Groups<K> {
    /// The group of each key, and whether it is new.
    pub(super) fn locate(&mut self, keys: &ByteRows) -> Vec<(u32, bool)> {
        self.keys.locate(keys)
    }

    /// To be called before a group changes: its place among those that the step touches, and
    /// whether this is the first time.
    pub(super) fn touch(&mut self, slot: u32, is_new: bool) -> (usize, bool) {
        if is_new {
            *self.kept.at(slot) = K::default();
        }
        let (place, is_first) = self.touched.touch(slot);
        if is_first {
            let (keys, kept) = (&self.keys, &self.kept);
            self.journal.before(slot, |out| {
                if !is_new {
                    write(keys, kept, slot, out);
                }
            });
        }
        (place, is_first)
    }

    /// Whose a group is.
    pub(super) fn owner(&self, slot: u32) -> Tenant {
        owner(self.keys.key(slot))
    }

    /// Ends a step: lets the touched groups go that keep nothing any more.
    pub(super) fn release_empty(&mut self) {
        for slot in &self.touched.slots {
            if self.kept[*slot].is_empty() {
                self.keys.remove(*slot);
            }
        }
        self.touched.clear();
    }

    pub(super) fn bytes(&self, tenant: Tenant) -> usize {
        self.keys.bytes(tenant) + self.tally.bytes(tenant)
    }

    pub(super) fn forget(&mut self, tenant: Tenant) {
        for slot in self.keys.of_tenant(tenant) {
            let (keys, kept) = (&self.keys, &self.kept);
            self.journal.before(slot, |out| write(keys, kept, slot, out));
            self.kept[slot] = K::default();
            self.keys.remove(slot);
        }
        self.tally.forget(tenant);
    }

    pub(super) fn cut(&mut self, whole: bool) {
        self.journal.cut(whole, self.keys.slots());
    }

    pub(super) fn capture(&mut self, capture: &mut Capture) -> bool {
        let (keys, kept) = (&self.keys, &self.kept);
        let of = (store(capture.node, 0), 0);
        self.journal.capture(capture, of, |slot, out| write(keys, kept, slot, out))
    }

    pub(super) fn restore(&mut self, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        let slot = slot as u32;
        let mut entry = Reader(entry);
        let old = std::mem::take(self.kept.at(slot)).cost();
        if old > 0 {
            self.tally.remove(self.owner(slot), old);
        }
        if entry.0.is_empty() {
            self.keys.restore(slot, &[]);
            return Ok(());
        }
        let key = entry.bytes()?;
        let kept = K::read(&mut entry)?;
        self.tally.add(owner(key), kept.cost());
        self.kept[slot] = kept;
        self.keys.restore(slot, key);
        Ok(())
    }

    pub(super) fn restored(&mut self) {
        self.journal.keep();
        self.keys.restored();
    }
}

/// What a checkpoint has of a group: its key, and what is kept.
fn write<K: Kept>(keys: &KeyTable, kept: &Slots<K>, slot: u32, out: &mut Vec<u8>) {
    let key = keys.key_or_none(slot);
    if !key.is_empty() {
        put_bytes(out, key);
        kept[slot].write(out);
    }
}
