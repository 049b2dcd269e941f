//! One partition number over all topics, read from given offsets.

mod ends;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::error::SourceError;
use super::offsets::{Offsets, Place};
use super::settings::KafkaSettings;
use super::topics::Listed;
use super::watch::{Seen, Watch};

/// Messages that one poll brings at most …
const POLL_MESSAGES: usize = 1 << 14;
/// … and bytes, of which the last message may bring more.
const POLL_BYTES: usize = 8 << 20;
/// How long brokers may take to say what there is in a topic.
const PATIENCE: Duration = Duration::from_secs(5);

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
    prefix: String,
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
        let consumer: Client = settings
            .consumer()
            .create_with_context(Watch::new(partition))
            .map_err(|error| SourceError::Setup(error.to_string()))?;
        Ok(Self {
            consumer: Arc::new(consumer),
            brokers: settings.brokers.clone(),
            prefix: settings.topic_prefix.clone(),
            partition,
            next: BTreeMap::new(),
            seen: HashMap::new(),
            paused: Vec::new(),
        })
    }

    /// The topics that the brokers list by now.
    pub(crate) fn list(&self) -> Result<Listed, SourceError> {
        let metadata = (self.consumer.fetch_metadata(None, PATIENCE))
            .map_err(|error| self.failed("listing the topics", &error))?;
        Ok(Listed::of(&metadata, &self.prefix))
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
            let from = match offsets.get(topic) {
                None => Offset::Beginning,
                Some(place) => Offset::Offset(self.begin(topic, place)?.0),
            };
            list.add_partition_offset(topic, self.partition, from)
                .map_err(|error| self.failed("assigning topics", &error))?;
        }
        for place in list.elements() {
            let next = offsets.get(place.topic()).map_or(0, |place| place.next);
            self.next.insert(place.topic().to_owned(), next);
        }
        self.assign(&list)
    }

    fn assign(&self, list: &TopicPartitionList) -> Result<(), SourceError> {
        self.consumer
            .incremental_assign(list)
            .map_err(|error| self.failed("assigning topics", &error))
    }

    fn unassign(&self, topic: &str) -> Result<(), SourceError> {
        self.consumer
            .incremental_unassign(&self.only(topic))
            .map_err(|error| self.failed("leaving a topic", &error))
    }

    /// Where to begin in a topic of which something has been read, and whether that is with the
    /// message read last, as a check.
    fn begin(&mut self, topic: &str, place: Place) -> Result<(i64, bool), SourceError> {
        let (low, high) = self.watermarks(topic)?;
        if let Some(error) = self.out_of_range(topic, place.next, low, high) {
            return Err(error);
        }
        match place.last.filter(|(offset, _)| *offset >= low) {
            Some(seen) => {
                self.seen.insert(topic.to_owned(), seen);
                Ok((seen.0, true))
            }
            None => Ok((place.next, false)),
        }
    }

    /// Has the message that was read last in each of these topics, which were made anew, read again
    /// before anything else of them. One of which nothing has been taken is read from its beginning.
    ///
    /// # Errors
    /// What is there by now is not what was read before.
    fn check_again(
        &mut self,
        topics: &BTreeSet<String>,
        offsets: &Offsets,
    ) -> Result<(), SourceError> {
        for topic in topics {
            if !self.next.contains_key(topic) {
                continue;
            }
            tracing::warn!(topic, partition = self.partition, "the topic was made anew");
            self.unassign(topic)?;
            let from = match offsets.get(topic) {
                None => {
                    self.next.insert(topic.clone(), 0);
                    Offset::Beginning
                }
                Some(place) => {
                    let (from, is_check) = self.begin(topic, place)?;
                    if !is_check {
                        return Err(self.recreated(topic, place.next - 1));
                    }
                    Offset::Offset(from)
                }
            };
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(topic, self.partition, from)
                .map_err(|error| self.failed("assigning topics", &error))?;
            self.assign(&list)?;
            if self.paused.contains(topic) {
                let list = self.only(topic);
                self.consumer
                    .pause(&list)
                    .map_err(|error| self.failed("pausing a topic", &error))?;
            }
        }
        Ok(())
    }

    fn recreated(&self, topic: &str, offset: i64) -> SourceError {
        let (topic, partition) = (topic.to_owned(), self.partition);
        SourceError::Recreated { topic, partition, offset }
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

    /// What has come by then from this reader's client, at least one message unless the time is over;
    /// `offsets` is what has been taken before.
    ///
    /// # Errors
    /// This partition number cannot be read any further; what came is to be read again from `offsets`.
    pub(crate) fn poll<'c>(
        &mut self,
        client: &'c Client,
        offsets: &Offsets,
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
                Some(Err(error)) => self.judge(&error, offsets)?,
            }
        }
        let anew = self.consumer.context().take_anew();
        if !anew.is_empty() {
            self.check_again(&anew, offsets)?;
            // They may be of either; those that stay come again.
            messages.retain(|message| !anew.contains(message.topic()));
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
        if let Some((at, seen)) = self.seen.remove(topic) {
            // What was read once stays in its place for as long as its topic goes back so far.
            if at != offset || mark() != seen {
                return Err(self.recreated(topic, at));
            }
            return Ok(true);
        }
        match self.next.get_mut(topic) {
            Some(next) if offset < *next => return Ok(true),
            Some(next) => *next = offset + 1,
            None => {
                self.next.insert(topic.to_owned(), offset + 1);
            }
        }
        Ok(false)
    }

    /// For each topic in `offsets` that is not paused, the offset before which there is no message any
    /// more that was not polled: behind the last one there may be marks of transactions, and what
    /// was taken back.
    pub(crate) fn positions(
        &mut self,
        offsets: &Offsets,
    ) -> Result<Vec<(String, i64)>, SourceError> {
        let list = (self.consumer.position())
            .map_err(|error| self.failed("asking the client for its positions", &error))?;
        let mut positions = Vec::new();
        for place in list.elements() {
            let topic = place.topic();
            let is_checked = self.seen.contains_key(topic);
            let is_paused = self.paused.iter().any(|paused| paused == topic);
            if is_checked || is_paused || offsets.get(topic).is_none() {
                continue;
            }
            if let Offset::Offset(position) = place.offset()
                && let Some(next) = self.next.get_mut(topic)
            {
                *next = position.max(*next);
                positions.push((topic.to_owned(), position));
            }
        }
        Ok(positions)
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

    /// How many offsets of the topics are not in `offsets`, what has been taken, as the client has
    /// last counted.
    pub(crate) fn lag(&self, offsets: &Offsets) -> Option<i64> {
        let seen = self.consumer.context().seen();
        let behind = |(topic, seen): (&String, &Seen)| {
            if !self.next.contains_key(topic) {
                return 0;
            }
            let is_done = seen.waiting == 0 && seen.fetched >= seen.end;
            match offsets.get(topic) {
                Some(place) => (seen.end - place.next).max(0),
                // There was nothing in it, or marks of transactions alone.
                None if is_done && !self.paused.contains(topic) => 0,
                None => seen.end - seen.begin.max(0),
            }
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

    fn only(&self, topic: &str) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, self.partition);
        list
    }

    /// A topic that is there cannot be read at this moment.
    pub(crate) fn unwell(&self, topic: &str) -> SourceError {
        SourceError::Broker {
            brokers: self.brokers.clone(),
            doing: format!("looking at {topic}"),
            reason: "they do not say how many partitions it has".to_owned(),
        }
    }

    fn failed(&self, doing: impl Into<String>, error: &KafkaError) -> SourceError {
        SourceError::broker(&self.brokers, doing, error)
    }
}

/// What identifies a message: a CRC-32 of its timestamp, key and value.
pub(crate) fn mark(timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&timestamp.to_le_bytes());
    crc.update(key.unwrap_or_default());
    crc.update(value.unwrap_or_default());
    crc.finalize()
}
