//! What is to be done for reports and alerts, and who does it: schedules, runs, deliveries and
//! expiries, each a row until it is done. A node that puts its lease into a row does it; a lease that is not renewed
//! ends, and another node may have the row.

use chrono::{DateTime, Utc};
use sqlx::{Any, AssertSqlSafe, FromRow, Transaction};

use super::reading::time;
use super::{Scope, Store, sql};
use crate::StoreError;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKind {
    /// Queue the runs that a report's schedule names.
    Schedule,
    /// Make a run's file.
    Run,
    /// Deliver a run's file.
    Deliver,
    /// Remove a run's file.
    Expire,
    /// Remove what was begun of a run's file, if nothing came of the run.
    Sweep,
    /// Tell somebody what became of an alert.
    Notify,
}

impl JobKind {
    /// The kind's name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Run => "run",
            Self::Deliver => "deliver",
            Self::Expire => "expire",
            Self::Sweep => "sweep",
            Self::Notify => "notify",
        }
    }

    fn read(text: &str) -> Option<Self> {
        let all =
            [Self::Schedule, Self::Run, Self::Deliver, Self::Expire, Self::Sweep, Self::Notify];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportJob {
    /// Whose it is.
    pub tenant: u32,
    /// What it is.
    pub kind: JobKind,
    /// The report, the run or the alert.
    pub id: String,
    /// Which of the run's or alert's deliveries; otherwise 0.
    pub place: u32,
    /// From when on it is to be done.
    pub due_at: DateTime<Utc>,
    /// How often it was begun before.
    pub attempts: u32,
}

#[derive(FromRow)]
struct Row {
    tenant_id: i64,
    kind: String,
    id: String,
    place: i64,
    due_at: i64,
    attempts: i64,
}

impl Store {
    /// What is due of these tenants' reports at `now` and nobody does, the earliest first: of each
    /// tenant and kind the `each` earliest, so that who has much to be done hides nobody else's.
    pub async fn due_report_jobs(
        &self,
        now: DateTime<Utc>,
        tenants: &[u32],
        each: u32,
    ) -> Result<Vec<ReportJob>, StoreError> {
        self.due_jobs("kind <> 'notify'", now, tenants, each).await
    }

    /// The same of alerts.
    pub async fn due_alert_jobs(
        &self,
        now: DateTime<Utc>,
        tenants: &[u32],
        each: u32,
    ) -> Result<Vec<ReportJob>, StoreError> {
        self.due_jobs("kind = 'notify'", now, tenants, each).await
    }

    async fn due_jobs(
        &self,
        kinds: &'static str,
        now: DateTime<Utc>,
        tenants: &[u32],
        each: u32,
    ) -> Result<Vec<ReportJob>, StoreError> {
        if tenants.is_empty() {
            return Ok(Vec::new());
        }
        let tenants: Vec<String> = tenants.iter().map(ToString::to_string).collect();
        // Of what is put in here one is from this file, and the others are numbers.
        let due = format!(
            "SELECT tenant_id, kind, id, place, due_at, attempts FROM \
             (SELECT tenant_id, kind, id, place, due_at, attempts, row_number() OVER \
             (PARTITION BY tenant_id, kind ORDER BY due_at, id, place) AS turn FROM report_jobs \
             WHERE due_at <= $1 AND lease_until <= $1 AND {kinds} AND tenant_id IN ({})) AS due \
             WHERE turn <= $2 ORDER BY due_at, id, place",
            tenants.join(", ")
        );
        let statement =
            sql::query_as(AssertSqlSafe(due)).bind(now.timestamp_micros()).bind(i64::from(each));
        let rows: Vec<Row> =
            self.rows(Scope::Platform, "looking for what is due", statement).await?;
        Ok(rows.into_iter().filter_map(Row::job).collect())
    }

    /// Takes a job until then, if it is as it was read and nobody has it; whether it did.
    pub async fn claim_report_job(
        &self,
        job: &ReportJob,
        lease: &str,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "taking up what is due", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        let done = sql::query(
            "UPDATE report_jobs SET lease = $5, lease_until = $6, attempts = attempts + 1 \
             WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND place = $4 \
             AND attempts = $7 AND due_at <= $8 AND lease_until <= $8",
        )
        .bind(i64::from(job.tenant))
        .bind(job.kind.as_str())
        .bind(&job.id)
        .bind(i64::from(job.place))
        .bind(lease)
        .bind(until.timestamp_micros())
        .bind(i64::from(job.attempts))
        .bind(now.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps a job until then; false if it is another's by now, or no more.
    pub async fn renew_report_job(
        &self,
        job: &ReportJob,
        lease: &str,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "going on with what is due", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        let done = sql::query(
            "UPDATE report_jobs SET lease_until = $6 \
             WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND place = $4 AND lease = $5",
        )
        .bind(i64::from(job.tenant))
        .bind(job.kind.as_str())
        .bind(&job.id)
        .bind(i64::from(job.place))
        .bind(lease)
        .bind(until.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Lets go of a job that there is nothing to do for any more.
    pub async fn end_report_job(&self, job: &ReportJob, lease: &str) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "letting go of what was due", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        end(&mut transaction, job, lease, None).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Gives a job back, to be begun at `again` as if it had not been begun, if it is still this
    /// lease's. What it was due at stays: that of a schedule is one of its times.
    pub async fn return_report_job(
        &self,
        job: &ReportJob,
        lease: &str,
        again: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "giving back what is due", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        sql::query(
            "UPDATE report_jobs SET attempts = $7, lease = '', lease_until = $6 \
             WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND place = $4 AND lease = $5",
        )
        .bind(i64::from(job.tenant))
        .bind(job.kind.as_str())
        .bind(&job.id)
        .bind(i64::from(job.place))
        .bind(lease)
        .bind(again.timestamp_micros())
        .bind(i64::from(job.attempts))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

/// Adds a job.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    kind: JobKind,
    id: &str,
    place: u32,
    due_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sql::query(
        "INSERT INTO report_jobs \
         (tenant_id, kind, id, place, due_at, attempts, lease, lease_until) \
         VALUES ($1, $2, $3, $4, $5, 0, '', 0)",
    )
    .bind(i64::from(tenant))
    .bind(kind.as_str())
    .bind(id)
    .bind(i64::from(place))
    .bind(due_at.timestamp_micros())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// Says when what was begun of a run's file is to be removed, unless something comes of the run.
pub(super) async fn sweep_at(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    run: &str,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sql::query(
        "INSERT INTO report_jobs \
         (tenant_id, kind, id, place, due_at, attempts, lease, lease_until) \
         VALUES ($1, 'sweep', $2, 0, $3, 0, '', 0) \
         ON CONFLICT (tenant_id, kind, id, place) DO UPDATE SET due_at = excluded.due_at",
    )
    .bind(i64::from(tenant))
    .bind(run)
    .bind(at.timestamp_micros())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// Removes a job, whoever has it.
pub(super) async fn remove(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    kind: JobKind,
    id: &str,
    place: u32,
) -> Result<(), sqlx::Error> {
    sql::query(
        "DELETE FROM report_jobs WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND place = $4",
    )
    .bind(i64::from(tenant))
    .bind(kind.as_str())
    .bind(id)
    .bind(i64::from(place))
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// Ends a job of this lease: it goes, or is due again at `again`. False if it is another's by now.
pub(super) async fn end(
    transaction: &mut Transaction<'static, Any>,
    job: &ReportJob,
    lease: &str,
    again: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    let statement = match again {
        None => {
            "DELETE FROM report_jobs \
             WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND place = $4 AND lease = $5"
        }
        Some(_) => {
            "UPDATE report_jobs SET due_at = $6, lease = '', lease_until = 0 \
             WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND place = $4 AND lease = $5"
        }
    };
    let mut query = sql::query(statement)
        .bind(i64::from(job.tenant))
        .bind(job.kind.as_str())
        .bind(&job.id)
        .bind(i64::from(job.place))
        .bind(lease);
    if let Some(at) = again {
        query = query.bind(at.timestamp_micros());
    }
    Ok(query.execute(&mut **transaction).await?.rows_affected() == 1)
}

impl Row {
    /// Nothing, if a newer version made it and this one knows nothing of its kind.
    fn job(self) -> Option<ReportJob> {
        Some(ReportJob {
            tenant: u32::try_from(self.tenant_id).ok()?,
            kind: JobKind::read(&self.kind)?,
            id: self.id,
            place: u32::try_from(self.place).ok()?,
            due_at: time(self.due_at),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
        })
    }
}
