//! The hub: where the partition's thread hands its changes over, and connections find them.

mod channel;
mod dispatch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use projections::{Position, Readers, Tenant, TenantDelta, TenantSnapshot};
use tokio::sync::{Notify, watch};

pub(crate) use self::channel::{Channel, Seat};
use self::dispatch::Dispatch;
use crate::clock;
use crate::close::Close;
use crate::limits::StreamLimits;
use crate::meter;
use crate::problem::Problem;
use crate::questions::Questions;
use crate::ring::Entry;
use crate::standing::Room;
use crate::wait::{NotYet, Waiters};

/// Where snapshots are read: [`Readers`], or a stand-in of tests.
pub trait Snapshots: Send + Sync {
    /// The tenant's newest snapshot. It is at least as new as every delta of the tenant that
    /// was given to [`Hub::publish`].
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot>;
}

impl Snapshots for Readers {
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        Readers::snapshot(self, tenant)
    }
}

/// Hands the changes of a partition to all who watch. Cheap to clone; all clones are one hub.
#[derive(Clone)]
pub struct Hub {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    snapshots: Box<dyn Snapshots>,
    /// Answers SQL that is followed; none if that cannot be.
    pub(crate) questions: Option<Arc<dyn Questions>>,
    pub(crate) limits: StreamLimits,
    /// The tenants that are watched, or were a short time ago. Held for a look-up or an
    /// insertion only; each tenant's changes have a lock of their own.
    channels: RwLock<HashMap<Tenant, Arc<Channel>>>,
    waiters: Waiters,
    /// What SQL that is followed takes in all.
    pub(crate) room: Arc<Room>,
    connections: AtomicUsize,
    connection_left: Notify,
    dispatch: Arc<Dispatch>,
    closing: watch::Sender<bool>,
}

/// One of the bounded number of connections; given back when it is dropped.
pub(crate) struct Place {
    shared: Arc<Shared>,
}

/// Why nobody more is let in.
pub(crate) struct Refused {
    pub(crate) close: Close,
    pub(crate) problem: Problem,
}

impl Hub {
    /// A hub without connections, over the partition's readers, on which SQL cannot be followed.
    pub fn new(snapshots: impl Snapshots + 'static, limits: StreamLimits) -> Self {
        Self::with(Box::new(snapshots), None, limits)
    }

    /// A hub without connections, over the partition's readers, on which SQL can be followed as far as
    /// `questions` answers it.
    pub fn answering(
        snapshots: impl Snapshots + 'static,
        questions: Arc<dyn Questions>,
        limits: StreamLimits,
    ) -> Self {
        Self::with(Box::new(snapshots), Some(questions), limits)
    }

    fn with(
        snapshots: Box<dyn Snapshots>,
        questions: Option<Arc<dyn Questions>>,
        limits: StreamLimits,
    ) -> Self {
        let shared = Shared {
            snapshots,
            questions,
            limits,
            channels: RwLock::default(),
            waiters: Waiters::default(),
            room: Arc::default(),
            connections: AtomicUsize::new(0),
            connection_left: Notify::new(),
            dispatch: Arc::default(),
            closing: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Hands over what one applied batch changed. To be called with all deltas, in order, after
    /// the snapshots can be read. It neither blocks on clients nor awaits; it costs what the
    /// changes of watched tenants cost, however many watch.
    pub fn publish(&self, deltas: &[TenantDelta]) {
        self.shared.publish(deltas, clock::now());
    }

    /// Says that views of the tenant were defined, replaced or removed: their subscribers start
    /// anew or end, and of SQL that is followed nothing is told until it was looked at again. To be
    /// called after the snapshots show it, and before the next change of the tenant is published.
    pub fn redefined(&self, tenant: Tenant) {
        let channels = self.shared.channels.read().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = channels.get(&tenant).cloned() else { return };
        drop(channels);
        channel.redefine();
        channel.register().doubt();
        self.shared.dispatch.wake(vec![channel]);
    }

    /// Says the same of all tenants, as where a type of events that all have has gained fields.
    pub fn redefined_all(&self) {
        let channels = self.shared.channels.read().unwrap_or_else(PoisonError::into_inner);
        let tenants: Vec<Tenant> = channels.keys().copied().collect();
        drop(channels);
        for tenant in tenants {
            self.redefined(tenant);
        }
    }

    /// Says that there is something new about the tenant's alerts, which those who follow them are
    /// told. To be called after it can be read.
    pub fn alerted(&self, tenant: Tenant) {
        let channels = self.shared.channels.read().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = channels.get(&tenant).cloned() else { return };
        drop(channels);
        channel.alert();
        self.shared.dispatch.wake(vec![channel]);
    }

    /// Says that some tenants are no longer served here: their connections end, so that their
    /// clients come again, a WebSocket with [`Close::Moved`], an event stream with its end. What was
    /// kept for resuming is forgotten, as their views may change elsewhere from now on. To be called
    /// after [`Door::serves`](crate::Door::serves) denies them; those who come later are not
    /// affected.
    pub fn leave(&self, is_left: impl Fn(Tenant) -> bool) {
        let mut channels = self.shared.channels.write().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<Arc<Channel>> =
            channels.extract_if(|tenant, _| is_left(*tenant)).map(|(_, channel)| channel).collect();
        drop(channels);
        for channel in left {
            channel.end();
        }
    }

    /// Ends the connections of some tenants, so that their clients come again and show anew who they
    /// are, a WebSocket with [`Close::Moved`], an event stream with its end. What is kept for resuming
    /// stays. To be called after whoever is not to come again is refused: those who come later are not
    /// affected.
    pub fn dismiss(&self, is_dismissed: impl Fn(Tenant) -> bool) {
        let channels = self.shared.channels.read().unwrap_or_else(PoisonError::into_inner);
        for (_, channel) in channels.iter().filter(|(tenant, _)| is_dismissed(**tenant)) {
            channel.end();
        }
    }

    /// Waits until the tenant has been brought to `position`, at most for `timeout`.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), NotYet> {
        let applied =
            || self.shared.snapshot(position.tenant).position().sequence >= position.sequence;
        let bound = self.shared.limits.waiting_reads;
        self.shared.waiters.wait(position, timeout, bound, applied).await
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Lets nobody in any more and makes every connection end: a WebSocket with a close code, an
    /// event stream with its end. [`Hub::closed`] waits for that.
    pub fn close(&self) {
        self.shared.closing.send_replace(true);
    }

    /// Returns once [`Hub::close`] was called: for live answers that are not the hub's own.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closing = self.closing();
        async move { is_set(&mut closing).await }
    }

    /// Waits until no connection is left. Bound it with a timeout: a client that does not read
    /// leaves late.
    pub async fn closed(&self) {
        loop {
            let left = self.shared.connection_left.notified();
            if self.connections() == 0 {
                return;
            }
            left.await;
        }
    }

    /// One more connection, if the total allows it.
    pub(crate) fn enter(&self) -> Result<Place, Refused> {
        Shared::enter(&self.shared)
    }

    /// A seat in the tenant's channel, if the tenant's number allows it.
    pub(crate) fn attach(&self, tenant: Tenant, place: Place) -> Result<Seat, Refused> {
        let channel = self.shared.channel(tenant)?;
        self.shared.dispatch.start(&self.shared);
        Ok(Seat::new(channel, place))
    }

    /// Becomes true when the server shuts down.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.shared.closing.subscribe()
    }
}

impl Shared {
    pub(crate) fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        self.snapshots.snapshot(tenant)
    }

    pub(crate) fn publish(&self, deltas: &[TenantDelta], now: Instant) {
        let mut touched = Vec::new();
        {
            let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
            if !channels.is_empty() {
                let bound = self.ring_bound(channels.len());
                for delta in deltas {
                    let Some(channel) = channels.get(&delta.snapshot.tenant()) else { continue };
                    channel.push(Entry::new(delta), now, bound);
                    touched.push(channel.clone());
                }
            }
        }
        if !touched.is_empty() {
            self.dispatch.wake(touched);
        }
        self.waiters.applied(deltas);
    }

    /// The bytes that one ring may hold when so many are open.
    fn ring_bound(&self, rings: usize) -> usize {
        self.limits.ring_bytes.min(self.limits.rings_bytes / rings.max(1))
    }

    fn enter(shared: &Arc<Self>) -> Result<Place, Refused> {
        if *shared.closing.borrow() {
            return Err(shutting_down());
        }
        let bound = shared.limits.connections;
        let admitted = shared
            .connections
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < bound).then_some(n + 1));
        if admitted.is_err() {
            return Err(too_many("The server has as many live connections as it may have"));
        }
        meter::connections(1.0);
        Ok(Place { shared: shared.clone() })
    }

    /// The tenant's channel with one more member; made if there is none.
    ///
    /// A new ring begins at the snapshot that is read while the map is locked: a change that is
    /// not in that snapshot is published after the lock is given back, so it finds the ring.
    fn channel(&self, tenant: Tenant) -> Result<Arc<Channel>, Refused> {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(tenant).or_insert_with(|| {
            let head = self.snapshot(tenant).position().sequence;
            Arc::new(Channel::new(tenant, head, self.limits.sql_evaluations))
        });
        if !channel.join(self.limits.tenant_connections) {
            return Err(too_many("This tenant has as many live connections as it may have"));
        }
        Ok(channel.clone())
    }

    /// Drops changes that are too old or too many, and rings that nobody has watched for as long.
    pub(crate) fn sweep(&self, now: Instant) {
        let age = self.limits.ring_age();
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|_, channel| !channel.is_abandoned(now, age));
        let open: Vec<Arc<Channel>> = channels.values().cloned().collect();
        drop(channels);
        let bound = self.ring_bound(open.len());
        for channel in open {
            channel.expire(now, age, bound);
        }
    }

    #[cfg(test)]
    pub(crate) fn channel_of(&self, tenant: Tenant) -> Option<Arc<Channel>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned()
    }
}

/// Waits until the flag is set, or whoever would set it is gone.
pub(crate) async fn is_set(flag: &mut watch::Receiver<bool>) {
    drop(flag.wait_for(|set| *set).await);
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::AcqRel);
        meter::connections(-1.0);
        self.shared.connection_left.notify_waiters();
    }
}

fn too_many(what: &str) -> Refused {
    let problem = Problem::new(
        "too-many-connections",
        StatusCode::TOO_MANY_REQUESTS,
        "Too many connections",
        format!("{what}: close one that is no longer needed, or try again in a while."),
    );
    Refused { close: Close::TooManyConnections, problem }
}

fn shutting_down() -> Refused {
    let problem = Problem::new(
        "shutting-down",
        StatusCode::SERVICE_UNAVAILABLE,
        "Shutting down",
        "The server is shutting down: connect again in a moment and resume.",
    );
    Refused { close: Close::ShuttingDown, problem }
}

#[cfg(test)]
mod tests;
