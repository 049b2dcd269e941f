//! What a checkpoint knows of events: the hashes of their ids, and each tenant's newest.

use std::collections::{BTreeMap, HashMap};

use arrow::array::cast::AsArray;
use arrow::array::{Array, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use projections::Tenant;
use siphasher::sip128::SipHasher13;

use super::ledger::{Marks, Seen, hash, prefix};

/// What came before the rows of the log that an intake replays at its start.
#[derive(Default)]
pub struct Known {
    pub(super) seen: Seen,
    pub(super) marks: HashMap<Tenant, Marks>,
}

impl Known {
    /// Nothing yet, with room for so many ids.
    pub fn with_capacity(ids: usize) -> Self {
        let seen = Seen::with_capacity_and_hasher(ids, Default::default());
        Self { seen, marks: HashMap::new() }
    }

    /// Adds hashes of ids as [`IdNotes`] has them.
    pub fn add(&mut self, ids: &[u128]) {
        self.seen.extend(ids);
    }

    /// The time of a tenant's newest event, in microseconds.
    pub fn newest(&mut self, tenant: Tenant, at: i64) {
        self.marks.entry(tenant).or_default().newest = Some(at);
    }

    /// How far a tenant has come: its events and ticks, and its last date.
    pub fn resume(&mut self, tenant: Tenant, sequence: u64, date: Option<NaiveDate>) {
        let marks = self.marks.entry(tenant).or_default();
        (marks.sequence, marks.date) = (sequence, date);
    }
}

/// Notes of the ids of events on their way into history.
pub struct IdNotes {
    hasher: SipHasher13,
    /// Their hashes.
    pub ids: Vec<u128>,
    /// The time of each tenant's newest event among them, in microseconds.
    pub newest: BTreeMap<Tenant, i64>,
}

impl IdNotes {
    /// No notes; `key` is that of the id hashes.
    pub fn new(key: &[u8; 16]) -> Self {
        let hasher = SipHasher13::new_with_key(key);
        Self { hasher, ids: Vec::new(), newest: BTreeMap::new() }
    }

    /// Notes events of one type: the stored columns, of which the first two are id and time.
    pub(crate) fn note(&mut self, event_type: &str, tenants: &UInt32Array, rows: &RecordBatch) {
        let ids = rows.column(0).as_string::<i32>();
        let times = rows.column(1).as_primitive::<TimestampMicrosecondType>();
        let mut last = None;
        for row in 0..ids.len() {
            let tenant = Tenant(tenants.value(row));
            let of_tenant = match last {
                Some((same, prefix)) if same == tenant => prefix,
                _ => prefix(&self.hasher, tenant, event_type),
            };
            last = Some((tenant, of_tenant));
            self.ids.push(hash(&of_tenant, ids.value(row)));
            let newest = self.newest.entry(tenant).or_insert(i64::MIN);
            *newest = times.value(row).max(*newest);
        }
    }
}
