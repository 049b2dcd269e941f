//! Reads of one statement, and what is read alike from rows of many kinds.

use chrono::{DateTime, Utc};
use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Transaction};

use super::{Scope, Store, sql};
use crate::StoreError;

impl Store {
    /// The rows of a statement; `doing` says in an error what they were asked for.
    pub(super) async fn rows<O>(
        &self,
        scope: Scope,
        doing: &'static str,
        statement: QueryAs<'_, Any, O, AnyArguments>,
    ) -> Result<Vec<O>, StoreError>
    where
        O: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let failed = |source| StoreError::Database { doing, source };
        let mut transaction = self.read(scope).await.map_err(failed)?;
        let rows = statement.fetch_all(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(rows)
    }

    /// The row of a statement that finds one at most, as [`Store::rows`].
    pub(super) async fn row<O>(
        &self,
        scope: Scope,
        doing: &'static str,
        statement: QueryAs<'_, Any, O, AnyArguments>,
    ) -> Result<Option<O>, StoreError>
    where
        O: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let failed = |source| StoreError::Database { doing, source };
        let mut transaction = self.read(scope).await.map_err(failed)?;
        let row = statement.fetch_optional(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(row)
    }
}

/// What a `SELECT count(*)` answers whose one parameter is the tenant.
pub(super) async fn count(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    statement: &'static str,
) -> Result<usize, sqlx::Error> {
    let (count,): (i64,) =
        sql::query_as(statement).bind(i64::from(tenant)).fetch_one(&mut **transaction).await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// A moment that is stored in microseconds; that of 1970 where there is no such moment.
pub(super) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
