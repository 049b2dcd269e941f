//! The registered event types in the control store: their names and the texts of their schemas.

use chrono::Utc;
use sqlx::FromRow;

use super::Store;
use crate::StoreError;

/// A registered event type as it is stored. What its schema says is for others to read.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct StoredEventType {
    /// The number of the tenant that alone has it; none for a type of the platform, which all have.
    pub tenant: Option<u32>,
    /// `module.fact`.
    pub name: String,
    /// The text of its schema.
    pub schema: String,
}

impl Store {
    /// All registered types: the platform's, then each tenant's, by name.
    pub async fn event_types(&self) -> Result<Vec<StoredEventType>, StoreError> {
        sqlx::query_as(
            "SELECT NULL AS tenant, type AS name, schema FROM platform_event_types \
             UNION ALL SELECT tenant, type, schema FROM event_types ORDER BY tenant, name",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|source| StoreError::Database { doing: "listing the event types", source })
    }

    /// Stores a type, or a later schema of one that is there already, if what is there is what the
    /// caller has looked at: the schema `before`, or no such type. Answers whether it was.
    pub async fn put_event_type(
        &self,
        event_type: &StoredEventType,
        before: Option<&str>,
    ) -> Result<bool, StoreError> {
        let StoredEventType { tenant, name, schema } = event_type;
        let now = Utc::now().timestamp_micros();
        let statement = match tenant {
            Some(tenant) => sqlx::query(
                "INSERT INTO event_types (tenant, type, schema, created_at, changed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO UPDATE \
                 SET schema = excluded.schema, changed_at = excluded.changed_at WHERE schema = ?5",
            )
            .bind(tenant),
            None => sqlx::query(
                "INSERT INTO platform_event_types (type, schema, created_at, changed_at) \
                 VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO UPDATE \
                 SET schema = excluded.schema, changed_at = excluded.changed_at WHERE schema = ?4",
            ),
        };
        statement
            .bind(name)
            .bind(schema)
            .bind(now)
            .bind(before)
            .execute(&self.pool)
            .await
            .map(|done| done.rows_affected() > 0)
            .map_err(|source| StoreError::Database { doing: "storing an event type", source })
    }
}
