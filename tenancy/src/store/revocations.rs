//! Sign-ins that admins have ended, in the control store.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::reading::{count, time};
use super::{Scope, Store, sql, text};
use crate::StoreError;

/// An end of somebody's sign-ins as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRevocation {
    /// The tenant's number.
    pub tenant: u32,
    /// Whose tokens.
    pub subject: String,
    /// Those that were issued before it hold no more.
    pub ended_at: DateTime<Utc>,
    /// Who has ended them: the subject of a token.
    pub ended_by: String,
    /// Until when it is kept.
    pub expires_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Row {
    tenant_id: i64,
    subject: String,
    ended_at: i64,
    ended_by: String,
    expires_at: i64,
}

/// The columns of a [`Row`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_id, subject, ended_at, ended_by, expires_at FROM revocations ",
            $rest
        )
    };
}

impl Store {
    /// Ends the sign-ins of a subject, unless the tenant has ended those of `most` others; whether it
    /// did. One that is there already is moved to the later moment; those whose time is over by then are
    /// removed.
    pub async fn put_revocation(
        &self,
        revocation: &StoredRevocation,
        most: usize,
    ) -> Result<bool, StoreError> {
        let StoredRevocation { tenant, subject, ended_at, ended_by, expires_at } = revocation;
        let failed = |source| StoreError::Database { doing: "ending sign-ins", source };
        let mut transaction = self.write(Scope::Tenant(*tenant)).await.map_err(failed)?;
        sql::query("DELETE FROM revocations WHERE tenant_id = $1 AND expires_at <= $2")
            .bind(i64::from(*tenant))
            .bind(ended_at.timestamp_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let known = sql::query(
            "UPDATE revocations SET ended_at = $3, ended_by = $4, expires_at = $5 \
             WHERE tenant_id = $1 AND subject = $2 AND ended_at <= $3",
        )
        .bind(i64::from(*tenant))
        .bind(text(subject))
        .bind(ended_at.timestamp_micros())
        .bind(text(ended_by))
        .bind(expires_at.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if known.rows_affected() == 0 {
            let there = "SELECT count(*) FROM revocations WHERE tenant_id = $1";
            if count(&mut transaction, *tenant, there).await.map_err(failed)? >= most {
                return Ok(false);
            }
            // Where another has ended them later meanwhile, that holds.
            sql::query(
                "INSERT INTO revocations (tenant_id, subject, ended_at, ended_by, expires_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, subject) DO NOTHING",
            )
            .bind(i64::from(*tenant))
            .bind(text(subject))
            .bind(ended_at.timestamp_micros())
            .bind(text(ended_by))
            .bind(expires_at.timestamp_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The ends of sign-ins of a tenant that are kept, by subject.
    pub async fn revocations(&self, tenant: u32) -> Result<Vec<StoredRevocation>, StoreError> {
        let statement =
            sql::query_as(select!("WHERE tenant_id = $1 ORDER BY subject")).bind(i64::from(tenant));
        let rows: Vec<Row> =
            self.rows(Scope::Tenant(tenant), "reading ended sign-ins", statement).await?;
        Ok(rows.into_iter().map(Row::stored).collect())
    }

    /// Those of all tenants that came after the change of this number, see [`Store::last_change`].
    pub async fn revocations_since(
        &self,
        change: u64,
    ) -> Result<Vec<StoredRevocation>, StoreError> {
        let statement =
            sql::query_as(select!("WHERE change > $1 ORDER BY change")).bind(change as i64);
        let rows: Vec<Row> =
            self.rows(Scope::Platform, "listing ended sign-ins", statement).await?;
        Ok(rows.into_iter().map(Row::stored).collect())
    }
}

impl Row {
    fn stored(self) -> StoredRevocation {
        StoredRevocation {
            tenant: self.tenant_id as u32,
            subject: self.subject,
            ended_at: time(self.ended_at),
            ended_by: self.ended_by,
            expires_at: time(self.expires_at),
        }
    }
}

#[cfg(test)]
#[path = "revocations_tests.rs"]
mod tests;
