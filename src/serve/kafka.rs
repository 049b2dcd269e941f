//! Kafka as the source of the service: how it is reached, and who sends.

use std::sync::Arc;

use ingest::{KafkaSource, KnownTenants, Sender, SourceParts, partition_of};
use projections::Tenant;
use tenancy::{Clock, Directory, Store, TenantId, TenantRecord};
use tokio::runtime::Handle;

use super::ServeError;
use super::slots::Home;
use crate::changes::Changes;
use crate::config::Config;
use crate::dead_letters::StoredDeadLetters;
use crate::schemas::StoredSchemas;

/// The tenants of the directory, as messages name them.
struct Known {
    changes: Arc<Changes>,
    runtime: Handle,
}

impl KnownTenants for Known {
    fn find(&self, id: &str) -> Option<Sender> {
        let id: TenantId = id.parse().ok()?;
        self.changes.directory().get(&id).map(|tenant| sender(&tenant))
    }

    fn look(&self) -> Result<(), String> {
        self.runtime.block_on(self.changes.look()).map_err(|error| error.to_string())
    }

    fn is_deleted(&self, id: &str) -> bool {
        id.parse().is_ok_and(|id: TenantId| self.changes.directory().tombstone(&id).is_some())
    }
}

/// A tenant as a sender of events.
pub(crate) fn sender(tenant: &TenantRecord) -> Sender {
    Sender {
        tenant: Tenant(tenant.number),
        tenant_id: tenant.id.to_string(),
        currency: tenant.currency.to_string(),
        events_clock: matches!(tenant.clock, Clock::Events).then_some(tenant.timezone),
    }
}

/// Looks at Kafka, whose senders are those that `changes` knows. Its topics must have as many
/// partitions as when they were read first.
pub(super) async fn open(
    config: &Config,
    store: &Store,
    changes: Arc<Changes>,
) -> Result<KafkaSource, ServeError> {
    let found = KafkaSource::found(&config.kafka).await?.unwrap_or(config.kafka.partitions);
    let partitions = store.source_partitions(found).await?;
    let (limits, runtime) = (config.limits.dead_letters, Handle::current());
    let schemas = Arc::new(StoredSchemas { store: store.clone() });
    let parts = SourceParts {
        settings: config.kafka.clone(),
        types: changes.types().registry().clone(),
        limits: config.limits.intake.clone(),
        tenants: Arc::new(Known { changes, runtime }),
        registry: config.schema_registry.clone().map(|registry| registry.keeping(schemas)),
        letters: Arc::new(StoredDeadLetters { store: store.clone(), limits }),
        id_key: store.id_key().await?,
    };
    Ok(KafkaSource::open(parts, partitions).await?)
}

/// Which of `count` partitions a tenant lives in, or lived in until it was deleted.
pub(super) fn home(directory: &Directory, count: i32) -> Home {
    let directory = directory.clone();
    Arc::new(move |Tenant(number)| {
        let id = directory.id_of(number);
        let home = id.map_or(0, |id| partition_of(id.as_str().as_bytes(), count));
        usize::try_from(home).unwrap_or_default()
    })
}
