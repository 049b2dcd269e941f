//! The PostgreSQL wire: queries by any client and driver of PostgreSQL.
//!
//! **In:** connections that speak its protocol 3.0, with a token as the password. **Out:** the rows
//! of `POST /v1/query`, for each statement is a call of that route, made within the process.
//!
//! Invariants:
//! - Nothing of a tenant is reached but by that call: its guard says whose tenant it is, from the
//!   token alone, and its limits, audit and forwarding to other nodes hold here as there.
//! - A token is sent over TLS, or from this machine; any other connection is refused before it is
//!   asked for one.
//! - A connection ends when its token does.
//! - Connections, messages, statements, portals and idle time are bounded; rows are taken from the
//!   query as the client takes them.
//! - Whatever bytes come, they are read or refused; nothing is read beyond its message.

mod answers;
mod calls;
mod cancelling;
mod commands;
mod failure;
mod messages;
mod obeying;
mod opening;
mod parameters;
mod prepared;
mod session;
mod settings;
mod stay;
mod text;
mod types;
mod values;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use tenancy::TenantId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::cancelling::Keys;
use crate::http::{App, Stranger, Strangers, Tls};

/// After the system refused a connection (no file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of the wire.
#[derive(Clone, Debug)]
pub(crate) struct WireLimits {
    /// Connections in all.
    pub(crate) connections: usize,
    /// Connections of one tenant.
    pub(crate) tenant_connections: usize,
    /// Seconds for which nothing need come.
    pub(crate) idle_s: u64,
    /// Bytes of a message of a client.
    pub(crate) message_bytes: usize,
    /// Prepared statements of a connection.
    pub(crate) statements: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            tenant_connections: 100,
            idle_s: 1_800,
            message_bytes: 1 << 20,
            statements: 256,
        }
    }
}

impl WireLimits {
    /// The connections of one address by which nobody was let in yet, where it may have `share` of
    /// any kind: an eighth of all at most, for those who hold a token need the others.
    fn of_strangers(&self, share: usize) -> usize {
        share.min(self.connections / 8).max(1)
    }
}

/// What all connections share.
pub(crate) struct Wire {
    app: Arc<App>,
    /// The query service.
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: WireLimits,
    keys: Keys,
    tenants: Tenants,
    closing: CancellationToken,
}

impl Wire {
    /// The wire to the query service that is in `router`.
    pub(crate) fn new(
        app: Arc<App>,
        router: Router,
        tls: Option<Arc<Tls>>,
        limits: WireLimits,
        closing: CancellationToken,
    ) -> Arc<Self> {
        let tenants = Tenants::new(limits.tenant_connections);
        Arc::new(Self { app, router, tls, limits, keys: Keys::default(), tenants, closing })
    }

    /// Accepts until it is closing; every connection is a task of `tasks`. Those that wait for the
    /// client end then, those that answer end after that. An address has at most `share` connections
    /// by which nobody was let in yet, and no more than an eighth of all.
    pub(crate) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        share: usize,
        tasks: TaskTracker,
    ) {
        let seats = Arc::new(Semaphore::new(self.limits.connections));
        let strangers = Strangers::new(self.limits.of_strangers(share));
        loop {
            let accepted = tokio::select! {
                () = self.closing.cancelled() => return,
                accepted = seat(&listener, &seats) => accepted,
            };
            match accepted {
                Ok((stream, peer, seat)) => {
                    let Some(stranger) = strangers.enter(peer.ip()) else {
                        metrics::counter!("tidemark_connections_refused_total").increment(1);
                        tracing::debug!(%peer, "an address has as many connections as it may have");
                        continue;
                    };
                    let client = Client { peer, stranger, _seat: seat };
                    tasks.spawn(Arc::clone(&self).serve(stream, client));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, client: Client) {
        metrics::gauge!("tidemark_postgres_connections").increment(1);
        if let Err(error) = self.open(stream, &client).await {
            // The client went away, was too slow, or spoke no PostgreSQL: its affair.
            tracing::debug!(%error, peer = %client.peer, "a connection ended early");
        }
        metrics::gauge!("tidemark_postgres_connections").decrement(1);
    }
}

async fn seat(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, seat))
}

/// Who is at the other end of a connection, and what it holds.
struct Client {
    peer: SocketAddr,
    stranger: Stranger,
    _seat: OwnedSemaphorePermit,
}

/// How many connections each tenant has.
#[derive(Clone, Debug)]
struct Tenants {
    bound: usize,
    /// Without those that have none.
    counts: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// One that counts for its tenant.
#[derive(Debug)]
struct TenantSeat {
    among: Tenants,
    tenant: TenantId,
}

impl Tenants {
    fn new(bound: usize) -> Self {
        Self { bound, counts: Arc::default() }
    }

    /// One more of a tenant, if it may have one more.
    fn enter(&self, tenant: &TenantId) -> Option<TenantSeat> {
        let mut counts = self.counts();
        let count = counts.entry(tenant.clone()).or_default();
        if *count >= self.bound {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(TenantSeat { among: self.clone(), tenant: tenant.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TenantSeat {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.among.counts().entry(self.tenant.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_without_a_token_leaves_room_for_the_others() {
        let of = |connections, share| {
            WireLimits { connections, ..WireLimits::default() }.of_strangers(share)
        };
        assert_eq!(of(1_000, 5_000), 125);
        assert_eq!(of(1_000, 100), 100);
        assert_eq!(of(7, 5_000), 1);
    }

    #[test]
    fn a_tenant_has_so_many_connections() {
        let tenants = Tenants::new(2);
        let (one, other) = ("one".parse().unwrap(), "other".parse().unwrap());
        let first = tenants.enter(&one).unwrap();
        let second = tenants.enter(&one).unwrap();
        assert!(tenants.enter(&one).is_none());
        assert!(tenants.enter(&other).is_some());
        drop(first);
        let third = tenants.enter(&one).unwrap();
        assert!(tenants.enter(&one).is_none());
        drop((second, third));
        assert!(tenants.counts().is_empty());
    }
}
