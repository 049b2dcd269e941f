//! Why events cannot be read from Kafka or given to it.

use rdkafka::error::KafkaError;

/// A source, a partition of it or a producer cannot work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The client cannot be set up: a setting is wrong.
    #[error("the Kafka client cannot be set up: {0}; see the settings kafka.*")]
    Setup(String),
    /// The brokers do not answer as they should.
    #[error("Kafka at {brokers}: {doing} failed: {reason}; see that the brokers run, and kafka.*")]
    Broker {
        /// The brokers as they are set.
        brokers: String,
        /// What was being done.
        doing: String,
        /// What the client says.
        reason: String,
    },
    /// Topics differ in their number of partitions.
    #[error(
        "the topics differ in their number of partitions: {0}; a tenant must live in one partition \
         number over all topics, so make those anew that differ"
    )]
    UnequalPartitions(String),
    /// The topics have another number of partitions than when they were read first.
    #[error(
        "the topics have {found} partitions, and had {kept} when they were read first: by that number \
         it is told where a tenant lives, and what is kept of the tenants would be in others; make \
         the topics anew with {kept}, or begin anew with {found} (docs/kafka.md, Beginning anew)"
    )]
    OtherPartitions {
        /// How many there were at first.
        kept: i32,
        /// How many there are.
        found: i32,
    },
    /// A topic that has been read is not there.
    #[error(
        "the topic {topic}, partition {partition}, of which the offset {offset} was to be read next, is \
         not there any more, or this user may not see it. Nothing is skipped: {WAY_OUT}"
    )]
    Missing {
        /// The topic.
        topic: String,
        /// The partition number, which no longer is read.
        partition: i32,
        /// What was to be read.
        offset: i64,
    },
    /// What was to be read next is not there.
    #[error(
        "the topic {topic}, partition {partition}: the offset {offset} was to be read next, and \
         there are those from {low} to {high}: {found}. Nothing is skipped: {way_out}"
    )]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition number, which no longer is read.
        partition: i32,
        /// What was to be read.
        offset: i64,
        /// The first offset there is.
        low: i64,
        /// The offset behind the last.
        high: i64,
        /// What must have happened.
        found: &'static str,
        /// What can be done.
        way_out: &'static str,
    },
    /// A topic is another than the one that was read before.
    #[error(
        "the topic {topic}, partition {partition}: at the offset {offset} is not the message that was \
         read there before, so the topic was made anew. Nothing is skipped: {WAY_OUT}"
    )]
    Recreated {
        /// The topic.
        topic: String,
        /// The partition number, which no longer is read.
        partition: i32,
        /// The offset of the message.
        offset: i64,
    },
    /// There are as many dead letters as may be.
    #[error(
        "the topic {topic}, partition {partition}, offset {offset} is a dead letter, and there are \
         {limit} already (limits.dead_letters): replay or remove some (GET /v1/dead-letters), or \
         raise the limit, and start again; it is read again then ({reason})"
    )]
    DeadLettersFull {
        /// The topic.
        topic: String,
        /// The partition number, which no longer is read.
        partition: i32,
        /// The offset of the message.
        offset: i64,
        /// The limit.
        limit: usize,
        /// Why it is a dead letter.
        reason: String,
    },
    /// Events do not fit into columns.
    #[error("events from Kafka do not fit into columns: {0}")]
    Columns(String),
    /// The receiver of inputs is gone: the service is stopping.
    #[error("the source was given up: the service is stopping")]
    Stopped,
}

/// The way out when what was to be read next is another topic's.
pub(super) const WAY_OUT: &str = "if the events that are gone are in the views already and should \
    stay, bring the topic back from its copy; otherwise begin anew (docs/kafka.md, Beginning anew)";

impl SourceError {
    pub(super) fn broker(brokers: &str, doing: impl Into<String>, error: &KafkaError) -> Self {
        let (brokers, doing) = (brokers.to_owned(), doing.into());
        Self::Broker { brokers, doing, reason: error.to_string() }
    }

    /// Whether it may be over when the same is tried again.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Broker { .. })
    }
}

impl From<arrow::error::ArrowError> for SourceError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Columns(error.to_string())
    }
}
