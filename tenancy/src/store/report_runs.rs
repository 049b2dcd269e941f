//! Runs of reports, from when they are begun to their end.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::FromRow;

use super::position_marks::PositionMark;
use super::reading::time;
use super::report_deliveries::{DeliveryRow, StoredDelivery};
use super::report_jobs::{self, JobKind, ReportJob};
use super::{Scope, Store, position_marks, sql, text};
use crate::StoreError;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It waits for its turn, or for another try.
    Queued,
    /// Its file is being made.
    Running,
    /// Its file is there.
    Done,
    /// It was given up.
    Failed,
    /// Its schedule named it while nobody could make it, and it was not caught up.
    Missed,
    /// It was called off.
    Cancelled,
    /// Its file was there, and was removed when its time was over.
    Expired,
}

impl RunState {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Missed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Missed => "missed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// Its id, which sorts by time.
    pub id: String,
    /// The report's.
    pub report_id: String,
    /// How far it has come.
    pub state: RunState,
    /// When its schedule named it.
    pub due_at: Option<DateTime<Utc>>,
    /// The subject that asked for it; empty: the schedule.
    pub requested_by: String,
    /// What is to be made, a JSON object.
    pub request: String,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it was begun first.
    pub started_at: Option<DateTime<Utc>>,
    /// When it came to its end.
    pub finished_at: Option<DateTime<Utc>>,
    /// How often it was begun.
    pub attempts: u32,
    /// What was made, a JSON object.
    pub outcome: Option<String>,
    /// Why it failed, or failed last.
    pub error: Option<String>,
    /// When its file goes.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct RunRow {
    id: String,
    report_id: String,
    state: String,
    due_at: Option<i64>,
    requested_by: String,
    request: String,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    attempts: i64,
    outcome: Option<String>,
    error: Option<String>,
    expires_at: Option<i64>,
}

/// After its beginning it is looked whether something has come of a run.
const LOOKED_AFTER: TimeDelta = TimeDelta::hours(1);
/// For how long whoever makes a run may still bring something of it after it was called off: longer
/// than until the next time that a lease is renewed.
const STRAGGLING: TimeDelta = TimeDelta::minutes(2);

/// What a statement reads of a run.
macro_rules! runs {
    () => {
        "SELECT id, report_id, state, due_at, requested_by, request, created_at, started_at, \
         finished_at, attempts, outcome, error, expires_at FROM report_runs WHERE tenant_id = $1"
    };
}

impl Store {
    /// Begins a run whose job this lease has; none if it is no more to be made.
    pub async fn begin_run(
        &self,
        job: &ReportJob,
        now: DateTime<Utc>,
    ) -> Result<Option<StoredRun>, StoreError> {
        let failed = |source| StoreError::Database { doing: "beginning a run", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        let done = sql::query(
            "UPDATE report_runs SET state = 'running', attempts = attempts + 1, \
             started_at = coalesce(started_at, $3) \
             WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'running')",
        )
        .bind(i64::from(job.tenant))
        .bind(&job.id)
        .bind(now.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let later = now + LOOKED_AFTER;
        report_jobs::sweep_at(&mut transaction, job.tenant, &job.id, later)
            .await
            .map_err(failed)?;
        let row: Option<RunRow> = sql::query_as(concat!(runs!(), " AND id = $2"))
            .bind(i64::from(job.tenant))
            .bind(&job.id)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(row.map(RunRow::stored))
    }

    /// Notes that a run is done, what was made at which position, and where it is to be delivered;
    /// false, and nothing was noted, if the run is another's by now.
    pub async fn finish_run(
        &self,
        job: &ReportJob,
        lease: &str,
        finished: &FinishedRun<'_>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "finishing a run", source };
        let tenant = i64::from(job.tenant);
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        if !report_jobs::end(&mut transaction, job, lease, None).await.map_err(failed)? {
            return Ok(false);
        }
        sql::query(
            "UPDATE report_runs SET state = 'done', outcome = $3, finished_at = $4, \
             expires_at = $5, error = NULL WHERE tenant_id = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(&job.id)
        .bind(finished.outcome)
        .bind(finished.at.timestamp_micros())
        .bind(finished.expires_at.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        for (place, target) in (0_u32..).zip(finished.targets) {
            sql::query(
                "INSERT INTO report_deliveries (tenant_id, run_id, place, state, target, attempts) \
                 VALUES ($1, $2, $3, 'waiting', $4, 0)",
            )
            .bind(tenant)
            .bind(&job.id)
            .bind(i64::from(place))
            .bind(target)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            let (kind, id) = (JobKind::Deliver, job.id.as_str());
            report_jobs::add(&mut transaction, job.tenant, kind, id, place, finished.at)
                .await
                .map_err(failed)?;
        }
        let (kind, id) = (JobKind::Expire, job.id.as_str());
        report_jobs::add(&mut transaction, job.tenant, kind, id, 0, finished.expires_at)
            .await
            .map_err(failed)?;
        // Its folder goes with its file.
        report_jobs::remove(&mut transaction, job.tenant, JobKind::Sweep, id, 0)
            .await
            .map_err(failed)?;
        position_marks::add(&mut transaction, job.tenant, &finished.mark).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Notes that a run failed: for good, or to be tried again at `again`; false, and nothing was
    /// noted, if the run is another's by now.
    pub async fn fail_run(
        &self,
        job: &ReportJob,
        lease: &str,
        error: &str,
        at: DateTime<Utc>,
        again: Option<DateTime<Utc>>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "noting that a run failed", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        if !report_jobs::end(&mut transaction, job, lease, again).await.map_err(failed)? {
            return Ok(false);
        }
        let state = if again.is_some() { RunState::Queued } else { RunState::Failed };
        sql::query(
            "UPDATE report_runs SET state = $3, error = $4, finished_at = $5 \
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(i64::from(job.tenant))
        .bind(&job.id)
        .bind(state.as_str())
        .bind(error)
        .bind(again.is_none().then(|| at.timestamp_micros()))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if again.is_none() {
            report_jobs::sweep_at(&mut transaction, job.tenant, &job.id, at)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Calls a run off that is not done; whether there was one to call off.
    pub async fn cancel_run(
        &self,
        tenant: u32,
        id: &str,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "calling a run off", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let done = sql::query(
            "UPDATE report_runs SET state = 'cancelled', finished_at = $3 \
             WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'running')",
        )
        .bind(i64::from(tenant))
        .bind(id)
        .bind(at.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        report_jobs::remove(&mut transaction, tenant, JobKind::Run, id, 0).await.map_err(failed)?;
        let is_called_off = done.rows_affected() == 1;
        if is_called_off {
            // There is nothing to be removed of one that was never begun.
            sql::query(
                "UPDATE report_jobs SET due_at = $3 \
                 WHERE tenant_id = $1 AND kind = 'sweep' AND id = $2",
            )
            .bind(i64::from(tenant))
            .bind(id)
            .bind((at + STRAGGLING).timestamp_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(is_called_off)
    }

    /// A run of a tenant.
    pub async fn report_run(&self, tenant: u32, id: &str) -> Result<Option<StoredRun>, StoreError> {
        let statement =
            sql::query_as(concat!(runs!(), " AND id = $2")).bind(i64::from(tenant)).bind(text(id));
        let row: Option<RunRow> =
            self.row(Scope::Tenant(tenant), "reading a run", statement).await?;
        Ok(row.map(RunRow::stored))
    }

    /// The runs of a report before the one of that id, the newest first, with their deliveries.
    pub async fn report_runs(
        &self,
        tenant: u32,
        report: &str,
        before: Option<&str>,
        most: u32,
    ) -> Result<(Vec<StoredRun>, Vec<StoredDelivery>), StoreError> {
        let failed = |source| StoreError::Database { doing: "listing the runs", source };
        let mut transaction = self.read(Scope::Tenant(tenant)).await.map_err(failed)?;
        let rows: Vec<RunRow> = sql::query_as(concat!(
            runs!(),
            " AND report_id = $2 AND (id < $3 OR $3 = '') ORDER BY id DESC LIMIT $4"
        ))
        .bind(i64::from(tenant))
        .bind(report)
        .bind(text(before.unwrap_or_default()))
        .bind(i64::from(most))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        let mut deliveries: Vec<DeliveryRow> = Vec::new();
        if let (Some(newest), Some(oldest)) = (rows.first(), rows.last()) {
            deliveries = sql::query_as(
                "SELECT d.run_id, d.place, d.state, d.target, d.attempts, d.finished_at, d.error \
                 FROM report_deliveries d JOIN report_runs r \
                 ON r.tenant_id = d.tenant_id AND r.id = d.run_id \
                 WHERE d.tenant_id = $1 AND r.report_id = $2 AND r.id >= $3 AND r.id <= $4 \
                 ORDER BY d.run_id DESC, d.place",
            )
            .bind(i64::from(tenant))
            .bind(report)
            .bind(&oldest.id)
            .bind(&newest.id)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        let runs = rows.into_iter().map(RunRow::stored).collect();
        Ok((runs, deliveries.into_iter().map(DeliveryRow::stored).collect()))
    }

    /// Notes that a run's file is gone. Of a run whose report is gone nothing is left.
    pub async fn expire_run(&self, job: &ReportJob, lease: &str) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "noting that a file is gone", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        if !report_jobs::end(&mut transaction, job, lease, None).await.map_err(failed)? {
            return Ok(false);
        }
        for statement in [
            "UPDATE report_runs SET state = 'expired' WHERE tenant_id = $1 AND id = $2",
            "DELETE FROM report_runs WHERE tenant_id = $1 AND id = $2 \
             AND report_id NOT IN (SELECT id FROM reports WHERE tenant_id = $1)",
        ] {
            sql::query(statement)
                .bind(i64::from(job.tenant))
                .bind(&job.id)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }
}

/// What is noted of a run that is done.
#[derive(Clone, Copy, Debug)]
pub struct FinishedRun<'a> {
    /// What was made, a JSON object.
    pub outcome: &'a str,
    /// Now.
    pub at: DateTime<Utc>,
    /// When its file goes.
    pub expires_at: DateTime<Utc>,
    /// Where it is to be delivered, each a JSON object.
    pub targets: &'a [String],
    /// The position it was made at.
    pub mark: PositionMark,
}

impl RunRow {
    fn stored(self) -> StoredRun {
        let state = RunState::ALL.into_iter().find(|state| state.as_str() == self.state);
        StoredRun {
            id: self.id,
            report_id: self.report_id,
            // What a newer version has put there is nothing that this one can go on with.
            state: state.unwrap_or(RunState::Failed),
            due_at: self.due_at.map(time),
            requested_by: self.requested_by,
            request: self.request,
            created_at: time(self.created_at),
            started_at: self.started_at.map(time),
            finished_at: self.finished_at.map(time),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            outcome: self.outcome,
            error: self.error,
            expires_at: self.expires_at.map(time),
        }
    }
}
