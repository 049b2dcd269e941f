//! How much is worked on at a time on one node, and whose turn it is. Each kind of job has places of
//! its own, and of these a tenant has some: whoever has many runs, or receivers that do not answer,
//! keeps only itself waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenancy::{JobKind, ReportJob};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Shared;

/// Files that are made at a time, and of these those of one tenant.
const RUNS: (usize, usize) = (2, 1);
/// The same of deliveries, …
const DELIVERIES: (usize, usize) = (8, 2);
/// … of schedules, …
const SCHEDULES: (usize, usize) = (4, 2);
/// … and of files that are removed.
const REMOVALS: (usize, usize) = (4, 2);
/// The most jobs of one kind that one tenant has places for.
pub(super) const OF_TENANT: u32 = 2;

/// What may be worked on at a time.
pub(super) struct Slots {
    runs: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
    schedules: Arc<Semaphore>,
    removals: Arc<Semaphore>,
    /// Earlier positions that are computed at a time: each takes the memory of a tenant's views.
    pub(super) past: Arc<Semaphore>,
    fair: Mutex<Fair>,
}

/// Whose turn it is.
#[derive(Default)]
struct Fair {
    /// How many jobs of a kind are worked on for a tenant.
    busy: HashMap<(JobKind, u32), usize>,
    /// When each had one last, counted in jobs.
    last: HashMap<(JobKind, u32), u64>,
    jobs: u64,
}

impl Slots {
    pub(super) fn new() -> Self {
        let places = |(count, _)| Arc::new(Semaphore::new(count));
        Self {
            runs: places(RUNS),
            deliveries: places(DELIVERIES),
            schedules: places(SCHEDULES),
            removals: places(REMOVALS),
            past: Arc::new(Semaphore::new(1)),
            fair: Mutex::default(),
        }
    }

    /// The places of a kind, and how many of them one tenant may have; none of what is not done here.
    fn of(&self, kind: JobKind) -> Option<(&Arc<Semaphore>, usize)> {
        match kind {
            JobKind::Run => Some((&self.runs, RUNS.1)),
            JobKind::Deliver => Some((&self.deliveries, DELIVERIES.1)),
            JobKind::Schedule => Some((&self.schedules, SCHEDULES.1)),
            JobKind::Expire | JobKind::Sweep => Some((&self.removals, REMOVALS.1)),
            // Alerts look for theirs themselves.
            JobKind::Notify => None,
        }
    }

    fn fair(&self) -> MutexGuard<'_, Fair> {
        self.fair.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts jobs in the order of turns: who has had nothing for longest comes first.
    pub(super) fn in_turn(&self, jobs: &mut [ReportJob]) {
        let fair = self.fair();
        jobs.sort_by_key(|job| (fair.last.get(&(job.kind, job.tenant)).copied(), job.due_at));
    }
}

/// A place among what is worked on; it is given back when this goes.
pub(super) struct Place {
    shared: Arc<Shared>,
    of: (JobKind, u32),
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// A place for a job, if there is one.
    pub(super) fn take(shared: &Arc<Shared>, job: &ReportJob) -> Option<Self> {
        let (places, of_tenant) = shared.slots.of(job.kind)?;
        let permit = Arc::clone(places).try_acquire_owned().ok()?;
        let of = (job.kind, job.tenant);
        let mut fair = shared.slots.fair();
        let count = fair.busy.entry(of).or_default();
        if *count >= of_tenant {
            return None;
        }
        *count += 1;
        fair.jobs += 1;
        let turn = fair.jobs;
        fair.last.insert(of, turn);
        Some(Self { shared: Arc::clone(shared), of, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut fair = self.shared.slots.fair();
        if let Some(count) = fair.busy.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                fair.busy.remove(&self.of);
            }
        }
        drop(fair);
        self.shared.wake.notify_one();
    }
}
