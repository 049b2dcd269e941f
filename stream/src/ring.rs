//! The latest changes of one tenant, bounded by bytes and by age.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use projections::{Position, RuntimeError, Tenant, TenantDelta};

use crate::delta::ViewDelta;

/// What one change takes beside its rows.
const ENTRY_BYTES: usize = 256;

/// All that changed for a tenant from one position to the next.
#[derive(Debug)]
pub(crate) struct Entry {
    from: u64,
    position: Position,
    changes: Vec<ViewDelta>,
    failed: Vec<String>,
    /// The bytes of Arrow that the entries of its ring hold; each takes its own off at its end.
    arrow_bytes: Arc<AtomicUsize>,
}

impl Entry {
    pub(crate) fn new(delta: &TenantDelta) -> Self {
        let failed = delta.snapshot.views().iter().filter(|v| v.failure().is_some());
        Self {
            from: delta.from,
            position: delta.snapshot.position(),
            changes: delta.changes.iter().map(ViewDelta::new).collect(),
            failed: failed.map(|v| v.view().name().to_owned()).collect(),
            arrow_bytes: Arc::default(),
        }
    }

    /// The sequence before the change.
    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    /// The position after the change.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The sequence after the change.
    pub(crate) fn to(&self) -> u64 {
        self.position.sequence
    }

    /// The change of one view, if it has one.
    pub(crate) fn change(&self, view: &str) -> Option<&ViewDelta> {
        self.changes.iter().find(|c| c.view().name() == view)
    }

    /// The change of one view as Arrow, if it has one; the first who asks writes it.
    pub(crate) fn arrow(&self, view: &str) -> Option<Result<Bytes, RuntimeError>> {
        self.change(view).map(|change| change.arrow(&self.arrow_bytes))
    }

    /// Whether the view cannot be read after this change.
    pub(crate) fn has_failed(&self, view: &str) -> bool {
        self.failed.iter().any(|name| name == view)
    }

    fn wire_bytes(&self) -> usize {
        self.changes.iter().map(ViewDelta::wire_bytes).sum()
    }

    fn held_bytes(&self) -> usize {
        ENTRY_BYTES + self.changes.iter().map(ViewDelta::held_bytes).sum::<usize>()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let written: usize = self.changes.iter().map(ViewDelta::arrow_bytes).sum();
        self.arrow_bytes.fetch_sub(written, Ordering::Relaxed);
    }
}

/// What follows a place in the ring.
pub(crate) enum Next {
    /// A change, and about how many bytes of JSON wait from it on.
    Entry(Arc<Entry>, u64),
    /// Nothing yet.
    Nothing,
    /// What followed is no longer held, or the place never was one.
    Gone,
}

/// The latest changes of one tenant, without a gap: each begins where the one before ends.
#[derive(Debug)]
pub(crate) struct Ring {
    tenant: Tenant,
    head: u64,
    /// How often views of the tenant were defined, replaced or removed.
    definitions: u64,
    entries: VecDeque<Held>,
    held_bytes: usize,
    /// What was written as Arrow, for those who asked for it: not known before, so not in the above.
    arrow_bytes: Arc<AtomicUsize>,
    wire_end: u64,
}

#[derive(Debug)]
struct Held {
    entry: Arc<Entry>,
    at: Instant,
    bytes: usize,
    /// The bytes of JSON of all changes before this one.
    wire_start: u64,
}

impl Ring {
    /// An empty ring that begins at `head`: changes up to there are not held.
    pub(crate) fn new(tenant: Tenant, head: u64) -> Self {
        let (entries, arrow_bytes) = (VecDeque::new(), Arc::default());
        Self { tenant, head, definitions: 0, entries, held_bytes: 0, arrow_bytes, wire_end: 0 }
    }

    /// Notes that views were defined, replaced or removed. What is pushed from here on is of the
    /// views as they are now.
    pub(crate) fn redefine(&mut self) {
        self.definitions += 1;
    }

    /// How often that was noted.
    pub(crate) fn definitions(&self) -> u64 {
        self.definitions
    }

    /// The sequence of the newest change.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Adds a change and drops what no longer fits in `bound` bytes. A change from before the
    /// ring began is left out; one that does not begin at the head empties the ring, so that
    /// everybody starts anew rather than misses something.
    pub(crate) fn push(&mut self, mut entry: Entry, now: Instant, bound: usize) {
        let (from, to) = (entry.from(), entry.to());
        if to <= self.head {
            return;
        }
        if from != self.head {
            tracing::error!(
                tenant = self.tenant.0,
                from,
                head = self.head,
                "a change does not follow the one before; its subscribers start anew"
            );
            self.entries.clear();
            self.held_bytes = 0;
            self.head = to;
            return;
        }
        let (bytes, wire_start) = (entry.held_bytes(), self.wire_end);
        self.wire_end += entry.wire_bytes() as u64;
        self.head = to;
        self.held_bytes += bytes;
        entry.arrow_bytes = Arc::clone(&self.arrow_bytes);
        self.entries.push_back(Held { entry: Arc::new(entry), at: now, bytes, wire_start });
        self.trim(bound);
    }

    /// Drops the oldest until what is left fits in `bound` bytes.
    pub(crate) fn trim(&mut self, bound: usize) {
        while !self.entries.is_empty() && self.held_bytes() > bound {
            self.drop_oldest();
        }
    }

    /// Drops what is older than `age`.
    pub(crate) fn expire(&mut self, now: Instant, age: Duration) {
        while self.entries.front().is_some_and(|held| now.duration_since(held.at) > age) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(held) = self.entries.pop_front() {
            self.held_bytes -= held.bytes;
        }
    }

    /// Whether all changes after `sequence` are held.
    pub(crate) fn covers(&self, sequence: u64) -> bool {
        sequence == self.head || self.index_after(sequence).is_some()
    }

    /// The change that begins at `sequence`.
    pub(crate) fn next(&self, sequence: u64) -> Next {
        if sequence >= self.head {
            return Next::Nothing;
        }
        match self.index_after(sequence) {
            Some(index) => {
                let held = &self.entries[index];
                Next::Entry(held.entry.clone(), self.wire_end - held.wire_start)
            }
            None => Next::Gone,
        }
    }

    /// The changes after `from` up to and with the one that ends at `to`, or none if one of them
    /// is no longer held.
    pub(crate) fn range(&self, from: u64, to: u64) -> Option<Vec<Arc<Entry>>> {
        if from >= to {
            return Some(Vec::new());
        }
        let first = self.index_after(from)?;
        let entries: Vec<_> = self
            .entries
            .range(first..)
            .map(|held| held.entry.clone())
            .take_while(|entry| entry.to() <= to)
            .collect();
        entries.last().is_some_and(|last| last.to() == to).then_some(entries)
    }

    fn index_after(&self, sequence: u64) -> Option<usize> {
        self.entries.binary_search_by(|held| held.entry.from().cmp(&sequence)).ok()
    }

    /// The bytes of all changes that are held, in every form they were written in.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes + self.arrow_bytes.load(Ordering::Relaxed)
    }
}
