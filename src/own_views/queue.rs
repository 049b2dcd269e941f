//! What is to be filled: groups of views in the order of their definition, tenants in turn.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use projections::Tenant;

/// A group that is being filled.
pub(super) struct Job {
    pub(super) tenant: Tenant,
    pub(super) group: u64,
    is_cancelled: AtomicBool,
    done: AtomicU64,
    whole: AtomicU64,
}

impl Job {
    /// Whether nobody wants it any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Says how much there is to do; nothing of it is done.
    pub(super) fn begin(&self, whole: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.whole.store(whole, Ordering::Relaxed);
    }

    /// Says how much of it is done.
    pub(super) fn advance(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// The part that is done. What arrives meanwhile is never known in advance, so it is below 1.
    fn filled(&self) -> f64 {
        let (done, whole) = (self.done.load(Ordering::Relaxed), self.whole.load(Ordering::Relaxed));
        (done as f64 / whole.max(1) as f64).min(0.99)
    }
}

/// The groups that wait, and the one that is being filled.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
}

#[derive(Default)]
struct Inner {
    /// The tenant at the front is the next.
    waiting: VecDeque<(Tenant, VecDeque<u64>)>,
    running: Option<Arc<Job>>,
    is_closed: bool,
}

impl Queue {
    /// Adds a group behind the others of its tenant.
    pub(super) fn push(&self, tenant: Tenant, group: u64) {
        let mut inner = self.lock();
        match inner.waiting.iter_mut().find(|(other, _)| *other == tenant) {
            Some((_, groups)) => groups.push_back(group),
            None => inner.waiting.push_back((tenant, [group].into())),
        }
        drop(inner);
        self.ready.notify_one();
    }

    /// Takes a group out, also if it is being filled.
    pub(super) fn cancel(&self, tenant: Tenant, group: u64) {
        let mut inner = self.lock();
        for (_, groups) in inner.waiting.iter_mut().filter(|(other, _)| *other == tenant) {
            groups.retain(|other| *other != group);
        }
        inner.waiting.retain(|(_, groups)| !groups.is_empty());
        let running = inner.running.as_ref();
        if let Some(job) = running.filter(|job| job.tenant == tenant && job.group == group) {
            job.is_cancelled.store(true, Ordering::Release);
        }
    }

    /// Puts a group in the place of others.
    pub(super) fn replace(&self, tenant: Tenant, ended: &BTreeSet<u64>, group: u64) {
        for ended in ended {
            self.cancel(tenant, *ended);
        }
        self.push(tenant, group);
    }

    /// Waits for the next group; none when the queue is closed.
    pub(super) fn next(&self) -> Option<Arc<Job>> {
        let mut inner = self.lock();
        loop {
            inner.running = None;
            if inner.is_closed {
                return None;
            }
            if let Some((tenant, mut groups)) = inner.waiting.pop_front() {
                let group = groups.pop_front();
                if !groups.is_empty() {
                    inner.waiting.push_back((tenant, groups));
                }
                let Some(group) = group else { continue };
                let is_cancelled = AtomicBool::new(false);
                let (done, whole) = (AtomicU64::new(0), AtomicU64::new(0));
                let job = Arc::new(Job { tenant, group, is_cancelled, done, whole });
                inner.running = Some(Arc::clone(&job));
                return Some(job);
            }
            inner = self.ready.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How much of a group is filled, from 0 to 1.
    pub(super) fn filled(&self, tenant: Tenant, group: u64) -> f64 {
        let inner = self.lock();
        let running = inner.running.as_ref();
        running.filter(|job| job.tenant == tenant && job.group == group).map_or(0.0, |j| j.filled())
    }

    /// Cancels what is being filled and hands nothing out any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        if let Some(job) = &inner.running {
            job.is_cancelled.store(true, Ordering::Release);
        }
        drop(inner);
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn next(queue: &Queue) -> (u32, u64) {
        let job = queue.next().unwrap();
        (job.tenant.0, job.group)
    }

    #[test]
    fn tenants_take_turns_and_each_keeps_its_order() {
        let queue = Queue::default();
        for (tenant, group) in [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)] {
            queue.push(Tenant(tenant), group);
        }
        queue.cancel(Tenant(1), 2);
        let order: Vec<(u32, u64)> = (0..4).map(|_| next(&queue)).collect();
        assert_eq!(order, [(1, 1), (2, 4), (1, 3), (2, 5)]);
        queue.close();
        assert!(queue.next().is_none());
    }

    #[test]
    fn what_runs_is_cancelled_when_it_is_replaced_and_tells_how_far_it_is() {
        let queue = Queue::default();
        queue.push(Tenant(1), 1);
        let job = queue.next().unwrap();
        job.begin(4);
        job.advance(1);
        assert!((queue.filled(Tenant(1), 1) - 0.25).abs() < f64::EPSILON);
        assert!(queue.filled(Tenant(2), 1) < f64::EPSILON);
        job.advance(4);
        assert!(queue.filled(Tenant(1), 1) < 1.0);
        queue.replace(Tenant(1), &BTreeSet::from([1]), 2);
        assert!(job.is_cancelled());
        assert_eq!(next(&queue), (1, 2));
    }
}
