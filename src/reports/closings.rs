//! The last position of each day of each tenant, by which a report of that day is made later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use projections::Tenant;
use tenancy::{PositionMark, TenantRecord};

use super::Shared;

/// The last that was seen of each tenant: its date, the sequence of its position, and the offset.
#[derive(Default)]
pub(super) struct Closings {
    seen: Mutex<HashMap<u32, (NaiveDate, u64, u64)>>,
}

impl Closings {
    fn seen(&self) -> MutexGuard<'_, HashMap<u32, (NaiveDate, u64, u64)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Notes the last position of each day that is over. What cannot be noted is tried again, and
    /// keeps no other tenant's from being.
    pub(super) async fn note_closings(&self, tenants: &[Arc<TenantRecord>]) {
        for tenant in tenants {
            let number = tenant.number;
            let snapshot = self.parts.sources.readers.snapshot(Tenant(number));
            let Some(today) = snapshot.today() else { continue };
            let before = self.closings.seen().get(&number).copied();
            if let Some((day, sequence, offset)) = before
                && day < today
            {
                let mark = PositionMark { sequence, offset, day: Some(day), closes: true };
                if let Err(error) = self.store().put_position_mark(number, &mark).await {
                    tracing::warn!(%error, tenant = number, %day, "the end of a day is not noted; trying again");
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
