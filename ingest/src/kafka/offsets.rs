//! How far a partition number has been read in each topic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// For each topic the place in it up to which everything has been taken; a topic that is not there
/// has not been read. The partition number is that of the reader it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets {
    topics: BTreeMap<String, Place>,
}

/// A place in one partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The offset of the message to be read next.
    pub next: i64,
    /// The message read last, by which a topic that was made anew is told: its offset, and the
    /// CRC-32 of its timestamp, key and value.
    pub last: Option<(i64, u32)>,
}

impl Offsets {
    /// The place in a topic; none if nothing of it has been read.
    pub fn get(&self, topic: &str) -> Option<Place> {
        self.topics.get(topic).copied()
    }

    /// Notes that a message has been taken.
    pub(crate) fn pass(&mut self, topic: &str, offset: i64, mark: u32) {
        let place = Place { next: offset + 1, last: Some((offset, mark)) };
        match self.topics.get_mut(topic) {
            Some(before) => *before = place,
            None => {
                self.topics.insert(topic.to_owned(), place);
            }
        }
    }

    /// The topics with the offset of the next message, by name.
    pub fn next(&self) -> impl Iterator<Item = (&str, i64)> {
        self.topics.iter().map(|(topic, place)| (topic.as_str(), place.next))
    }
}
