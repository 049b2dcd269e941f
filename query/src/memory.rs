//! The memory of one query, within the memory of all of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation,
};

/// A bounded pool that also draws on a bounded pool shared by all queries.
#[derive(Debug)]
pub(crate) struct QueryPool {
    own: GreedyMemoryPool,
    limit: usize,
    shared: Arc<GreedyMemoryPool>,
    shared_exhausted: AtomicBool,
}

impl QueryPool {
    pub(crate) fn new(limit: usize, shared: Arc<GreedyMemoryPool>) -> Self {
        Self {
            own: GreedyMemoryPool::new(limit),
            limit,
            shared,
            shared_exhausted: AtomicBool::new(false),
        }
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

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
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
