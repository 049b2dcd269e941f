//! What is due and who does it: a job is taken under a lease, which is renewed while it is worked on.
//! A node that goes away leaves a lease that ends, and another one begins the job anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tenancy::{JobKind, ReportJob, StoreError, TenantId, TenantRecord};
use tokio::task::JoinHandle;

use super::slots::{OF_TENANT, Place};
use super::{Reports, Running, Shared};

/// How often it is looked for what is due.
const PERIOD: Duration = Duration::from_secs(1);
/// For how long a job is taken, and how often that is renewed.
const LEASE: TimeDelta = TimeDelta::seconds(60);
const RENEWED_EVERY: Duration = Duration::from_secs(15);

impl Reports {
    /// Does what is due for the tenants that `serves` names, for as long as it is polled.
    pub(crate) async fn keep(&self, serves: impl Fn(&TenantId) -> bool) {
        let mut turns = tokio::time::interval(PERIOD);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = self.shared.wake.notified() => {}
            }
            if let Err(error) = self.turn(&serves).await {
                tracing::warn!(%error, "it cannot be seen what is due; trying again");
            }
        }
    }

    /// Begins what is due now and there is room for.
    pub(crate) async fn turn(
        &self,
        serves: &impl Fn(&TenantId) -> bool,
    ) -> Result<Vec<JoinHandle<()>>, StoreError> {
        let (shared, now) = (&self.shared, self.now());
        let mut served = shared.parts.directory.all();
        served.retain(|tenant| serves(&tenant.id));
        shared.note_closings(&served).await;
        let numbers: Vec<u32> = served.iter().map(|tenant| tenant.number).collect();
        let mut due = shared.store().due_report_jobs(now, &numbers, OF_TENANT).await?;
        shared.slots.in_turn(&mut due);
        let mut begun = Vec::new();
        for job in due {
            let Some(tenant) = shared.parts.directory.by_number(job.tenant) else { continue };
            let Some(place) = Place::take(shared, &job) else { continue };
            let drawn: u128 = rand::random();
            let lease = format!("{drawn:032x}");
            if shared.store().claim_report_job(&job, &lease, now, now + LEASE).await? {
                let shared = Arc::clone(shared);
                begun.push(tokio::spawn(async move {
                    let _place = place;
                    shared.work(&tenant, job, &lease).await;
                }));
            }
        }
        Ok(begun)
    }
}

/// A job among those that are worked on, until this goes, however the work ends.
struct Entry {
    shared: Arc<Shared>,
    key: (u32, String),
    running: Running,
}

impl Entry {
    fn new(shared: &Arc<Shared>, job: &ReportJob) -> Self {
        let (key, running) = ((job.tenant, job_key(job)), Running::default());
        shared.running().insert(key.clone(), running.clone());
        Self { shared: Arc::clone(shared), key, running }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.stop.cancel();
        let mut running = self.shared.running();
        // One that has ended late may have a successor here.
        if running.get(&self.key).is_some_and(|there| Arc::ptr_eq(&there.rows, &self.running.rows))
        {
            running.remove(&self.key);
        }
    }
}

impl Shared {
    /// Works on a job for as long as its lease is renewed.
    async fn work(self: &Arc<Self>, tenant: &TenantRecord, job: ReportJob, lease: &str) {
        let (entry, begun) = (Entry::new(self, &job), Instant::now());
        let running = &entry.running;
        let done = tokio::select! {
            biased;
            () = running.stop.cancelled() => None,
            () = self.lost(&job, lease) => {
                tracing::warn!(tenant = job.tenant, id = job.id, "what was due is another's now");
                None
            }
            done = self.perform(tenant, &job, lease, running) => Some(done),
        };
        // What goes on beside it ends before it counts as ended, and leaves nothing half done.
        running.stop.cancel();
        running.tasks.close();
        running.tasks.wait().await;
        let done = match done {
            Some(done) => done,
            None => self.record_cut(&job, begun).await,
        };
        if let Err(error) = done {
            // The lease ends, and then it is begun again.
            let kind = job.kind.as_str();
            tracing::warn!(%error, tenant = job.tenant, id = job.id, kind, "what was due is not done");
        }
    }

    /// Renews a lease; returns when it is lost.
    async fn lost(&self, job: &ReportJob, lease: &str) {
        loop {
            tokio::time::sleep(RENEWED_EVERY).await;
            match self.store().renew_report_job(job, lease, self.now() + LEASE).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "a lease is not renewed; trying again"),
            }
        }
    }

    async fn perform(
        &self,
        tenant: &TenantRecord,
        job: &ReportJob,
        lease: &str,
        running: &Running,
    ) -> Result<(), StoreError> {
        match job.kind {
            JobKind::Schedule => self.schedule(job, lease).await,
            JobKind::Run => self.run(tenant, job, lease, running).await,
            JobKind::Deliver => self.deliver(tenant, job, lease).await,
            JobKind::Expire => self.expire(job, lease).await,
            JobKind::Sweep => self.sweep(job, lease).await,
            // Alerts look for theirs themselves.
            JobKind::Notify => self.store().return_report_job(job, lease, job.due_at).await,
        }
    }
}

/// Under which a job is known while it is worked on: a run is known by its id.
fn job_key(job: &ReportJob) -> String {
    match job.kind {
        JobKind::Run => job.id.clone(),
        kind => format!("{} {} {}", kind.as_str(), job.id, job.place),
    }
}
