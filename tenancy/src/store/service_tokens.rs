//! The tokens of a tenant's producers, in the control store: everything of them but themselves.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::reading::{count, time};
use super::{Scope, Store, sql, text};
use crate::StoreError;

/// A service token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredServiceToken {
    /// Its id, single among the tenant's.
    pub id: String,
    /// What it is for, in words.
    pub name: String,
    /// The SHA-256 of the token, in hexadecimal.
    pub hash: String,
    /// Who has created it: the subject of a token.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// From when on it no longer holds, if ever.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    hash: String,
    created_by: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl Store {
    /// Stores a token of a tenant, unless it has `most` already; whether it did.
    pub async fn put_service_token(
        &self,
        tenant: u32,
        token: &StoredServiceToken,
        most: usize,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing a service token", source };
        let mut transaction = self.write_in_turn(tenant).await.map_err(failed)?;
        let there = "SELECT count(*) FROM service_tokens WHERE tenant_id = $1";
        if count(&mut transaction, tenant, there).await.map_err(failed)? >= most {
            return Ok(false);
        }
        sql::query(
            "INSERT INTO service_tokens \
             (tenant_id, id, name, hash, created_by, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(i64::from(tenant))
        .bind(&token.id)
        .bind(&token.name)
        .bind(&token.hash)
        .bind(&token.created_by)
        .bind(token.created_at.timestamp_micros())
        .bind(token.expires_at.map(|at| at.timestamp_micros()))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The tokens of a tenant, the oldest first.
    pub async fn service_tokens(&self, tenant: u32) -> Result<Vec<StoredServiceToken>, StoreError> {
        let statement = sql::query_as(
            "SELECT id, name, hash, created_by, created_at, expires_at FROM service_tokens \
             WHERE tenant_id = $1 ORDER BY created_at, id",
        )
        .bind(i64::from(tenant));
        let rows: Vec<Row> =
            self.rows(Scope::Tenant(tenant), "reading the service tokens", statement).await?;
        Ok(rows.into_iter().map(Row::stored).collect())
    }

    /// Removes a token of a tenant; whether there was one of this id.
    pub async fn delete_service_token(&self, tenant: u32, id: &str) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "revoking a service token", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        let done = sql::query("DELETE FROM service_tokens WHERE tenant_id = $1 AND id = $2")
            .bind(i64::from(tenant))
            .bind(text(id))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }
}

impl Row {
    fn stored(self) -> StoredServiceToken {
        StoredServiceToken {
            id: self.id,
            name: self.name,
            hash: self.hash,
            created_by: self.created_by,
            created_at: time(self.created_at),
            // A time that cannot be read has been, so that the token does not hold.
            expires_at: self.expires_at.map(time),
        }
    }
}

#[cfg(test)]
#[path = "service_tokens_tests.rs"]
mod tests;
