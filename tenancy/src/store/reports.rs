//! Reports of a tenant in the control store: what they are, and whose rights they run by.

use chrono::{DateTime, Utc};
use sqlx::{Any, FromRow, Transaction};

use super::deleted_parts::{self, DeletedKind};
use super::reading::{count, time};
use super::report_jobs::{self, JobKind};
use super::{Scope, Store, sql, text};
use crate::{RoleSet, StoreError};

/// A report as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// Its id, single among the tenant's.
    pub id: String,
    /// 1, and one more with each replacement, and with coming back after it was deleted.
    pub version: u64,
    /// The subject by whose rights it runs; empty: a template gave it, and nobody has replaced it.
    pub owner: String,
    /// What it is, a JSON object.
    pub definition: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was created or replaced last.
    pub changed_at: DateTime<Utc>,
}

/// What the newest token of a report's owner said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOwner {
    /// Its roles.
    pub roles: RoleSet,
    /// When it was seen.
    pub seen_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    owner: String,
    definition: String,
    created_at: i64,
    changed_at: i64,
}

/// What a statement reads of a report.
macro_rules! reports {
    () => {
        "SELECT id, version, owner, definition, created_at, changed_at FROM reports \
         WHERE tenant_id = $1"
    };
}

impl Store {
    /// Stores a new report of a tenant, unless it has `most` already; whether it did. `next` is when
    /// its schedule is due first.
    pub async fn create_report(
        &self,
        tenant: u32,
        report: &StoredReport,
        next: Option<DateTime<Utc>>,
        most: usize,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing a report", source };
        let mut transaction = self.write_in_turn(tenant).await.map_err(failed)?;
        let there = "SELECT count(*) FROM reports WHERE tenant_id = $1";
        if count(&mut transaction, tenant, there).await.map_err(failed)? >= most {
            return Ok(false);
        }
        insert(&mut transaction, tenant, report, next).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The reports of a tenant, the oldest first.
    pub async fn reports(&self, tenant: u32) -> Result<Vec<StoredReport>, StoreError> {
        let statement =
            sql::query_as(concat!(reports!(), " ORDER BY created_at, id")).bind(i64::from(tenant));
        let rows: Vec<Row> =
            self.rows(Scope::Tenant(tenant), "listing the reports", statement).await?;
        Ok(rows.into_iter().map(Row::stored).collect())
    }

    /// A report of a tenant.
    pub async fn report(&self, tenant: u32, id: &str) -> Result<Option<StoredReport>, StoreError> {
        let statement = sql::query_as(concat!(reports!(), " AND id = $2"))
            .bind(i64::from(tenant))
            .bind(text(id));
        let row: Option<Row> =
            self.row(Scope::Tenant(tenant), "reading a report", statement).await?;
        Ok(row.map(Row::stored))
    }

    /// Replaces a report, if it still has the version before; whether it did. What its schedule
    /// named before is forgotten, runs that are queued stay.
    pub async fn replace_report(
        &self,
        tenant: u32,
        report: &StoredReport,
        next: Option<DateTime<Utc>>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "replacing a report", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let is_replaced = replace(&mut transaction, tenant, report, next).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(is_replaced)
    }

    /// Deletes a report, if it has that version where one is given; whether it did. Its runs that
    /// are not done are let go; those that have files are due to expire at once, and go then.
    pub async fn delete_report(
        &self,
        tenant: u32,
        id: &str,
        version: Option<u64>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "deleting a report", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let is_deleted = remove(&mut transaction, tenant, id, version).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(is_deleted)
    }

    /// Notes what the newest token of a subject said. Who is not known as an owner is not noted,
    /// unless `is_owner`.
    pub async fn note_owner(
        &self,
        tenant: u32,
        subject: &str,
        owner: &StoredOwner,
        is_owner: bool,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "noting an owner of reports", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let statement = if is_owner {
            "INSERT INTO report_owners (tenant_id, subject, roles, seen_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant_id, subject) DO UPDATE \
             SET roles = excluded.roles, seen_at = excluded.seen_at"
        } else {
            "UPDATE report_owners SET roles = $3, seen_at = $4 WHERE tenant_id = $1 AND subject = $2"
        };
        sql::query(statement)
            .bind(i64::from(tenant))
            .bind(subject)
            .bind(owner.roles.to_string())
            .bind(owner.seen_at.timestamp_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// What the newest token of an owner of reports said.
    pub async fn owner(
        &self,
        tenant: u32,
        subject: &str,
    ) -> Result<Option<StoredOwner>, StoreError> {
        let statement = sql::query_as(
            "SELECT roles, seen_at FROM report_owners WHERE tenant_id = $1 AND subject = $2",
        )
        .bind(i64::from(tenant))
        .bind(subject);
        let row: Option<(String, i64)> =
            self.row(Scope::Tenant(tenant), "reading an owner of reports", statement).await?;
        Ok(row.map(|(roles, seen_at)| StoredOwner {
            // A role that is not known gives no right.
            roles: roles.split(", ").filter_map(|role| role.parse().ok()).collect(),
            seen_at: time(seen_at),
        }))
    }
}

/// Brings a report that a template has, which the tenant may have had and deleted: then its versions go
/// on from the last of those.
pub(super) async fn bring(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    report: &StoredReport,
    next: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    let again = deleted_parts::next(transaction, tenant, DeletedKind::Report, &report.id).await?;
    let version = again.unwrap_or(report.version);
    insert(transaction, tenant, &StoredReport { version, ..report.clone() }, next).await
}

/// Inserts a report, and the job of its schedule.
async fn insert(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    report: &StoredReport,
    next: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sql::query(
        "INSERT INTO reports \
         (tenant_id, id, version, owner, definition, created_at, changed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(i64::from(tenant))
    .bind(&report.id)
    .bind(report.version.cast_signed())
    .bind(&report.owner)
    .bind(&report.definition)
    .bind(report.created_at.timestamp_micros())
    .bind(report.changed_at.timestamp_micros())
    .execute(&mut **transaction)
    .await?;
    schedule(transaction, tenant, &report.id, next).await
}

/// Replaces a report, as [`Store::replace_report`].
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    report: &StoredReport,
    next: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    let done = sql::query(
        "UPDATE reports SET version = $3, owner = $4, definition = $5, changed_at = $6 \
         WHERE tenant_id = $1 AND id = $2 AND version = $7",
    )
    .bind(i64::from(tenant))
    .bind(&report.id)
    .bind(report.version.cast_signed())
    .bind(&report.owner)
    .bind(&report.definition)
    .bind(report.changed_at.timestamp_micros())
    .bind(report.version.cast_signed() - 1)
    .execute(&mut **transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    schedule(transaction, tenant, &report.id, next).await?;
    Ok(true)
}

/// Deletes a report, as [`Store::delete_report`].
pub(super) async fn remove(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &str,
    version: Option<u64>,
) -> Result<bool, sqlx::Error> {
    // Versions begin at 1. Read to the end: a statement that changes is done only then.
    let deleted: Vec<i64> = sql::query_scalar(
        "DELETE FROM reports WHERE tenant_id = $1 AND id = $2 AND (version = $3 OR $3 = 0) \
         RETURNING version",
    )
    .bind(i64::from(tenant))
    .bind(id)
    .bind(version.unwrap_or(0).cast_signed())
    .fetch_all(&mut **transaction)
    .await?;
    let Some(last) = deleted.first() else { return Ok(false) };
    deleted_parts::note(transaction, tenant, DeletedKind::Report, id, *last).await?;
    for statement in [
        "DELETE FROM report_jobs WHERE tenant_id = $1 AND kind = 'schedule' AND id = $2",
        "DELETE FROM report_jobs WHERE tenant_id = $1 AND kind IN ('run', 'deliver') AND id IN \
         (SELECT id FROM report_runs WHERE tenant_id = $1 AND report_id = $2)",
        "UPDATE report_jobs SET due_at = 0 WHERE tenant_id = $1 AND kind = 'expire' AND id IN \
         (SELECT id FROM report_runs WHERE tenant_id = $1 AND report_id = $2)",
        "DELETE FROM report_deliveries WHERE tenant_id = $1 AND run_id IN \
         (SELECT id FROM report_runs WHERE tenant_id = $1 AND report_id = $2)",
        "DELETE FROM report_runs WHERE tenant_id = $1 AND report_id = $2 AND id NOT IN \
         (SELECT id FROM report_jobs WHERE tenant_id = $1 AND kind = 'expire')",
    ] {
        sql::query(statement).bind(i64::from(tenant)).bind(id).execute(&mut **transaction).await?;
    }
    Ok(true)
}

/// Puts the job of a report's schedule in the place of the one there is.
async fn schedule(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &str,
    next: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    report_jobs::remove(transaction, tenant, JobKind::Schedule, id, 0).await?;
    match next {
        Some(at) => report_jobs::add(transaction, tenant, JobKind::Schedule, id, 0, at).await,
        None => Ok(()),
    }
}

impl Row {
    fn stored(self) -> StoredReport {
        StoredReport {
            id: self.id,
            version: self.version.cast_unsigned(),
            owner: self.owner,
            definition: self.definition,
            created_at: time(self.created_at),
            changed_at: time(self.changed_at),
        }
    }
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
