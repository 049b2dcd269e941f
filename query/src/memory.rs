//! The memory of one query, within the memory of all of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::common::{Result, resources_err};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// How DataFusion calls the part of a sort that puts together what is on disk. It takes what there is.
const MERGE: &str = "ExternalSorterMerge";

/// A bounded pool that also draws on a bounded pool shared by all queries.
#[derive(Debug)]
pub(crate) struct QueryPool {
    own: GreedyMemoryPool,
    limit: usize,
    shared: Arc<GreedyMemoryPool>,
    shared_exhausted: AtomicBool,
    /// How many operators can put on disk what they hold. These have equal parts, so that one that
    /// came first leaves the others enough to work with.
    spilling: AtomicUsize,
}

impl QueryPool {
    pub(crate) fn new(limit: usize, shared: Arc<GreedyMemoryPool>) -> Self {
        Self {
            own: GreedyMemoryPool::new(limit),
            limit,
            shared,
            shared_exhausted: AtomicBool::new(false),
            spilling: AtomicUsize::new(0),
        }
    }

    /// What one operator may have. A quarter is left for what none of them counts ahead.
    fn part(&self, consumer: &MemoryConsumer) -> usize {
        let is_sharing = consumer.can_spill() || consumer.name().starts_with(MERGE);
        match self.spilling.load(Ordering::Relaxed) {
            count if is_sharing && count > 0 => self.limit / 4 * 3 / count,
            _ => self.limit,
        }
    }

    /// What the query may have.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether there are so many bytes more for it, of its own and of what all have.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let all = match self.shared.memory_limit() {
            MemoryLimit::Finite(all) => all,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        self.own.reserved().saturating_add(bytes) <= self.limit
            && self.shared.reserved().saturating_add(bytes) <= all
    }

    /// Whether it was the others' use, and not its own, that this query had no memory.
    pub(crate) fn shared_exhausted(&self) -> bool {
        self.shared_exhausted.load(Ordering::Relaxed)
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &'static str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.spilling.fetch_add(usize::from(consumer.can_spill()), Ordering::Relaxed);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.spilling.fetch_sub(usize::from(consumer.can_spill()), Ordering::Relaxed);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        if reservation.size() + additional > self.part(consumer) {
            return resources_err!("{} has its part of the query's memory", consumer.name());
        }
        self.own.try_grow(reservation, additional)?;
        self.shared.try_grow(reservation, additional).inspect_err(|_| {
            self.own.shrink(reservation, additional);
            self.shared_exhausted.store(true, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}
