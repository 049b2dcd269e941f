//! The last position of each day of each tenant, by which a report of that day is made later.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use projections::Tenant;
use tenancy::{PositionMark, TenantRecord};

use super::Shared;

/// Failures after which the others wait for the next turn: each may have taken long.
const FAILURES: usize = 3;

/// What of the tenants' positions is known here.
#[derive(Default)]
pub(super) struct Closings {
    /// The last that was seen of each: its date, the sequence of its position, and the offset.
    seen: Mutex<HashMap<u32, (NaiveDate, u64, u64)>>,
    /// The tenant behind which the next turn begins.
    left_at: AtomicU32,
}

impl Closings {
    fn seen(&self) -> MutexGuard<'_, HashMap<u32, (NaiveDate, u64, u64)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Notes the last position of each day that is over, of these tenants in the order of their
    /// numbers. What cannot be noted is tried again, and keeps no other tenant's from being.
    pub(super) async fn note_closings(&self, tenants: &[Arc<TenantRecord>]) {
        // What was last seen of a tenant that another node has had since is no end of its day.
        let served: HashSet<u32> = tenants.iter().map(|tenant| tenant.number).collect();
        self.closings.seen().retain(|number, _| served.contains(number));
        let left_at = self.closings.left_at.load(Ordering::Relaxed);
        let place = tenants.partition_point(|tenant| tenant.number <= left_at);
        let (before, behind) = tenants.split_at(place);
        let mut failures = 0;
        for number in behind.iter().chain(before).map(|tenant| tenant.number) {
            let snapshot = self.parts.sources.readers.snapshot(Tenant(number));
            let Some(today) = snapshot.today() else { continue };
            let seen = self.closings.seen().get(&number).copied();
            if let Some((day, sequence, offset)) = seen
                && day < today
            {
                let mark = PositionMark { sequence, offset, day: Some(day), closes: true };
                if let Err(error) = self.store().put_position_mark(number, &mark).await {
                    tracing::warn!(%error, tenant = number, %day, "the end of a day is not noted; trying again");
                    failures += 1;
                    if failures == FAILURES {
                        self.closings.left_at.store(number, Ordering::Relaxed);
                        return;
                    }
                    continue;
                }
            }
            let now = (today, snapshot.position().sequence, snapshot.offset());
            self.closings.seen().insert(number, now);
        }
    }
}

#[cfg(test)]
#[path = "closings_tests.rs"]
mod tests;
