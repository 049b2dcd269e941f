//! Which queries run: so many of each tenant and in all, the others wait for their turn.
//!
//! Tenants take turns: when a place becomes free, the tenant that has waited longest since its last
//! turn is given it, whatever its number of queries. So a tenant's burst makes another one wait for
//! a place to become free and for no more than one turn of each tenant.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use projections::Tenant;
use tokio::sync::oneshot;

use crate::{QueryError, QueryLimits};

/// Who runs and who waits.
#[derive(Debug)]
pub(crate) struct Admission {
    per_tenant: usize,
    in_all: usize,
    queued: usize,
    patience: Duration,
    places: Mutex<Places>,
}

/// Nobody waits who could be given a place.
#[derive(Debug, Default)]
struct Places {
    /// The queries of each tenant that has some.
    running: HashMap<Tenant, usize>,
    total: usize,
    /// The tenants that wait, in the order of their turns.
    turns: VecDeque<Tenant>,
    /// Those who wait, in order; no entry is empty.
    waiting: HashMap<Tenant, VecDeque<Waiter>>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    go: oneshot::Sender<()>,
}

/// The right to run one query; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    tenant: Tenant,
}

impl Admission {
    pub(crate) fn new(limits: &QueryLimits) -> Arc<Self> {
        Arc::new(Self {
            per_tenant: limits.concurrent,
            in_all: limits.total_concurrent,
            queued: if limits.queue_seconds == 0 { 0 } else { limits.queued },
            patience: Duration::from_secs(limits.queue_seconds),
            places: Mutex::default(),
        })
    }

    /// Lets one more query in, at once or in its turn, or says that too many are running.
    pub(crate) async fn enter(self: &Arc<Self>, tenant: Tenant) -> Result<Permit, QueryError> {
        let mut waiting = match self.ask(tenant)? {
            Entry::Admitted(permit) => return Ok(permit),
            Entry::Waiting(waiting) => waiting,
        };
        let turn = tokio::time::timeout(self.patience, &mut waiting.turn).await;
        match turn {
            Ok(Ok(())) => Ok(waiting.admitted()),
            // Its turn may have come just now; then it is given on.
            Ok(Err(_)) | Err(_) => Err(QueryError::Busy),
        }
    }

    /// How many run and how many wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let places = self.places();
        (places.total, places.waiting.values().map(VecDeque::len).sum())
    }

    fn ask(self: &Arc<Self>, tenant: Tenant) -> Result<Entry, QueryError> {
        let mut places = self.places();
        if places.total < self.in_all && places.running_of(tenant) < self.per_tenant {
            places.start(tenant);
            return Ok(Entry::Admitted(Permit { admission: Arc::clone(self), tenant }));
        }
        if places.waiting.get(&tenant).map_or(0, VecDeque::len) >= self.queued {
            return Err(QueryError::Busy);
        }
        let (go, turn) = oneshot::channel();
        let number = places.next;
        places.next += 1;
        places.enqueue(tenant, Waiter { number, go });
        Ok(Entry::Waiting(Waiting {
            admission: Arc::clone(self),
            tenant,
            number,
            turn,
            is_over: false,
        }))
    }

    /// Ends a query of the tenant, and lets in those whose turn it is.
    fn release(&self, ended: Tenant) {
        let mut places = self.places();
        places.end(ended);
        while places.total < self.in_all {
            let Some((tenant, waiter)) = places.next_in_turn(self.per_tenant) else { return };
            // Who has gone away meanwhile takes no place.
            if waiter.go.send(()).is_ok() {
                places.start(tenant);
            }
        }
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn running_of(&self, tenant: Tenant) -> usize {
        self.running.get(&tenant).copied().unwrap_or(0)
    }

    fn start(&mut self, tenant: Tenant) {
        *self.running.entry(tenant).or_default() += 1;
        self.total += 1;
    }

    fn end(&mut self, tenant: Tenant) {
        self.total -= 1;
        match self.running.get_mut(&tenant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.running.remove(&tenant);
            }
        }
    }

    fn enqueue(&mut self, tenant: Tenant, waiter: Waiter) {
        let queue = self.waiting.entry(tenant).or_default();
        if queue.is_empty() {
            self.turns.push_back(tenant);
        }
        queue.push_back(waiter);
    }

    /// Takes out the first waiter of the first tenant that may have one more running; the tenant's
    /// next turn comes after those of the others.
    fn next_in_turn(&mut self, per_tenant: usize) -> Option<(Tenant, Waiter)> {
        let index = self.turns.iter().position(|t| self.running_of(*t) < per_tenant)?;
        let tenant = self.turns.remove(index)?;
        let queue = self.waiting.get_mut(&tenant)?;
        let waiter = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        waiter.map(|waiter| (tenant, waiter))
    }

    fn leave(&mut self, tenant: Tenant, number: u64) {
        let Some(queue) = self.waiting.get_mut(&tenant) else { return };
        queue.retain(|waiter| waiter.number != number);
        if queue.is_empty() {
            self.waiting.remove(&tenant);
            self.turns.retain(|t| *t != tenant);
        }
    }
}

enum Entry {
    Admitted(Permit),
    Waiting(Waiting),
}

/// A query that waits; when it is dropped it waits no more.
#[derive(Debug)]
struct Waiting {
    admission: Arc<Admission>,
    tenant: Tenant,
    number: u64,
    turn: oneshot::Receiver<()>,
    is_over: bool,
}

impl Waiting {
    fn admitted(mut self) -> Permit {
        self.is_over = true;
        Permit { admission: Arc::clone(&self.admission), tenant: self.tenant }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // From here on no turn is given; one that was given is given on.
        self.turn.close();
        if self.turn.try_recv().is_ok() {
            self.admission.release(self.tenant);
        } else {
            self.admission.places().leave(self.tenant, self.number);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.release(self.tenant);
    }
}

#[cfg(test)]
mod tests;
