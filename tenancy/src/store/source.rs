//! What is kept of Kafka as the source: the number of partitions, and schemas of messages.

use super::{Scope, Store, sql};
use crate::StoreError;

/// Schemas that are kept at most, of all registries. Those of one are few.
const MOST_SCHEMAS: i64 = 10_000;

impl Store {
    /// How many partitions the topics had when they were read first; `found` if that is now. Of
    /// several who ask at once the first one's is kept.
    pub async fn source_partitions(&self, found: i32) -> Result<i32, StoreError> {
        let failed = |source| StoreError::Database {
            doing: "keeping the number of partitions of the topics",
            source,
        };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        sql::query(
            "INSERT INTO platform_source (only_one, partitions) VALUES (1, $1) \
             ON CONFLICT (only_one) DO NOTHING",
        )
        .bind(i64::from(found))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        let kept: i64 = sql::query_scalar("SELECT partitions FROM platform_source")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(kept as i32)
    }

    /// The text of a schema that was kept, by the address of its registry and its id there.
    pub async fn schema(&self, registry: &str, id: u32) -> Result<Option<String>, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading a schema", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let schema: Option<String> = sql::query_scalar(
            "SELECT schema FROM platform_schemas WHERE registry = $1 AND id = $2",
        )
        .bind(registry)
        .bind(i64::from(id))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(schema)
    }

    /// Keeps the text of a schema, in the place of what was kept under its id before. Answers whether
    /// there was room.
    pub async fn put_schema(
        &self,
        registry: &str,
        id: u32,
        schema: &str,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "keeping a schema", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        let done = sql::query(
            "INSERT INTO platform_schemas (registry, id, schema) SELECT $1, $2, $3 \
             WHERE (SELECT count(*) FROM platform_schemas) < $4 \
             ON CONFLICT (registry, id) DO UPDATE SET schema = excluded.schema",
        )
        .bind(registry)
        .bind(i64::from(id))
        .bind(schema)
        .bind(MOST_SCHEMAS)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
