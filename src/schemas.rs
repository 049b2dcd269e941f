//! Schemas of messages from Kafka, kept in the control store.

use async_trait::async_trait;
use ingest::KeptSchemas;
use tenancy::Store;

/// The control store as the place of schemas. They belong to no tenant.
pub(crate) struct StoredSchemas {
    pub(crate) store: Store,
}

#[async_trait]
impl KeptSchemas for StoredSchemas {
    async fn find(&self, registry: &str, id: u32) -> Result<Option<String>, String> {
        self.store.schema(registry, id).await.map_err(|error| error.to_string())
    }

    async fn keep(&self, registry: &str, id: u32, schema: &str) -> Result<(), String> {
        match self.store.put_schema(registry, id, schema).await {
            Ok(true) => Ok(()),
            Ok(false) => Err("there are as many as may be".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}
