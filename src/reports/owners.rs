//! Whose rights reports and rules of alerts run by. This service has no list of people: what it knows
//! of somebody is the newest token that it was shown. So an owner's roles are those of that token, and
//! an owner who has not called for long counts as gone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tenancy::{Identity, Role, RoleSet, StoredOwner};

use super::{Failure, Reports, Shared};

/// How often that the same somebody called is noted.
const NOTED_EVERY: TimeDelta = TimeDelta::hours(1);
/// Callers that are remembered, so that not each call is noted.
const REMEMBERED: usize = 50_000;

/// The roles of callers by their tenants and subjects, and when they were noted.
type Noted = HashMap<(u32, String), (RoleSet, DateTime<Utc>)>;

/// Callers as they were noted last.
#[derive(Default)]
pub(super) struct Owners {
    noted: Mutex<Noted>,
}

impl Owners {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be noted of a caller, unless it was just now, and after the sign-ins of before were
    /// `ended`.
    pub(super) fn news(
        &self,
        tenant: u32,
        by: &Identity,
        now: DateTime<Utc>,
        ended: Option<DateTime<Utc>>,
    ) -> Option<StoredOwner> {
        let mut noted = self.lock();
        let key = (tenant, by.subject.clone());
        if let Some((roles, at)) = noted.get(&key)
            && *roles == by.roles
            && now - *at < NOTED_EVERY
            && ended.is_none_or(|ended| *at >= ended)
        {
            return None;
        }
        if noted.len() >= REMEMBERED {
            noted.retain(|_, (_, at)| now - *at < NOTED_EVERY);
        }
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(key, (by.roles, now));
        Some(StoredOwner { roles: by.roles, seen_at: now })
    }

    /// Has the next call of somebody be noted.
    pub(super) fn forget(&self, tenant: u32, subject: &str) {
        self.lock().remove(&(tenant, subject.to_owned()));
    }

    /// Forgets all callers of a tenant.
    pub(super) fn leave(&self, tenant: u32) {
        self.lock().retain(|(of, _), _| *of != tenant);
    }
}

impl Reports {
    /// Whether the owner of a report, or what else is `owned`, may have it done at this time.
    pub(crate) async fn check_owner(
        &self,
        tenant: u32,
        owner: &str,
        owned: &str,
    ) -> Result<(), Failure> {
        self.shared.check_owner(tenant, owner, owned).await
    }
}

impl Shared {
    /// Whether the owner of a report, or what else is `owned`, may have it done at this time.
    pub(super) async fn check_owner(
        &self,
        tenant: u32,
        owner: &str,
        owned: &str,
    ) -> Result<(), Failure> {
        if owner.is_empty() {
            // A template gave it, and nobody has replaced it: this service asks in it.
            return Ok(());
        }
        let way_out = format!("somebody with that role can take the {owned} over by replacing it");
        let days = self.parts.settings.owner_days;
        let known = self.store().owner(tenant, owner).await?;
        let known = known.ok_or_else(|| {
            Failure::ForGood(format!("the {owned}'s owner '{owner}' is not known; {way_out}"))
        })?;
        if !known.roles.intersects(RoleSet::of(&[Role::Analyst, Role::Admin])) {
            return Err(Failure::ForGood(format!(
                "the {owned}'s owner '{owner}' is no analyst any more ({}); {way_out}",
                known.roles
            )));
        }
        let ended = self.parts.directory.revocations().ended_at(tenant, owner);
        if ended.is_some_and(|ended| known.seen_at < ended) {
            return Err(Failure::ForGood(format!(
                "the sign-ins of the {owned}'s owner '{owner}' were ended, and nobody has called by \
                 that name since; {way_out}"
            )));
        }
        if (self.parts.clock)() - known.seen_at > TimeDelta::days(days.into()) {
            return Err(Failure::ForGood(format!(
                "the {owned}'s owner '{owner}' has not called for {days} days and counts as gone; \
                 {way_out}"
            )));
        }
        Ok(())
    }
}
