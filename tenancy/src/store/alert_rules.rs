//! Rules of alerts in the control store: what they are, and how their evaluation does.
//!
//! A built-in rule has a row only once something is known of it that its tenant has not in common
//! with all others: another definition, an alert, a failure.

use chrono::{DateTime, Utc};
use sqlx::{Any, FromRow, Transaction};

use super::alert_transitions::{self, Noted, TransitionKind};
use super::alerts::{self, Fence};
use super::deleted_parts::{self, DeletedKind};
use super::reading::time;
use super::{Scope, Store, sql, text};
use crate::StoreError;

/// How the evaluation of a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// It has not been evaluated since it was made or replaced.
    Waiting,
    /// Its alerts are those of its last evaluation.
    Live,
    /// It reads what belongs to a module that is switched off: its alerts stay as they were.
    Idle,
    /// It cannot be evaluated: its alerts stay as they were.
    Failed,
}

impl RuleState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Live, Self::Idle, Self::Failed];

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Live => "live",
            Self::Idle => "idle",
            Self::Failed => "failed",
        }
    }

    fn read(text: &str) -> Self {
        // What a newer version has put there is nothing that this one can go on with.
        Self::ALL.into_iter().find(|state| state.as_str() == text).unwrap_or(Self::Failed)
    }
}

/// A rule as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlertRule {
    /// Its id, single among the tenant's.
    pub id: String,
    /// 1, and one more with each replacement, and with coming back after it was deleted.
    pub version: u64,
    /// The subject by whose rights it is evaluated; empty: a built-in one, or one that a template
    /// gave, which nobody has replaced.
    pub owner: String,
    /// What it is, a JSON object.
    pub definition: String,
    /// The least role that sees its alerts: 1 executive, 2 analyst, 3 admin.
    pub audience: u8,
    /// How its evaluation does.
    pub state: RuleState,
    /// Why it is idle or failed.
    pub error: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was created or replaced last.
    pub changed_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    owner: String,
    definition: String,
    audience: i64,
    state: String,
    error: Option<String>,
    created_at: i64,
    changed_at: i64,
}

/// What a statement reads of a rule.
macro_rules! rules {
    () => {
        "SELECT id, version, owner, definition, audience, state, error, created_at, changed_at \
         FROM alert_rules WHERE tenant_id = $1"
    };
}

impl Store {
    /// Stores a new rule of a tenant, unless it has `most` that are not `builtin`; whether it did.
    pub async fn create_alert_rule(
        &self,
        tenant: u32,
        rule: &StoredAlertRule,
        builtin: &[&str],
        most: usize,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing a rule of alerts", source };
        let mut transaction = self.write_in_turn(tenant).await.map_err(failed)?;
        let ids: Vec<(String,)> = sql::query_as("SELECT id FROM alert_rules WHERE tenant_id = $1")
            .bind(i64::from(tenant))
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        if ids.iter().filter(|(id,)| !builtin.contains(&id.as_str())).count() >= most {
            return Ok(false);
        }
        insert(&mut transaction, tenant, rule).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The rules of a tenant that have a row, the oldest first.
    pub async fn alert_rules(&self, tenant: u32) -> Result<Vec<StoredAlertRule>, StoreError> {
        let failed = |source| StoreError::Database { doing: "listing the rules of alerts", source };
        let mut transaction = self.read(Scope::Tenant(tenant)).await.map_err(failed)?;
        let rows = list(&mut transaction, tenant).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(rows)
    }

    /// A rule of a tenant, if it has a row.
    pub async fn alert_rule(
        &self,
        tenant: u32,
        id: &str,
    ) -> Result<Option<StoredAlertRule>, StoreError> {
        let statement =
            sql::query_as(concat!(rules!(), " AND id = $2")).bind(i64::from(tenant)).bind(text(id));
        let row: Option<Row> =
            self.row(Scope::Tenant(tenant), "reading a rule of alerts", statement).await?;
        Ok(row.map(Row::stored))
    }

    /// Replaces a rule, if it still has the version before; whether it did. `builtin` is what a
    /// built-in rule is that has no row. Its alerts stay, unless it is switched `off` by that
    /// subject: then they are cleared, which nobody outside is told.
    pub async fn replace_alert_rule(
        &self,
        tenant: u32,
        rule: &StoredAlertRule,
        builtin: Option<&StoredAlertRule>,
        off: Option<&str>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "replacing a rule of alerts", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        if let Some(builtin) = builtin {
            ensure(&mut transaction, tenant, builtin).await.map_err(failed)?;
        }
        if !replace(&mut transaction, tenant, rule).await.map_err(failed)? {
            return Ok(false);
        }
        if let Some(by) = off {
            let open = alerts::open_of(&mut transaction, tenant, &rule.id).await.map_err(failed)?;
            for alert in open {
                let kind = TransitionKind::Cleared;
                alerts::clear(&mut transaction, tenant, &alert.id, rule.changed_at)
                    .await
                    .map_err(failed)?;
                let noted = Noted { actor: Some(by), ..Noted::of(kind) };
                alert_transitions::note(
                    &mut transaction,
                    tenant,
                    &alert.id,
                    &noted,
                    rule.changed_at,
                )
                .await
                .map_err(failed)?;
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Deletes a rule, if it has that version where one is given; whether it did. Its alerts, what
    /// became of them, and what of it was still to be delivered go with it.
    pub async fn delete_alert_rule(
        &self,
        tenant: u32,
        id: &str,
        version: Option<u64>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "deleting a rule of alerts", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let is_deleted = remove(&mut transaction, tenant, id, version).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(is_deleted)
    }

    /// Notes that a rule of that version cannot be evaluated, and why; false, and nothing was noted,
    /// if it has another version or the tenant is another node's by now.
    pub async fn note_alert_rule(
        &self,
        tenant: u32,
        fence: Fence,
        rule: &StoredAlertRule,
        is_builtin: bool,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "noting how a rule does", source };
        let transaction = self.fenced(tenant, fence).await.map_err(failed)?;
        let Some(mut transaction) = transaction else { return Ok(false) };
        if is_builtin {
            ensure(&mut transaction, tenant, rule).await.map_err(failed)?;
        }
        let done = sql::query(
            "UPDATE alert_rules SET state = $4, error = $5 \
             WHERE tenant_id = $1 AND id = $2 AND version = $3",
        )
        .bind(i64::from(tenant))
        .bind(&rule.id)
        .bind(rule.version.cast_signed())
        .bind(rule.state.as_str())
        .bind(rule.error.as_deref())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }
}

/// The rules of a tenant that have a row, the oldest first.
pub(super) async fn list(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
) -> Result<Vec<StoredAlertRule>, sqlx::Error> {
    let rows: Vec<Row> = sql::query_as(concat!(rules!(), " ORDER BY created_at, id"))
        .bind(i64::from(tenant))
        .fetch_all(&mut **transaction)
        .await?;
    Ok(rows.into_iter().map(Row::stored).collect())
}

/// Gives a built-in rule its row, unless it has one.
pub(super) async fn ensure(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    rule: &StoredAlertRule,
) -> Result<(), sqlx::Error> {
    let known: Option<(i64,)> =
        sql::query_as("SELECT version FROM alert_rules WHERE tenant_id = $1 AND id = $2")
            .bind(i64::from(tenant))
            .bind(&rule.id)
            .fetch_optional(&mut **transaction)
            .await?;
    match known {
        Some(_) => Ok(()),
        None => insert(transaction, tenant, rule).await,
    }
}

/// Brings a rule that a template has, which the tenant may have had and deleted: then its versions go on
/// from the last of those.
pub(super) async fn bring(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    rule: &StoredAlertRule,
) -> Result<(), sqlx::Error> {
    let again = deleted_parts::next(transaction, tenant, DeletedKind::AlertRule, &rule.id).await?;
    let version = again.unwrap_or(rule.version);
    insert(transaction, tenant, &StoredAlertRule { version, ..rule.clone() }).await
}

/// Inserts a rule; one that is there with its id stays as it is.
async fn insert(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    rule: &StoredAlertRule,
) -> Result<(), sqlx::Error> {
    sql::query(
        "INSERT INTO alert_rules (tenant_id, id, version, owner, definition, audience, state, \
         error, sequence, created_at, changed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10) \
         ON CONFLICT (tenant_id, id) DO NOTHING",
    )
    .bind(i64::from(tenant))
    .bind(&rule.id)
    .bind(rule.version.cast_signed())
    .bind(&rule.owner)
    .bind(&rule.definition)
    .bind(i64::from(rule.audience))
    .bind(rule.state.as_str())
    .bind(rule.error.as_deref())
    .bind(rule.created_at.timestamp_micros())
    .bind(rule.changed_at.timestamp_micros())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// Puts a rule in the place of the version before it, if that is still there; whether it did. Its
/// alerts stay.
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    rule: &StoredAlertRule,
) -> Result<bool, sqlx::Error> {
    let done = sql::query(
        "UPDATE alert_rules SET version = $3, owner = $4, definition = $5, audience = $6, \
         state = 'waiting', error = NULL, changed_at = $7 \
         WHERE tenant_id = $1 AND id = $2 AND version = $8",
    )
    .bind(i64::from(tenant))
    .bind(&rule.id)
    .bind(rule.version.cast_signed())
    .bind(&rule.owner)
    .bind(&rule.definition)
    .bind(i64::from(rule.audience))
    .bind(rule.changed_at.timestamp_micros())
    .bind(rule.version.cast_signed() - 1)
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a rule, as [`Store::delete_alert_rule`].
pub(super) async fn remove(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &str,
    version: Option<u64>,
) -> Result<bool, sqlx::Error> {
    // Versions begin at 1. Read to the end: a statement that changes is done only then.
    let deleted: Vec<i64> = sql::query_scalar(
        "DELETE FROM alert_rules WHERE tenant_id = $1 AND id = $2 AND (version = $3 OR $3 = 0) \
         RETURNING version",
    )
    .bind(i64::from(tenant))
    .bind(id)
    .bind(version.unwrap_or(0).cast_signed())
    .fetch_all(&mut **transaction)
    .await?;
    let Some(last) = deleted.first() else { return Ok(false) };
    deleted_parts::note(transaction, tenant, DeletedKind::AlertRule, id, *last).await?;
    sql::query("DELETE FROM alerts WHERE tenant_id = $1 AND rule_id = $2")
        .bind(i64::from(tenant))
        .bind(id)
        .execute(&mut **transaction)
        .await?;
    alerts::sweep(transaction, tenant).await?;
    Ok(true)
}

impl Row {
    fn stored(self) -> StoredAlertRule {
        StoredAlertRule {
            id: self.id,
            version: self.version.cast_unsigned(),
            owner: self.owner,
            definition: self.definition,
            audience: u8::try_from(self.audience).unwrap_or(u8::MAX),
            state: RuleState::read(&self.state),
            error: self.error,
            created_at: time(self.created_at),
            changed_at: time(self.changed_at),
        }
    }
}
