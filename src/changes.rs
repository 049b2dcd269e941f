//! What other processes change in the control store: tenants and event types, which every node keeps
//! in memory.
//!
//! **In:** the number of the store's last change, read every 250 ms, and at once when something is
//! asked for that is not known. **Out:** a [`Directory`] and a [`TypeDirectory`] that hold what the
//! store holds.
//!
//! Invariants:
//! - What is not known after [`Changes::look`] was not in the store when it was called.
//! - However many look at the same time, one reads; the others wait for a reading that began after
//!   they asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenancy::{Directory, Store, TenantId, TenantRecord};
use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;

use crate::event_types::{RefreshError, TypeDirectory};

/// How often the number of the last change is read.
const PERIOD: Duration = Duration::from_millis(250);

/// Keeps directories equal to a control store that several processes write to.
#[derive(Debug)]
pub(crate) struct Changes {
    store: Store,
    directory: Directory,
    types: TypeDirectory,
    looked: Mutex<Looked>,
    /// The number of the last change that was taken over.
    taken: watch::Sender<u64>,
}

/// The latest reading that succeeded.
#[derive(Debug, Default)]
struct Looked {
    began: Option<Instant>,
}

impl Changes {
    /// Takes over what comes after the change `since`, up to which the directories have everything.
    pub(crate) fn new(
        store: Store,
        directory: Directory,
        types: TypeDirectory,
        since: u64,
    ) -> Arc<Self> {
        let (looked, taken) = (Mutex::default(), watch::Sender::new(since));
        Arc::new(Self { store, directory, types, looked, taken })
    }

    /// The tenants as far as they are known.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The event types as far as they are known.
    pub(crate) fn types(&self) -> &TypeDirectory {
        &self.types
    }

    /// The tenant with this id; one that is not known is looked for.
    pub(crate) async fn tenant(
        &self,
        id: &TenantId,
    ) -> Result<Option<Arc<TenantRecord>>, RefreshError> {
        if let Some(known) = self.directory.get(id) {
            return Ok(Some(known));
        }
        self.look().await?;
        Ok(self.directory.get(id))
    }

    /// Has everything known that was in the store when this was called.
    pub(crate) async fn look(&self) -> Result<(), RefreshError> {
        let asked = Instant::now();
        let mut looked = self.looked.lock().await;
        if looked.began.is_some_and(|began| began > asked) {
            return Ok(());
        }
        let began = Instant::now();
        let since = *self.taken.borrow();
        let last = self.store.last_change().await?;
        if last != since {
            self.directory.refresh(since).await?;
            self.types.refresh(since).await?;
            self.taken.send_replace(last);
        }
        looked.began = Some(began);
        Ok(())
    }

    /// Changes whenever something was taken over.
    pub(crate) fn taken(&self) -> watch::Receiver<u64> {
        self.taken.subscribe()
    }

    /// Takes over what changes, for as long as it is polled. A store that cannot be read is tried
    /// again.
    pub(crate) async fn follow(&self) {
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0_u32;
        loop {
            period.tick().await;
            match self.look().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    // The next look may go well. If not it is told once, and not four times a second.
                    match failures {
                        1 => tracing::warn!(%error, "what other nodes change is not seen"),
                        2 => tracing::error!(
                            %error,
                            "what other nodes change is not seen; trying again"
                        ),
                        _ => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
