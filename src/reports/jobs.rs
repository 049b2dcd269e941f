//! What each kind of job does.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStoreExt;
use serde_json::{Map, json};
use tenancy::audit::Action;
use tenancy::{
    FinishedRun, NewRun, ReportJob, RunState, StoreError, StoredDelivery, StoredReport, StoredRun,
    TenantRecord,
};

use super::delivery::{Delivery, Target};
use super::records::{Ended, Record};
use super::runs::{run_folder, run_id};
use super::schedule::Due;
use super::{Failure, Outcome, Report, Request, Running, Shared};

/// How often a run is begun, and a delivery tried.
const RUN_ATTEMPTS: u32 = 5;
const DELIVERY_ATTEMPTS: u32 = 10;
/// The wait before the second try; each later one is three times as long, up to the longest.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(10);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// When it is tried again to read what this version cannot: it may be a newer one's, and go to it.
const READ_AGAIN: TimeDelta = TimeDelta::minutes(5);

/// The wait before another try, after so many.
pub(crate) fn wait(attempts: u32) -> TimeDelta {
    let times = 3_i32.saturating_pow(attempts.saturating_sub(1).min(8));
    FIRST_WAIT.checked_mul(times).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

/// What a schedule is to bring about.
struct Plan {
    version: u64,
    /// What each run is to make.
    request: String,
    due: Vec<Due>,
    next: Option<DateTime<Utc>>,
}

/// A delivery as it can be made.
struct Parcel {
    target: Target,
    request: Request,
    outcome: Outcome,
}

impl Shared {
    /// Queues the runs that a schedule names.
    pub(super) async fn schedule(&self, job: &ReportJob, lease: &str) -> Result<(), StoreError> {
        let (tenant, now) = (job.tenant, self.now());
        let Some(stored) = self.store().report(tenant, &job.id).await? else {
            return self.store().end_report_job(job, lease).await;
        };
        let plan = match plan(stored, job.due_at, now).await {
            Ok(Some(plan)) => plan,
            Ok(None) => return self.store().end_report_job(job, lease).await,
            Err(error) => {
                let report = &job.id;
                tracing::error!(%error, tenant, report, "a schedule cannot be read; trying again later");
                return self.store().return_report_job(job, lease, now + READ_AGAIN).await;
            }
        };
        // Ids sort as the times do.
        let runs: Vec<NewRun> = (0..)
            .zip(plan.due)
            .map(|(place, due)| NewRun {
                id: run_id(now + TimeDelta::microseconds(place)),
                report_id: job.id.clone(),
                due_at: Some(due.at),
                requested_by: String::new(),
                request: plan.request.clone(),
                created_at: now,
                missed: due.missed,
            })
            .collect();
        let most = self.parts.settings.queued;
        let queued =
            self.store().queue_scheduled(job, lease, plan.version, &runs, plan.next, most).await?;
        if queued {
            self.wake.notify_one();
        } else {
            // It was replaced meanwhile, with a job of its own.
            self.store().end_report_job(job, lease).await?;
        }
        Ok(())
    }

    /// Makes a run's file.
    pub(super) async fn run(
        &self,
        tenant: &TenantRecord,
        job: &ReportJob,
        lease: &str,
        running: &Running,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let Some(run) = self.store().begin_run(job, self.now()).await? else {
            return self.store().end_report_job(job, lease).await;
        };
        let made = if run.attempts > RUN_ATTEMPTS {
            let times = run.attempts - 1;
            Err(Failure::ForGood(format!("it was begun {times} times, and cut off each time")))
        } else {
            self.make(tenant, &run, lease, running).await
        };
        let now = self.now();
        let action = Action::Query;
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
                let detail = Map::from_iter([
                    ("rows".to_owned(), json!(made.outcome.rows)),
                    ("bytes".to_owned(), json!(made.outcome.bytes)),
                    ("outcome".to_owned(), json!(made.outcome)),
                ]);
                let ended = Ended::Done;
                self.record(Record { job, run: &run, action, ended, begun, detail }).await;
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
                let (ended, detail) = (Ended::failed(&error, again.is_some()), Map::new());
                self.record(Record { job, run: &run, action, ended, begun, detail }).await;
                self.store().fail_run(job, lease, &error, now, again).await.map(drop)
            }
        }
    }

    /// Brings a run's file to one of those who wait for it.
    pub(super) async fn deliver(
        &self,
        tenant: &TenantRecord,
        job: &ReportJob,
        lease: &str,
    ) -> Result<(), StoreError> {
        let (begun, now) = (Instant::now(), self.now());
        let Some((run, stored)) = self.delivery_of(job).await? else {
            return self.store().end_report_job(job, lease).await;
        };
        let expires_at = run.expires_at.unwrap_or(now);
        let Parcel { target, request, outcome } = match Parcel::read(&run, &stored) {
            Ok(parcel) => parcel,
            Err(error) => {
                let (tenant, report, run) = (job.tenant, &run.report_id, &run.id);
                tracing::error!(%error, tenant, report, run, "a delivery cannot be read; trying again later");
                if expires_at <= now {
                    let error = format!("what is stored of it cannot be read: {error}");
                    let ended = self.store().end_delivery(job, lease, Some(&error), now, None);
                    return ended.await.map(drop);
                }
                return self.store().return_report_job(job, lease, now + READ_AGAIN).await;
            }
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
        let carried = self.carry(&delivery, &request.owner, &target).await;
        let now = self.now();
        let (error, again) = match carried {
            Ok(()) => (None, None),
            Err(failure) => {
                let again = matches!(failure, Failure::Again(_)) && tried < DELIVERY_ATTEMPTS;
                (Some(failure.to_string()), again.then(|| now + wait(tried)))
            }
        };
        let ended = match &error {
            None => Ended::Done,
            Some(error) => Ended::failed(error, again.is_some()),
        };
        let detail = Map::from_iter([("target".to_owned(), target.shown())]);
        let action = Action::Download;
        self.record(Record { job, run: &run, action, ended, begun, detail }).await;
        self.store().end_delivery(job, lease, error.as_deref(), now, again).await.map(drop)
    }

    /// The run whose file a job delivers, and where to; none if they are no more.
    pub(super) async fn delivery_of(
        &self,
        job: &ReportJob,
    ) -> Result<Option<(StoredRun, StoredDelivery)>, StoreError> {
        let run = self.store().report_run(job.tenant, &job.id).await?;
        let deliveries = self.store().run_deliveries(job.tenant, &job.id).await?;
        Ok(run.zip(deliveries.into_iter().find(|delivery| delivery.place == job.place)))
    }

    /// Delivers what its owner may still have delivered, to where the report still goes.
    async fn carry(
        &self,
        delivery: &Delivery<'_>,
        owner: &str,
        target: &Target,
    ) -> Result<(), Failure> {
        let tenant = delivery.tenant.number;
        self.check_owner(tenant, owner, "report").await?;
        let gone = || {
            let message = "the report was changed meanwhile and does not go there any more; run it \
                           again to have what it is now delivered";
            Failure::ForGood(message.to_owned())
        };
        let stored = self.store().report(tenant, delivery.report_id).await?.ok_or_else(gone)?;
        let report = Report::read(stored).map_err(|error| Failure::Again(error.to_string()))?;
        // With the secret that it has now.
        let mut targets = report.definition.deliver.iter();
        let target = targets.find(|now| now.shown() == target.shown()).ok_or_else(gone)?;
        self.carrier.deliver(delivery, target).await.map_err(|error| {
            let failure = if error.may_pass { Failure::Again } else { Failure::ForGood };
            failure(error.message)
        })
    }

    /// Removes a file whose time is over.
    pub(super) async fn expire(&self, job: &ReportJob, lease: &str) -> Result<(), StoreError> {
        if !self.clear(job, lease).await? {
            return Ok(());
        }
        self.store().expire_run(job, lease).await.map(drop)
    }

    /// Removes what was begun of a run's file, if nothing has come of the run.
    pub(super) async fn sweep(&self, job: &ReportJob, lease: &str) -> Result<(), StoreError> {
        let run = self.store().report_run(job.tenant, &job.id).await?;
        match run.map(|run| run.state) {
            Some(RunState::Queued | RunState::Running) => {
                let again = self.now() + LONGEST_WAIT;
                return self.store().return_report_job(job, lease, again).await;
            }
            // Its file goes when its time is over.
            Some(RunState::Done | RunState::Expired) => {}
            Some(RunState::Failed | RunState::Missed | RunState::Cancelled) | None => {
                if !self.clear(job, lease).await? {
                    return Ok(());
                }
            }
        }
        self.store().end_report_job(job, lease).await
    }

    /// Removes the folder of a run; whether it did. If not, the job is given back.
    async fn clear(&self, job: &ReportJob, lease: &str) -> Result<bool, StoreError> {
        let folder = run_folder(job.tenant, &job.id);
        let Err(error) = self.remove_below(&folder).await else { return Ok(true) };
        let again = self.now() + wait(job.attempts + 1);
        tracing::warn!(%error, %folder, "the files of a run cannot be removed yet");
        self.store().return_report_job(job, lease, again).await?;
        Ok(false)
    }

    async fn remove(&self, file: &str) {
        if let Err(error) = self.parts.objects.delete(&file.into()).await {
            tracing::warn!(%error, file, "a file that nobody knows of cannot be removed");
        }
    }
}

/// What a schedule is to bring about at `now` of the times from `from` on; none if the report has no
/// schedule.
async fn plan(
    stored: StoredReport,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Plan>, Failure> {
    let unread = |error: &dyn std::fmt::Display| Failure::Again(error.to_string());
    let Report { version, owner, definition, .. } =
        Report::read(stored).map_err(|error| unread(&error))?;
    let timetable = definition.timetable().map_err(|error| unread(&error))?;
    let schedule = definition.schedule.as_ref();
    let Some((timetable, catch_up)) = timetable.zip(schedule.map(|schedule| schedule.catch_up))
    else {
        return Ok(None);
    };
    // Where very many have passed this takes long.
    let due = tokio::task::spawn_blocking(move || timetable.due(from, now, catch_up));
    let (due, next) = due.await.map_err(|error| unread(&error))?;
    let request = Request { owner, report: definition, params: Map::new(), as_of: None };
    let request = serde_json::to_string(&request).map_err(|error| unread(&error))?;
    Ok(Some(Plan { version, request, due, next }))
}

impl Parcel {
    fn read(run: &StoredRun, stored: &StoredDelivery) -> Result<Self, serde_json::Error> {
        Ok(Self {
            target: serde_json::from_str(&stored.target)?,
            request: serde_json::from_str(&run.request)?,
            outcome: serde_json::from_str(run.outcome.as_deref().unwrap_or_default())?,
        })
    }
}
