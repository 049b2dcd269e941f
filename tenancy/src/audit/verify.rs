//! Looking for what was done to a chain.

use std::fmt;

use super::{AuditHead, AuditKey, AuditRecord, Chain};
use crate::{Store, StoreError};

/// Records that are read at a time.
const PAGE: u32 = 2_000;
/// Faults that are told of one chain; further ones are counted.
const TOLD: usize = 100;

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There are no records from the first to the second of these places.
    Missing(u64, u64),
    /// The record at this place is not the one that was recorded there: it was altered, or it was
    /// moved here, or what stood before it was exchanged.
    Altered(u64),
    /// There are records, and nothing says where the chain ends.
    NoHead,
    /// What says where the chain ends was not sealed with the key, or was once found not to be when
    /// records came behind it.
    Forged,
    /// It was sealed with the key of this id.
    OtherKey(String),
    /// The last hash is not the one that was sealed.
    OtherEnd,
    /// There are records behind the end, the last at this place.
    Beyond(u64),
    /// The chain is not one that had, at this place, the hash that was noted.
    NotAsNoted(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(from, to) if from == to => write!(f, "record {from} is missing"),
            Self::Missing(from, to) => write!(f, "the records {from} to {to} are missing"),
            Self::Altered(seq) => write!(f, "record {seq} is not what was recorded there"),
            Self::NoHead => write!(f, "the record of where the chain ends is missing"),
            Self::Forged => write!(
                f,
                "the end of the chain is not sealed with this key, or was found so once: nothing \
                 that was recorded since is sealed"
            ),
            Self::OtherKey(id) => write!(
                f,
                "the end of the chain is sealed with another key ({id}); give the one of the nodes \
                 that write it"
            ),
            Self::OtherEnd => write!(f, "the last record is not the one that was sealed"),
            Self::Beyond(seq) => write!(f, "there are records behind the end, up to {seq}"),
            Self::NotAsNoted(seq) => {
                write!(f, "record {seq} does not have the hash that was noted earlier")
            }
        }
    }
}

/// What a look through a chain has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many records the sealed end says there are.
    pub records: u64,
    /// The hash of the last.
    pub hash: [u8; 32],
    /// What is wrong, at most a hundred of them, in the order of the chain.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub count: usize,
}

/// A hash that was noted earlier, elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The place of the record.
    pub seq: u64,
    /// The hash that it had.
    pub hash: [u8; 32],
}

/// Looks through a chain from its first record to its end, and compares it with what was noted
/// earlier. The service may run meanwhile: what it adds behind the end is not looked at.
pub async fn verify(
    store: &Store,
    key: &AuditKey,
    chain: Chain,
    anchors: &[Anchor],
) -> Result<Verdict, StoreError> {
    let head = store.audit_head(chain).await?;
    let end = head.as_ref().map_or(0, |head| head.seq);
    let mut walk = Walk::new(chain, anchors);
    loop {
        let records = store.audit_after(chain, walk.seq, end, PAGE).await?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            walk.take(record);
        }
    }
    // Read before the new end, which is therefore at or behind it.
    let last = store.audit_last(chain).await?;
    let later = store.audit_head(chain).await?;
    Ok(walk.finish(key, head.as_ref(), last, later.map_or(0, |head| head.seq)))
}

/// The way through a chain.
struct Walk<'a> {
    chain: Chain,
    anchors: &'a [Anchor],
    seq: u64,
    hash: [u8; 32],
    faults: Vec<Fault>,
    count: usize,
}

impl<'a> Walk<'a> {
    fn new(chain: Chain, anchors: &'a [Anchor]) -> Self {
        Self { chain, anchors, seq: 0, hash: [0; 32], faults: Vec::new(), count: 0 }
    }

    fn found(&mut self, fault: Fault) {
        self.count += 1;
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }

    fn take(&mut self, record: &AuditRecord) {
        let is_next = record.seq == self.seq + 1;
        if !is_next {
            self.found(Fault::Missing(self.seq + 1, record.seq.saturating_sub(1)));
        }
        // Behind a gap the hash before is not known, and the record is taken as it is.
        if is_next && record.digest(self.chain, &self.hash) != record.hash {
            self.found(Fault::Altered(record.seq));
        }
        let noted = self.anchors.iter().find(|anchor| anchor.seq == record.seq);
        if noted.is_some_and(|anchor| anchor.hash != record.hash) {
            self.found(Fault::NotAsNoted(record.seq));
        }
        (self.seq, self.hash) = (record.seq, record.hash);
    }

    fn finish(
        mut self,
        key: &AuditKey,
        head: Option<&AuditHead>,
        last: u64,
        later: u64,
    ) -> Verdict {
        let records = head.map_or(0, |head| head.seq);
        match head {
            None if last > 0 => self.found(Fault::NoHead),
            None => {}
            Some(head) => {
                if self.seq < head.seq {
                    self.found(Fault::Missing(self.seq + 1, head.seq));
                } else if self.hash != head.hash {
                    self.found(Fault::OtherEnd);
                }
                if head.key_id != key.id() {
                    self.found(Fault::OtherKey(head.key_id.clone()));
                } else if !key.holds(self.chain, head) {
                    self.found(Fault::Forged);
                }
                if last > later {
                    self.found(Fault::Beyond(last));
                }
            }
        }
        for anchor in self.anchors.iter().filter(|anchor| anchor.seq > records) {
            self.found(Fault::Missing(records + 1, anchor.seq));
        }
        Verdict { records, hash: self.hash, faults: self.faults, count: self.count }
    }
}
