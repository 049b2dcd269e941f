//! What a checkpoint knows of events: the hashes of their ids, and each tenant's newest.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use arrow::array::cast::AsArray;
use arrow::array::{Array, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use projections::Tenant;
use siphasher::sip128::SipHasher13;

use super::ledger::{Marks, Seen, hash, prefix};

/// Groups in which ids are put into the table: each group's part of it stays in the cache.
const GROUP_BITS: u32 = 12;

/// What came before the rows of the log that an intake replays at its start.
#[derive(Default)]
pub struct Known {
    pub(super) seen: Seen,
    pub(super) marks: HashMap<Tenant, Marks>,
}

impl Known {
    /// Knows the events of these hashes, as [`IdNotes`] has them.
    pub fn of(ids: &[u128]) -> Self {
        let mut seen = Seen::with_capacity_and_hasher(ids.len(), BuildHasherDefault::default());
        // In the order in which they will stand in memory, roughly: each of millions would else wait
        // for memory that is nowhere near.
        let places = (seen.capacity().max(1) as u64).next_power_of_two();
        let shift = places.trailing_zeros().saturating_sub(GROUP_BITS);
        let group = |id: &u128| ((*id as u64 & (places - 1)) >> shift) as usize;
        let mut ends = vec![0_usize; 1 << GROUP_BITS];
        ids.iter().for_each(|id| ends[group(id)] += 1);
        let mut before = 0;
        for end in &mut ends {
            before += std::mem::replace(end, before);
        }
        let mut grouped = vec![0_u128; ids.len()];
        for id in ids {
            let end = &mut ends[group(id)];
            grouped[*end] = *id;
            *end += 1;
        }
        seen.extend(grouped);
        Self { seen, marks: HashMap::new() }
    }

    /// The time of a tenant's newest event, in microseconds.
    pub fn newest(&mut self, tenant: Tenant, at: i64) {
        self.marks.entry(tenant).or_default().newest = Some(at);
    }

    /// The time of each tenant's newest event, in microseconds, as far as there is one.
    pub fn newest_of_each(&self) -> BTreeMap<Tenant, i64> {
        let newest = self.marks.iter().map(|(tenant, marks)| Some((*tenant, marks.newest?)));
        newest.flatten().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_all_of_many_and_of_few() {
        for count in [0_u64, 1, 3, 5_000, 100_000] {
            let id = |n: u64| u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C4F_2A5B_D1E7);
            let ids: Vec<u128> = (0..count).chain(0..count / 2).map(id).collect();
            let known = Known::of(&ids);
            assert_eq!(known.seen.len() as u64, count);
            assert!(ids.iter().all(|id| known.seen.contains(id)));
            assert!(!known.seen.contains(&id(count + 1)));
        }
    }
}
