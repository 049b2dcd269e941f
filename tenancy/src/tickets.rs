//! One-use tickets: what a browser puts into the URL of a stream instead of a token.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Identity, TenantId};

/// How long a ticket can be used.
const LIFETIME: TimeDelta = TimeDelta::seconds(30);

/// A ticket as it is answered. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ticket {
    /// The partition in which it can be used, a hyphen, and 256 random bits in base64url.
    pub ticket: String,
    /// From when on it cannot be used.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// How many unused tickets there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketLimits {
    /// In all.
    pub total: usize,
    /// Of one tenant.
    pub tenant: usize,
}

impl Default for TicketLimits {
    fn default() -> Self {
        Self { total: 65_536, tenant: 8_192 }
    }
}

/// Why there is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// A bound is reached.
    #[error("too many tickets are unused; use them, or try again in 30 seconds")]
    Full,
    /// The identity it would stand for does not hold any more.
    #[error("the token expired; ask for a new one")]
    Expired,
    /// The system gives no random bytes.
    #[error("the system's source of random bytes does not answer; try again")]
    Random,
}

/// The tickets that are out, in memory: a restart voids them, and the page asks for new ones.
#[derive(Debug, Default)]
pub struct Tickets {
    limits: TicketLimits,
    open: Mutex<Open>,
}

/// The partition, and what is random.
type Key = (u32, [u8; 32]);

#[derive(Default)]
struct Open {
    tickets: HashMap<Key, (DateTime<Utc>, Identity)>,
    /// The same tickets by their end, the oldest first.
    ends: BTreeSet<(DateTime<Utc>, Key)>,
    counts: HashMap<Option<TenantId>, usize>,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tickets", self.tickets.len())
    }
}

impl Tickets {
    /// None yet.
    pub fn new(limits: TicketLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    /// A ticket for the identity: good once, for 30 s and no longer than the identity itself. It
    /// bears the number of the partition that its tenant lives in, so that whoever is shown it can
    /// tell who has issued it.
    pub fn issue(
        &self,
        partition: u32,
        identity: Identity,
        now: DateTime<Utc>,
    ) -> Result<Ticket, TicketError> {
        let end = now.checked_add_signed(LIFETIME).unwrap_or(now).min(identity.expires_at);
        if end <= now {
            return Err(TicketError::Expired);
        }
        let mut random = [0; 32];
        OsRng.try_fill_bytes(&mut random).map_err(|_| TicketError::Random)?;
        let key = (partition, random);

        let mut open = self.lock();
        open.drop_expired(now);
        let tenant = open.counts.get(&identity.tenant).copied().unwrap_or(0);
        if open.tickets.len() >= self.limits.total || tenant >= self.limits.tenant {
            return Err(TicketError::Full);
        }
        open.insert(key, end, identity);
        let ticket = format!("{partition}-{}", URL_SAFE_NO_PAD.encode(random));
        Ok(Ticket { ticket, expires_at: end })
    }

    /// The identity the ticket stands for, once. `None` for a ticket that is unknown, used or
    /// expired; which of them is not told.
    pub fn redeem(&self, ticket: &str, now: DateTime<Utc>) -> Option<Identity> {
        let (end, identity) = self.lock().remove(key(ticket)?)?;
        (now < end).then_some(identity)
    }

    /// Voids all that are out.
    pub fn clear(&self) {
        *self.lock() = Open::default();
    }

    /// The partition that a text names which looks like a ticket; of what does not, none.
    pub fn partition(ticket: &str) -> Option<u32> {
        key(ticket).map(|(partition, _)| partition)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing under the lock can panic half way, so what a poisoned lock guards is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(ticket: &str) -> Option<Key> {
    let (partition, text) = ticket.split_once('-')?;
    let is_plain = partition.bytes().all(|byte| byte.is_ascii_digit());
    let partition = partition.parse().ok().filter(|_| is_plain)?;
    let mut random = [0; 32];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut random) {
        Ok(32) => Some((partition, random)),
        _ => None,
    }
}

impl Open {
    fn insert(&mut self, key: Key, end: DateTime<Utc>, identity: Identity) {
        *self.counts.entry(identity.tenant.clone()).or_default() += 1;
        self.ends.insert((end, key));
        self.tickets.insert(key, (end, identity));
    }

    fn remove(&mut self, key: Key) -> Option<(DateTime<Utc>, Identity)> {
        let (end, identity) = self.tickets.remove(&key)?;
        self.ends.remove(&(end, key));
        if let Some(count) = self.counts.get_mut(&identity.tenant) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&identity.tenant);
            }
        }
        Some((end, identity))
    }

    fn drop_expired(&mut self, now: DateTime<Utc>) {
        while let Some(&(end, key)) = self.ends.first() {
            if end > now {
                break;
            }
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
