//! The registered event types in the control store: their names and the texts of their schemas.

use chrono::Utc;
use sqlx::FromRow;

use super::{Scope, Store, sql};
use crate::StoreError;

/// A registered event type as it is stored. What its schema says is for others to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEventType {
    /// The number of the tenant that alone has it; none for a type of the platform, which all have.
    pub tenant: Option<u32>,
    /// `module.fact`.
    pub name: String,
    /// The text of its schema.
    pub schema: String,
}

#[derive(FromRow)]
pub(super) struct EventTypeRow {
    tenant: Option<i64>,
    name: String,
    schema: String,
}

impl Store {
    /// All registered types: the platform's, then each tenant's, by name.
    pub async fn event_types(&self) -> Result<Vec<StoredEventType>, StoreError> {
        let statement = sql::query_as(
            "SELECT NULL AS tenant, type AS name, schema FROM platform_event_types \
             UNION ALL SELECT tenant_id, type, schema FROM event_types \
             ORDER BY tenant NULLS FIRST, name",
        );
        let rows: Vec<EventTypeRow> =
            self.rows(Scope::Platform, "listing the event types", statement).await?;
        Ok(rows.into_iter().map(EventTypeRow::stored).collect())
    }

    /// The names of types, of whomever, that are this one or differ from it in `.` and `_` alone.
    pub async fn event_types_alike(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let failed =
            |source| StoreError::Database { doing: "looking for names of event types", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let names = sql::query_scalar(
            "SELECT type FROM platform_event_types WHERE replace(type, '.', '_') = $1 \
             UNION SELECT type FROM event_types WHERE replace(type, '.', '_') = $1",
        )
        .bind(name.replace('.', "_"))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(names)
    }

    /// Stores a type, or a later schema of one that is there already, if what is there is what the
    /// caller has looked at: the schema `before`, or no such type. Answers whether it was.
    pub async fn put_event_type(
        &self,
        event_type: &StoredEventType,
        before: Option<&str>,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing an event type", source };
        let StoredEventType { tenant, name, schema } = event_type;
        let scope = tenant.map_or(Scope::Platform, Scope::Tenant);
        let mut transaction = self.write(scope).await.map_err(failed)?;
        let statement = match tenant {
            Some(_) => {
                "INSERT INTO event_types (type, schema, created_at, changed_at, tenant_id) \
                 VALUES ($1, $2, $3, $3, $5) ON CONFLICT (tenant_id, type) DO UPDATE \
                 SET schema = excluded.schema, changed_at = excluded.changed_at \
                 WHERE event_types.schema = $4"
            }
            None => {
                "INSERT INTO platform_event_types (type, schema, created_at, changed_at) \
                 VALUES ($1, $2, $3, $3) ON CONFLICT (type) DO UPDATE \
                 SET schema = excluded.schema, changed_at = excluded.changed_at \
                 WHERE platform_event_types.schema = $4"
            }
        };
        let mut query = sql::query(statement)
            .bind(name)
            .bind(schema)
            .bind(Utc::now().timestamp_micros())
            .bind(before);
        if let Some(tenant) = tenant {
            query = query.bind(i64::from(*tenant));
        }
        let done = query.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }
}

impl EventTypeRow {
    pub(super) fn stored(self) -> StoredEventType {
        let Self { tenant, name, schema } = self;
        StoredEventType { tenant: tenant.map(|number| number as u32), name, schema }
    }
}
