//! Where the service's events come from.

use std::sync::Arc;

use ingest::{KafkaSource, Log};
use tenancy::{Directory, Store};

use super::slots::{Home, alone};
use super::{ServeError, kafka};
use crate::changes::Changes;
use crate::config::Config;
use crate::event_types::TypeDirectory;

/// Where events come from.
#[expect(clippy::large_enum_variant, reason = "there is one")]
pub(super) enum Source {
    Log(Log),
    /// With what other nodes change; in the embedded mode this process is the only one.
    Kafka(KafkaSource, Arc<Changes>),
}

impl Source {
    /// Kafka if the configuration names brokers, else the log in the data folder. `since` is the
    /// last change of the control store that `directory` and `types` have.
    pub(super) async fn open(
        config: &Config,
        store: &Store,
        directory: &Directory,
        types: &TypeDirectory,
        since: u64,
    ) -> Result<Self, ServeError> {
        if config.kafka.brokers.is_empty() {
            let log = Log::open(&config.log(), types.registry().clone()).await?;
            return Ok(Self::Log(log));
        }
        let changes = Changes::new(store.clone(), directory.clone(), types.clone(), since);
        let source = kafka::open(config, store, Arc::clone(&changes)).await?;
        Ok(Self::Kafka(source, changes))
    }

    /// How many partitions it has.
    pub(super) fn count(&self) -> i32 {
        match self {
            Self::Log(_) => 1,
            Self::Kafka(source, _) => source.partitions(),
        }
    }

    /// How many partitions it has, and in which of them a tenant lives.
    pub(super) fn partitions(&self, directory: &Directory) -> (usize, Home) {
        let count = self.count();
        let home = match self {
            Self::Log(_) => alone(),
            Self::Kafka(..) => kafka::home(directory, count),
        };
        (usize::try_from(count).unwrap_or(1), home)
    }

    /// The key of the hashes of event ids.
    pub(super) async fn id_key(&self, store: &Store) -> Result<[u8; 16], ServeError> {
        match self {
            Self::Log(log) => Ok(*log.id_key()),
            Self::Kafka(..) => Ok(store.id_key().await?),
        }
    }

    /// What other nodes change, if there may be any.
    pub(super) fn changes(&self) -> Option<&Arc<Changes>> {
        match self {
            Self::Log(_) => None,
            Self::Kafka(_, changes) => Some(changes),
        }
    }

    /// The log, if that is the source.
    pub(super) fn log(&self) -> Option<&Log> {
        match self {
            Self::Log(log) => Some(log),
            Self::Kafka(..) => None,
        }
    }
}
