//! The events since the last cut, where no log keeps them.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use tokio::sync::watch;

use super::scan::{BATCH_ROWS, Wanted, of_tenant};
use crate::log::{Segment, key};
use crate::stored::row_bytes;

/// Accepted events in memory, in order, with their offsets; cheap to clone.
///
/// It is bounded by who fills it: [`room`](Self::room) waits while it is full, and a checkpoint
/// makes room.
#[derive(Clone)]
pub struct Tail {
    inner: Arc<Inner>,
}

struct Inner {
    limit: usize,
    held: RwLock<VecDeque<Held>>,
    bytes: watch::Sender<usize>,
}

/// The events that were accepted at one offset.
struct Held {
    offset: u64,
    segments: Arc<Vec<Segment>>,
    bytes: usize,
}

impl Tail {
    /// An empty tail that is full at `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let (bytes, _) = watch::channel(0);
        Self { inner: Arc::new(Inner { limit, held: RwLock::default(), bytes }) }
    }

    /// The bytes of the events it holds.
    pub fn bytes(&self) -> usize {
        *self.inner.bytes.borrow()
    }

    /// Returns when it is more than half full.
    pub async fn is_filling(&self) {
        let mut bytes = self.inner.bytes.subscribe();
        // The sender lives as long as the tail that is borrowed here.
        drop(bytes.wait_for(|bytes| *bytes > self.inner.limit / 2).await);
    }

    /// Returns when it is not full.
    pub async fn room(&self) {
        let mut bytes = self.inner.bytes.subscribe();
        // The sender lives as long as the tail that is borrowed here.
        drop(bytes.wait_for(|bytes| *bytes < self.inner.limit).await);
    }

    /// Takes the events that were accepted at an offset beyond all before it.
    pub(crate) fn push(&self, offset: u64, segments: Vec<Segment>) {
        let bytes = segments.iter().map(|segment| row_bytes(&segment.rows)).sum();
        let held = Held { offset, segments: Arc::new(segments), bytes };
        self.inner.held.write().unwrap_or_else(PoisonError::into_inner).push_back(held);
        self.inner.bytes.send_modify(|all| *all += bytes);
    }

    /// Lets go of everything up to and with `offset`.
    pub(super) fn trim(&self, offset: u64) {
        let mut freed = 0;
        {
            let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
            while held.front().is_some_and(|front| front.offset <= offset) {
                freed += held.pop_front().map_or(0, |front| front.bytes);
            }
        }
        self.inner.bytes.send_modify(|all| *all -= freed);
    }

    /// The next events beyond `after`, up to and with `up_to`.
    pub(super) fn next(&self, after: u64, up_to: u64) -> Option<(u64, Arc<Vec<Segment>>)> {
        let held = self.inner.held.read().unwrap_or_else(PoisonError::into_inner);
        let next = held.get(held.partition_point(|held| held.offset <= after))?;
        (next.offset <= up_to).then(|| (next.offset, Arc::clone(&next.segments)))
    }

    /// How many offsets beyond `after` it has something of, up to and with `up_to`.
    pub(super) fn count(&self, after: u64, up_to: u64) -> u64 {
        let held = self.inner.held.read().unwrap_or_else(PoisonError::into_inner);
        let until = |offset| held.partition_point(|held| held.offset <= offset);
        until(up_to).saturating_sub(until(after)) as u64
    }
}

/// The wanted rows of segments, in batches of a size that suits a query.
pub(super) fn rows_of(
    segments: &[Segment],
    wanted: &Wanted,
) -> Result<Vec<RecordBatch>, ArrowError> {
    let (schema, wanted_key) = (wanted.schema()?, key(&wanted.event_type));
    let mut batches = Vec::new();
    for segment in segments.iter().filter(|segment| key(&segment.event_type) == wanted_key) {
        let rows = wanted.of_stored(&segment.rows, &schema)?;
        let rows = of_tenant(wanted.tenant, &segment.tenants, &rows)?;
        let starts = (0..rows.num_rows()).step_by(BATCH_ROWS);
        batches.extend(starts.map(|from| rows.slice(from, BATCH_ROWS.min(rows.num_rows() - from))));
    }
    Ok(batches)
}
