//! Dashboards of a tenant in the control store: what each is now, and the versions that are kept.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Any, FromRow, Transaction};

use super::reading::{count, time};
use super::{Scope, Store, sql, text};
use crate::dashboards::{Dashboard, DashboardId, Head, Origin, Version};
use crate::{Invalid, StoreError};

/// What a dashboard becomes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) document: Value,
    /// The subject of the token.
    pub(crate) by: String,
    pub(crate) at: DateTime<Utc>,
    /// The version that it is again, if it is one.
    pub(crate) restored_from: Option<u64>,
}

#[derive(FromRow)]
struct HeadRow {
    id: String,
    version: i64,
    name: String,
    changed_by: String,
    created_at: i64,
    changed_at: i64,
    template: Option<String>,
    template_version: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    head: HeadRow,
    document: String,
    base: Option<String>,
}

#[derive(FromRow)]
struct VersionRow {
    version: i64,
    name: String,
    changed_by: String,
    changed_at: i64,
    restored_from: Option<i64>,
}

#[derive(FromRow)]
struct WholeVersionRow {
    #[sqlx(flatten)]
    version: VersionRow,
    document: String,
}

/// What is known of a dashboard without its document.
macro_rules! head {
    () => {
        "id, version, name, changed_by, created_at, changed_at, template, template_version"
    };
}

/// The same of a version.
macro_rules! version {
    () => {
        "version, name, changed_by, changed_at, restored_from"
    };
}

impl Store {
    /// Stores a new dashboard of a tenant, unless it has `most` already; whether it did.
    pub(crate) async fn create_dashboard(
        &self,
        tenant: u32,
        dashboard: &Dashboard,
        most: usize,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing a dashboard", source };
        let mut transaction = self.write_in_turn(tenant).await.map_err(failed)?;
        let there = "SELECT count(*) FROM dashboards WHERE tenant_id = $1";
        if count(&mut transaction, tenant, there).await.map_err(failed)? >= most {
            return Ok(false);
        }
        insert(&mut transaction, tenant, dashboard).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The dashboards of a tenant, the oldest first.
    pub async fn dashboards(&self, tenant: u32) -> Result<Vec<Head>, StoreError> {
        let statement = sql::query_as(concat!(
            "SELECT ",
            head!(),
            " FROM dashboards WHERE tenant_id = $1 ORDER BY created_at, id"
        ))
        .bind(i64::from(tenant));
        let rows: Vec<HeadRow> =
            self.rows(Scope::Tenant(tenant), "listing the dashboards", statement).await?;
        rows.into_iter().map(HeadRow::head).collect()
    }

    /// A dashboard of a tenant, as it is now.
    pub async fn dashboard(
        &self,
        tenant: u32,
        id: &DashboardId,
    ) -> Result<Option<Dashboard>, StoreError> {
        let statement = sql::query_as(concat!(
            "SELECT ",
            head!(),
            ", document, base FROM dashboards WHERE tenant_id = $1 AND id = $2"
        ))
        .bind(i64::from(tenant))
        .bind(id.as_str());
        let row: Option<Row> =
            self.row(Scope::Tenant(tenant), "reading a dashboard", statement).await?;
        row.map(Row::dashboard).transpose()
    }

    /// Changes a dashboard, if it is there and has the version that is `expected`, where one is;
    /// answers what it is then. Of its versions the newest `keep` stay.
    pub(crate) async fn change_dashboard(
        &self,
        tenant: u32,
        id: &DashboardId,
        expected: Option<u64>,
        change: &Change,
        keep: usize,
    ) -> Result<Option<Dashboard>, StoreError> {
        let failed = |source| StoreError::Database { doing: "changing a dashboard", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let changed = replace(&mut transaction, tenant, id, expected, change, keep).await?;
        if changed.is_some() {
            transaction.commit().await.map_err(failed)?;
        }
        Ok(changed)
    }

    /// Deletes a dashboard with all of its versions, if it is there and has the version that is
    /// `expected`, where one is; whether it did.
    pub(crate) async fn delete_dashboard(
        &self,
        tenant: u32,
        id: &DashboardId,
        expected: Option<u64>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "deleting a dashboard", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let is_deleted = remove(&mut transaction, tenant, id, expected).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(is_deleted)
    }

    /// The versions of a dashboard that are kept, the newest first; none if it is not there.
    pub async fn dashboard_versions(
        &self,
        tenant: u32,
        id: &DashboardId,
    ) -> Result<Vec<Version>, StoreError> {
        let statement = sql::query_as(concat!(
            "SELECT ",
            version!(),
            " FROM dashboard_versions WHERE tenant_id = $1 AND dashboard_id = $2 \
             ORDER BY version DESC"
        ))
        .bind(i64::from(tenant))
        .bind(id.as_str());
        let rows: Vec<VersionRow> =
            self.rows(Scope::Tenant(tenant), "listing versions", statement).await?;
        Ok(rows.into_iter().map(VersionRow::version).collect())
    }

    /// A version of a dashboard with its document, if it is kept.
    pub async fn dashboard_version(
        &self,
        tenant: u32,
        id: &DashboardId,
        number: u64,
    ) -> Result<Option<(Version, Value)>, StoreError> {
        // No version has a number that does not fit.
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        let statement = sql::query_as(concat!(
            "SELECT ",
            version!(),
            ", document FROM dashboard_versions \
             WHERE tenant_id = $1 AND dashboard_id = $2 AND version = $3"
        ))
        .bind(i64::from(tenant))
        .bind(id.as_str())
        .bind(number);
        let row: Option<WholeVersionRow> =
            self.row(Scope::Tenant(tenant), "reading a version", statement).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((row.version.version(), json(&row.document)?)))
    }
}

/// Brings a dashboard that a template has, which the tenant may have had and deleted: then its
/// versions go on from the last of those, so that who holds one of them holds nothing of this.
pub(super) async fn bring(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    dashboard: &Dashboard,
) -> Result<(), sqlx::Error> {
    // Read to the end: a statement that changes is done only then.
    let deleted: Vec<i64> = sql::query_scalar(
        "DELETE FROM deleted_dashboards WHERE tenant_id = $1 AND dashboard_id = $2 \
         RETURNING version",
    )
    .bind(i64::from(tenant))
    .bind(dashboard.head.id.as_str())
    .fetch_all(&mut **transaction)
    .await?;
    let Some(last) = deleted.first() else {
        return insert(transaction, tenant, dashboard).await;
    };
    let head = Head { version: last.cast_unsigned() + 1, ..dashboard.head.clone() };
    insert(transaction, tenant, &Dashboard { head, ..dashboard.clone() }).await
}

/// Inserts a dashboard and its first version.
async fn insert(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    dashboard: &Dashboard,
) -> Result<(), sqlx::Error> {
    let Dashboard { head, document, base } = dashboard;
    let origin = head.origin.as_ref();
    sql::query(
        "INSERT INTO dashboards (tenant_id, id, version, name, changed_by, created_at, \
         changed_at, template, template_version, document, base) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(i64::from(tenant))
    .bind(head.id.as_str())
    .bind(head.version.cast_signed())
    .bind(&head.name)
    .bind(text(&head.changed_by))
    .bind(head.created_at.timestamp_micros())
    .bind(head.changed_at.timestamp_micros())
    .bind(origin.map(|origin| origin.template.as_str()))
    .bind(origin.map(|origin| origin.version.cast_signed()))
    .bind(document.to_string())
    .bind(base.as_ref().map(Value::to_string))
    .execute(&mut **transaction)
    .await?;
    note(transaction, tenant, dashboard, None).await
}

/// Changes a dashboard, as [`Store::change_dashboard`].
pub(super) async fn replace(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &DashboardId,
    expected: Option<u64>,
    change: &Change,
    keep: usize,
) -> Result<Option<Dashboard>, StoreError> {
    let failed = |source| StoreError::Database { doing: "changing a dashboard", source };
    // Versions begin at 1. Read to the end: a statement that changes is done only then.
    let rows: Vec<Row> = sql::query_as(concat!(
        "UPDATE dashboards SET version = version + 1, name = $3, document = $4, \
         changed_by = $5, changed_at = $6 \
         WHERE tenant_id = $1 AND id = $2 AND (version = $7 OR $7 = 0) RETURNING ",
        head!(),
        ", document, base"
    ))
    .bind(i64::from(tenant))
    .bind(id.as_str())
    .bind(&change.name)
    .bind(change.document.to_string())
    .bind(text(&change.by))
    .bind(change.at.timestamp_micros())
    .bind(expected.unwrap_or(0).cast_signed())
    .fetch_all(&mut **transaction)
    .await
    .map_err(failed)?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let dashboard = row.dashboard()?;
    note(transaction, tenant, &dashboard, change.restored_from).await.map_err(failed)?;
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    sql::query(
        "DELETE FROM dashboard_versions \
         WHERE tenant_id = $1 AND dashboard_id = $2 AND version <= $3",
    )
    .bind(i64::from(tenant))
    .bind(id.as_str())
    .bind(dashboard.head.version.cast_signed().saturating_sub(keep))
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    Ok(Some(dashboard))
}

/// Deletes a dashboard, as [`Store::delete_dashboard`].
pub(super) async fn remove(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &DashboardId,
    expected: Option<u64>,
) -> Result<bool, sqlx::Error> {
    // Read to the end: a statement that changes is done only then.
    let deleted: Vec<(i64, Option<String>)> = sql::query_as(
        "DELETE FROM dashboards WHERE tenant_id = $1 AND id = $2 AND (version = $3 OR $3 = 0) \
         RETURNING version, template",
    )
    .bind(i64::from(tenant))
    .bind(id.as_str())
    .bind(expected.unwrap_or(0).cast_signed())
    .fetch_all(&mut **transaction)
    .await?;
    let Some((last, template)) = deleted.into_iter().next() else { return Ok(false) };
    // Any other id is drawn, and never again; that of a template's can come back.
    if template.is_some() {
        sql::query(
            "INSERT INTO deleted_dashboards (tenant_id, dashboard_id, version) \
             VALUES ($1, $2, $3) \
             ON CONFLICT (tenant_id, dashboard_id) DO UPDATE SET version = excluded.version",
        )
        .bind(i64::from(tenant))
        .bind(id.as_str())
        .bind(last)
        .execute(&mut **transaction)
        .await?;
    }
    sql::query("DELETE FROM dashboard_versions WHERE tenant_id = $1 AND dashboard_id = $2")
        .bind(i64::from(tenant))
        .bind(id.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(true)
}

/// Notes of a dashboard, if it is there, what a version of its template has in its place.
pub(super) async fn rebase(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    id: &DashboardId,
    origin: &Origin,
    base: &Value,
) -> Result<(), sqlx::Error> {
    sql::query(
        "UPDATE dashboards SET template = $3, template_version = $4, base = $5 \
         WHERE tenant_id = $1 AND id = $2",
    )
    .bind(i64::from(tenant))
    .bind(id.as_str())
    .bind(&origin.template)
    .bind(origin.version.cast_signed())
    .bind(base.to_string())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// Keeps what a dashboard is now as a version of it.
async fn note(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    dashboard: &Dashboard,
    restored_from: Option<u64>,
) -> Result<(), sqlx::Error> {
    let Dashboard { head, document, .. } = dashboard;
    sql::query(
        "INSERT INTO dashboard_versions (tenant_id, dashboard_id, version, name, changed_by, \
         changed_at, restored_from, document) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(i64::from(tenant))
    .bind(head.id.as_str())
    .bind(head.version.cast_signed())
    .bind(&head.name)
    .bind(text(&head.changed_by))
    .bind(head.changed_at.timestamp_micros())
    .bind(restored_from.map(u64::cast_signed))
    .bind(document.to_string())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// A stored value that cannot be read.
fn damaged(what: &str, message: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database {
        doing: "reading a dashboard",
        source: sqlx::Error::Decode(format!("{what}: {message}").into()),
    }
}

fn json(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged("its document", &error))
}

impl HeadRow {
    fn head(self) -> Result<Head, StoreError> {
        let origin = self.template.map(|template| Origin {
            template,
            version: self.template_version.unwrap_or_default().cast_unsigned(),
        });
        Ok(Head {
            id: self.id.parse().map_err(|error: Invalid| damaged("its id", &error))?,
            version: self.version.cast_unsigned(),
            name: self.name,
            changed_by: self.changed_by,
            created_at: time(self.created_at),
            changed_at: time(self.changed_at),
            origin,
        })
    }
}

impl Row {
    fn dashboard(self) -> Result<Dashboard, StoreError> {
        Ok(Dashboard {
            head: self.head.head()?,
            document: json(&self.document)?,
            base: self.base.as_deref().map(json).transpose()?,
        })
    }
}

impl VersionRow {
    fn version(self) -> Version {
        Version {
            number: self.version.cast_unsigned(),
            name: self.name,
            changed_by: self.changed_by,
            changed_at: time(self.changed_at),
            restored_from: self.restored_from.map(i64::cast_unsigned),
        }
    }
}

#[cfg(test)]
#[path = "dashboards_tests.rs"]
mod tests;
