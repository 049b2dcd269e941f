//! Alerts: a condition in SQL over the views, and somebody who hears when it becomes true, and when it
//! does no more.
//!
//! **In:** rules ([`rule`]), from those whose role may ask in SQL; the tenants' snapshots. **Out:**
//! alerts, which people read, acknowledge and snooze, and what is told outside of them.
//!
//! Invariants:
//! - An alert fires once and clears once, whatever number of nodes there are and whenever they end:
//!   what a rule says is compared with what stands in the control store in the transaction that
//!   changes it, and only by who has the tenant's partition in that epoch ([`watch`]).
//! - What is to be told stands in the store with the transition that it tells, and goes out under one
//!   key, once at least ([`courier`]).
//! - A rule that cannot be evaluated says so, and changes no alert.
//! - A rule is evaluated by the rights of its owner. A built-in one, which reads one view, and one that
//!   a template gave, as long as nobody has replaced it, need nobody's: this service asks in them.
//! - The time comes from outside.

mod builtin;
mod courier;
mod evaluation;
pub(crate) mod rule;
pub(crate) mod settings;
mod template;
pub(crate) mod told;
mod watch;
mod words;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use projections::{Readers, Tenant, TenantSnapshot};
use query::{Queries, QueryError};
use stream::Hub;
use tenancy::audit::Trail;
use tenancy::{
    AlertFilter, AlertState, Directory, Fence, Identity, RuleState, Store, StoreError, StoredAlert,
    StoredAlertDelivery, StoredAlertRule, StoredTransition, TenantId, TenantRecord,
};

use self::builtin::BUILTIN;
use self::courier::Courier;
use self::rule::{Definition, Rule};
use self::settings::AlertSettings;
use self::told::ShownRule;
use self::watch::Watch;
use crate::forward::{Places, Served};
use crate::reports::Reports;
use crate::reports::definition::Wrong;
use crate::serve::Slots;
use crate::shown::Shown;

pub(crate) use self::template::rules_given;

/// Days for which an alert can be snoozed.
const MAX_SNOOZE: i64 = 366;

/// Why something is not done about alerts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertError {
    /// A field is not right.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// The condition cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// There is no such rule.
    #[error("there is no rule '{0}'; GET /v1/alert-rules lists those there are")]
    UnknownRule(String),
    /// There is no such alert, or it is not the caller's to see.
    #[error("there is no alert '{0}'; GET /v1/alerts lists those there are")]
    Unknown(String),
    /// The rule is another one than its editor saw.
    #[error("the rule was changed meanwhile; read it again and change what it is now")]
    Changed,
    /// The rule is one that every tenant has.
    #[error("the rule '{0}' is built in and cannot be deleted; replace it with `enabled` false")]
    Builtin(String),
    /// The alert is on no more.
    #[error("the alert is cleared; there is nothing left to do about it")]
    Over,
    /// There is no room for another.
    #[error("there are {0} rules, and no more may be; delete one first")]
    Full(usize),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored cannot be read.
    #[error("what is stored of a rule cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// All rules of a tenant, as they are told: the built-in ones, then those that are stored.
pub(crate) fn rules_told(
    tenant: &TenantRecord,
    stored: Vec<StoredAlertRule>,
) -> Result<Vec<ShownRule>, AlertError> {
    Ok(Rule::all(tenant, stored)?.iter().map(ShownRule::of).collect())
}

/// An alert with all that is known of it.
pub(crate) struct Told {
    pub(crate) alert: StoredAlert,
    pub(crate) history: Vec<StoredTransition>,
    pub(crate) deliveries: Vec<StoredAlertDelivery>,
}

/// What alerts are made with.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) readers: Readers,
    pub(crate) shown: Shown,
    /// Which node serves whom.
    pub(crate) places: Arc<dyn Places>,
    /// By which right this node decides for the tenants of each partition.
    pub(crate) fences: Slots<Fence>,
    /// Of its own, so that rules take no place of who asks.
    pub(crate) queries: Queries,
    /// What brings e-mail and webhooks, and knows the owners of rules.
    pub(crate) reports: Reports,
    pub(crate) hub: Hub,
    pub(crate) settings: AlertSettings,
    pub(crate) trail: Trail,
    /// The time.
    pub(crate) clock: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

/// The alerts of all tenants. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Alerts {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    watch: Watch,
    courier: Courier,
}

impl Alerts {
    /// Alerts of what is in `parts`.
    pub(crate) fn new(parts: Parts) -> Self {
        let (watch, courier) = (Watch::new(), Courier::new());
        Self { shared: Arc::new(Shared { parts, watch, courier }) }
    }

    /// Evaluates the rules of the tenants that `serves` names and tells what is to be told, for as
    /// long as it is polled.
    pub(crate) async fn keep(&self, serves: impl Fn(&TenantId) -> bool) {
        tokio::join!(self.watch(&serves), self.carry(&serves));
    }

    /// The rules of a tenant: the built-in ones, then its own, the oldest first.
    pub(crate) async fn rules(&self, tenant: &TenantRecord) -> Result<Vec<Rule>, AlertError> {
        let mut rules = Rule::all(tenant, self.shared.store().alert_rules(tenant.number).await?)?;
        let hidden = self.shared.parts.shown.hidden(Tenant(tenant.number));
        rules.iter_mut().for_each(|rule| rule.heed(&hidden));
        Ok(rules)
    }

    /// A rule of a tenant.
    pub(crate) async fn rule(&self, tenant: &TenantRecord, id: &str) -> Result<Rule, AlertError> {
        let stored = self.shared.store().alert_rule(tenant.number, id).await?;
        let builtin = || BUILTIN.iter().find(|builtin| builtin.id == id);
        let found = match stored {
            Some(stored) => Some(Rule::read(stored)?),
            None => builtin().map(|builtin| Rule::of(builtin, tenant)),
        };
        let mut rule = found.ok_or_else(|| AlertError::UnknownRule(shown(id)))?;
        rule.heed(&self.shared.parts.shown.hidden(Tenant(tenant.number)));
        Ok(rule)
    }

    /// Makes a rule, whose owner is who asks for it.
    pub(crate) async fn create(
        &self,
        tenant: &TenantRecord,
        by: &Identity,
        definition: Definition,
    ) -> Result<Rule, AlertError> {
        let definition = self.checked(tenant, definition, None).await?;
        let now = self.shared.now();
        let drawn: u64 = rand::random();
        let rule = Rule {
            id: format!("a{drawn:016x}"),
            version: 1,
            owner: by.subject.clone(),
            definition,
            state: RuleState::Waiting,
            error: None,
            created_at: now,
            changed_at: now,
            builtin: None,
        };
        self.shared.parts.reports.own(tenant, by).await?;
        let most = self.shared.parts.settings.count;
        let builtin = BUILTIN.each_ref().map(|builtin| builtin.id);
        let stored = rule.stored()?;
        if !self.shared.store().create_alert_rule(tenant.number, &stored, &builtin, most).await? {
            return Err(AlertError::Full(most));
        }
        self.shared.watch.change(tenant.number);
        Ok(rule)
    }

    /// Puts another definition in the place of the one of that version; who does it is the owner
    /// from then on.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantRecord,
        by: &Identity,
        id: &str,
        version: Option<u64>,
        definition: Definition,
    ) -> Result<Rule, AlertError> {
        let before = self.rule(tenant, id).await?;
        if version.is_some_and(|version| version != before.version) {
            return Err(AlertError::Changed);
        }
        let definition = self.checked(tenant, definition, Some(&before)).await?;
        let builtin = before.builtin.map(|builtin| Rule::of(builtin, tenant).stored());
        let builtin = builtin.transpose()?;
        let rule = Rule {
            version: before.version + 1,
            owner: by.subject.clone(),
            changed_at: self.shared.now(),
            definition,
            state: RuleState::Waiting,
            error: None,
            ..before
        };
        self.shared.parts.reports.own(tenant, by).await?;
        let (stored, off) = (rule.stored()?, (!rule.definition.enabled).then_some(&by.subject));
        let replaced = self.shared.store().replace_alert_rule(
            tenant.number,
            &stored,
            builtin.as_ref(),
            off.map(String::as_str),
        );
        if !replaced.await? {
            return Err(AlertError::Changed);
        }
        self.changed(tenant.number);
        Ok(rule)
    }

    /// Deletes a rule; its alerts go too.
    pub(crate) async fn delete(
        &self,
        tenant: &TenantRecord,
        id: &str,
        version: Option<u64>,
    ) -> Result<(), AlertError> {
        let before = self.rule(tenant, id).await?;
        if before.builtin.is_some() {
            return Err(AlertError::Builtin(before.id));
        }
        if version.is_some_and(|version| version != before.version) {
            return Err(AlertError::Changed);
        }
        if !self.shared.store().delete_alert_rule(tenant.number, id, version).await? {
            return Err(AlertError::Changed);
        }
        self.changed(tenant.number);
        Ok(())
    }

    /// Has the rules be read anew, and those who look at alerts read them.
    pub(crate) fn changed(&self, tenant: u32) {
        self.shared.watch.change(tenant);
        self.shared.parts.hub.alerted(Tenant(tenant));
    }

    /// Alerts of a tenant, and how many are open of those that a caller of that rank sees.
    pub(crate) async fn alerts(
        &self,
        tenant: u32,
        filter: AlertFilter<'_>,
    ) -> Result<(Vec<StoredAlert>, u64), AlertError> {
        let store = self.shared.store();
        let alerts = store.alerts(tenant, filter).await?;
        Ok((alerts, store.open_alerts(tenant, filter.audience).await?))
    }

    /// An alert that a caller of that rank sees.
    pub(crate) async fn alert(
        &self,
        tenant: u32,
        id: &str,
        audience: u8,
    ) -> Result<Told, AlertError> {
        let found = self.shared.store().alert(tenant, id, audience).await?;
        let (alert, history) = found.ok_or_else(|| AlertError::Unknown(shown(id)))?;
        let deliveries = self.shared.store().alert_deliveries(tenant, id).await?;
        Ok(Told { alert, history, deliveries })
    }

    /// Notes that a caller has seen an alert; who was first stays.
    pub(crate) async fn acknowledge(
        &self,
        tenant: u32,
        by: &Identity,
        id: &str,
    ) -> Result<Told, AlertError> {
        let rank = rule::rank_of(by.roles);
        let before = self.open(tenant, id, rank).await?;
        let now = self.shared.now();
        if before.acknowledged_at.is_none()
            && self.shared.store().acknowledge_alert(tenant, id, &by.subject, now).await?
        {
            self.shared.parts.hub.alerted(Tenant(tenant));
        }
        self.alert(tenant, id, rank).await
    }

    /// Has nobody be told of an alert until then; without a time, again from now on.
    pub(crate) async fn snooze(
        &self,
        tenant: u32,
        by: &Identity,
        id: &str,
        until: Option<DateTime<Utc>>,
    ) -> Result<Told, AlertError> {
        let rank = rule::rank_of(by.roles);
        self.open(tenant, id, rank).await?;
        let now = self.shared.now();
        let latest = now + TimeDelta::days(MAX_SNOOZE);
        if until.is_some_and(|until| until <= now || until > latest) {
            let message = format!("a time to come, at most {MAX_SNOOZE} days ahead");
            return Err(Wrong::new("until", message).into());
        }
        if !self.shared.store().snooze_alert(tenant, id, &by.subject, now, until).await? {
            return Err(AlertError::Over);
        }
        self.shared.parts.hub.alerted(Tenant(tenant));
        self.shared.courier.wake();
        self.alert(tenant, id, rank).await
    }

    /// An alert that a caller of that rank sees and that is on.
    async fn open(&self, tenant: u32, id: &str, rank: u8) -> Result<StoredAlert, AlertError> {
        let Told { alert, .. } = self.alert(tenant, id, rank).await?;
        match alert.state {
            AlertState::Open => Ok(alert),
            AlertState::Cleared => Err(AlertError::Over),
        }
    }

    /// The definition, if it can be evaluated on what the tenant has. `before` is the rule in whose
    /// place it comes.
    async fn checked(
        &self,
        tenant: &TenantRecord,
        mut definition: Definition,
        before: Option<&Rule>,
    ) -> Result<Definition, AlertError> {
        let targets = before.map(|before| before.definition.deliver.as_slice());
        for target in &mut definition.deliver {
            target.keep_secret(targets.unwrap_or_default());
        }
        let builtin = before.and_then(|before| before.builtin);
        if let Some(builtin) = builtin {
            let is_other = !definition.sql.is_empty() && definition.sql != builtin.sql()
                || !definition.key.is_empty() && definition.key != builtin.key();
            if is_other {
                let message = "that of a built-in rule cannot be changed; make a rule of your own";
                return Err(Wrong::new("sql", message).into());
            }
            builtin.ask(&mut definition);
        }
        let definition = definition.checked()?;
        for (place, target) in definition.deliver.iter().enumerate() {
            let wrong = |message| Wrong::new(format!("deliver[{place}].kind"), message);
            self.shared.parts.reports.check_target(target).map_err(wrong)?;
        }
        if builtin.is_none() {
            let snapshot = self.shared.snapshot(tenant)?;
            let described = self.shared.parts.queries.describe(snapshot, &definition.sql).await?;
            if !described.params.is_empty() {
                return Err(
                    Wrong::new("sql", "a rule has no parameters; write what they are").into()
                );
            }
            for (place, name) in definition.key.iter().enumerate() {
                if described.schema.index_of(name).is_err() {
                    let message = evaluation::missing(&described.schema, name);
                    return Err(Wrong::new(format!("key[{place}]"), message).into());
                }
            }
        }
        Ok(definition)
    }
}

impl Shared {
    fn now(&self) -> DateTime<Utc> {
        (self.parts.clock)()
    }

    fn store(&self) -> &Store {
        &self.parts.store
    }

    /// What the tenant is shown at this moment. Whether it is still served here is asked after that.
    fn snapshot(&self, tenant: &TenantRecord) -> Result<Arc<TenantSnapshot>, QueryError> {
        let snapshot = self.parts.shown.snapshot(Tenant(tenant.number));
        match self.parts.places.of(&tenant.id) {
            Served::Here => Ok(snapshot),
            Served::At(_) | Served::Nowhere => Err(QueryError::NotServed),
        }
    }
}

/// What of a caller's own text is given back to it.
fn shown(id: &str) -> String {
    id.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
