//! What there is in topics, and what is there no more of what was to be read.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::{PATIENCE, Reader};
use crate::kafka::error::{SourceError, WAY_OUT};
use crate::kafka::offsets::Offsets;

/// After how long brokers are asked again when they cannot say yet what there is.
const AGAIN: Duration = Duration::from_millis(100);

impl Reader {
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

    pub(super) fn out_of_range(
        &self,
        topic: &str,
        next: i64,
        low: i64,
        high: i64,
    ) -> Option<SourceError> {
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

    /// Whether an error of the client passes by itself. A topic of which nothing has been taken and
    /// that is not there is let go of: it is none of what this reads.
    pub(in crate::kafka) fn judge(
        &mut self,
        error: &KafkaError,
        offsets: &Offsets,
    ) -> Result<(), SourceError> {
        let code = error.rdkafka_error_code();
        let is_missing = matches!(
            code,
            Some(
                Code::UnknownTopic
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownPartition
                    | Code::UnknownTopicId
            )
        );
        if is_missing && self.leave_missing(offsets)? {
            return Ok(());
        }
        if is_missing || matches!(code, Some(Code::AutoOffsetReset | Code::OffsetOutOfRange)) {
            self.next.keys().try_for_each(|topic| self.check(topic))?;
            return Err(self.failed(format!("reading partition {}", self.partition), error));
        }
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(self.failed(format!("reading partition {}", self.partition), error));
        }
        tracing::warn!(%error, partition = self.partition, "reading from Kafka stalls");
        Ok(())
    }

    /// Lets go of topics of which nothing has been taken and that are not there. Whether there were
    /// such, and all others are there.
    fn leave_missing(&mut self, offsets: &Offsets) -> Result<bool, SourceError> {
        let listed = self.list()?;
        let missing: Vec<String> =
            self.next.keys().filter(|topic| !listed.has(topic)).cloned().collect();
        let (read, unread): (Vec<String>, Vec<String>) =
            missing.into_iter().partition(|topic| offsets.get(topic).is_some());
        for topic in &unread {
            tracing::warn!(
                topic,
                partition = self.partition,
                "there is no such topic, and it is not read"
            );
            self.unassign(topic)?;
            self.next.remove(topic);
            self.paused.retain(|paused| paused != topic);
        }
        Ok(read.is_empty() && !unread.is_empty())
    }

    /// The first offset of a topic, and that behind its last message.
    pub(super) fn watermarks(&self, topic: &str) -> Result<(i64, i64), SourceError> {
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
