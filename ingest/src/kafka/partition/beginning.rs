//! How the reading of a partition begins: with all topics that there are, after brokers were away, and
//! until all has been read that was there at the start.

use std::thread;
use std::time::{Duration, Instant};

use super::{Intake, POLL};
use crate::kafka::error::SourceError;
use crate::kafka::reader::Reader;
use crate::kafka::topics::{Listed, agree};

/// How long brokers that do not answer are left alone.
const BROKERS_AGAIN: Duration = Duration::from_secs(1);
/// How long a partition that is being taken waits for topics whose next message has an unknown schema.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(5);
/// How long topics that should be there are waited for: what was just made is not listed at once.
const LISTED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks for them.
const LIST_AGAIN: Duration = Duration::from_millis(200);

impl Intake {
    /// Begins to read all topics that there are by now, each from its place.
    pub(super) fn begin(&mut self) -> Result<(), SourceError> {
        let topics: Vec<String> = self.find()?.topics.into_keys().collect();
        if !*self.shared.is_caught_up.borrow() {
            self.ends = self.reader.ends(&topics)?;
        }
        self.reader.read(&topics, &self.offsets)?;
        // The others are asked for again when they are there.
        self.asked.clear();
        Ok(())
    }

    /// Begins with another client from what has been taken: what the former one has read beyond it is
    /// read again.
    pub(super) fn begin_again(&mut self) -> Result<(), SourceError> {
        self.reader = Reader::new(&self.settings, self.translator.partition.0)?;
        self.held.clear();
        self.begin()
    }

    /// Leaves brokers that do not answer alone for a while, in which dates are recorded all the same.
    pub(super) fn rest(&mut self) -> Result<(), SourceError> {
        let until = Instant::now() + BROKERS_AGAIN;
        while Instant::now() < until {
            self.commands()?;
            if self.shared.is_closing() {
                return Err(SourceError::Stopped);
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Says that all has been read that was there at the start, if so. A topic whose next message has
    /// a schema that is not to be had is not waited for longer than a while: the registry may be
    /// away for long.
    pub(super) fn catch_up(&mut self, is_idle: bool) {
        if is_idle {
            let reader = &self.reader;
            self.ends.retain(|(topic, end)| !reader.has_reached(topic, *end));
        }
        let has_waited = self.waiting_since.is_some_and(|since| since.elapsed() >= SCHEMA_PATIENCE);
        let is_left = |topic: &String| has_waited && self.reader.paused().contains(topic);
        let is_read = self.ends.iter().all(|(topic, _)| is_left(topic));
        if is_read && (self.held.is_empty() || has_waited) {
            if !self.held.is_empty() {
                let (topics, partition) = (self.reader.paused(), self.translator.partition.0);
                tracing::warn!(
                    ?topics,
                    partition,
                    "the partition is served without what waits for its schema"
                );
            }
            self.shared.is_caught_up.send_replace(true);
        }
    }

    /// The topics that the brokers list, once those are among them that should be there.
    fn find(&mut self) -> Result<Listed, SourceError> {
        let until = Instant::now() + LISTED_WITHIN;
        loop {
            let listed = self.reader.list()?;
            agree(&listed.topics, self.translator.partition.1)?;
            let is_listed = |topic: &str| listed.topics.contains_key(topic);
            let is_whole = self.offsets.next().all(|(topic, _)| is_listed(topic))
                && self.asked.iter().all(|topic| is_listed(topic));
            if is_whole || self.shared.is_closing() {
                return Ok(listed);
            }
            if Instant::now() >= until {
                self.let_go(&listed)?;
                return Ok(listed);
            }
            thread::sleep(LIST_AGAIN);
        }
    }

    /// Lets go of the topics that are not there, of types that nobody has any more.
    ///
    /// # Errors
    /// Another topic is not there of which something has been taken.
    fn let_go(&mut self, listed: &Listed) -> Result<(), SourceError> {
        let partition = self.translator.partition.0;
        let places = self.offsets.next().filter(|(topic, _)| !listed.topics.contains_key(*topic));
        let missing: Vec<(String, i64)> =
            places.map(|(topic, next)| (topic.to_owned(), next)).collect();
        for (topic, offset) in missing {
            if listed.has(&topic) {
                return Err(self.reader.unwell(&topic));
            }
            if self.is_of_a_type(&topic) {
                return Err(SourceError::Missing { topic, partition, offset });
            }
            tracing::warn!(topic, partition, "the topic is gone, and so is its type");
            self.offsets.forget(&topic);
        }
        self.remember();
        Ok(())
    }

    /// Whether anybody has the type of a topic. One with another prefix may be of any.
    fn is_of_a_type(&self, topic: &str) -> bool {
        let name = topic.strip_prefix(&self.translator.prefix);
        name.is_none_or(|name| self.translator.types.has(name))
    }
}
