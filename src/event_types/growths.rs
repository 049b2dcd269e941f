//! Whose event types have grown, for whoever has what reads them looked at again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use projections::Tenant;
use tokio::sync::Notify;

/// The owners of types that are new or have gained fields, until they are told.
#[derive(Debug, Default)]
pub(super) struct Growths {
    /// None is the platform.
    owners: Mutex<BTreeSet<Option<Tenant>>>,
    told: Notify,
}

impl Growths {
    /// Notes that a type of the owner has grown. To be called after it is read so.
    pub(super) fn note(&self, owner: Option<Tenant>) {
        self.owners().insert(owner);
        self.told.notify_one();
    }

    /// Waits until there are some and answers them.
    pub(super) async fn take(&self) -> BTreeSet<Option<Tenant>> {
        loop {
            let owners = std::mem::take(&mut *self.owners());
            if !owners.is_empty() {
                return owners;
            }
            // Kept for whoever asks, if something is noted in between.
            self.told.notified().await;
        }
    }

    fn owners(&self) -> MutexGuard<'_, BTreeSet<Option<Tenant>>> {
        // An insertion leaves the set whole.
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
