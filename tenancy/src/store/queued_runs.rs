//! Runs that are to be made: asked for, or named by a schedule.

use chrono::{DateTime, Utc};
use sqlx::{Any, Transaction};

use super::reading::count;
use super::report_jobs::{self, JobKind, ReportJob};
use super::report_runs::RunState;
use super::{Store, sql};
use crate::StoreError;

/// A run that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Its id, which sorts by time.
    pub id: String,
    /// The report's.
    pub report_id: String,
    /// When its schedule named it; none: it was asked for.
    pub due_at: Option<DateTime<Utc>>,
    /// The subject that asked for it; empty: the schedule.
    pub requested_by: String,
    /// What is to be made, a JSON object.
    pub request: String,
    /// Now.
    pub created_at: DateTime<Utc>,
    /// Why it is not made, where it was missed.
    pub missed: Option<String>,
}

/// Runs without a file that are kept of a report.
const KEPT: i64 = 1_000;

impl Store {
    /// Queues a run of a report that is there, unless `most` of the tenant's wait or run; whether it
    /// did.
    pub async fn queue_run(
        &self,
        tenant: u32,
        run: &NewRun,
        most: usize,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "queueing a run", source };
        let mut transaction = self.write_in_turn(tenant).await.map_err(failed)?;
        if open(&mut transaction, tenant).await.map_err(failed)? >= most {
            return Ok(false);
        }
        insert(&mut transaction, tenant, run).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Queues the runs that a schedule named, and has it due again at `next`; false, and nothing was
    /// done, if the report has another version or the job is another's by now. What comes when `most`
    /// of the tenant's wait or run is missed.
    pub async fn queue_scheduled(
        &self,
        job: &ReportJob,
        lease: &str,
        version: u64,
        runs: &[NewRun],
        next: Option<DateTime<Utc>>,
        most: usize,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "queueing scheduled runs", source };
        let mut transaction = self.write_in_turn(job.tenant).await.map_err(failed)?;
        let now: Option<(i64,)> =
            sql::query_as("SELECT version FROM reports WHERE tenant_id = $1 AND id = $2")
                .bind(i64::from(job.tenant))
                .bind(&job.id)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed)?;
        if now != Some((version.cast_signed(),))
            || !report_jobs::end(&mut transaction, job, lease, next).await.map_err(failed)?
        {
            return Ok(false);
        }
        let mut waiting = open(&mut transaction, job.tenant).await.map_err(failed)?;
        for run in runs {
            let full = (waiting >= most)
                .then(|| format!("{most} runs waited or were made, and no more may be"));
            let run = NewRun { missed: run.missed.clone().or(full), ..run.clone() };
            let is_new = insert(&mut transaction, job.tenant, &run).await.map_err(failed)?;
            waiting += usize::from(is_new && run.missed.is_none());
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }
}

/// How many runs of a tenant wait or are made.
async fn open(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
) -> Result<usize, sqlx::Error> {
    let open = "SELECT count(*) FROM report_jobs WHERE tenant_id = $1 AND kind = 'run'";
    count(transaction, tenant, open).await
}

/// Inserts a run unless there is one of its due time, with its job if it is to be made, and lets old
/// runs without files go; whether there was none.
async fn insert(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    run: &NewRun,
) -> Result<bool, sqlx::Error> {
    let state = if run.missed.is_some() { RunState::Missed } else { RunState::Queued };
    let done = sql::query(
        "INSERT INTO report_runs (tenant_id, id, report_id, state, due_at, requested_by, request, \
         created_at, attempts, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9) \
         ON CONFLICT (tenant_id, report_id, due_at) DO NOTHING",
    )
    .bind(i64::from(tenant))
    .bind(&run.id)
    .bind(&run.report_id)
    .bind(state.as_str())
    .bind(run.due_at.map(|at| at.timestamp_micros()))
    .bind(&run.requested_by)
    .bind(&run.request)
    .bind(run.created_at.timestamp_micros())
    .bind(run.missed.as_deref())
    .execute(&mut **transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    if run.missed.is_none() {
        report_jobs::add(transaction, tenant, JobKind::Run, &run.id, 0, run.created_at).await?;
    }
    sql::query(
        "DELETE FROM report_runs WHERE tenant_id = $1 AND report_id = $2 \
         AND state IN ('failed', 'missed', 'cancelled', 'expired') AND id < coalesce( \
         (SELECT id FROM report_runs WHERE tenant_id = $1 AND report_id = $2 \
          ORDER BY id DESC LIMIT 1 OFFSET $3), '')",
    )
    .bind(i64::from(tenant))
    .bind(&run.report_id)
    .bind(KEPT)
    .execute(&mut **transaction)
    .await?;
    sql::query(
        "DELETE FROM report_deliveries WHERE tenant_id = $1 \
         AND run_id NOT IN (SELECT id FROM report_runs WHERE tenant_id = $1)",
    )
    .bind(i64::from(tenant))
    .execute(&mut **transaction)
    .await?;
    Ok(true)
}
