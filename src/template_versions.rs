//! Newer versions of templates: what they would change of what a tenant has made of the one it was
//! given, and taking them over.
//!
//! **In:** tenants, and for what both have changed the side that stands. **Out:** what has become of
//! each module, dashboard, report and rule, and which reference data are new ([`told`]), and in one
//! step all of what the newer version makes of them.
//!
//! Invariants:
//! - What is taken over is all of it, and upon what was looked at: where anything is another by then,
//!   it is worked out anew, or nothing is done.
//! - Nothing that a tenant has made goes without its admin's word: what both have changed is settled
//!   by them, and no module is switched off unless they say so.
//! - What is done already is not done again.

mod contents;
mod told;

use chrono::{DateTime, Utc};
use projections::Tenant;
use serde_json::Value;
use stream::Hub;
use tenancy::dashboards::DashboardLimits;
use tenancy::templates::merge::{Conflict, SettleError, Settlements};
use tenancy::templates::parts::{self, Part, PartKind, Step};
use tenancy::templates::{self, Template};
use tenancy::{
    CustomFields, Directory, GivenTemplate, MODULES, Store, StoreError, StoredAlertRule,
    SwitchedModules, TemplateGift, TemplateUpdate, TenantRecord, UpdatedDashboard,
};

use self::contents::Contents;
pub(crate) use self::told::Outlook;
use crate::alerts::{AlertError, Alerts};
use crate::event_types::TypeDirectory;
use crate::onboarding::{self, OnboardingError};
use crate::reports::{Report, ReportError};
use crate::serve::Intake;

/// How often it is worked out anew when something is changed meanwhile.
const TRIES: usize = 3;

/// Why a newer version is not told of, or not taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VersionError {
    /// There is nothing to take over.
    #[error(
        "the tenant was given no template, or one that this service does not have; PATCH /v1/tenant \
         sets its `vertical`"
    )]
    None,
    /// The tenant has not yet what it begins with.
    #[error("the tenant is still being given its template; try again in a moment")]
    Beginning,
    /// Another version is there than the one that was asked for.
    #[error("the version that is there is {newest}; read /v1/tenant/template again")]
    Other {
        /// It.
        newest: u64,
    },
    /// There is nothing to settle.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// What is not settled.
    #[error("{} of what both have changed is not settled; name a side for each path", .0.len())]
    Conflicts(Vec<Conflict>),
    /// What it is about is another than it was when it was read.
    #[error("something of it was changed meanwhile; read /v1/tenant/template again")]
    Changed,
    /// What both have made of a part does not go together.
    #[error("{path}: {message}; settle this path, for all of it, with `ours` or `theirs`")]
    Unfit {
        /// The part.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// The template, or what is stored, cannot be read.
    #[error(transparent)]
    Gift(#[from] OnboardingError),
    /// What is stored cannot be read.
    #[error("what is stored cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ReportError> for VersionError {
    fn from(error: ReportError) -> Self {
        Self::Gift(error.into())
    }
}

impl From<AlertError> for VersionError {
    fn from(error: AlertError) -> Self {
        Self::Gift(error.into())
    }
}

/// What a newer version is taken over with.
pub(crate) struct Means<'a> {
    pub(crate) store: &'a Store,
    pub(crate) directory: &'a Directory,
    pub(crate) types: &'a TypeDirectory,
    pub(crate) intake: &'a Intake,
    pub(crate) hub: &'a Hub,
    pub(crate) alerts: &'a Alerts,
    pub(crate) limits: &'a DashboardLimits,
}

/// What is asked for.
pub(crate) struct Wanted<'a> {
    /// The version as it was read.
    pub(crate) version: u64,
    /// Which side stands where.
    pub(crate) settle: &'a Settlements,
    /// The tag of what was read, if it must be that still.
    pub(crate) tag: Option<&'a str>,
    /// The subject of the token.
    pub(crate) by: &'a str,
}

/// What a newer version of a tenant's template would do.
pub(crate) async fn outlook(store: &Store, tenant: &TenantRecord) -> Result<Outlook, VersionError> {
    let comparison = Comparison::read(store, tenant).await?;
    Ok(comparison.outlook(&comparison.parts(&Settlements::new())?))
}

/// Takes the newest version of a tenant's template over; answers what there is then.
pub(crate) async fn update(
    means: &Means<'_>,
    tenant: &TenantRecord,
    wanted: &Wanted<'_>,
) -> Result<Outlook, VersionError> {
    for _ in 0..TRIES {
        let comparison = Comparison::read(means.store, tenant).await?;
        let outlook = comparison.outlook(&comparison.parts(&Settlements::new())?);
        let newest = comparison.theirs.version;
        if wanted.version != newest {
            return Err(VersionError::Other { newest });
        }
        if !outlook.is_newer {
            return Ok(outlook);
        }
        if let Some(tag) = wanted.tag
            && tag != outlook.tag()?
        {
            return Err(VersionError::Changed);
        }
        let parts = comparison.parts(wanted.settle)?;
        let open: Vec<Conflict> = parts.iter().flat_map(|part| part.conflicts.clone()).collect();
        if !open.is_empty() {
            return Err(VersionError::Conflicts(open));
        }
        let update = comparison.update(&parts, wanted.by, means.limits)?;
        let events = comparison.events(&parts, update.gift.at);
        // Before it: what a crash cuts off is done by the same call again, with no effect of these.
        let types = means.types.registry();
        onboarding::seed(tenant, events, types, means.intake, means.hub).await?;
        let keep = means.limits.versions;
        if means.directory.update_template(tenant, update, keep).await? {
            means.types.reread_fields(Tenant(tenant.number)).await?;
            // Those who watch are told before the answer.
            means.hub.redefined(Tenant(tenant.number));
            means.alerts.changed(tenant.number);
            return self::outlook(means.store, tenant).await;
        }
    }
    Err(VersionError::Changed)
}

/// What a tenant was given, what is there now, and what the tenant has, as they are read.
struct Comparison {
    tenant: TenantRecord,
    given: Option<GivenTemplate>,
    theirs: &'static Template,
    /// What of either version the tenant has.
    ours: Contents,
    sides: parts::Sides,
    /// What it has declared beside the fields of event types.
    fields: CustomFields,
}

impl Comparison {
    async fn read(store: &Store, tenant: &TenantRecord) -> Result<Self, VersionError> {
        // As it is now: its modules may have been switched since the call began.
        let now = store.tenant(&tenant.id).await?;
        let tenant = now.ok_or_else(|| StoreError::NotFound { id: tenant.id.clone() })?;
        if tenant.template.is_some() {
            return Err(VersionError::Beginning);
        }
        let given = store.given_template(tenant.number).await?;
        let fields = store.custom_fields_of(tenant.number).await?;
        // One that was given none, or before that was remembered, may take over all there is.
        let vertical = given.as_ref().map(|given| &given.template.vertical);
        let vertical = vertical.or(tenant.vertical.as_ref()).ok_or(VersionError::None)?;
        let theirs = templates::find(vertical).ok_or(VersionError::None)?;
        let before = given.as_ref().map(|given| &given.template);
        let ours = Contents::read(store, &tenant, &[Some(theirs), before]).await?;
        let items = |template: &Template| contents::of_template(template, &tenant, &ours);
        let mut sides = parts::Sides {
            base: before.map(items).transpose()?.unwrap_or_default(),
            theirs: items(theirs)?,
            ours: ours.items(theirs)?,
        };
        sides.theirs.extend(contents::later_events(theirs, before)?);
        Ok(Self { tenant, given, theirs, ours, sides, fields })
    }

    fn parts(&self, settle: &Settlements) -> Result<Vec<Part>, SettleError> {
        parts::compare(&self.sides, settle)
    }

    /// Whether there is something to take over: content counts, since what a template builds on may
    /// have changed without a word in its own version. An older one is none.
    fn is_newer(&self) -> bool {
        let Some(GivenTemplate { template, .. }) = &self.given else { return true };
        self.theirs.version >= template.version && self.theirs != template
    }

    /// What is told of it.
    fn outlook(&self, parts: &[Part]) -> Outlook {
        let title = |part: &Part| {
            let sides = [&self.sides.ours, &self.sides.theirs, &self.sides.base];
            let of = |item: &&parts::Item| item.kind == part.kind && item.id == part.id;
            let found = sides.iter().find_map(|items| items.iter().find(of));
            found.map(contents::title).unwrap_or_default()
        };
        Outlook::of(self.given.as_ref(), self.theirs, self.is_newer(), parts, title)
    }

    /// The reference data that are to be seeded, as events of that time.
    fn events(&self, parts: &[Part], at: DateTime<Utc>) -> Vec<Value> {
        let seeds = |id: &str| {
            let mut given = parts.iter().filter(|part| part.kind == PartKind::Event);
            given.any(|part| part.id == id && part.step == Step::Give)
        };
        let events = self.theirs.events.iter().filter(|event| seeds(&event.id));
        self.theirs.dated_events(events, &self.tenant, at)
    }

    /// The modules that are switched.
    fn modules(&self, parts: &[Part]) -> Result<Option<SwitchedModules>, VersionError> {
        let find = |module: &str| {
            parts.iter().find(|part| part.kind == PartKind::Module && part.id == module)
        };
        let before = &self.tenant.modules;
        let is_on = |module: &&str| match find(module).map(|part| &part.step) {
            Some(Step::Give) => true,
            Some(Step::Delete) => false,
            _ => before.iter().any(|on| on == module),
        };
        let after: Vec<String> = MODULES.into_iter().filter(is_on).map(str::to_owned).collect();
        if after == *before {
            return Ok(None);
        }
        if after.is_empty() {
            let is_off = |part: &&Part| part.kind == PartKind::Module && part.step == Step::Delete;
            let off = parts.iter().find(is_off);
            let path = off.map(|part| part.path.to_string()).unwrap_or_default();
            let message = "it would be the last module to be switched off".to_owned();
            return Err(VersionError::Unfit { path, message });
        }
        Ok(Some(SwitchedModules { before: before.clone(), after }))
    }

    /// What the parts come to.
    fn update(
        &self,
        parts: &[Part],
        by: &str,
        limits: &DashboardLimits,
    ) -> Result<TemplateUpdate, VersionError> {
        let tenant = &self.tenant;
        let whole = onboarding::gift(self.theirs, tenant.timezone, Utc::now())?;
        let at = whole.at;
        let before = self.given.as_ref().map(|given| &given.template);
        let mut update = TemplateUpdate {
            revision: self.given.as_ref().map(|given| given.revision),
            by: by.to_owned(),
            modules: self.modules(parts)?,
            gift: TemplateGift {
                template: whole.template.clone(),
                at,
                dashboards: Vec::new(),
                reports: Vec::new(),
                rules: Vec::new(),
            },
            dashboards: Vec::new(),
            reports: Vec::new(),
            rules: Vec::new(),
            removed: Vec::new(),
            fields: self.fields.clone().taking_over(before, self.theirs),
        };
        for part in parts {
            let id = self.theirs.part_id(&part.id);
            match (&part.step, part.kind) {
                // Switched, seeded, and as they were.
                (_, PartKind::Module | PartKind::Event)
                | (Step::Keep, PartKind::Report | PartKind::AlertRule) => {}
                (Step::Give, _) => give(&mut update.gift, &whole, part.kind, &id),
                (Step::Delete, _) => update.removed.extend(self.ours.removed(part.kind, &id)),
                (step, PartKind::Dashboard) => {
                    // One that the newer version has no more keeps what it had.
                    let theirs = whole.dashboards.iter().find(|d| d.head.id.as_str() == id);
                    let ours = self.ours.dashboards.iter().find(|d| d.head.id.as_str() == id);
                    if let (Some(theirs), Some(ours)) = (theirs, ours)
                        && let (Some(origin), Some(base)) = (&theirs.head.origin, &theirs.base)
                    {
                        let content = match step {
                            Step::Change(value) => {
                                Some(contents::dashboard(value, part, ours, limits)?)
                            }
                            _ => None,
                        };
                        update.dashboards.push(UpdatedDashboard {
                            id: ours.head.id.clone(),
                            version: ours.head.version,
                            content,
                            origin: origin.clone(),
                            base: base.clone(),
                        });
                    }
                }
                (Step::Change(value), PartKind::Report) => {
                    if let Some(before) = self.ours.reports.iter().find(|report| report.id == id) {
                        let definition =
                            contents::report(value, part, &before.definition, tenant.timezone)?;
                        let report = Report {
                            version: before.version + 1,
                            changed_at: at,
                            definition,
                            ..before.clone()
                        };
                        update.reports.push((report.stored()?, report.next(at)));
                    }
                }
                (Step::Change(value), PartKind::AlertRule) => {
                    if let Some((before, definition)) = self.ours.rule(&id) {
                        let definition = contents::rule(value, part, definition)?;
                        update.rules.push(StoredAlertRule {
                            version: before.version + 1,
                            changed_at: at,
                            audience: definition.audience(),
                            definition: serde_json::to_string(&definition)?,
                            ..before.clone()
                        });
                    }
                }
            }
        }
        Ok(update)
    }
}

/// Puts a part of all that a template gives into what is given of it.
fn give(gift: &mut TemplateGift, whole: &TemplateGift, kind: PartKind, id: &str) {
    match kind {
        PartKind::Dashboard => {
            let given = whole.dashboards.iter().filter(|board| board.head.id.as_str() == id);
            gift.dashboards.extend(given.cloned());
        }
        PartKind::Report => {
            let given = whole.reports.iter().filter(|(report, _)| report.id == id);
            gift.reports.extend(given.cloned());
        }
        PartKind::AlertRule => {
            let given = whole.rules.iter().filter(|rule| rule.id == id);
            gift.rules.extend(given.cloned());
        }
        // No stored things.
        PartKind::Module | PartKind::Event => {}
    }
}
