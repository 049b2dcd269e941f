//! The views that tenants define, in the control store.

use chrono::Utc;
use sqlx::FromRow;

use super::{Scope, Store, json_array, sql};
use crate::StoreError;

/// A view that a tenant has defined, as it is stored. What its SQL says is for others to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredView {
    /// Its name, single among the tenant's.
    pub name: String,
    /// Its definition.
    pub sql: String,
    /// The columns that identify a row; empty: all of them.
    pub key: Vec<String>,
}

#[derive(FromRow)]
struct ViewRow {
    tenant_id: i64,
    name: String,
    sql: String,
    key: String,
}

impl Store {
    /// All own views with the numbers of their tenants, each tenant's in the order in which they
    /// build on each other.
    pub async fn own_views(&self) -> Result<Vec<(u32, StoredView)>, StoreError> {
        let statement = sql::query_as(
            "SELECT tenant_id, name, sql, key FROM own_views ORDER BY tenant_id, place, name",
        );
        let rows: Vec<ViewRow> =
            self.rows(Scope::Platform, "listing the own views", statement).await?;
        rows.into_iter().map(ViewRow::stored).collect()
    }

    /// Stores views of a tenant, each in the place of one with its name if there is one, behind
    /// all others and in this order; all of them or none.
    pub async fn put_own_views(&self, tenant: u32, views: &[StoredView]) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "storing own views", source };
        let now = Utc::now().timestamp_micros();
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        for view in views {
            sql::query(
                "INSERT INTO own_views (tenant_id, name, sql, key, place, defined_at) \
                 VALUES ($1, $2, $3, $4, \
                 (SELECT coalesce(max(place), 0) + 1 FROM own_views WHERE tenant_id = $1), $5) \
                 ON CONFLICT (tenant_id, name) DO UPDATE SET sql = excluded.sql, key = excluded.key, \
                 place = excluded.place, defined_at = excluded.defined_at",
            )
            .bind(i64::from(tenant))
            .bind(&view.name)
            .bind(&view.sql)
            .bind(json_array(view.key.clone()))
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Removes a view of a tenant, if it is there.
    pub async fn delete_own_view(&self, tenant: u32, name: &str) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "removing an own view", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        sql::query("DELETE FROM own_views WHERE tenant_id = $1 AND name = $2")
            .bind(i64::from(tenant))
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

impl ViewRow {
    fn stored(self) -> Result<(u32, StoredView), StoreError> {
        let Self { tenant_id, name, sql, key } = self;
        let damaged = |message: String| StoreError::Database {
            doing: "reading the own views",
            source: sqlx::Error::Decode(format!("the key of '{name}': {message}").into()),
        };
        let key: Vec<String> =
            serde_json::from_str(&key).map_err(|error| damaged(error.to_string()))?;
        Ok((tenant_id as u32, StoredView { name, sql, key }))
    }
}

#[cfg(test)]
#[path = "own_views_tests.rs"]
mod tests;
