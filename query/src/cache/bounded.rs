//! Entries of all tenants, bounded by weight in all and for each tenant.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use projections::Tenant;

use super::Asked;

/// How long an entry stays that nobody asks for.
const IDLE: Duration = Duration::from_mins(5);

/// What an entry weighs besides what it holds.
const ENTRY_BYTES: usize = 512;

/// The least used entries go when all are too heavy together; a tenant's oldest, when its own are.
pub(super) struct Bounded<V> {
    name: &'static str,
    entries: moka::sync::Cache<Arc<Asked>, Held<V>>,
    shares: Arc<Shares>,
    of_tenant: u64,
    next: AtomicU64,
}

#[derive(Clone)]
struct Held<V> {
    number: u64,
    bytes: u64,
    value: V,
}

impl<V: Clone + Send + Sync + 'static> Bounded<V> {
    pub(super) fn new(name: &'static str, of_tenant: u64, in_all: u64) -> Self {
        let shares = Arc::new(Shares::default());
        let gone = Arc::clone(&shares);
        let entries = moka::sync::Cache::builder()
            .max_capacity(in_all)
            .weigher(|_, held: &Held<V>| u32::try_from(held.bytes).unwrap_or(u32::MAX))
            .time_to_idle(IDLE)
            .eviction_listener(move |asked: Arc<Arc<Asked>>, held: Held<V>, _| {
                gone.remove(asked.tenant, held.number);
            })
            .build();
        Self { name, entries, shares, of_tenant: of_tenant.min(in_all), next: AtomicU64::new(0) }
    }

    /// The entry of that key, if it `fits`.
    pub(super) fn find(&self, asked: &Arc<Asked>, fits: impl FnOnce(&V) -> bool) -> Option<V> {
        let found = self.entries.get(asked).map(|held| held.value).filter(fits);
        let outcome = if found.is_some() { "hit" } else { "miss" };
        metrics::counter!("tidemark_query_cache_requests_total", "cache" => self.name,
            "outcome" => outcome)
        .increment(1);
        found
    }

    /// Keeps an entry in the place of an earlier one of that key; one that is heavier than a
    /// tenant's share is not kept.
    pub(super) fn keep(&self, asked: &Arc<Asked>, value: V, bytes: usize) {
        let bytes = (bytes + ENTRY_BYTES) as u64;
        if bytes > self.of_tenant {
            return;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Outside of the lock of the shares, which the listener takes.
        let outgoing = self.shares.add(asked, number, bytes, self.of_tenant);
        self.entries.insert(Arc::clone(asked), Held { number, bytes, value });
        for old in outgoing {
            if old != *asked {
                self.entries.invalidate(&old);
            }
        }
    }

    /// Lets go of a tenant's entries.
    pub(super) fn forget(&self, tenant: Tenant) {
        for asked in self.shares.of(tenant) {
            self.entries.invalidate(&asked);
        }
    }

    pub(super) fn record_figures(&self) {
        self.entries.run_pending_tasks();
        metrics::gauge!("tidemark_query_cache_bytes", "cache" => self.name)
            .set(self.entries.weighted_size() as f64);
        metrics::gauge!("tidemark_query_cache_entries", "cache" => self.name)
            .set(self.entries.entry_count() as f64);
    }
}

/// What each tenant has in the cache.
#[derive(Default)]
struct Shares(Mutex<HashMap<Tenant, Share>>);

/// A tenant's entries by their number, which is their age.
#[derive(Default)]
struct Share {
    bytes: u64,
    entries: BTreeMap<u64, (Arc<Asked>, u64)>,
}

impl Shares {
    /// Adds an entry, and takes out the oldest until there is room for it.
    fn add(&self, asked: &Arc<Asked>, number: u64, bytes: u64, most: u64) -> Vec<Arc<Asked>> {
        let mut shares = self.shares();
        let share = shares.entry(asked.tenant).or_default();
        let mut outgoing = Vec::new();
        while share.bytes + bytes > most {
            let Some((_, (oldest, freed))) = share.entries.pop_first() else { break };
            share.bytes -= freed;
            outgoing.push(oldest);
        }
        share.bytes += bytes;
        share.entries.insert(number, (Arc::clone(asked), bytes));
        outgoing
    }

    fn remove(&self, tenant: Tenant, number: u64) {
        let mut shares = self.shares();
        let Some(share) = shares.get_mut(&tenant) else { return };
        if let Some((_, freed)) = share.entries.remove(&number) {
            share.bytes -= freed;
        }
        if share.entries.is_empty() {
            shares.remove(&tenant);
        }
    }

    fn of(&self, tenant: Tenant) -> Vec<Arc<Asked>> {
        let shares = self.shares();
        let entries = shares.get(&tenant).map(|share| share.entries.values());
        entries.into_iter().flatten().map(|(asked, _)| Arc::clone(asked)).collect()
    }

    /// Sums and entries change together, without a call in between that could fail.
    fn shares(&self) -> MutexGuard<'_, HashMap<Tenant, Share>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(tenant: u32, sql: &str) -> Arc<Asked> {
        Asked::new(Tenant(tenant), sql, &[]).unwrap()
    }

    fn bytes_of(cache: &Bounded<u32>, tenant: u32) -> u64 {
        cache.shares.shares().get(&Tenant(tenant)).map_or(0, |share| share.bytes)
    }

    #[test]
    fn a_tenant_drives_out_its_own_oldest_and_no_one_elses() {
        let cache = Bounded::new("test", 10_000, 1_000_000);
        cache.keep(&asked(2, "other"), 7, 4_000);
        for n in 0..100 {
            cache.keep(&asked(1, &format!("SELECT {n}")), n, 1_000);
            cache.entries.run_pending_tasks();
            assert!(bytes_of(&cache, 1) <= 10_000);
        }
        assert_eq!(cache.find(&asked(1, "SELECT 99"), |_| true), Some(99));
        assert_eq!(cache.find(&asked(1, "SELECT 0"), |_| true), None);
        assert_eq!(cache.find(&asked(2, "other"), |_| true), Some(7));
        cache.keep(&asked(2, "too large"), 8, 10_000);
        assert_eq!(cache.find(&asked(2, "too large"), |_| true), None);
        assert_eq!(cache.entries.iter().filter(|(key, _)| key.tenant == Tenant(1)).count(), 6);
    }

    #[test]
    fn what_goes_is_no_longer_counted() {
        let cache = Bounded::new("test", 100_000, 100_000);
        for _ in 0..5 {
            cache.keep(&asked(1, "the same"), 1, 1_000);
        }
        cache.entries.run_pending_tasks();
        assert_eq!(bytes_of(&cache, 1), 1_000 + ENTRY_BYTES as u64);
        for tenant in 2..400 {
            cache.keep(&asked(tenant, "a"), tenant, 1_000);
        }
        cache.entries.run_pending_tasks();
        let counted: u64 = cache.shares.shares().values().map(|share| share.bytes).sum();
        assert_eq!(counted, cache.entries.weighted_size());
        assert!(counted <= 100_000);
        for tenant in 1..400 {
            cache.forget(Tenant(tenant));
        }
        cache.entries.run_pending_tasks();
        assert!(cache.shares.shares().is_empty());
        assert_eq!(cache.entries.weighted_size(), 0);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let cache = Bounded::new("test", 1_000_000, 0);
        cache.keep(&asked(1, "a"), 1, 0);
        assert_eq!(cache.find(&asked(1, "a"), |_| true), None);
    }

    #[test]
    fn lists_of_parameters_are_told_apart() {
        let with = |params: &[serde_json::Value]| Asked::new(Tenant(1), "SELECT $1", params);
        let lists = [
            vec![],
            vec![serde_json::json!(1)],
            vec![serde_json::json!("1")],
            vec![serde_json::json!(null)],
            vec![serde_json::json!("1,2")],
            vec![serde_json::json!(1), serde_json::json!(2)],
        ];
        for (i, one) in lists.iter().enumerate() {
            for (j, other) in lists.iter().enumerate() {
                assert_eq!(with(one) == with(other), i == j);
            }
        }
    }
}
