//! Room for answers that are encoded before they are sent: what of them is in memory at a time is
//! bounded, in all and for each tenant, so that one whose clients read slowly keeps only itself waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use projections::Tenant;
use stream::Problem;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problems;
use crate::holding::Holding;

/// What all encoded answers may hold, in KiB.
const ALL_KIB: u32 = 512 << 10;
/// Answers up to this size take no room: their number is bounded by that of the calls.
const SMALL: usize = 64 << 10;
/// How long an answer waits for room before it is made.
const PATIENCE: Duration = Duration::from_secs(5);

/// The room.
#[derive(Debug)]
pub(super) struct Shelf {
    all: Arc<Semaphore>,
    tenant_kib: u32,
    /// Each tenant's part, made when it first needs it.
    tenants: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
}

/// A part of the room, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Space {
    _room: [OwnedSemaphorePermit; 2],
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self::of(ALL_KIB)
    }

    /// With so much room, of which a tenant has a quarter.
    pub(super) fn of(kib: u32) -> Self {
        let all = Arc::new(Semaphore::new(kib as usize));
        Self { all, tenant_kib: kib / 4, tenants: Mutex::default() }
    }

    /// Room for so many bytes, at most a tenant's part; it is waited for.
    pub(super) async fn reserve(&self, tenant: Tenant, bytes: usize) -> Result<Space, Problem> {
        let kib = self.kib(bytes);
        let room = async {
            // The tenant's part first, so that nobody waits for its share while holding of the whole.
            let own = self.part(tenant).acquire_many_owned(kib).await?;
            let all = Arc::clone(&self.all).acquire_many_owned(kib).await?;
            Ok::<_, AcquireError>([own, all])
        };
        match timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(Space { _room: room }),
            Ok(Err(_)) | Err(_) => Err(problems::answers_busy()),
        }
    }

    /// The same at once or not at all.
    pub(super) fn take(&self, tenant: Tenant, bytes: usize) -> Option<Space> {
        let kib = self.kib(bytes);
        let own = self.part(tenant).try_acquire_many_owned(kib).ok()?;
        let all = Arc::clone(&self.all).try_acquire_many_owned(kib).ok()?;
        Some(Space { _room: [own, all] })
    }

    /// An answer in one piece, which has its room until it is sent.
    pub(super) fn whole(&self, tenant: Tenant, bytes: Bytes) -> Result<Body, Problem> {
        if bytes.len() <= SMALL {
            return Ok(Body::from(bytes));
        }
        let space = self.take(tenant, bytes.len()).ok_or_else(problems::answers_busy)?;
        Ok(Body::new(Holding::new(Body::from(bytes), space)))
    }

    fn kib(&self, bytes: usize) -> u32 {
        // Whatever is larger than the part of a tenant can only be alone.
        u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.tenant_kib)
    }

    fn part(&self, tenant: Tenant) -> Arc<Semaphore> {
        // An insertion leaves the map whole.
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let part = || Arc::new(Semaphore::new(self.tenant_kib as usize));
        Arc::clone(tenants.entry(tenant).or_insert_with(part))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::HttpBody;

    use super::*;

    const ONE: Tenant = Tenant(1);
    const OTHER: Tenant = Tenant(2);

    fn page(bytes: usize) -> Bytes {
        Bytes::from(vec![b' '; bytes])
    }

    #[tokio::test]
    async fn what_is_not_sent_keeps_its_room() {
        let shelf = Shelf::of(4 << 10);
        let first = shelf.whole(ONE, page(1 << 20)).unwrap();
        assert_eq!(first.size_hint().exact(), Some(1 << 20));
        let busy = shelf.whole(ONE, page(1 << 20)).unwrap_err();
        assert!(busy.r#type.ends_with(":busy"), "{busy:?}");
        let waiting = timeout(Duration::from_millis(20), shelf.reserve(ONE, 1 << 20));
        assert!(waiting.await.is_err(), "there is no room to wait for");
        // A small one needs none, and another tenant has its own.
        let small = shelf.whole(ONE, page(SMALL)).unwrap();
        let second = shelf.whole(OTHER, page(1 << 20)).unwrap();
        drop(first);
        drop(shelf.whole(ONE, page(1 << 20)).unwrap());
        drop((small, second));
        assert_eq!(shelf.all.available_permits(), 4 << 10);
    }

    #[tokio::test]
    async fn all_tenants_together_are_bounded_too() {
        let shelf = Shelf::of(4 << 10);
        let tenants = (1..=4).map(Tenant);
        let held: Vec<Space> = tenants.map(|tenant| shelf.take(tenant, 1 << 20).unwrap()).collect();
        assert!(shelf.take(Tenant(5), 1 << 20).is_none());
        drop(held);
        // What is larger than a part can be alone.
        let alone = shelf.reserve(ONE, 1 << 30).await.unwrap();
        assert!(shelf.take(ONE, 1).is_none());
        drop(alone);
        assert!(shelf.take(ONE, 1).is_some());
    }
}
