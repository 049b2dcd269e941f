//! Which partitions a node should hold, by what the control store says of nodes and owners.
//!
//! Every node computes this for itself, from the same table. Each should have as many partitions as
//! the others, give or take one; whoever has more gives up the ones too many, and whoever has fewer
//! takes what is free. So a partition moves only when it must, and never without its owner's doing
//! unless that one is dead.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tenancy::Ownership;

/// What a node is to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Partitions to give up.
    pub(super) release: Vec<u32>,
    /// Partitions to take, each with the epoch that it has now.
    pub(super) take: Vec<(u32, u64)>,
}

/// The owner of a partition and its epoch, 0 if there never was one. A node that does not live
/// owns nothing.
pub(super) fn owner(ownership: &Ownership, number: u32, now: DateTime<Utc>) -> (Option<&str>, u64) {
    let found = ownership.partitions.iter().find(|found| found.partition == number);
    let Some(found) = found else { return (None, 0) };
    let owner = found.owner.as_deref();
    (owner.filter(|node| lives(ownership, node, now)), found.epoch)
}

/// Whether a node is alive.
fn lives(ownership: &Ownership, node: &str, now: DateTime<Utc>) -> bool {
    ownership.nodes.iter().any(|found| found.node == node && found.alive_until > now)
}

/// What `node`, which lives, is to do of `count` partitions.
pub(super) fn plan(ownership: &Ownership, node: &str, count: u32, now: DateTime<Utc>) -> Plan {
    let owners: Vec<(Option<&str>, u64)> =
        (0..count).map(|number| owner(ownership, number, now)).collect();
    let mut held: BTreeMap<&str, usize> = BTreeMap::from([(node, 0)]);
    for found in &ownership.nodes {
        if found.alive_until > now {
            held.entry(&found.node).or_default();
        }
    }
    for owner in owners.iter().filter_map(|(owner, _)| *owner) {
        *held.entry(owner).or_default() += 1;
    }
    let quota = quota(&held, node, count as usize);
    let mine = held.get(node).copied().unwrap_or_default();
    let numbered = || (0..count).zip(&owners);
    let own = numbered().filter(|(_, (owner, _))| *owner == Some(node)).map(|(number, _)| number);
    let free = numbered().filter(|(_, (owner, _))| owner.is_none());
    let free = free.map(|(number, (_, epoch))| (number, *epoch));
    Plan {
        release: own.rev().take(mine.saturating_sub(quota)).collect(),
        take: free.take(quota.saturating_sub(mine)).collect(),
    }
}

/// How many of `count` partitions a node should have: those that have the most already keep one
/// more where they do not divide evenly.
fn quota(held: &BTreeMap<&str, usize>, node: &str, count: usize) -> usize {
    let nodes = held.len().max(1);
    let mut ranked: Vec<(&str, usize)> = held.iter().map(|(node, held)| (*node, *held)).collect();
    // Stable: among equals the order of names holds, the same for all who look.
    ranked.sort_by_key(|(_, held)| std::cmp::Reverse(*held));
    let rank = ranked.iter().position(|(found, _)| *found == node).unwrap_or(nodes);
    count / nodes + usize::from(rank < count % nodes)
}

#[cfg(test)]
#[path = "assignment_tests.rs"]
mod tests;
