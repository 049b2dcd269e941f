//! What a rule says, compared with the alerts that are open.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{Any, Transaction};

use super::alert_transitions::{self, Noted, TransitionKind};
use super::alerts::{self, Fence, OpenAlert};
use super::{Store, StoredAlertRule, alert_deliveries, alert_rules, sql};
use crate::StoreError;

/// What a rule says at a position.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The rule as it was evaluated.
    pub rule: &'a StoredAlertRule,
    /// Whether it is a built-in one, which may have no row yet.
    pub is_builtin: bool,
    /// The tenant's position at which it was evaluated.
    pub sequence: u64,
    /// Now.
    pub at: DateTime<Utc>,
    /// What an alert of it is called.
    pub title: &'a str,
    /// How grave one is.
    pub severity: &'a str,
    /// The subjects that have one, each once.
    pub subjects: &'a [AlertSubject],
    /// The columns of the rule's answer with their types, a JSON array.
    pub columns: &'a str,
    /// Who is told, each a JSON object.
    pub deliver: &'a [String],
    /// What of the tenant may wait and be kept.
    pub bounds: AlertBounds,
}

/// Something that has an alert, as a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSubject {
    /// The id of the alert, if it has none yet; it sorts by time.
    pub alert_id: String,
    /// A hash of the subject.
    pub key: String,
    /// The columns of the rule's key, a JSON object.
    pub subject: String,
    /// The other columns, a JSON object.
    pub details: String,
}

/// What of a tenant's alerts may wait and be kept.
#[derive(Clone, Copy, Debug)]
pub struct AlertBounds {
    /// Deliveries that wait.
    pub queued: usize,
    /// Alerts that are cleared.
    pub kept: usize,
    /// When an alert was cleared at the earliest to be kept.
    pub kept_since: DateTime<Utc>,
}

/// What came of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The open alerts are those that the rule says.
    Done {
        /// Alerts that were not open before.
        fired: usize,
        /// Alerts that were.
        cleared: usize,
    },
    /// Nothing was done: the tenant is another node's by now.
    Fenced,
    /// Nothing was done: the rule is another one by now, or was decided upon at a later position.
    Changed,
}

/// What is told of a transition, and whom.
struct Telling<'a> {
    alert: &'a str,
    number: u32,
    due_at: DateTime<Utc>,
}

impl Store {
    /// Makes the open alerts of a rule those that it says: one transaction, in which each that comes
    /// fires once and each that goes clears once, with what is to be delivered of it.
    pub async fn decide_alerts(
        &self,
        tenant: u32,
        fence: Fence,
        decision: &Decision<'_>,
    ) -> Result<Decided, StoreError> {
        let failed = |source| StoreError::Database { doing: "deciding upon alerts", source };
        let transaction = self.fenced(tenant, fence).await.map_err(failed)?;
        let Some(mut transaction) = transaction else { return Ok(Decided::Fenced) };
        if decision.is_builtin {
            alert_rules::ensure(&mut transaction, tenant, decision.rule).await.map_err(failed)?;
        }
        // From here on the rule is this transaction's until its end.
        let done = sql::query(
            "UPDATE alert_rules SET sequence = $4, state = 'live', error = NULL \
             WHERE tenant_id = $1 AND id = $2 AND version = $3 AND sequence <= $4",
        )
        .bind(i64::from(tenant))
        .bind(&decision.rule.id)
        .bind(decision.rule.version.cast_signed())
        .bind(decision.sequence.cast_signed())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Ok(Decided::Changed);
        }
        let open = alerts::open_of(&mut transaction, tenant, &decision.rule.id);
        let open = open.await.map_err(failed)?;
        let fired = fire(&mut transaction, tenant, decision, &open).await.map_err(failed)?;
        let cleared = clear(&mut transaction, tenant, decision, &open).await.map_err(failed)?;
        if cleared > 0 {
            forget(&mut transaction, tenant, decision.bounds).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(Decided::Done { fired, cleared })
    }
}

/// Opens an alert for each subject that has none; how many.
async fn fire(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    decision: &Decision<'_>,
    open: &[OpenAlert],
) -> Result<usize, sqlx::Error> {
    let known: HashSet<&str> = open.iter().map(|alert| alert.subject_key.as_str()).collect();
    let mut fired = 0;
    for subject in decision.subjects.iter().filter(|s| !known.contains(s.key.as_str())) {
        sql::query(
            "INSERT INTO alerts (tenant_id, id, rule_id, subject_key, subject, details, title, \
             severity, state, sequence, fired_at, columns) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10, $11)",
        )
        .bind(i64::from(tenant))
        .bind(&subject.alert_id)
        .bind(&decision.rule.id)
        .bind(&subject.key)
        .bind(&subject.subject)
        .bind(&subject.details)
        .bind(decision.title)
        .bind(decision.severity)
        .bind(decision.sequence.cast_signed())
        .bind(decision.at.timestamp_micros())
        .bind(decision.columns)
        .execute(&mut **transaction)
        .await?;
        let sequence = Some(decision.sequence);
        let noted = Noted { sequence, ..Noted::of(TransitionKind::Fired) };
        let alert = subject.alert_id.as_str();
        let number =
            alert_transitions::note(transaction, tenant, alert, &noted, decision.at).await?;
        let telling = Telling { alert, number, due_at: decision.at };
        tell(transaction, tenant, decision, &telling).await?;
        fired += 1;
    }
    Ok(fired)
}

/// Clears each alert whose subject has none any more; how many.
async fn clear(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    decision: &Decision<'_>,
    open: &[OpenAlert],
) -> Result<usize, sqlx::Error> {
    let said: HashSet<&str> = decision.subjects.iter().map(|s| s.key.as_str()).collect();
    let mut cleared = 0;
    for gone in open.iter().filter(|alert| !said.contains(alert.subject_key.as_str())) {
        alerts::clear(transaction, tenant, &gone.id, decision.at).await?;
        let sequence = Some(decision.sequence);
        let noted = Noted { sequence, ..Noted::of(TransitionKind::Cleared) };
        let number =
            alert_transitions::note(transaction, tenant, &gone.id, &noted, decision.at).await?;
        let until = gone.snoozed_until.and_then(DateTime::from_timestamp_micros);
        let due_at = until.map_or(decision.at, |until| until.max(decision.at));
        let telling = Telling { alert: &gone.id, number, due_at };
        tell(transaction, tenant, decision, &telling).await?;
        cleared += 1;
    }
    Ok(cleared)
}

/// Queues the deliveries of a transition. Those that there is no room for have failed, and say so.
async fn tell(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    decision: &Decision<'_>,
    telling: &Telling<'_>,
) -> Result<(), sqlx::Error> {
    for target in decision.deliver {
        let delivery = alert_deliveries::NewDelivery {
            alert: telling.alert,
            number: telling.number,
            target,
            at: decision.at,
            due_at: telling.due_at,
        };
        alert_deliveries::add(transaction, tenant, &delivery, decision.bounds.queued).await?;
    }
    Ok(())
}

/// Lets go of cleared alerts that are too old or too many, with all that became of them: of those that
/// were cleared first, so that nobody misses that one is.
async fn forget(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    bounds: AlertBounds,
) -> Result<(), sqlx::Error> {
    let gone = sql::query(
        "DELETE FROM alerts WHERE tenant_id = $1 AND state = 'cleared' AND (cleared_at < $2 \
         OR (cleared_at, id) <= (SELECT cleared_at, id FROM alerts WHERE tenant_id = $1 \
         AND state = 'cleared' ORDER BY cleared_at DESC, id DESC LIMIT 1 OFFSET $3))",
    )
    .bind(i64::from(tenant))
    .bind(bounds.kept_since.timestamp_micros())
    .bind(i64::try_from(bounds.kept).unwrap_or(i64::MAX))
    .execute(&mut **transaction)
    .await?;
    if gone.rows_affected() > 0 {
        alerts::sweep(transaction, tenant).await?;
    }
    Ok(())
}
