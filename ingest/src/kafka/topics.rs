//! The topics of event types: which there are, and that all have the same number of partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;

use super::error::SourceError;
use super::settings::KafkaSettings;

/// How long brokers may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest list of topics in an error.
const NAMED: usize = 10;

/// The brokers, as who looks at topics and makes them sees them.
pub(crate) struct Topics {
    admin: AdminClient<Quiet>,
    brokers: String,
    prefix: String,
}

/// The topics with the prefix, as the brokers list them.
pub(crate) struct Listed {
    /// With their numbers of partitions.
    pub(crate) topics: BTreeMap<String, i32>,
    /// Those that are there and of which no more can be said at this moment.
    pub(crate) unwell: BTreeSet<String>,
}

impl Listed {
    pub(crate) fn of(metadata: &Metadata, prefix: &str) -> Self {
        let (mut topics, mut unwell) = (BTreeMap::new(), BTreeSet::new());
        for topic in metadata.topics().iter().filter(|topic| topic.name().starts_with(prefix)) {
            let name = topic.name().to_owned();
            match topic.error().map(Code::from) {
                None => {
                    topics.insert(name, topic.partitions().len() as i32);
                }
                Some(Code::UnknownTopicOrPartition) => {}
                Some(_) => {
                    unwell.insert(name);
                }
            }
        }
        Self { topics, unwell }
    }

    /// Whether there is a topic of that name.
    pub(crate) fn has(&self, topic: &str) -> bool {
        self.topics.contains_key(topic) || self.unwell.contains(topic)
    }
}

/// Kafka's client, whose words go to the log of the service.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka's client");
    }
}

impl Topics {
    /// The topics at these brokers.
    pub(crate) fn new(settings: &KafkaSettings) -> Result<Self, SourceError> {
        let admin = AdminClient::from_config_and_context(&settings.admin(), Quiet)
            .map_err(|error| SourceError::Setup(error.to_string()))?;
        Ok(Self { admin, brokers: settings.brokers.clone(), prefix: settings.topic_prefix.clone() })
    }

    /// The topics with the prefix, with their numbers of partitions. Blocks.
    pub(crate) fn list(&self) -> Result<BTreeMap<String, i32>, SourceError> {
        let metadata = (self.admin.inner().fetch_metadata(None, PATIENCE))
            .map_err(|error| self.failed("listing the topics", &error))?;
        Ok(Listed::of(&metadata, &self.prefix).topics)
    }

    /// Makes the topics of these types that there are not yet, with so many partitions, and answers
    /// which of them are there then. Why one cannot be made is said in the log.
    ///
    /// # Errors
    /// The brokers cannot be asked, or topics have another number of partitions.
    pub(crate) async fn ensure(
        &self,
        types: &[String],
        partitions: i32,
    ) -> Result<BTreeSet<String>, SourceError> {
        let listed = tokio::task::block_in_place(|| self.list())?;
        agree(&listed, partitions)?;
        let wanted = types.iter().map(|name| format!("{}{name}", self.prefix));
        let (mut there, missing): (BTreeSet<String>, BTreeSet<String>) =
            wanted.partition(|topic| listed.contains_key(topic));
        if missing.is_empty() {
            return Ok(there);
        }
        let topics: Vec<NewTopic<'_>> = (missing.iter())
            .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(-1)))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = self.admin.create_topics(&topics, &options).await;
        for outcome in made.map_err(|error| self.failed("making topics", &error))? {
            match outcome {
                Ok(topic) | Err((topic, Code::TopicAlreadyExists)) => {
                    there.insert(topic);
                }
                Err((topic, code)) => {
                    tracing::warn!(topic, %code, "the topic is missing and cannot be made; make it with {partitions} partitions");
                }
            }
        }
        Ok(there)
    }

    fn failed(&self, doing: &str, error: &KafkaError) -> SourceError {
        SourceError::broker(&self.brokers, doing, error)
    }
}

/// The number of partitions that all these topics have; none if there are no topics.
pub(crate) fn equal(topics: &BTreeMap<String, i32>) -> Result<Option<i32>, SourceError> {
    let mut counts: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for (topic, partitions) in topics {
        counts.entry(*partitions).or_default().push(topic);
    }
    if counts.len() < 2 {
        return Ok(counts.into_keys().next());
    }
    let each = counts.iter().map(|(partitions, topics)| {
        let named = topics[..topics.len().min(NAMED)].join(", ");
        let more = topics.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{partitions} in {named}{more}")
    });
    Err(SourceError::UnequalPartitions(each.collect::<Vec<_>>().join("; ")))
}

/// Sees to it that all these topics have so many partitions.
///
/// # Errors
/// They have others, or differ.
pub(crate) fn agree(topics: &BTreeMap<String, i32>, kept: i32) -> Result<(), SourceError> {
    match equal(topics)? {
        Some(found) if found != kept => Err(SourceError::OtherPartitions { kept, found }),
        _ => Ok(()),
    }
}
