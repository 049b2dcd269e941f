//! Ended sign-ins: an admin ends those of somebody in the own tenant, and no token of that subject that
//! was issued before holds any more, wherever it was issued.
//!
//! So a role that is taken from somebody at the issuer, which stands in the old token until it ends,
//! takes effect at once. All are in memory, as they are asked for with every call; what other processes
//! end is there after the next [`Revocations::refresh`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, watch};

use crate::{Identity, Store, StoreError, StoredRevocation, service_tokens};

/// For how long an end of sign-ins is kept: longer than a token should live.
const KEPT: TimeDelta = TimeDelta::days(400);
/// The subjects of a tenant whose sign-ins are ended at a time.
const MOST: usize = 1_000;
/// The longest subject of a token, in bytes.
const MAX_SUBJECT: usize = 255;

/// Why sign-ins were not ended.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// It is no subject that a token could have.
    #[error("subject: {0}")]
    Subject(&'static str),
    /// A tenant has no more.
    #[error(
        "the sign-ins of {MOST} subjects are ended already; each is kept for {} days",
        KEPT.num_days()
    )]
    Full,
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The ended sign-ins of all tenants. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Revocations {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    /// By the tenant's number and the subject: from when on its tokens hold.
    ended: RwLock<HashMap<u32, HashMap<String, DateTime<Utc>>>>,
    /// The tenants of which some were learned and not told yet.
    untold: Mutex<BTreeSet<u32>>,
    /// How often some were learned.
    learned: watch::Sender<u64>,
}

impl Revocations {
    /// Reads all of a store.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let (ended, untold, learned) = (RwLock::default(), Mutex::default(), watch::Sender::new(0));
        let all = Self { shared: Arc::new(Shared { store, ended, untold, learned }) };
        all.refresh(0).await?;
        Ok(all)
    }

    /// Whether a token of this identity, in the tenant of that number, holds no more.
    pub fn refuses(&self, tenant: u32, identity: &Identity) -> bool {
        let from = self.ended_at(tenant, &identity.subject);
        from.is_some_and(|from| identity.issued_at < from)
    }

    /// From when on tokens of a subject hold, if its sign-ins were ended.
    pub fn ended_at(&self, tenant: u32, subject: &str) -> Option<DateTime<Utc>> {
        let ended = self.shared.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.get(&tenant)?.get(subject).copied()
    }

    /// Ends what `subject` has signed in for so far; here at once.
    pub async fn end(
        &self,
        tenant: u32,
        subject: &str,
        by: &str,
    ) -> Result<StoredRevocation, RevocationError> {
        let is_long = subject.is_empty() || subject.len() > MAX_SUBJECT;
        if is_long || subject.chars().any(char::is_control) {
            let message = "must have 1 to 255 bytes and no control characters";
            return Err(RevocationError::Subject(message));
        }
        if subject.starts_with(service_tokens::SUBJECT) {
            let message = "is that of a service token; DELETE /v1/service-tokens/{id} revokes it";
            return Err(RevocationError::Subject(message));
        }
        // As the store gives it back: in whole microseconds.
        let now = Utc::now();
        let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
        let revocation = StoredRevocation {
            tenant,
            subject: subject.to_owned(),
            ended_at: now,
            ended_by: by.to_owned(),
            expires_at: now + KEPT,
        };
        let shared = Arc::clone(&self.shared);
        // On a task of its own: a caller that goes away must not leave the store changed and this not.
        tokio::spawn(async move {
            if !shared.store.put_revocation(&revocation, MOST).await? {
                return Err(RevocationError::Full);
            }
            shared.learn(vec![revocation.clone()]).await;
            Ok(revocation)
        })
        .await
        .map_err(StoreError::from)?
    }

    /// Those of a tenant, by subject.
    pub async fn list(&self, tenant: u32) -> Result<Vec<StoredRevocation>, StoreError> {
        self.shared.store.revocations(tenant).await
    }

    /// Takes over those that were stored after the change `since`, by whomever.
    pub async fn refresh(&self, since: u64) -> Result<(), StoreError> {
        let stored = self.shared.store.revocations_since(since).await?;
        if !stored.is_empty() {
            self.shared.learn(stored).await;
        }
        Ok(())
    }

    /// How often some were learned.
    pub fn learned(&self) -> watch::Receiver<u64> {
        self.shared.learned.subscribe()
    }

    /// Waits until some were learned, and answers the numbers of their tenants. Each is answered once:
    /// one task asks.
    pub async fn told(&self) -> BTreeSet<u32> {
        let mut learned = self.shared.learned.subscribe();
        loop {
            let told = std::mem::take(&mut *self.shared.untold.lock().await);
            if !told.is_empty() {
                return told;
            }
            // The sender lives as long as this.
            learned.changed().await.ok();
        }
    }
}

impl Shared {
    async fn learn(&self, stored: Vec<StoredRevocation>) {
        let mut tenants = BTreeSet::new();
        {
            let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
            for StoredRevocation { tenant, subject, ended_at, .. } in stored {
                let of_tenant = ended.entry(tenant).or_default();
                let from = of_tenant.entry(subject).or_insert(DateTime::<Utc>::MIN_UTC);
                if ended_at > *from {
                    *from = ended_at;
                    tenants.insert(tenant);
                }
            }
        }
        if !tenants.is_empty() {
            // After they hold: whoever was let in before is among those that are ended now.
            self.untold.lock().await.extend(tenants);
            self.learned.send_modify(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests;
