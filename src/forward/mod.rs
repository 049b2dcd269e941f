//! Requests for tenants that another node serves.
//!
//! **In:** a request as it came, and the partition in which its tenant lives. **Out:** the request
//! again, if that partition is served here, or the answer of the node that serves it, as that gives
//! it: both bodies are streamed, a part at a time, and neither is looked into.
//!
//! Invariants:
//! - Nodes need not trust each other: the caller's own token goes along, and the node that serves
//!   the tenant verifies it as if it had come to it first.
//! - A request is forwarded once. A node that is given one which it does not serve refuses it.
//! - What a node may have begun to work on is never sent a second time, but for what only reads.
//! - While no node serves a partition, as during a hand-over, requests wait a few seconds.
//! - Connections to other nodes, and requests on their way to them, are bounded.

mod body;
mod exchange;
mod headers;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use tenancy::TenantId;

pub(crate) use self::exchange::{CameFrom, Exchange, Forwarder, Speech};
pub(crate) use self::headers::{FORWARDED_FOR, is_forwarded, refuse};
pub(crate) use self::socket::{Connected, is_handshake};

/// How long a request waits for its partition to be served, and for a node to be reached.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks meanwhile.
const AGAIN: Duration = Duration::from_millis(50);
/// How often what waits for another node looks whether that is still the one.
const MOVED: Duration = Duration::from_secs(1);

/// Where a partition is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// By this process, which answers for it at this moment.
    Here,
    /// By the node at this address, `host:port`.
    At(Arc<str>),
    /// By nobody at this moment: it is being handed over, or being read from its checkpoint.
    Nowhere,
}

/// Which node serves whom. Asked for every request; answers from memory.
pub(crate) trait Places: Send + Sync {
    /// How many partitions there are.
    fn partitions(&self) -> u32 {
        1
    }

    /// The number of the partition that a tenant lives in; it never changes.
    fn partition(&self, tenant: &TenantId) -> u32;

    /// Where a partition is served. A number that no partition has is served here: what names it
    /// was made up, and is refused at once.
    fn of_partition(&self, number: u32) -> Served;

    /// Where a tenant is served.
    fn of(&self, tenant: &TenantId) -> Served {
        self.of_partition(self.partition(tenant))
    }
}

/// One process that serves all.
#[derive(Debug)]
pub(crate) struct Alone;

impl Places for Alone {
    fn partition(&self, _: &TenantId) -> u32 {
        0
    }

    fn of_partition(&self, _: u32) -> Served {
        Served::Here
    }
}

/// A request could not be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardError {
    /// No node serves the partition, or the one that does cannot be reached. Nothing was done.
    #[error("no node serves the tenant at the moment")]
    Unserved,
    /// The node went away, or lost the partition, with the request in its hands.
    #[error("the node that serves the tenant went away")]
    Interrupted,
    /// As many requests are on their way to other nodes as may be. Nothing was done.
    #[error("too many requests are on their way to other nodes")]
    Busy,
}

#[cfg(test)]
mod tests;
