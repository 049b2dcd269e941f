//! One rate of one user.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How much may be used at once after a pause, as the time in which it comes back.
const BURST: Duration = Duration::from_secs(2);

/// The moment, in nanoseconds since the limiter began, at which all that was used has come back.
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

impl Bucket {
    /// Whether something may be used at `now`; if not, after how long.
    pub(super) fn check(&self, per_second: u64, now: Duration) -> Result<(), Duration> {
        // One more must fit, or of a slow rate nothing ever would.
        let most = BURST.saturating_sub(cost(per_second, 1));
        let ahead = Duration::from_nanos(self.0.load(Ordering::Relaxed)).saturating_sub(now);
        let wait = ahead.saturating_sub(most);
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Takes what was used at `now`.
    pub(super) fn charge(&self, per_second: u64, count: u64, now: Duration) {
        let cost = nanos(cost(per_second, count));
        let now = nanos(now);
        let moved = |at: u64| Some(at.max(now).saturating_add(cost));
        // It always says what comes next, so it never fails.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved).ok();
    }

    /// Whether something that was used has not come back at `now`.
    pub(super) fn is_ahead(&self, now: Duration) -> bool {
        self.0.load(Ordering::Relaxed) > nanos(now)
    }
}

/// In which time so much comes back.
fn cost(per_second: u64, count: u64) -> Duration {
    let nanos = u128::from(count) * 1_000_000_000 / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
