//! One partition number over all topics, read from given offsets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::{Offset, TopicPartitionList};

use super::error::{SourceError, WAY_OUT};
use super::offsets::Offsets;
use super::settings::KafkaSettings;

/// Messages that one poll brings at most …
const POLL_MESSAGES: usize = 1 << 14;
/// … and bytes, of which the last message may bring more.
const POLL_BYTES: usize = 8 << 20;
/// How long brokers may take to say what there is in a topic.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long they are asked again when they cannot say it yet.
const AGAIN: Duration = Duration::from_millis(100);

/// Kafka's client; messages live in its memory.
pub(crate) type Client = BaseConsumer<Watch>;

/// A reader of one partition number.
///
/// What is not polled waits in the client's queues, which are bounded and fetch no more once they
/// are full: a slow partition slows its fetching, without pausing, which would throw away what is
/// there already. The topics are assigned, not subscribed to, so nothing is lost by polling late.
pub(crate) struct Reader {
    consumer: Arc<Client>,
    brokers: String,
    partition: i32,
    /// For each topic that is read, the offset of the next message.
    next: BTreeMap<String, i64>,
    /// Messages that were read before, and are read again to see that the topic is still the same.
    seen: HashMap<String, (i64, u32)>,
    /// Topics that are not read for now.
    paused: Vec<String>,
}

impl Reader {
    /// A reader of that partition number, which reads nothing yet.
    pub(crate) fn new(settings: &KafkaSettings, partition: i32) -> Result<Self, SourceError> {
        let watch = Watch { partition, topics: Mutex::default() };
        let consumer: Client = settings
            .consumer()
            .create_with_context(watch)
            .map_err(|error| SourceError::Setup(error.to_string()))?;
        Ok(Self {
            consumer: Arc::new(consumer),
            brokers: settings.brokers.clone(),
            partition,
            next: BTreeMap::new(),
            seen: HashMap::new(),
            paused: Vec::new(),
        })
    }

    /// Reads these topics too: each from its offset, or from its beginning if it has none.
    ///
    /// # Errors
    /// What is to be read next is not there any more, or not there yet.
    pub(crate) fn read(&mut self, topics: &[String], offsets: &Offsets) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            if self.next.contains_key(topic) {
                continue;
            }
            let from = self.begin(topic, offsets)?;
            list.add_partition_offset(topic, self.partition, from)
                .map_err(|error| self.failed("assigning topics", &error))?;
        }
        for place in list.elements() {
            let next = offsets.get(place.topic()).map_or(0, |place| place.next);
            self.next.insert(place.topic().to_owned(), next);
        }
        self.consumer
            .incremental_assign(&list)
            .map_err(|error| self.failed("assigning topics", &error))
    }

    /// Where to begin in a topic.
    fn begin(&mut self, topic: &str, offsets: &Offsets) -> Result<Offset, SourceError> {
        let Some(place) = offsets.get(topic) else { return Ok(Offset::Beginning) };
        let (low, high) = self.watermarks(topic)?;
        if let Some(error) = self.out_of_range(topic, place.next, low, high) {
            return Err(error);
        }
        match place.last.filter(|(offset, _)| *offset >= low) {
            Some(seen) => {
                self.seen.insert(topic.to_owned(), seen);
                Ok(Offset::Offset(seen.0))
            }
            None => Ok(Offset::Offset(place.next)),
        }
    }

    /// The offset behind the last message of each of these topics. To be asked before anything is
    /// read: a broker answers nothing else on a connection on which a fetch waits for messages.
    pub(crate) fn ends(&self, topics: &[String]) -> Result<Vec<(String, i64)>, SourceError> {
        topics.iter().map(|topic| Ok((topic.clone(), self.watermarks(topic)?.1))).collect()
    }

    /// The client, in whose memory the messages are that [`Reader::poll`] brings.
    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.consumer)
    }

    /// What has come by then from this reader's client, at least one message unless the time is over.
    ///
    /// # Errors
    /// This partition number cannot be read any further.
    pub(crate) fn poll<'c>(
        &self,
        client: &'c Client,
        wait: Duration,
    ) -> Result<Vec<BorrowedMessage<'c>>, SourceError> {
        let until = Instant::now() + wait;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while messages.len() < POLL_MESSAGES && bytes < POLL_BYTES {
            let wait = if messages.is_empty() {
                until.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match client.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    bytes += message.payload_len() + message.key_len();
                    messages.push(message);
                }
                Some(Err(error)) => self.judge(&error)?,
            }
        }
        Ok(messages)
    }

    /// Whether a message was read before and is read again as a check; counts it otherwise.
    ///
    /// # Errors
    /// It is another than the one before.
    pub(crate) fn is_repeat(
        &mut self,
        topic: &str,
        offset: i64,
        mark: impl FnOnce() -> u32,
    ) -> Result<bool, SourceError> {
        if let Some((at, seen)) = self.seen.remove(topic)
            && at == offset
        {
            if mark() == seen {
                return Ok(true);
            }
            let (topic, partition) = (topic.to_owned(), self.partition);
            return Err(SourceError::Recreated { topic, partition, offset });
        }
        match self.next.get_mut(topic) {
            Some(next) => *next = offset + 1,
            None => {
                self.next.insert(topic.to_owned(), offset + 1);
            }
        }
        Ok(false)
    }

    /// Reads no more of a topic for now.
    pub(crate) fn pause(&mut self, topic: &str) -> Result<(), SourceError> {
        if self.paused.iter().any(|paused| paused == topic) {
            return Ok(());
        }
        let list = self.only(topic);
        self.consumer.pause(&list).map_err(|error| self.failed("pausing a topic", &error))?;
        self.paused.push(topic.to_owned());
        Ok(())
    }

    /// Reads on in a topic.
    pub(crate) fn resume(&mut self, topic: &str) -> Result<(), SourceError> {
        let list = self.only(topic);
        self.paused.retain(|paused| paused != topic);
        self.consumer.resume(&list).map_err(|error| self.failed("resuming a topic", &error))
    }

    /// The topics that are not read for now.
    pub(crate) fn paused(&self) -> &[String] {
        &self.paused
    }

    /// Tells the group how far this has come, for outside tools. Nobody reads it back here.
    pub(crate) fn commit(&self, offsets: &Offsets) {
        let mut list = TopicPartitionList::new();
        for (topic, next) in offsets.next() {
            if let Err(error) =
                list.add_partition_offset(topic, self.partition, Offset::Offset(next))
            {
                tracing::warn!(%error, topic, "the offset cannot be told to the group");
            }
        }
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::warn!(%error, partition = self.partition, "the offsets cannot be told to the group");
        }
    }

    /// How many offsets the topics are behind together, as the client has last counted.
    pub(crate) fn lag(&self) -> Option<i64> {
        let seen = self.consumer.context().seen();
        let behind = |(topic, seen): (&String, &Seen)| match self.next.get(topic) {
            // Behind the last message may be marks of transactions, which are no messages.
            Some(next) if seen.waiting > 0 || seen.fetched < seen.end => (seen.end - next).max(0),
            _ => 0,
        };
        seen.as_ref().map(|topics| topics.iter().map(behind).sum())
    }

    /// Whether everything of a topic before `end` has been read, if nothing waits in the client.
    pub(crate) fn has_reached(&self, topic: &str, end: i64) -> bool {
        if end == 0 || self.next.get(topic).is_some_and(|next| *next >= end) {
            return true;
        }
        let seen = self.consumer.context().seen();
        seen.as_ref()
            .and_then(|topics| topics.get(topic))
            .is_some_and(|seen| seen.waiting == 0 && seen.fetched >= end)
    }

    /// Topics that end before what is to be read next, by the client's last statistics.
    pub(crate) fn check_ends(&self) -> Result<(), SourceError> {
        let shrunk: Vec<String> = {
            let seen = self.consumer.context().seen();
            let ends = seen.iter().flatten();
            ends.filter(|(topic, seen)| seen.polled > seen.end && self.next.contains_key(*topic))
                .map(|(topic, _)| topic.clone())
                .collect()
        };
        shrunk.iter().try_for_each(|topic| match self.check(topic) {
            // Brokers that do not answer say nothing of the topic; it is looked at again.
            Err(error @ SourceError::Broker { .. }) => {
                tracing::warn!(%error, "the end of a topic is not known");
                Ok(())
            }
            checked => checked,
        })
    }

    fn check(&self, topic: &str) -> Result<(), SourceError> {
        let next = self.next.get(topic).copied().unwrap_or_default();
        let (low, high) = self.watermarks(topic)?;
        // A topic that is read from its beginning has no offset yet.
        let next = if next == 0 { low } else { next };
        self.out_of_range(topic, next, low, high).map_or(Ok(()), Err)
    }

    fn out_of_range(&self, topic: &str, next: i64, low: i64, high: i64) -> Option<SourceError> {
        if (low..=high).contains(&next) {
            return None;
        }
        let (found, way_out) = if next > high {
            ("the topic has become shorter, or was made anew", WAY_OUT)
        } else {
            (
                "the messages between were removed before they were read",
                "raise the topic's retention; what is missing must be sent again, and the \
                 checkpoints removed, so that the topic is read from its beginning",
            )
        };
        let (topic, partition) = (topic.to_owned(), self.partition);
        Some(SourceError::OutOfRange { topic, partition, offset: next, low, high, found, way_out })
    }

    /// Whether an error of the client passes by itself.
    fn judge(&self, error: &KafkaError) -> Result<(), SourceError> {
        let code = error.rdkafka_error_code();
        let lost = matches!(
            code,
            Some(
                Code::AutoOffsetReset
                    | Code::OffsetOutOfRange
                    | Code::UnknownTopic
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownPartition
                    | Code::UnknownTopicId
            )
        );
        if lost {
            self.next.keys().try_for_each(|topic| self.check(topic))?;
            return Err(self.failed(format!("reading partition {}", self.partition), error));
        }
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(self.failed(format!("reading partition {}", self.partition), error));
        }
        tracing::warn!(%error, partition = self.partition, "reading from Kafka stalls");
        Ok(())
    }

    fn watermarks(&self, topic: &str) -> Result<(i64, i64), SourceError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.consumer.fetch_watermarks(topic, self.partition, PATIENCE) {
                Ok(watermarks) => return Ok(watermarks),
                // A topic that was just made has no leader yet, and a leader may be changing.
                Err(error) if passes(&error) && Instant::now() < until => {
                    std::thread::sleep(AGAIN);
                }
                Err(error) => {
                    return Err(self.failed(format!("asking for the offsets of {topic}"), &error));
                }
            }
        }
    }

    fn only(&self, topic: &str) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, self.partition);
        list
    }

    fn failed(&self, doing: impl Into<String>, error: &KafkaError) -> SourceError {
        SourceError::broker(&self.brokers, doing, error)
    }
}

/// Whether an error of the brokers is one that passes by itself.
fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::RequestTimedOut
        )
    )
}

/// What identifies a message: a CRC-32 of its timestamp, key and value.
pub(crate) fn mark(timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&timestamp.to_le_bytes());
    crc.update(key.unwrap_or_default());
    crc.update(value.unwrap_or_default());
    crc.finalize()
}

/// What the client says beside messages.
pub(crate) struct Watch {
    partition: i32,
    /// The topics by the client's last statistics, if it has made some.
    topics: Mutex<Option<HashMap<String, Seen>>>,
}

/// A topic as the client sees it.
struct Seen {
    /// The offset that is fetched next.
    fetched: i64,
    /// Messages that are fetched and not polled.
    waiting: i64,
    /// The offset behind the last message that was polled.
    polled: i64,
    /// The offset behind the last committed message.
    end: i64,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Option<HashMap<String, Seen>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, partition = self.partition, "Kafka's client");
    }

    fn stats(&self, statistics: Statistics) {
        let topics = statistics.topics.into_iter().filter_map(|(name, topic)| {
            let of = topic.partitions.get(&self.partition)?;
            let seen = Seen {
                fetched: of.next_offset,
                waiting: of.fetchq_cnt,
                polled: of.app_offset,
                end: of.ls_offset,
            };
            (seen.end >= 0).then_some((name, seen))
        });
        let topics = topics.collect();
        *self.seen() = Some(topics);
    }
}

impl ConsumerContext for Watch {}
