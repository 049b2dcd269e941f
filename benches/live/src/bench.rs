//! What all clients of a run share.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Semaphore, watch};

use crate::held::{Digest, Held};
use crate::latency::Moments;

/// The views that are watched, by the subscriptions of a connection in turn. Each event changes
/// both; the first column of the first tells which event it was.
pub(crate) const VIEWS: [&str; 2] = ["open_invoices", "ar_aging"];

pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) token: String,
}

pub(crate) struct Bench {
    pub(crate) address: SocketAddr,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) connections: usize,
    /// Of each connection.
    pub(crate) subscriptions: usize,
    /// Of a hundred connections; the others are event streams.
    pub(crate) sockets: usize,
    pub(crate) max_rate_ms: u64,
    pub(crate) events: usize,
    pub(crate) moments: Moments,
    /// What each subscription holds, connection by connection.
    holdings: Vec<Holding>,
    /// Connections that have come to hold everything, before the storm and after it.
    pub(crate) whole: [AtomicUsize; 2],
    /// Whether the storm has begun.
    pub(crate) storm: watch::Sender<bool>,
    /// Connections that are being made.
    pub(crate) making: Semaphore,
    pub(crate) told: Told,
}

/// How often clients were told something.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) snapshots: AtomicU64,
    pub(crate) resumed: AtomicU64,
    pub(crate) resets: AtomicU64,
    pub(crate) deltas: AtomicU64,
    /// Connections that the service did not make, or ended.
    pub(crate) refused: AtomicU64,
    pub(crate) ended: AtomicU64,
    /// Why, the first time.
    pub(crate) reason: OnceLock<String>,
}

#[derive(Default)]
struct Holding {
    sum: AtomicU64,
    rows: AtomicI64,
}

impl Bench {
    #[allow(clippy::too_many_arguments)] // each is told by the command line
    pub(crate) fn new(
        address: SocketAddr,
        tenants: Vec<Tenant>,
        connections: usize,
        subscriptions: usize,
        sockets: usize,
        max_rate_ms: u64,
        making: usize,
        moments: Moments,
        events: usize,
    ) -> Self {
        let holdings = (0..connections * subscriptions).map(|_| Holding::default()).collect();
        Self {
            address,
            tenants,
            connections,
            subscriptions,
            sockets,
            max_rate_ms,
            events,
            moments,
            holdings,
            whole: Default::default(),
            storm: watch::Sender::new(false),
            making: Semaphore::new(making),
            told: Told::default(),
        }
    }

    /// The tenant of a connection.
    pub(crate) fn tenant(&self, connection: usize) -> &Tenant {
        &self.tenants[connection % self.tenants.len()]
    }

    /// Whether a connection is a WebSocket; every tenant has both kinds.
    pub(crate) fn is_socket(&self, connection: usize) -> bool {
        (connection / self.tenants.len()) * 37 % 100 < self.sockets
    }

    /// A connection tells what it holds.
    pub(crate) fn hold(&self, connection: usize, subs: &[Held]) {
        for (place, held) in subs.iter().enumerate() {
            let holding = &self.holdings[connection * self.subscriptions + place];
            holding.sum.store(held.digest.sum, Ordering::Relaxed);
            holding.rows.store(held.digest.rows, Ordering::Relaxed);
        }
    }

    /// How many subscriptions do not hold what their tenant's views have, by tenant and view.
    pub(crate) fn astray(&self, views: &[[Digest; 2]]) -> usize {
        let is_astray = |(place, holding): &(usize, &Holding)| {
            let (connection, sub) = (place / self.subscriptions, place % self.subscriptions);
            let (sum, rows) =
                (holding.sum.load(Ordering::Relaxed), holding.rows.load(Ordering::Relaxed));
            views[connection % self.tenants.len()][sub % VIEWS.len()] != Digest { sum, rows }
        };
        self.holdings.iter().enumerate().filter(is_astray).count()
    }

    /// Connections that are WebSockets.
    pub(crate) fn socket_count(&self) -> usize {
        (0..self.connections).filter(|connection| self.is_socket(*connection)).count()
    }
}
