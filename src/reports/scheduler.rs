//! What is due and who does it: a job is taken under a lease, which is renewed while it is worked on.
//! A node that goes away leaves a lease that ends, and another one begins the job anew.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use object_store::ObjectStoreExt;
use projections::Tenant;
use serde_json::{Map, json};
use tenancy::audit::{Action, AuditEntry, Chain};
use tenancy::{
    FinishedRun, JobKind, NewRun, PositionMark, ReportJob, StoreError, StoredRun, TenantId,
    TenantRecord,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::delivery::{Delivery, Target};
use super::runs::{run_folder, run_id};
use super::{Failure, Outcome, Report, Reports, Request, Running, Shared};

/// How often it is looked for what is due.
const PERIOD: Duration = Duration::from_secs(1);
/// Jobs that are looked at in a turn.
const LOOKED_AT: u32 = 1_000;
/// For how long a job is taken, and how often that is renewed.
const LEASE: TimeDelta = TimeDelta::seconds(60);
const RENEWED_EVERY: Duration = Duration::from_secs(15);
/// Files that are made at a time on one node, one of each tenant.
const RUNS: usize = 2;
/// Other things that are done at a time.
const OTHERS: usize = 8;
/// How often a run is begun, and a delivery tried.
const RUN_ATTEMPTS: u32 = 5;
const DELIVERY_ATTEMPTS: u32 = 10;
/// The wait before the second try; each later one is three times as long, up to the longest.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(10);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// What may be worked on at a time.
pub(super) struct Slots {
    runs: Arc<Semaphore>,
    others: Arc<Semaphore>,
    /// Earlier positions that are computed at a time: each takes the memory of a tenant's views.
    pub(super) past: Semaphore,
    fair: Mutex<Fair>,
    /// The last that was seen of each tenant's positions.
    seen: Mutex<HashMap<u32, (NaiveDate, u64, u64)>>,
}

/// Whose turn it is to have a file made.
#[derive(Default)]
struct Fair {
    /// Tenants of which one is made.
    busy: HashSet<u32>,
    /// When each had one last, counted in runs.
    last: HashMap<u32, u64>,
    runs: u64,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            runs: Arc::new(Semaphore::new(RUNS)),
            others: Arc::new(Semaphore::new(OTHERS)),
            past: Semaphore::new(1),
            fair: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    fn fair(&self) -> std::sync::MutexGuard<'_, Fair> {
        self.fair.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wait before another try, after so many.
pub(crate) fn wait(attempts: u32) -> TimeDelta {
    let times = 3_i32.saturating_pow(attempts.saturating_sub(1).min(8));
    FIRST_WAIT.checked_mul(times).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

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
        let now = self.now();
        self.watch(serves).await?;
        let mut due = self.shared.store().due_report_jobs(now, LOOKED_AT).await?;
        {
            // Who has had nothing for longest comes first.
            let fair = self.shared.slots.fair();
            due.sort_by_key(|job| (fair.last.get(&job.tenant).copied(), job.due_at));
        }
        let mut begun = Vec::new();
        for job in due {
            let Some(tenant) = self.shared.parts.directory.by_number(job.tenant) else { continue };
            if !serves(&tenant.id) {
                continue;
            }
            let Some(place) = self.place(&job) else { continue };
            let drawn: u128 = rand::random();
            let lease = format!("{drawn:032x}");
            if self.shared.store().claim_report_job(&job, &lease, now, now + LEASE).await? {
                let shared = Arc::clone(&self.shared);
                begun.push(tokio::spawn(async move {
                    let _place = place;
                    shared.work(&tenant, job, &lease).await;
                }));
            }
        }
        Ok(begun)
    }

    /// A place for a job, if there is one.
    fn place(&self, job: &ReportJob) -> Option<Place> {
        let slots = &self.shared.slots;
        if job.kind != JobKind::Run {
            let permit = Arc::clone(&slots.others).try_acquire_owned().ok()?;
            return Some(Place { shared: Arc::clone(&self.shared), tenant: None, _permit: permit });
        }
        let permit = Arc::clone(&slots.runs).try_acquire_owned().ok()?;
        let mut fair = slots.fair();
        if !fair.busy.insert(job.tenant) {
            return None;
        }
        fair.runs += 1;
        let turn = fair.runs;
        fair.last.insert(job.tenant, turn);
        let tenant = Some(job.tenant);
        Some(Place { shared: Arc::clone(&self.shared), tenant, _permit: permit })
    }

    /// Notes the last position of each day, by which a report of that day is made later.
    async fn watch(&self, serves: &impl Fn(&TenantId) -> bool) -> Result<(), StoreError> {
        for tenant in self.shared.parts.directory.all() {
            if !serves(&tenant.id) {
                continue;
            }
            let snapshot = self.shared.parts.sources.readers.snapshot(Tenant(tenant.number));
            let Some(today) = snapshot.today() else { continue };
            let now = (today, snapshot.position().sequence, snapshot.offset());
            let seen = |slots: &Slots| {
                let mut seen = slots.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.insert(tenant.number, now)
            };
            let Some((day, sequence, offset)) = seen(&self.shared.slots) else { continue };
            if day < today {
                let mark = PositionMark { sequence, offset, day: Some(day), closes: true };
                self.shared.store().put_position_mark(tenant.number, &mark).await?;
            }
        }
        Ok(())
    }
}

/// A place among what is worked on; it is given back when this goes.
struct Place {
    shared: Arc<Shared>,
    tenant: Option<u32>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(tenant) = self.tenant {
            self.shared.slots.fair().busy.remove(&tenant);
        }
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn now(&self) -> DateTime<Utc> {
        (self.parts.clock)()
    }

    /// Works on a job for as long as its lease is renewed.
    async fn work(self: &Arc<Self>, tenant: &TenantRecord, job: ReportJob, lease: &str) {
        let running = Running { stop: CancellationToken::new(), rows: Arc::default() };
        let key = (job.tenant, job_key(&job));
        self.running().insert(key.clone(), running.clone());
        let done = tokio::select! {
            biased;
            () = running.stop.cancelled() => Ok(()),
            () = self.lost(&job, lease) => {
                tracing::warn!(tenant = job.tenant, id = job.id, "what was due is another's now");
                Ok(())
            }
            done = self.perform(tenant, &job, lease, &running.rows) => done,
        };
        self.running().remove(&key);
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
        rows: &Arc<AtomicU64>,
    ) -> Result<(), StoreError> {
        match job.kind {
            JobKind::Schedule => self.schedule(job, lease).await,
            JobKind::Run => self.run(tenant, job, lease, rows).await,
            JobKind::Deliver => self.deliver(tenant, job, lease).await,
            JobKind::Expire => self.expire(job, lease).await,
            // Alerts look for theirs themselves.
            JobKind::Notify => self.store().return_report_job(job, lease, job.due_at).await,
        }
    }

    /// Queues the runs that a schedule names.
    async fn schedule(&self, job: &ReportJob, lease: &str) -> Result<(), StoreError> {
        let (tenant, now) = (job.tenant, self.now());
        let stored = self.store().report(tenant, &job.id).await?;
        let report = stored.and_then(|stored| Report::read(stored).ok());
        let plan = report.as_ref().and_then(|report| {
            let catch_up = report.definition.schedule.as_ref()?.catch_up;
            let timetable = report.definition.timetable().ok()??;
            Some(timetable.due(job.due_at, now, catch_up))
        });
        let (Some(report), Some((due, next))) = (report, plan) else {
            return self.store().end_report_job(job, lease).await;
        };
        let request = Request {
            owner: report.owner,
            report: report.definition,
            params: Map::new(),
            as_of: None,
        };
        let Ok(request) = serde_json::to_string(&request) else {
            return self.store().end_report_job(job, lease).await;
        };
        // Ids sort as the times do.
        let runs: Vec<NewRun> = (0..)
            .zip(due)
            .map(|(place, due)| NewRun {
                id: run_id(now + TimeDelta::microseconds(place)),
                report_id: report.id.clone(),
                due_at: Some(due.at),
                requested_by: String::new(),
                request: request.clone(),
                created_at: now,
                missed: due.missed,
            })
            .collect();
        if self.store().queue_scheduled(job, lease, report.version, &runs, next).await? {
            self.wake.notify_one();
        } else {
            // It was replaced meanwhile, with a job of its own.
            self.store().end_report_job(job, lease).await?;
        }
        Ok(())
    }

    async fn run(
        &self,
        tenant: &TenantRecord,
        job: &ReportJob,
        lease: &str,
        rows: &Arc<AtomicU64>,
    ) -> Result<(), StoreError> {
        let Some(run) = self.store().begin_run(job, self.now()).await? else {
            return self.store().end_report_job(job, lease).await;
        };
        let made = if run.attempts > RUN_ATTEMPTS {
            let times = run.attempts - 1;
            Err(Failure::ForGood(format!("it was begun {times} times, and cut off each time")))
        } else {
            self.make(tenant, &run, lease, rows).await
        };
        let now = self.now();
        match made {
            Ok(made) => {
                let request: Option<Request> = serde_json::from_str(&run.request).ok();
                let targets = request.map(|request| request.report.deliver).unwrap_or_default();
                let targets: Vec<String> =
                    targets.iter().filter_map(|t| serde_json::to_string(t).ok()).collect();
                let outcome = serde_json::to_string(&made.outcome).unwrap_or_default();
                let expires_at = now + made.keep;
                let (at, mark) = (now, made.mark);
                let finished =
                    FinishedRun { outcome: &outcome, at, expires_at, targets: &targets, mark };
                self.record(&run, tenant, Action::Query, json!(made.outcome)).await;
                if self.store().finish_run(job, lease, &finished).await? {
                    self.wake.notify_one();
                    return Ok(());
                }
                // Nobody knows of the file.
                self.remove(&made.outcome.file).await;
                Ok(())
            }
            Err(failure) => {
                let again = matches!(failure, Failure::Again(_)) && run.attempts < RUN_ATTEMPTS;
                let again = again.then(|| now + wait(run.attempts));
                let error = failure.to_string();
                tracing::info!(tenant = job.tenant, run = job.id, error, "a report is not made");
                self.store().fail_run(job, lease, &error, now, again).await.map(drop)
            }
        }
    }

    /// Records what was done in the name of a report's owner.
    async fn record(
        &self,
        run: &StoredRun,
        tenant: &TenantRecord,
        action: Action,
        detail: serde_json::Value,
    ) {
        let request: Option<Request> = serde_json::from_str(&run.request).ok();
        let mut detail: Map<String, serde_json::Value> =
            [("outcome".to_owned(), detail)].into_iter().collect();
        if let Some(sql) = request.as_ref().and_then(|request| request.report.sql.as_ref()) {
            detail.insert("sql".to_owned(), json!(sql));
        }
        let entry = AuditEntry {
            chain: Chain::Tenant(tenant.number),
            at: self.now(),
            actor: request.map(|request| request.owner).unwrap_or_default(),
            source: String::new(),
            action,
            object: format!("run {} of the report {}", run.id, run.report_id),
            status: 200,
            detail,
        };
        if let Err(error) = self.parts.trail.keep(entry).await {
            tracing::error!(%error, tenant = tenant.number, "a run is not in the audit");
        }
    }

    async fn deliver(
        &self,
        tenant: &TenantRecord,
        job: &ReportJob,
        lease: &str,
    ) -> Result<(), StoreError> {
        let run = self.store().report_run(job.tenant, &job.id).await?;
        let deliveries = self.store().run_deliveries(job.tenant, &job.id).await?;
        let target = deliveries.iter().find(|delivery| delivery.place == job.place);
        let parsed = run.as_ref().zip(target).and_then(|(run, delivery)| {
            let target: Target = serde_json::from_str(&delivery.target).ok()?;
            let request: Request = serde_json::from_str(&run.request).ok()?;
            let outcome: Outcome = serde_json::from_str(run.outcome.as_deref()?).ok()?;
            Some((target, request, outcome, run.expires_at?))
        });
        let (Some(run), Some((target, request, outcome, expires_at))) = (&run, parsed) else {
            return self.store().end_report_job(job, lease).await;
        };
        let delivery = Delivery {
            tenant,
            report_id: &run.report_id,
            run_id: &run.id,
            place: job.place,
            report: &request.report,
            outcome: &outcome,
            expires_at,
        };
        let tried = job.attempts + 1;
        let carried = match self.check_owner(tenant.number, &request.owner, "report").await {
            Ok(()) => self.carrier.deliver(&delivery, &target).await.map_err(|error| {
                let failure = if error.may_pass { Failure::Again } else { Failure::ForGood };
                failure(error.message)
            }),
            Err(failure) => Err(failure),
        };
        let now = self.now();
        let (error, again) = match carried {
            Ok(()) => (None, None),
            Err(failure) => {
                let again = matches!(failure, Failure::Again(_)) && tried < DELIVERY_ATTEMPTS;
                (Some(failure.to_string()), again.then(|| now + wait(tried)))
            }
        };
        if error.is_none() {
            self.record(run, tenant, Action::Download, target.shown()).await;
        }
        self.store().end_delivery(job, lease, error.as_deref(), now, again).await.map(drop)
    }

    async fn expire(&self, job: &ReportJob, lease: &str) -> Result<(), StoreError> {
        let folder = run_folder(job.tenant, &job.id);
        if let Err(error) = self.remove_below(&folder).await {
            let again = self.now() + wait(job.attempts + 1);
            tracing::warn!(%error, %folder, "a file whose time is over cannot be removed yet");
            return self.store().return_report_job(job, lease, again).await;
        }
        self.store().expire_run(job, lease).await.map(drop)
    }

    async fn remove(&self, file: &str) {
        if let Err(error) = self.parts.objects.delete(&file.into()).await {
            tracing::warn!(%error, file, "a file that nobody knows of cannot be removed");
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
