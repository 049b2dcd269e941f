//! The topics at Kafka as a source of several partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;

use super::error::SourceError;
use super::partition::{Begin, KafkaPartition, Outlet, SourceParts};
use super::producer::KafkaIntake;
use super::settings::KafkaSettings;
use super::topics::{Topics, agree, equal};

/// How often topics are looked for that have come about.
const LOOK: Duration = Duration::from_secs(10);
/// How often, and after how long each time, topics are looked for that were just made.
const AGAIN: usize = 50;
const MADE: Duration = Duration::from_millis(100);

/// All topics with the prefix, and how many partitions each of them has.
pub struct KafkaSource {
    parts: SourceParts,
    at: Arc<Topics>,
    topics: RwLock<BTreeSet<String>>,
    partitions: i32,
}

impl KafkaSource {
    /// How many partitions the topics have that there are; none if there are none yet.
    ///
    /// # Errors
    /// Kafka cannot be reached, or the topics differ in their number of partitions.
    pub async fn found(settings: &KafkaSettings) -> Result<Option<i32>, SourceError> {
        equal(&list(&Arc::new(Topics::new(settings)?)).await?)
    }

    /// Looks at the topics, and makes those of the types of all tenants that there are not yet. All
    /// must have so many partitions.
    ///
    /// # Errors
    /// Kafka cannot be reached, or the topics have another number of partitions.
    pub async fn open(parts: SourceParts, partitions: i32) -> Result<Self, SourceError> {
        let at = Arc::new(Topics::new(&parts.settings)?);
        let types: Vec<String> =
            parts.types.shared().iter().map(|of| of.name().to_owned()).collect();
        let known = at.ensure(&types, partitions).await?;
        let mut there = list(&at).await?;
        // What was just made is not in the brokers' lists at once.
        for _ in 0..AGAIN {
            if known.iter().all(|topic| there.contains_key(topic)) {
                break;
            }
            tokio::time::sleep(MADE).await;
            there = list(&at).await?;
        }
        agree(&there, partitions)?;
        let topics = RwLock::new(there.into_keys().collect());
        Ok(Self { parts, at, topics, partitions })
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// What the source was set up with.
    pub fn parts(&self) -> &SourceParts {
        &self.parts
    }

    /// Begins to read a partition number, and to send its steps on. What cannot be read ends it.
    ///
    /// # Errors
    /// Kafka's client cannot be set up.
    pub fn read(
        &self,
        number: i32,
        begin: Begin,
        outlet: Outlet,
    ) -> Result<KafkaPartition, SourceError> {
        let topics = self.topics();
        let place = (number, self.partitions);
        KafkaPartition::start(&self.parts, place, topics, begin, outlet, Handle::current())
    }

    /// Has topics that come about later read from their beginning, and all partitions stopped when
    /// topics have another number of them; for ever.
    pub async fn follow(&self, intake: &KafkaIntake) {
        loop {
            tokio::time::sleep(LOOK).await;
            let there = match list(&self.at).await {
                Ok(there) => there,
                Err(error) => {
                    tracing::warn!(%error, "new topics are looked for again later");
                    continue;
                }
            };
            let agreed = agree(&there, self.partitions);
            if agreed.is_ok() {
                intake.listed(&there);
                let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
                topics.extend(there.into_keys());
            }
            // All of them each time: a partition may have begun while the topics were listed, and
            // one that has stopped needs none.
            for partition in intake.read_here() {
                match &agreed {
                    Ok(()) => partition.read(self.topics()).await.ok(),
                    Err(error) => partition.stop(error.clone()).await.ok(),
                };
            }
        }
    }

    fn topics(&self) -> Vec<String> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.iter().cloned().collect()
    }
}

/// The topics, listed off the async threads.
async fn list(at: &Arc<Topics>) -> Result<BTreeMap<String, i32>, SourceError> {
    let at = Arc::clone(at);
    tokio::task::spawn_blocking(move || at.list()).await.map_err(|_| SourceError::Stopped)?
}
