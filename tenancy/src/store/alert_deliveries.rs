//! Whom a transition of an alert is told: an outbox. A delivery is written in the transaction that
//! makes the transition, with a job, and stays when the job is done.

use chrono::{DateTime, Utc};
use sqlx::{Any, FromRow, Transaction};

use super::alert_transitions::{self, StoredTransition};
use super::alerts::{self, StoredAlert};
use super::reading::{count, time};
use super::report_jobs::{self, JobKind, ReportJob};
use super::{Scope, Store, sql};
use crate::StoreError;

/// A delivery as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlertDelivery {
    /// Its place among those of the alert.
    pub place: u32,
    /// The number of the transition that is told.
    pub number: u32,
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

/// All that is told by a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNotice {
    /// The alert.
    pub alert: StoredAlert,
    /// What became of it.
    pub transition: StoredTransition,
    /// Whom that is told.
    pub delivery: StoredAlertDelivery,
    /// The subject that owns the rule; empty: nobody has replaced it since it was there.
    pub owner: String,
    /// What the rule is by now; none if it is gone.
    pub definition: Option<String>,
}

/// A delivery that is to be.
pub(super) struct NewDelivery<'a> {
    pub(super) alert: &'a str,
    pub(super) number: u32,
    pub(super) target: &'a str,
    pub(super) at: DateTime<Utc>,
    pub(super) due_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Row {
    place: i64,
    number: i64,
    state: String,
    target: String,
    attempts: i64,
    finished_at: Option<i64>,
    error: Option<String>,
}

/// What a statement reads of a delivery.
macro_rules! deliveries {
    () => {
        "SELECT place, number, state, target, attempts, finished_at, error \
         FROM alert_deliveries WHERE tenant_id = $1 AND alert_id = $2"
    };
}

impl Store {
    /// The deliveries of an alert, in order.
    pub async fn alert_deliveries(
        &self,
        tenant: u32,
        alert: &str,
    ) -> Result<Vec<StoredAlertDelivery>, StoreError> {
        let statement = sql::query_as(concat!(deliveries!(), " ORDER BY place"))
            .bind(i64::from(tenant))
            .bind(alert);
        let rows: Vec<Row> =
            self.rows(Scope::Tenant(tenant), "reading deliveries", statement).await?;
        Ok(rows.into_iter().map(Row::stored).collect())
    }

    /// All that a job of the kind [`JobKind::Notify`] is to tell; none if the alert is no more.
    pub async fn alert_notice(&self, job: &ReportJob) -> Result<Option<StoredNotice>, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading what is to be told", source };
        let mut transaction = self.read(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        let row: Option<Row> = sql::query_as(concat!(deliveries!(), " AND place = $3"))
            .bind(i64::from(job.tenant))
            .bind(&job.id)
            .bind(i64::from(job.place))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        let alert = alerts::any(&mut transaction, job.tenant, &job.id).await.map_err(failed)?;
        let (Some(delivery), Some(alert)) = (row.map(Row::stored), alert) else { return Ok(None) };
        let history =
            alert_transitions::list(&mut transaction, job.tenant, &job.id).await.map_err(failed)?;
        let rule: Option<(String, String)> = sql::query_as(
            "SELECT owner, definition FROM alert_rules WHERE tenant_id = $1 AND id = $2",
        )
        .bind(i64::from(job.tenant))
        .bind(&alert.rule_id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let transition = history.into_iter().find(|t| t.number == delivery.number);
        let (owner, definition) = rule.unzip();
        let owner = owner.unwrap_or_default();
        Ok(transition.map(|transition| StoredNotice {
            alert,
            transition,
            delivery,
            owner,
            definition,
        }))
    }

    /// Notes what became of a delivery: it is done, or failed with `error`, for good or to be tried
    /// again, not before its alert is snoozed no more; false if it is another's by now.
    pub async fn end_alert_delivery(
        &self,
        job: &ReportJob,
        lease: &str,
        error: Option<&str>,
        at: DateTime<Utc>,
        again: Option<DateTime<Utc>>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "noting a delivery", source };
        let mut transaction = self.write(Scope::Tenant(job.tenant)).await.map_err(failed)?;
        let alert = alerts::any(&mut transaction, job.tenant, &job.id).await.map_err(failed)?;
        let until = alert.and_then(|alert| alert.snoozed_until);
        let again = again.map(|again| until.map_or(again, |until| again.max(until)));
        if !report_jobs::end(&mut transaction, job, lease, again).await.map_err(failed)? {
            return Ok(false);
        }
        let state = match (error, again) {
            (None, _) => "done",
            (Some(_), Some(_)) => "waiting",
            (Some(_), None) => "failed",
        };
        sql::query(
            "UPDATE alert_deliveries SET state = $4, error = $5, finished_at = $6, \
             attempts = attempts + 1 WHERE tenant_id = $1 AND alert_id = $2 AND place = $3",
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

/// Adds a delivery with its job; without one, and as failed, if `most` of the tenant's wait.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    delivery: &NewDelivery<'_>,
    most: usize,
) -> Result<(), sqlx::Error> {
    let waiting = "SELECT count(*) FROM report_jobs WHERE tenant_id = $1 AND kind = 'notify'";
    let is_full = count(transaction, tenant, waiting).await? >= most;
    let (place,): (i64,) = sql::query_as(
        "SELECT count(*) FROM alert_deliveries WHERE tenant_id = $1 AND alert_id = $2",
    )
    .bind(i64::from(tenant))
    .bind(delivery.alert)
    .fetch_one(&mut **transaction)
    .await?;
    let error = is_full
        .then(|| format!("{most} deliveries waited, and no more may: nobody was told by this one"));
    sql::query(
        "INSERT INTO alert_deliveries \
         (tenant_id, alert_id, place, number, state, target, attempts, finished_at, error) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)",
    )
    .bind(i64::from(tenant))
    .bind(delivery.alert)
    .bind(place)
    .bind(i64::from(delivery.number))
    .bind(if is_full { "failed" } else { "waiting" })
    .bind(delivery.target)
    .bind(is_full.then(|| delivery.at.timestamp_micros()))
    .bind(error)
    .execute(&mut **transaction)
    .await?;
    if is_full {
        return Ok(());
    }
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let (kind, id) = (JobKind::Notify, delivery.alert);
    report_jobs::add(transaction, tenant, kind, id, place, delivery.due_at).await
}

impl Row {
    fn stored(self) -> StoredAlertDelivery {
        StoredAlertDelivery {
            place: u32::try_from(self.place).unwrap_or(u32::MAX),
            number: u32::try_from(self.number).unwrap_or(u32::MAX),
            state: self.state,
            target: self.target,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            finished_at: self.finished_at.map(time),
            error: self.error,
        }
    }
}
