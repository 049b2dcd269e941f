//! What others have changed in the store: one number to ask for, and what has a higher one.

use super::event_types::EventTypeRow;
use super::{Scope, Store, TenantRow, sql};
use crate::{StoreError, StoredEventType, TenantRecord};

impl Store {
    /// The number of the last change of a tenant or an event type, whoever made it. It grows with
    /// every one; reading it is the cheapest question there is.
    pub async fn last_change(&self) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading what changed", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let number: i64 = sql::query_scalar("SELECT number FROM platform_changes")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(number as u64)
    }

    /// The tenants that were created or changed after the change of this number, as they are now;
    /// for those that were deleted see [`Store::tombstones_since`].
    pub async fn tenants_since(&self, change: u64) -> Result<Vec<TenantRecord>, StoreError> {
        let statement = sql::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM tenants WHERE change > $1 AND deleted_at IS NULL ORDER BY number"
        ))
        .bind(change as i64);
        let rows: Vec<TenantRow> =
            self.rows(Scope::Platform, "listing changed tenants", statement).await?;
        rows.into_iter().map(TenantRow::record).collect()
    }

    /// The event types that were registered or changed after the change of this number, as they
    /// are now.
    pub async fn event_types_since(&self, change: u64) -> Result<Vec<StoredEventType>, StoreError> {
        let statement = sql::query_as(
            "SELECT NULL AS tenant, type AS name, schema FROM platform_event_types \
             WHERE change > $1 UNION ALL \
             SELECT tenant_id, type, schema FROM event_types WHERE change > $1 \
             ORDER BY tenant NULLS FIRST, name",
        )
        .bind(change as i64);
        let rows: Vec<EventTypeRow> =
            self.rows(Scope::Platform, "listing changed event types", statement).await?;
        Ok(rows.into_iter().map(EventTypeRow::stored).collect())
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
