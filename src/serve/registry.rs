//! Where each partition is served, as far as this node knows: what the control store said last, and
//! what this node serves itself.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use chrono::Utc;
use ingest::partition_of;
use tenancy::{Ownership, TenantId};

use super::assignment;
use crate::forward::{Places, Served};

/// Where partitions are served. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    /// This node.
    node: String,
    partitions: i32,
    known: RwLock<Known>,
}

struct Known {
    ownership: Ownership,
    serving: BTreeSet<u32>,
    /// Until when what this node owns is nobody else's, by a clock that never goes back.
    alive_until: Instant,
}

impl Registry {
    /// Nothing is known yet of so many partitions.
    pub(super) fn new(node: String, partitions: i32) -> Self {
        let (ownership, serving) = Default::default();
        let known = RwLock::new(Known { ownership, serving, alive_until: Instant::now() });
        Self { shared: Arc::new(Shared { node, partitions, known }) }
    }

    /// This node's name.
    pub(super) fn node(&self) -> &str {
        &self.shared.node
    }

    /// How many partitions there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.shared.partitions).unwrap_or_default()
    }

    /// What the control store says now.
    pub(super) fn learn(&self, ownership: Ownership) {
        self.write().ownership = ownership;
    }

    /// What the control store said last.
    pub(super) fn ownership(&self) -> Ownership {
        self.read().ownership.clone()
    }

    /// The control store knows that this node lives, for so long since `said`.
    pub(super) fn lives(&self, said: Instant, lease: Duration) {
        self.write().alive_until = said + lease;
    }

    /// This node serves a partition from now on, or no more.
    pub(super) fn serve(&self, number: u32, serves: bool) {
        metrics::gauge!("tidemark_partition_served", "partition" => number.to_string())
            .set(f64::from(u8::from(serves)));
        let mut known = self.write();
        if serves {
            known.serving.insert(number);
        } else {
            known.serving.remove(&number);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.shared.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.shared.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places for Registry {
    fn partitions(&self) -> u32 {
        self.count()
    }

    fn partition(&self, tenant: &TenantId) -> u32 {
        let number = partition_of(tenant.to_string().as_bytes(), self.shared.partitions);
        u32::try_from(number).unwrap_or_default()
    }

    /// This node serves nothing when it has not been able to say for a while that it lives: another
    /// one may have taken its partitions.
    fn of_partition(&self, number: u32) -> Served {
        if number >= self.count() {
            return Served::Here;
        }
        let known = self.read();
        if known.serving.contains(&number) {
            let is_mine = Instant::now() < known.alive_until;
            return if is_mine { Served::Here } else { Served::Nowhere };
        }
        let (owner, _) = assignment::owner(&known.ownership, number, Utc::now());
        let others = known.ownership.nodes.iter().filter(|found| found.node != self.shared.node);
        let found = others.into_iter().find(|found| Some(found.node.as_str()) == owner);
        found.map_or(Served::Nowhere, |found| Served::At(found.address.as_str().into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;
    use tenancy::{StoredNode, StoredPartition};

    use super::*;

    #[test]
    fn a_partition_is_here_elsewhere_or_nowhere() {
        let registry = Registry::new("a".into(), 2);
        assert_eq!(registry.of_partition(0), Served::Nowhere);
        let alive_until = Utc::now() + TimeDelta::minutes(1);
        let address = "127.0.0.1:9".to_owned();
        let nodes = vec![StoredNode { node: "b".into(), address: address.clone(), alive_until }];
        let owned = |partition, owner: &str| StoredPartition {
            partition,
            owner: Some(owner.to_owned()),
            epoch: 1,
        };
        let partitions = vec![owned(0, "b"), owned(1, "a")];
        registry.learn(Ownership { nodes, partitions });
        assert_eq!(registry.of_partition(0), Served::At(address.as_str().into()));
        // No partition has such a number: whoever names it is answered here.
        assert_eq!(registry.of_partition(2), Served::Here);
        // Owned here, but not put together yet.
        assert_eq!(registry.of_partition(1), Served::Nowhere);
        registry.serve(1, true);
        assert_eq!(registry.of_partition(1), Served::Nowhere);
        registry.lives(Instant::now(), Duration::from_mins(1));
        assert_eq!(registry.of_partition(1), Served::Here);
        registry.serve(1, false);
        assert_eq!(registry.of_partition(1), Served::Nowhere);
    }
}
