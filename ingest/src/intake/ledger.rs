//! What the writer knows: which ids are taken, and how far each tenant has come.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::cast::AsArray;
use arrow::array::{Array, BooleanArray, RecordBatch, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::NaiveDate;
use projections::Tenant;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::known::Known;

/// How far a tenant has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Its events and ticks.
    pub sequence: u64,
    /// Its last recorded date.
    pub date: Option<NaiveDate>,
    /// The newest time of its events, in microseconds.
    pub newest: Option<i64>,
}

/// Hashes of ids.
pub(super) type Seen = HashSet<u128, BuildHasherDefault<LowBits>>;

/// The ids and marks of everything recorded or being recorded.
///
/// An id is kept as 128 bits of SipHash under a key of the log's own: two ids of a log with 10¹⁰
/// events fall together with a probability of 10⁻¹⁹, and a sender cannot aim at it.
pub(crate) struct Ledger {
    hasher: SipHasher13,
    seen: Seen,
    pub(crate) marks: HashMap<Tenant, Marks>,
    /// Tenants that are deleted: nothing of them is taken any more.
    deleted: HashSet<Tenant>,
}

/// Which rows of a batch are new.
pub(super) struct Admitted {
    /// How many.
    pub(super) count: usize,
    /// Which, if not all.
    pub(super) mask: Option<BooleanArray>,
    /// What is new of each tenant.
    pub(super) tenants: Vec<(Tenant, New)>,
}

/// What is new of one tenant.
#[derive(Clone, Copy, Default)]
pub(super) struct New {
    /// How many events.
    pub(super) count: u64,
    /// The newest time among them, in microseconds.
    pub(super) newest: Option<i64>,
}

impl Ledger {
    pub(crate) fn new(key: &[u8; 16], known: Known) -> Self {
        let Known { seen, marks } = known;
        Self { hasher: SipHasher13::new_with_key(key), seen, marks, deleted: HashSet::new() }
    }

    /// Enters the ids of a batch of stored rows of the tenants beside them; notes the new ones in
    /// `entered`.
    pub(super) fn admit(
        &mut self,
        event_type: &str,
        tenants: &UInt32Array,
        rows: &RecordBatch,
        entered: &mut Vec<u128>,
    ) -> Admitted {
        let ids = rows.column(0).as_string::<i32>();
        let times = rows.column(1).as_primitive::<TimestampMicrosecondType>();
        let before = entered.len();
        let mut of_tenants: HashMap<Tenant, New> = HashMap::new();
        let mut is_new = Vec::with_capacity(ids.len());
        let mut from = 0;
        // A tenant's rows often stand together: their prefix is hashed once for each run.
        for run in tenants.values().chunk_by(|a, b| a == b) {
            let (tenant, length) = (Tenant(run[0]), run.len());
            let prefix = self.prefix(tenant, event_type);
            let mut new = New::default();
            for row in from..from + length {
                let hash = hash(&prefix, ids.value(row));
                let is_first = self.seen.insert(hash);
                if is_first {
                    entered.push(hash);
                    new.count += 1;
                    new.newest = new.newest.max(Some(times.value(row)));
                }
                is_new.push(is_first);
            }
            from += length;
            let all = of_tenants.entry(tenant).or_default();
            all.count += new.count;
            all.newest = all.newest.max(new.newest);
        }
        let count = entered.len() - before;
        let mask = (count < is_new.len()).then(|| BooleanArray::from(is_new));
        Admitted { count, mask, tenants: of_tenants.into_iter().collect() }
    }

    /// The hash by which an event is known.
    pub(crate) fn hash(&self, tenant: Tenant, event_type: &str, id: &str) -> u128 {
        hash(&self.prefix(tenant, event_type), id)
    }

    /// Whether the event of that hash has been entered.
    pub(crate) fn has(&self, hash: u128) -> bool {
        self.seen.contains(&hash)
    }

    /// Enters the id and time of an event that is in the log.
    pub(super) fn restore(&mut self, prefix: &SipHasher13, tenant: Tenant, id: &str, time: i64) {
        self.seen.insert(hash(prefix, id));
        let marks = self.marks.entry(tenant).or_default();
        marks.sequence += 1;
        marks.newest = marks.newest.max(Some(time));
    }

    /// Forgets how far a tenant has come, and takes nothing of it any more.
    pub(crate) fn forget(&mut self, tenant: Tenant) {
        self.deleted.insert(tenant);
        self.marks.remove(&tenant);
    }

    /// Whether the tenant was forgotten.
    pub(crate) fn is_deleted(&self, tenant: Tenant) -> bool {
        self.deleted.contains(&tenant)
    }

    /// Takes ids back that were not recorded after all.
    pub(super) fn withdraw(&mut self, entered: &[u128]) {
        for hash in entered {
            self.seen.remove(hash);
        }
    }

    /// The hash of what stands before the id; the length keeps type and id apart.
    pub(super) fn prefix(&self, tenant: Tenant, event_type: &str) -> SipHasher13 {
        prefix(&self.hasher, tenant, event_type)
    }
}

pub(super) fn prefix(hasher: &SipHasher13, tenant: Tenant, event_type: &str) -> SipHasher13 {
    let mut hasher = *hasher;
    hasher.write(&tenant.0.to_le_bytes());
    hasher.write(&(event_type.len() as u32).to_le_bytes());
    hasher.write(event_type.as_bytes());
    hasher
}

pub(super) fn hash(prefix: &SipHasher13, id: &str) -> u128 {
    let mut hasher = *prefix;
    hasher.write(id.as_bytes());
    hasher.finish128().as_u128()
}

/// A hash of what is a hash already: its low bits.
#[derive(Default)]
pub(super) struct LowBits(u64);

impl Hasher for LowBits {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
