//! Batches on their way to the reader: what they hold is the query's until it has taken them.
//!
//! A reader that is slow slows the query, and batches that wait for it take of the query's memory. Where
//! there is none left the query waits until those before have been taken; one batch may always go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use datafusion::common::{Result, resources_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tokio::sync::Notify;

use crate::guard::row_bytes;
use crate::memory::QueryPool;

/// The way of one query's batches.
pub(crate) struct Transit {
    memory: Arc<QueryPool>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: AtomicUsize,
    taken: Notify,
}

/// The memory of a batch that waits; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    reservation: MemoryReservation,
    waiting: Arc<Waiting>,
}

impl Transit {
    pub(crate) fn new(memory: Arc<QueryPool>) -> Self {
        Self { memory, waiting: Arc::default() }
    }

    /// Counts a batch, once there is memory for it or none before it waits. An error if it is larger than
    /// all that the query may have.
    pub(crate) async fn hold(&self, batch: &RecordBatch) -> Result<Held> {
        let bytes = row_bytes(batch);
        if bytes > self.memory.limit() {
            return resources_err!("a batch of {bytes} bytes is more than the query's memory");
        }
        while !self.memory.has_room(bytes) && self.waiting.batches.load(Ordering::Acquire) > 0 {
            self.waiting.taken.notified().await;
        }
        let pool: Arc<dyn MemoryPool> = self.memory.clone();
        let reservation = MemoryConsumer::new("answer").register(&pool);
        reservation.grow(bytes);
        self.waiting.batches.fetch_add(1, Ordering::Release);
        Ok(Held { reservation, waiting: self.waiting.clone() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.reservation.free();
        self.waiting.batches.fetch_sub(1, Ordering::Release);
        // Who looks just now finds it when it waits.
        self.waiting.taken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, StringArray};
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use futures::FutureExt;

    use super::*;

    fn batch(bytes: usize) -> RecordBatch {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(bytes)]));
        RecordBatch::try_from_iter([("text", text)]).unwrap()
    }

    fn pool(shared: &Arc<GreedyMemoryPool>) -> Arc<QueryPool> {
        Arc::new(QueryPool::new(1 << 20, shared.clone()))
    }

    #[tokio::test]
    async fn batches_that_wait_are_counted_and_the_next_comes_when_there_is_room() {
        let shared = Arc::new(GreedyMemoryPool::new(1 << 30));
        let memory = pool(&shared);
        let transit = Transit::new(memory.clone());
        let first = transit.hold(&batch(700 << 10)).await.unwrap();
        let second = transit.hold(&batch(100 << 10)).await.unwrap();
        assert!((800 << 10..900 << 10).contains(&memory.reserved()));
        assert_eq!(shared.reserved(), memory.reserved());
        let large = batch(700 << 10);
        assert!(transit.hold(&large).now_or_never().is_none());
        drop(second);
        assert!(transit.hold(&large).now_or_never().is_none());
        drop(first);
        let third = transit.hold(&large).now_or_never().unwrap().unwrap();
        drop(third);
        assert_eq!((memory.reserved(), shared.reserved()), (0, 0));
    }

    #[tokio::test]
    async fn one_batch_goes_though_others_have_all_memory_unless_it_is_too_large() {
        let shared = Arc::new(GreedyMemoryPool::new(1 << 20));
        let others: Arc<dyn MemoryPool> = shared.clone();
        let taken = MemoryConsumer::new("others").register(&others);
        taken.grow(1 << 20);
        let memory = pool(&shared);
        let transit = Transit::new(memory.clone());
        let held = transit.hold(&batch(900 << 10)).now_or_never().unwrap().unwrap();
        assert!(transit.hold(&batch(1)).now_or_never().is_none());
        assert!(!memory.shared_exhausted(), "nothing was refused for it");
        drop(held);
        assert!(transit.hold(&batch(2 << 20)).await.is_err());
    }
}
