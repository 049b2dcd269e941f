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
    /// The offset to be read next. Between it and the message read last there may be what is no
    /// message: the marks of transactions, and what was taken back.
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

    /// Notes that there is no message before `next` any more behind those that have been taken.
    /// Answers whether that is news; of a topic of which nothing has been taken it is none.
    pub(crate) fn advance(&mut self, topic: &str, next: i64) -> bool {
        match self.topics.get_mut(topic) {
            Some(place) if place.next < next => {
                place.next = next;
                true
            }
            _ => false,
        }
    }

    /// Lets go of a topic that is not there any more and not to be read again.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// The topics with the offset of the next message, by name.
    pub fn next(&self) -> impl Iterator<Item = (&str, i64)> {
        self.topics.iter().map(|(topic, place)| (topic.as_str(), place.next))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_no_message_is_passed_and_the_last_message_stays_known() {
        let mut offsets = Offsets::default();
        assert!(!offsets.advance("t", 4), "nothing of it has been taken");
        assert_eq!(offsets.get("t"), None);
        offsets.pass("t", 2, 7);
        assert!(offsets.advance("t", 4));
        assert!(!offsets.advance("t", 4) && !offsets.advance("t", 3));
        assert_eq!(offsets.get("t").unwrap(), Place { next: 4, last: Some((2, 7)) });
        offsets.pass("t", 4, 8);
        assert_eq!(offsets.get("t").unwrap(), Place { next: 5, last: Some((4, 8)) });
        offsets.forget("t");
        assert_eq!(offsets.get("t"), None);
    }
}
