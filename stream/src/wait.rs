//! Reads that wait until a position is applied.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use projections::{Position, Tenant, TenantDelta};
use tokio::sync::oneshot;

/// A position was not applied in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// The time is over.
    #[error(
        "position {position} is not applied after {waited_ms} ms: ask again, or wait longer with wait_ms"
    )]
    Timeout {
        /// What was waited for.
        position: Position,
        /// How long.
        waited_ms: u128,
    },
    /// Too many reads wait already.
    #[error("{bound} reads already wait for a position: ask again in a moment")]
    Busy {
        /// The number of reads that may wait.
        bound: usize,
    },
}

/// Those who wait, by tenant; bounded in all.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_tenant: HashMap<Tenant, Vec<Waiter>>,
    next_id: u64,
    count: usize,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    sequence: u64,
    /// Never used: that it is dropped is the message.
    _done: oneshot::Sender<()>,
}

impl Waiters {
    /// Waits until `position` is applied. `is_applied` must be true from the moment at which the
    /// change can be read, which is before [`Waiters::applied`] is told of it.
    pub(crate) async fn wait(
        &self,
        position: Position,
        timeout: Duration,
        bound: usize,
        is_applied: impl Fn() -> bool,
    ) -> Result<(), NotYet> {
        if is_applied() {
            return Ok(());
        }
        let (done, applied) = oneshot::channel();
        let Some(place) = self.register(position, done, bound) else {
            return Err(NotYet::Busy { bound });
        };
        // What was applied before the registration was told to nobody here.
        if is_applied() {
            return Ok(());
        }
        let is_over = tokio::time::timeout(timeout, applied).await.is_err();
        drop(place);
        if !is_over || is_applied() {
            return Ok(());
        }
        Err(NotYet::Timeout { position, waited_ms: timeout.as_millis() })
    }

    /// Wakes those who wait for what the deltas brought.
    pub(crate) fn applied(&self, deltas: &[TenantDelta]) {
        let mut inner = self.lock();
        if inner.count == 0 {
            return;
        }
        for delta in deltas {
            let position = delta.snapshot.position();
            let Some(waiters) = inner.by_tenant.get_mut(&position.tenant) else { continue };
            let before = waiters.len();
            // Dropping a waiter's sender wakes it.
            waiters.retain(|w| w.sequence > position.sequence);
            let gone = before - waiters.len();
            if waiters.is_empty() {
                inner.by_tenant.remove(&position.tenant);
            }
            inner.count -= gone;
        }
    }

    fn register(
        &self,
        position: Position,
        done: oneshot::Sender<()>,
        bound: usize,
    ) -> Option<Place<'_>> {
        let mut inner = self.lock();
        if inner.count >= bound {
            return None;
        }
        let id = inner.next_id;
        inner.next_id += 1;
        inner.count += 1;
        let waiter = Waiter { id, sequence: position.sequence, _done: done };
        inner.by_tenant.entry(position.tenant).or_default().push(waiter);
        Some(Place { waiters: self, tenant: position.tenant, id })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.lock().count
    }
}

/// A place among the waiters, given up when it is dropped.
struct Place<'a> {
    waiters: &'a Waiters,
    tenant: Tenant,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.waiters.lock();
        let Some(waiters) = inner.by_tenant.get_mut(&self.tenant) else { return };
        let before = waiters.len();
        waiters.retain(|w| w.id != self.id);
        let gone = before - waiters.len();
        if waiters.is_empty() {
            inner.by_tenant.remove(&self.tenant);
        }
        inner.count -= gone;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use projections::TenantSnapshot;

    use super::*;

    fn delta(tenant: Tenant, from: u64, to: u64) -> TenantDelta {
        let snapshot = Arc::new(TenantSnapshot::with_views(tenant, to, None, Vec::new()));
        TenantDelta { from, snapshot, changes: Vec::new() }
    }

    #[tokio::test]
    async fn wakes_at_the_position_and_not_before() {
        let waiters = Arc::new(Waiters::default());
        let applied = Arc::new(AtomicU64::new(0));
        let waiting = tokio::spawn({
            let (waiters, applied) = (waiters.clone(), applied.clone());
            async move {
                let position = Position::new(Tenant(1), 5);
                let done = || applied.load(Ordering::SeqCst) >= 5;
                waiters.wait(position, Duration::from_mins(1), 10, done).await
            }
        });
        while waiters.count() == 0 {
            tokio::task::yield_now().await;
        }
        applied.store(4, Ordering::SeqCst);
        waiters.applied(&[delta(Tenant(1), 0, 4), delta(Tenant(2), 0, 9)]);
        assert_eq!(waiters.count(), 1);
        applied.store(5, Ordering::SeqCst);
        waiters.applied(&[delta(Tenant(1), 4, 5)]);
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(waiters.count(), 0);
    }

    #[tokio::test]
    async fn gives_up_in_time_and_leaves_nothing_behind() {
        let waiters = Waiters::default();
        let position = Position::new(Tenant(1), 5);
        let waited = waiters.wait(position, Duration::from_millis(1), 10, || false).await;
        assert_eq!(waited, Err(NotYet::Timeout { position, waited_ms: 1 }));
        assert_eq!(waiters.count(), 0);
        let busy = waiters.wait(position, Duration::from_millis(1), 0, || false).await;
        assert_eq!(busy, Err(NotYet::Busy { bound: 0 }));
    }
}
