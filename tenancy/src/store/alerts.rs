//! Alerts and what became of them.
//!
//! What a rule says is compared with the alerts that are open in one transaction ([`alert_decisions`]),
//! which is fenced by the epoch of the tenant's partition: whoever has lost it decides nothing more.
//!
//! [`alert_decisions`]: super::alert_decisions

use chrono::{DateTime, Utc};
use sqlx::{Any, FromRow, Transaction};

use super::alert_transitions::{self, Noted, StoredTransition, TransitionKind};
use super::reading::time;
use super::{Scope, Store, StoredAlertRule, alert_rules, sql, text};
use crate::StoreError;

/// By which right a node decides for a tenant: the partition that the tenant lives in, and the epoch
/// in which the node has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The partition.
    pub partition: u32,
    /// The epoch.
    pub epoch: u64,
}

/// Whether an alert is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// Its rule said that it is, and has not said otherwise since.
    Open,
    /// Its rule said so no more, or was switched off.
    Cleared,
}

impl AlertState {
    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Cleared => "cleared",
        }
    }
}

/// An alert as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlert {
    /// Its id, which sorts by time.
    pub id: String,
    /// The rule's.
    pub rule_id: String,
    /// What it is about: the columns of the rule's key, a JSON object.
    pub subject: String,
    /// The other columns as they were when it fired, a JSON object.
    pub details: String,
    /// The columns of both with their types, in order: a JSON array, empty where that was not kept.
    pub columns: String,
    /// What the rule was called when it fired.
    pub title: String,
    /// How grave that was.
    pub severity: String,
    /// Whether it is on.
    pub state: AlertState,
    /// The tenant's position at which it fired.
    pub sequence: u64,
    /// When it fired.
    pub fired_at: DateTime<Utc>,
    /// When it was cleared.
    pub cleared_at: Option<DateTime<Utc>>,
    /// Who has acknowledged it.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Until when nobody is to be told.
    pub snoozed_until: Option<DateTime<Utc>>,
}

/// Which alerts are listed.
#[derive(Clone, Copy, Debug)]
pub struct AlertFilter<'a> {
    /// Those that a caller of this rank sees: 1 executive, 2 analyst, 3 admin.
    pub audience: u8,
    /// Those in this state.
    pub state: Option<AlertState>,
    /// Those of this rule.
    pub rule: Option<&'a str>,
    /// Those before the one of this id.
    pub before: Option<&'a str>,
    /// So many at most.
    pub most: u32,
}

/// An alert that is open, as far as it is decided upon.
#[derive(FromRow)]
pub(super) struct OpenAlert {
    pub(super) id: String,
    pub(super) subject_key: String,
    pub(super) snoozed_until: Option<i64>,
}

#[derive(FromRow)]
struct AlertRow {
    id: String,
    rule_id: String,
    subject: String,
    details: String,
    columns: Option<String>,
    title: String,
    severity: String,
    state: String,
    sequence: i64,
    fired_at: i64,
    cleared_at: Option<i64>,
    acknowledged_by: Option<String>,
    acknowledged_at: Option<i64>,
    snoozed_until: Option<i64>,
}

/// What a statement reads of an alert, and of which: those that a caller of a rank sees.
macro_rules! alerts {
    () => {
        "SELECT a.id, a.rule_id, a.subject, a.details, a.columns, a.title, a.severity, a.state, \
         a.sequence, a.fired_at, a.cleared_at, a.acknowledged_by, a.acknowledged_at, \
         a.snoozed_until \
         FROM alerts a JOIN alert_rules r ON r.tenant_id = a.tenant_id AND r.id = a.rule_id \
         WHERE a.tenant_id = $1 AND r.audience <= $2"
    };
}

impl Store {
    /// Begins a transaction that writes rows of a tenant, if the partition still has that epoch; it
    /// keeps it until the transaction ends.
    pub(super) async fn fenced(
        &self,
        tenant: u32,
        fence: Fence,
    ) -> Result<Option<Transaction<'static, Any>>, sqlx::Error> {
        let mut transaction = self.write(Scope::Platform).await?;
        self.enter(&mut transaction, tenant).await?;
        // A change of the row, so that whoever would raise the epoch waits for the end of this.
        let held = sql::query(
            "UPDATE platform_partitions SET epoch = epoch WHERE part = $1 AND epoch = $2",
        )
        .bind(i64::from(fence.partition))
        .bind(fence.epoch as i64)
        .execute(&mut *transaction)
        .await?;
        Ok((held.rows_affected() == 1).then_some(transaction))
    }

    /// The rules of a tenant that have a row, and which subjects have an open alert: the rule's id
    /// and the subject's key.
    pub async fn alert_watch(
        &self,
        tenant: u32,
    ) -> Result<(Vec<StoredAlertRule>, Vec<(String, String)>), StoreError> {
        let failed = |source| StoreError::Database { doing: "reading what is watched", source };
        let mut transaction = self.read(Scope::Tenant(tenant)).await.map_err(failed)?;
        let rules = alert_rules::list(&mut transaction, tenant).await.map_err(failed)?;
        let open: Vec<(String, String)> = sql::query_as(
            "SELECT rule_id, subject_key FROM alerts WHERE tenant_id = $1 AND state = 'open'",
        )
        .bind(i64::from(tenant))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok((rules, open))
    }

    /// The alerts of a tenant that a caller of a rank sees, the newest first.
    pub async fn alerts(
        &self,
        tenant: u32,
        filter: AlertFilter<'_>,
    ) -> Result<Vec<StoredAlert>, StoreError> {
        let statement = sql::query_as(concat!(
            alerts!(),
            " AND (a.state = $3 OR $3 = '') AND (a.rule_id = $4 OR $4 = '') \
             AND (a.id < $5 OR $5 = '') ORDER BY a.id DESC LIMIT $6"
        ))
        .bind(i64::from(tenant))
        .bind(i64::from(filter.audience))
        .bind(filter.state.map_or("", AlertState::as_str))
        .bind(text(filter.rule.unwrap_or_default()))
        .bind(text(filter.before.unwrap_or_default()))
        .bind(i64::from(filter.most));
        let rows: Vec<AlertRow> =
            self.rows(Scope::Tenant(tenant), "listing the alerts", statement).await?;
        Ok(rows.into_iter().map(AlertRow::stored).collect())
    }

    /// How many alerts are open that a caller of a rank sees.
    pub async fn open_alerts(&self, tenant: u32, audience: u8) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Database { doing: "counting the alerts", source };
        let mut transaction = self.read(Scope::Tenant(tenant)).await.map_err(failed)?;
        let (count,): (i64,) = sql::query_as(
            "SELECT count(*) FROM alerts a \
             JOIN alert_rules r ON r.tenant_id = a.tenant_id AND r.id = a.rule_id \
             WHERE a.tenant_id = $1 AND r.audience <= $2 AND a.state = 'open'",
        )
        .bind(i64::from(tenant))
        .bind(i64::from(audience))
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(count.cast_unsigned())
    }

    /// An alert of a tenant with what became of it, if a caller of that rank sees it.
    pub async fn alert(
        &self,
        tenant: u32,
        id: &str,
        audience: u8,
    ) -> Result<Option<(StoredAlert, Vec<StoredTransition>)>, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading an alert", source };
        let mut transaction = self.read(Scope::Tenant(tenant)).await.map_err(failed)?;
        let row: Option<AlertRow> = sql::query_as(concat!(alerts!(), " AND a.id = $3"))
            .bind(i64::from(tenant))
            .bind(i64::from(audience))
            .bind(text(id))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let history =
            alert_transitions::list(&mut transaction, tenant, id).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some((row.stored(), history)))
    }

    /// Notes that somebody has seen an open alert that nobody has; whether it did.
    pub async fn acknowledge_alert(
        &self,
        tenant: u32,
        id: &str,
        by: &str,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "acknowledging an alert", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let done = sql::query(
            "UPDATE alerts SET acknowledged_by = $3, acknowledged_at = $4 \
             WHERE tenant_id = $1 AND id = $2 AND state = 'open' AND acknowledged_at IS NULL",
        )
        .bind(i64::from(tenant))
        .bind(id)
        .bind(text(by))
        .bind(at.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let noted = Noted { actor: Some(by), ..Noted::of(TransitionKind::Acknowledged) };
        alert_transitions::note(&mut transaction, tenant, id, &noted, at).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Has nobody be told of an open alert until then, or again from now on if there is no such
    /// time; whether it did. What is to be delivered of it waits.
    pub async fn snooze_alert(
        &self,
        tenant: u32,
        id: &str,
        by: &str,
        at: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "snoozing an alert", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let done = sql::query(
            "UPDATE alerts SET snoozed_until = $3 \
             WHERE tenant_id = $1 AND id = $2 AND state = 'open'",
        )
        .bind(i64::from(tenant))
        .bind(id)
        .bind(until.map(|until| until.timestamp_micros()))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let kind = if until.is_some() { TransitionKind::Snoozed } else { TransitionKind::Woken };
        let noted = Noted { actor: Some(by), snoozed_until: until, ..Noted::of(kind) };
        alert_transitions::note(&mut transaction, tenant, id, &noted, at).await.map_err(failed)?;
        sql::query(
            "UPDATE report_jobs SET due_at = $3 \
             WHERE tenant_id = $1 AND kind = 'notify' AND id = $2",
        )
        .bind(i64::from(tenant))
        .bind(id)
        .bind(until.unwrap_or(at).timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }
}

/// The open alerts of a rule.
pub(super) async fn open_of(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    rule: &str,
) -> Result<Vec<OpenAlert>, sqlx::Error> {
    sql::query_as(
        "SELECT id, subject_key, snoozed_until FROM alerts \
         WHERE tenant_id = $1 AND rule_id = $2 AND state = 'open' ORDER BY id",
    )
    .bind(i64::from(tenant))
    .bind(rule)
    .fetch_all(&mut **transaction)
    .await
}

/// Says that an alert is on no more.
pub(super) async fn clear(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &str,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sql::query(
        "UPDATE alerts SET state = 'cleared', cleared_at = $3 WHERE tenant_id = $1 AND id = $2",
    )
    .bind(i64::from(tenant))
    .bind(id)
    .bind(at.timestamp_micros())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// An alert, whoever sees it.
pub(super) async fn any(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &str,
) -> Result<Option<StoredAlert>, sqlx::Error> {
    let row: Option<AlertRow> = sql::query_as(concat!(alerts!(), " AND a.id = $3"))
        .bind(i64::from(tenant))
        .bind(i64::from(u8::MAX))
        .bind(id)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.map(AlertRow::stored))
}

/// Lets go of what is left of alerts that are no more.
pub(super) async fn sweep(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
) -> Result<(), sqlx::Error> {
    for statement in [
        "DELETE FROM alert_transitions WHERE tenant_id = $1 \
         AND alert_id NOT IN (SELECT id FROM alerts WHERE tenant_id = $1)",
        "DELETE FROM alert_deliveries WHERE tenant_id = $1 \
         AND alert_id NOT IN (SELECT id FROM alerts WHERE tenant_id = $1)",
        "DELETE FROM report_jobs WHERE tenant_id = $1 AND kind = 'notify' \
         AND id NOT IN (SELECT id FROM alerts WHERE tenant_id = $1)",
    ] {
        sql::query(statement).bind(i64::from(tenant)).execute(&mut **transaction).await?;
    }
    Ok(())
}

impl AlertRow {
    fn stored(self) -> StoredAlert {
        let is_open = self.state == AlertState::Open.as_str();
        StoredAlert {
            id: self.id,
            rule_id: self.rule_id,
            subject: self.subject,
            details: self.details,
            columns: self.columns.unwrap_or_else(|| "[]".to_owned()),
            title: self.title,
            severity: self.severity,
            state: if is_open { AlertState::Open } else { AlertState::Cleared },
            sequence: self.sequence.cast_unsigned(),
            fired_at: time(self.fired_at),
            cleared_at: self.cleared_at.map(time),
            acknowledged_by: self.acknowledged_by,
            acknowledged_at: self.acknowledged_at.map(time),
            snoozed_until: self.snoozed_until.map(time),
        }
    }
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
