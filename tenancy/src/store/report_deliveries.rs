//! Deliveries of reports' files.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::reading::time;
use super::report_jobs::{self, ReportJob};
use super::{Scope, Store, sql};
use crate::StoreError;

/// A delivery as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelivery {
    /// The run's id.
    pub run_id: String,
    /// Its place in the report's list.
    pub place: u32,
    /// `waiting`, `done` or `failed`.
    pub state: String,
    /// Where to, a JSON object.
    pub target: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it came to its end.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it failed, or failed last.
    pub error: Option<String>,
}

#[derive(FromRow)]
pub(super) struct DeliveryRow {
    run_id: String,
    place: i64,
    state: String,
    target: String,
    attempts: i64,
    finished_at: Option<i64>,
    error: Option<String>,
}

impl Store {
    /// The deliveries of a run, in the order of the report's list.
    pub async fn run_deliveries(
        &self,
        tenant: u32,
        run: &str,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let statement = sql::query_as(
            "SELECT run_id, place, state, target, attempts, finished_at, error \
             FROM report_deliveries WHERE tenant_id = $1 AND run_id = $2 ORDER BY place",
        )
        .bind(i64::from(tenant))
        .bind(run);
        let rows: Vec<DeliveryRow> =
            self.rows(Scope::Tenant(tenant), "reading deliveries", statement).await?;
        Ok(rows.into_iter().map(DeliveryRow::stored).collect())
    }

    /// Notes what became of a delivery: it is done, or failed with `error`, for good or to be tried
    /// again; false if it is another's by now.
    pub async fn end_delivery(
        &self,
        job: &ReportJob,
        lease: &str,
        error: Option<&str>,
        at: DateTime<Utc>,
        again: Option<DateTime<Utc>>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "noting a delivery", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        if !report_jobs::end(&mut transaction, job, lease, again).await.map_err(failed)? {
            return Ok(false);
        }
        let state = match (error, again) {
            (None, _) => "done",
            (Some(_), Some(_)) => "waiting",
            (Some(_), None) => "failed",
        };
        sql::query(
            "UPDATE report_deliveries SET state = $4, error = $5, finished_at = $6, \
             attempts = attempts + 1 WHERE tenant_id = $1 AND run_id = $2 AND place = $3",
        )
        .bind(i64::from(job.tenant))
        .bind(&job.id)
        .bind(i64::from(job.place))
        .bind(state)
        .bind(error)
        .bind(again.is_none().then(|| at.timestamp_micros()))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }
}

impl DeliveryRow {
    pub(super) fn stored(self) -> StoredDelivery {
        StoredDelivery {
            run_id: self.run_id,
            place: u32::try_from(self.place).unwrap_or(u32::MAX),
            state: self.state,
            target: self.target,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            finished_at: self.finished_at.map(time),
            error: self.error,
        }
    }
}
