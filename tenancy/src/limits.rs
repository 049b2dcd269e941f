//! What one tenant, and one caller of it, may use of the service at a time.
//!
//! **In:** that a call begins, and what it has used. **Out:** a [`Seat`] for as long as it lasts, or
//! [`Exceeded`], with the moment from which on it may be tried again.
//!
//! Rates are kept by the generic cell rate algorithm (ITU-T I.371): a moment that every use moves on
//! by what it took, and that may be ahead of the clock by the burst. What a call takes is often known
//! only when it is over (events in a body, bytes of an answer), so it is let in while there is no
//! debt, and then charged whole; over any time the use is bounded by rate, burst and the calls under
//! way. A limiter that must be asked for the whole beforehand, as `governor` is, would refuse a body
//! larger than the burst for ever.
//!
//! Callers are the subjects of tokens: a new token is no new allowance.

mod bucket;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::bucket::Bucket;

/// Callers that are remembered; those that have used nothing for a while make room.
const CALLERS: usize = 65_536;

/// What may be used, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Calls begun in a second.
    Requests,
    /// Events sent in a second.
    Events,
    /// Bytes of bodies and answers in a second.
    Bytes,
    /// Calls at once.
    Calls,
    /// Live streams at once.
    Streams,
}

impl Quota {
    /// Its name in a problem.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Events => "events",
            Self::Bytes => "bytes",
            Self::Calls => "calls",
            Self::Streams => "streams",
        }
    }
}

/// Whose allowance is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of the tenant, all its callers together.
    Tenant,
    /// That of the caller.
    Caller,
}

impl Whose {
    /// Its name in a problem.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Caller => "token",
        }
    }
}

/// What one tenant, or one caller, may use. A rate has a burst of two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Calls begun in a second.
    pub requests_per_s: u64,
    /// Events sent in a second.
    pub events_per_s: u64,
    /// Bytes of bodies and answers in a second.
    pub bytes_per_s: u64,
    /// Calls at once, but for live streams.
    pub calls: u64,
    /// Live streams at once.
    pub streams: u64,
}

/// The allowances of each tenant and each of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseLimits {
    /// Of all callers of one tenant together.
    pub tenant: Allowance,
    /// Of one caller.
    pub token: Allowance,
}

impl Default for UseLimits {
    fn default() -> Self {
        let tenant = Allowance {
            requests_per_s: 5_000,
            events_per_s: 500_000,
            bytes_per_s: 256 << 20,
            calls: 512,
            streams: 2_000,
        };
        Self { tenant, token: Allowance { calls: 256, streams: 1_000, ..tenant } }
    }
}

/// An allowance is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {whose} has used up its {quota}", whose = .whose.as_str(), quota = .quota.as_str())]
pub struct Exceeded {
    /// Which.
    pub quota: Quota,
    /// Whose.
    pub whose: Whose,
    /// From when on there is some again; of calls and streams, which end when they do, a second.
    pub retry_after: Duration,
}

/// Counts what tenants and callers use. It is one process': nodes count apart, and each tenant is
/// served by one.
#[derive(Debug)]
pub struct Limiter {
    limits: UseLimits,
    begun: Instant,
    hasher: RandomState,
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    tenants: HashMap<u32, Arc<Used>>,
    callers: HashMap<(u32, u64), Arc<Used>>,
}

/// What one tenant or one caller uses.
#[derive(Debug, Default)]
struct Used {
    requests: Bucket,
    events: Bucket,
    bytes: Bucket,
    calls: AtomicU64,
    streams: AtomicU64,
}

/// A call under way, by whom. What it uses is charged here; it ends when this is dropped.
#[derive(Debug)]
pub struct Seat {
    limiter: Arc<Limiter>,
    users: [(Arc<Used>, Whose); 2],
    is_stream: bool,
}

impl Limiter {
    /// Nothing is used yet.
    pub fn new(limits: UseLimits) -> Arc<Self> {
        let hasher = RandomState::new();
        Arc::new(Self { limits, begun: Instant::now(), hasher, users: Mutex::default() })
    }

    /// Lets a call begin: of the tenant with this number, by the caller with this subject.
    pub fn enter(
        self: &Arc<Self>,
        tenant: u32,
        subject: &str,
        is_stream: bool,
    ) -> Result<Seat, Exceeded> {
        let now = self.begun.elapsed();
        let users = self.users(tenant, subject, now);
        for (used, whose) in &users {
            used.requests
                .check(self.allowance(*whose).requests_per_s, now)
                .map_err(|after| Exceeded::rate(Quota::Requests, *whose, after))?;
        }
        // Taken one after the other; of a call that the second refuses, the first is given back.
        let mut seated: Vec<&AtomicU64> = Vec::with_capacity(users.len());
        for (used, whose) in &users {
            let (count, quota) = used.seats(is_stream);
            let allowance = self.allowance(*whose);
            let most = if is_stream { allowance.streams } else { allowance.calls };
            if count.fetch_add(1, Ordering::Relaxed) >= most {
                count.fetch_sub(1, Ordering::Relaxed);
                for taken in seated {
                    taken.fetch_sub(1, Ordering::Relaxed);
                }
                return Err(Exceeded::rate(quota, *whose, Duration::from_secs(1)));
            }
            seated.push(count);
        }
        for (used, whose) in &users {
            used.requests.charge(self.allowance(*whose).requests_per_s, 1, now);
        }
        Ok(Seat { limiter: Arc::clone(self), users, is_stream })
    }

    fn allowance(&self, whose: Whose) -> &Allowance {
        match whose {
            Whose::Tenant => &self.limits.tenant,
            Whose::Caller => &self.limits.token,
        }
    }

    fn users(&self, tenant: u32, subject: &str, now: Duration) -> [(Arc<Used>, Whose); 2] {
        let caller = (tenant, self.hasher.hash_one(subject));
        let mut users = self.lock();
        if users.callers.len() >= CALLERS && !users.callers.contains_key(&caller) {
            users.callers.retain(|_, used| Arc::strong_count(used) > 1 || used.is_in_debt(now));
        }
        let of_tenant = Arc::clone(users.tenants.entry(tenant).or_default());
        // Where all that are remembered are busy, one that is not shares the tenant's allowance alone.
        let of_caller = if users.callers.len() < CALLERS || users.callers.contains_key(&caller) {
            Arc::clone(users.callers.entry(caller).or_default())
        } else {
            Arc::default()
        };
        [(of_tenant, Whose::Tenant), (of_caller, Whose::Caller)]
    }

    fn lock(&self) -> MutexGuard<'_, Users> {
        // Insertions leave the maps whole.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether there is anything left of an allowance that is charged as it is used.
    pub fn check(&self, quota: Quota) -> Result<(), Exceeded> {
        let now = self.limiter.begun.elapsed();
        for (used, whose) in &self.users {
            let Some((bucket, rate)) = used.rate(quota, self.limiter.allowance(*whose)) else {
                continue;
            };
            bucket.check(rate, now).map_err(|after| Exceeded::rate(quota, *whose, after))?;
        }
        Ok(())
    }

    /// Charges what was used.
    pub fn charge(&self, quota: Quota, count: u64) {
        let now = self.limiter.begun.elapsed();
        for (used, whose) in &self.users {
            if let Some((bucket, rate)) = used.rate(quota, self.limiter.allowance(*whose)) {
                bucket.charge(rate, count, now);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        for (used, _) in &self.users {
            used.seats(self.is_stream).0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Used {
    fn seats(&self, is_stream: bool) -> (&AtomicU64, Quota) {
        if is_stream { (&self.streams, Quota::Streams) } else { (&self.calls, Quota::Calls) }
    }

    /// The bucket of a rate and how fast it refills; none of what is no rate.
    fn rate(&self, quota: Quota, allowance: &Allowance) -> Option<(&Bucket, u64)> {
        match quota {
            Quota::Requests => Some((&self.requests, allowance.requests_per_s)),
            Quota::Events => Some((&self.events, allowance.events_per_s)),
            Quota::Bytes => Some((&self.bytes, allowance.bytes_per_s)),
            Quota::Calls | Quota::Streams => None,
        }
    }

    fn is_in_debt(&self, now: Duration) -> bool {
        [&self.requests, &self.events, &self.bytes].iter().any(|bucket| bucket.is_ahead(now))
    }
}

impl Exceeded {
    fn rate(quota: Quota, whose: Whose, retry_after: Duration) -> Self {
        Self { quota, whose, retry_after }
    }
}

#[cfg(test)]
mod tests;
