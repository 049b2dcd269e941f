//! The topics of event types: which there are, and that all have the same number of partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

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
    /// The number of partitions of the first topic.
    partitions: i32,
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
        Ok(Self {
            admin,
            brokers: settings.brokers.clone(),
            prefix: settings.topic_prefix.clone(),
            partitions: settings.partitions,
        })
    }

    /// The topics with the prefix, with their numbers of partitions. Blocks.
    pub(crate) fn list(&self) -> Result<BTreeMap<String, i32>, SourceError> {
        let metadata = (self.admin.inner().fetch_metadata(None, PATIENCE))
            .map_err(|error| self.failed("listing the topics", &error))?;
        let topics = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && topic.name().starts_with(&self.prefix));
        Ok(topics.map(|t| (t.name().to_owned(), t.partitions().len() as i32)).collect())
    }

    /// Makes the topics of these types that there are not yet, and answers which it made. What
    /// cannot be made is said in the log and read once it is there.
    ///
    /// # Errors
    /// The brokers cannot be asked, or the topics differ in their number of partitions.
    pub(crate) async fn ensure(&self, types: &[String]) -> Result<Vec<String>, SourceError> {
        let listed = tokio::task::block_in_place(|| self.list())?;
        let partitions = equal(&listed)?.unwrap_or(self.partitions);
        let missing: Vec<String> = (types.iter().map(|name| format!("{}{name}", self.prefix)))
            .filter(|topic| !listed.contains_key(topic))
            .collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        let topics: Vec<NewTopic<'_>> = (missing.iter())
            .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(-1)))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = self.admin.create_topics(&topics, &options).await;
        let mut there = Vec::new();
        for outcome in made.map_err(|error| self.failed("making topics", &error))? {
            match outcome {
                Ok(topic) | Err((topic, Code::TopicAlreadyExists)) => there.push(topic),
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
