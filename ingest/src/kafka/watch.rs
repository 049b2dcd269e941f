//! What Kafka's client says beside messages: how far it is in each topic, and which topics have become
//! others.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

/// The id of a topic of which the client knows none yet, as it writes ids.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// What the client of one partition number has said.
pub(crate) struct Watch {
    partition: i32,
    /// The topics by the client's last statistics, if it has made some.
    topics: Mutex<Option<HashMap<String, Seen>>>,
    /// Topics that have become others since they were asked for.
    anew: Mutex<BTreeSet<String>>,
}

/// A topic as the client sees it.
pub(super) struct Seen {
    /// The offset that is fetched next.
    pub(super) fetched: i64,
    /// Messages that are fetched and not polled.
    pub(super) waiting: i64,
    /// The offset behind the last message that was polled.
    pub(super) polled: i64,
    /// The first offset there is, if it is known.
    pub(super) begin: i64,
    /// The offset behind the last committed message.
    pub(super) end: i64,
}

impl Watch {
    pub(super) fn new(partition: i32) -> Self {
        Self { partition, topics: Mutex::default(), anew: Mutex::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Option<HashMap<String, Seen>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topics that were made anew since this was asked last, with another id under their name.
    /// What is polled after the client has learned of it may be of the new one.
    pub(super) fn take_anew(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.anew.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some(topic) = made_anew(message) {
            self.anew.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned());
        } else if !matches!(level, RDKafkaLogLevel::Debug) {
            super::log(level, facility, message);
        }
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
                begin: of.lo_offset,
                end: of.ls_offset,
            };
            (seen.end >= 0).then_some((name, seen))
        });
        let topics = topics.collect();
        *self.seen() = Some(topics);
    }
}

impl ConsumerContext for Watch {}

/// The topic that has another id by now, if the client says so. It goes on reading such a topic at the
/// offset of the former one, and tells it nowhere but in its log (`debug` in the settings).
fn made_anew(message: &str) -> Option<&str> {
    let (before, ids) = message.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (former, _) = ids.split_once(" to ")?;
    (former != NO_ID).then_some(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_with_another_id_is_told_from_one_that_is_met_first() {
        let line = |former: &str| {
            format!("[thrd:main]: Topic t.a.b changed id from {former} to q1Cu0ONPQdC4eYmqWqDyhw")
        };
        assert_eq!(made_anew(&line("Yb1Cu0ONPQdC4eYmqWqDyg")), Some("t.a.b"));
        assert_eq!(made_anew(&line(NO_ID)), None);
        assert_eq!(made_anew("[thrd:main]: Topic t.a.b [0] Leader 1 Epoch 0"), None);
    }
}
