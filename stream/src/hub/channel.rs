//! One tenant's channel: its ring, the SQL that is followed, and those who watch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use projections::Tenant;
use tokio::sync::watch;

use super::Place;
use crate::clock;
use crate::ring::{Entry, Ring};
use crate::standing::Register;

/// One tenant's changes and its connections.
pub(crate) struct Channel {
    tenant: Tenant,
    ring: RwLock<Ring>,
    register: Arc<Register>,
    /// How often there was something new about the tenant's alerts.
    alerts: AtomicU64,
    /// The head of the ring, told to the connections after the ring has it.
    head: watch::Sender<u64>,
    /// Whether the dispatcher has been asked to tell it.
    is_due: AtomicBool,
    /// Becomes true when those who are there are to end; those who come later have another.
    left: Mutex<watch::Sender<bool>>,
    members: Mutex<Members>,
}

struct Members {
    count: usize,
    /// When the last one left, if none is there.
    empty_since: Option<Instant>,
}

impl Channel {
    /// A channel whose ring begins at `head`; so much of its SQL is evaluated at a time.
    pub(crate) fn new(tenant: Tenant, head: u64, evaluations: usize) -> Self {
        Self {
            tenant,
            ring: RwLock::new(Ring::new(tenant, head)),
            register: Arc::new(Register::new(evaluations)),
            alerts: AtomicU64::new(0),
            head: watch::Sender::new(head),
            is_due: AtomicBool::new(false),
            left: Mutex::default(),
            members: Mutex::new(Members { count: 0, empty_since: Some(clock::now()) }),
        }
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The SQL that is followed.
    pub(crate) fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// Changes whenever the ring has grown, or its views were defined, replaced or removed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    pub(crate) fn push(&self, entry: Entry, now: Instant, bound: usize) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).push(entry, now, bound);
    }

    pub(crate) fn redefine(&self) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).redefine();
    }

    /// Notes that there is something new about the alerts.
    pub(crate) fn alert(&self) {
        self.alerts.fetch_add(1, Ordering::AcqRel);
    }

    /// How often that was noted.
    pub(crate) fn alerts(&self) -> u64 {
        self.alerts.load(Ordering::Acquire)
    }

    /// Drops changes that are older than `age` or no longer fit in `bound` bytes.
    pub(crate) fn expire(&self, now: Instant, age: Duration, bound: usize) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.expire(now, age);
        ring.trim(bound);
    }

    pub(crate) fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for the first who asks since the last [`Channel::tell`].
    pub(crate) fn make_due(&self) -> bool {
        !self.is_due.swap(true, Ordering::AcqRel)
    }

    /// Wakes the connections.
    pub(crate) fn tell(&self) {
        // Before the ring is read: what comes after this makes the channel due again.
        self.is_due.store(false, Ordering::Release);
        let head = self.ring().head();
        self.head.send_replace(head);
    }

    /// Ends the connections that there are.
    pub(crate) fn end(&self) {
        let left = std::mem::take(&mut *self.left());
        left.send_replace(true);
    }

    fn left(&self) -> MutexGuard<'_, watch::Sender<bool>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more member, if fewer than `bound` are there.
    pub(crate) fn join(&self, bound: usize) -> bool {
        let mut members = self.members();
        if members.count >= bound {
            return false;
        }
        members.count += 1;
        members.empty_since = None;
        true
    }

    pub(crate) fn is_abandoned(&self, now: Instant, age: Duration) -> bool {
        let members = self.members();
        members.empty_since.is_some_and(|since| now.duration_since(since) > age)
    }

    fn leave(&self) {
        let mut members = self.members();
        members.count -= 1;
        if members.count == 0 {
            members.empty_since = Some(clock::now());
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's membership in a channel; given back when it is dropped.
pub(crate) struct Seat {
    channel: Arc<Channel>,
    head: watch::Receiver<u64>,
    left: watch::Receiver<bool>,
    _place: Place,
}

impl Seat {
    /// Of a channel that has counted it already.
    pub(super) fn new(channel: Arc<Channel>, place: Place) -> Self {
        let (head, left) = (channel.head.subscribe(), channel.left().subscribe());
        Self { channel, head, left, _place: place }
    }

    /// Becomes true when its connection is to end.
    pub(crate) fn left(&self) -> watch::Receiver<bool> {
        self.left.clone()
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Waits until the ring has grown since the last call.
    pub(crate) async fn changed(&mut self) {
        // The sender lives in the channel, which this seat keeps.
        if self.head.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.channel.leave();
    }
}
