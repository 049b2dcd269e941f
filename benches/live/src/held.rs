//! What a client holds of a subscription, as a digest: the rows themselves would be as large as
//! the views, fifty thousand times.

use std::hash::{DefaultHasher, Hasher};

use crate::json;

/// A sum over rows that does not depend on their order: what comes is added, what goes is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) sum: u64,
    pub(crate) rows: i64,
}

impl Digest {
    /// So many more of a row, as its JSON.
    pub(crate) fn add(&mut self, row: &[u8], weight: i64) {
        let mut hasher = DefaultHasher::new();
        hasher.write(row);
        self.sum = self.sum.wrapping_add(hasher.finish().wrapping_mul(weight as u64));
        self.rows += weight;
    }

    /// Adds each row of an array, once.
    pub(crate) fn add_rows(&mut self, rows: &[u8]) {
        for row in json::elements(rows) {
            self.add(row, 1);
        }
    }
}

/// What a client holds of one subscription.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) digest: Digest,
    /// Of a snapshot that has not come whole.
    partial: Digest,
    /// Whether it holds the view: after a whole snapshot or a `resumed`, until a `reset` or the end of
    /// its connection.
    pub(crate) is_held: bool,
    /// What a WebSocket resumes it from.
    pub(crate) position: Option<Box<str>>,
}

/// The members of a message that matter here.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) kind: &'a [u8],
    /// The number of the subscription.
    pub(crate) id: Option<usize>,
    position: Option<&'a [u8]>,
    content: &'a [u8],
    is_last: bool,
}

impl<'a> Message<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Self {
        let mut found = Self::default();
        for (name, value) in json::members(message) {
            match name {
                b"type" => found.kind = json::text(value).unwrap_or_default(),
                b"id" => found.id = json::text(value).and_then(number),
                b"position" => found.position = json::text(value),
                b"rows" | b"changes" => found.content = value,
                b"last" => found.is_last = value == b"true",
                _ => {}
            }
        }
        found
    }
}

impl Held {
    /// One that held rows of this digest when its stream was cut off.
    pub(crate) fn before(digest: Digest) -> Self {
        Self { digest, ..Self::default() }
    }

    /// Takes a message of its subscription; `came` is told the first value of every row that comes
    /// by a delta. False if the message has no place here.
    pub(crate) fn take(&mut self, message: &Message<'_>, mut came: impl FnMut(&[u8])) -> bool {
        let position = message.position.and_then(|position| std::str::from_utf8(position).ok());
        match message.kind {
            b"snapshot" => {
                self.partial.add_rows(message.content);
                if !message.is_last {
                    return true;
                }
                self.digest = std::mem::take(&mut self.partial);
                self.is_held = true;
            }
            b"delta" if self.is_held => {
                for change in json::elements(message.content) {
                    let mut parts = json::elements(change);
                    let (weight, row) = (parts.next().and_then(integer), parts.next());
                    let (Some(weight), Some(row)) = (weight, row) else { return false };
                    self.digest.add(row, weight);
                    if weight > 0
                        && let Some(first) = json::elements(row).next()
                    {
                        came(first);
                    }
                }
            }
            b"resumed" => self.is_held = true,
            b"reset" => *self = Self::default(),
            _ => return false,
        }
        self.position = position.map(Box::from);
        true
    }

    /// Its connection is gone: what it held at its position is kept, for whether it goes on from there
    /// is said by `resumed`.
    pub(crate) fn cut_off(&mut self) {
        self.is_held = false;
        self.partial = Digest::default();
        if self.position.is_none() {
            self.digest = Digest::default();
        }
    }
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_and_its_deltas_come_to_the_rows() {
        let mut held = Held::default();
        let mut firsts = Vec::new();
        for message in [
            r#"{"type":"snapshot","id":"0","position":"p","columns":[],"key":[],"rows":[["a",1]],"last":false}"#,
            r#"{"type":"snapshot","id":"0","position":"p","columns":[],"key":[],"rows":[["b",1]],"last":true}"#,
            r#"{"type":"delta","id":"0","position":"q","changes":[[-1,["a",1]],[1,["a",2]],[1,["c",1]]]}"#,
        ] {
            let message = Message::parse(message.as_bytes());
            assert_eq!(message.id, Some(0));
            assert!(held.take(&message, |first| firsts.push(first.to_vec())));
        }
        let mut rows = Digest::default();
        rows.add_rows(br#"[["c",1], ["b",1], ["a",2]]"#);
        assert_eq!((held.digest, held.position.as_deref()), (rows, Some("q")));
        assert_eq!(firsts, [b"\"a\"", b"\"c\""]);
        assert_eq!(rows.rows, 3);
        let reset = Message::parse(br#"{"type":"reset","id":"0","reason":"r"}"#);
        assert!(held.take(&reset, |_| {}));
        let delta = Message::parse(br#"{"type":"delta","id":"0","position":"q","changes":[]}"#);
        assert!(!held.take(&delta, |_| {}), "nothing is held that could change");
    }
}
