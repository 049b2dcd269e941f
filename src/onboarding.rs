//! What tenants begin with: the reference data of their template, its dashboards, reports, rules of
//! alerts and custom fields, given to each once.
//!
//! **In:** tenants whose template is still to be given. **Out:** its events, through the same way in
//! as all others, and in one step with the word in the control store that they are in, its dashboards,
//! reports, rules and fields.
//!
//! The ids of the events follow from the template and repeats have no effect, so whatever is cut off
//! is done again: by the call that created the tenant when it is repeated, and without it by the
//! node that serves the tenant. What else the template has stands with the word that all is given, so
//! a tenant that has changed or deleted something of it does not get it again.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ingest::{BodyError, Format, IntakeError, Limits};
use projections::{EventRegistry, Tenant};
use serde_json::Value;
use stream::Hub;
use tenancy::dashboards::{self, DashboardError};
use tenancy::templates::{self, Template};
use tenancy::{Directory, StoreError, TemplateGift, TenantRecord};

use crate::alerts::{AlertError, Alerts, rules_given};
use crate::event_types::TypeDirectory;
use crate::reports::{ReportError, reports_given};
use crate::serve::{Awaited, Intake, ServeError, sender};

/// Between two looks for what was left undone.
const LOOK: Duration = Duration::from_millis(250);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// For what was given to be shown by the views.
const APPLIED: Duration = Duration::from_secs(2);

/// Why a tenant has not what its template gives.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OnboardingError {
    /// A newer version has made it.
    #[error("there is no template `{0}`; run the version that created the tenant, or a newer one")]
    Unknown(String),
    /// The events cannot be recorded now.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// An event type is not as the template has it.
    #[error("the template's events are not taken: {0}")]
    Refused(String),
    /// A rule of alerts is not as rules are.
    #[error("the template's rules of alerts are not taken: {0}")]
    Rules(#[from] AlertError),
    /// A report is not as reports are.
    #[error("the template's reports are not taken: {0}")]
    Reports(#[from] ReportError),
    /// A dashboard is not as this version reads them.
    #[error("the template's dashboards are not taken: {0}")]
    Dashboards(#[from] DashboardError),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<BodyError> for OnboardingError {
    fn from(error: BodyError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Gives a tenant what its template holds, if that is still to be done. It is recorded when this
/// returns, and the views show it unless they are far behind: who is told that the tenant is in
/// finds it.
pub(crate) async fn give(
    tenant: &TenantRecord,
    types: &TypeDirectory,
    intake: &Intake,
    hub: &Hub,
    directory: &Directory,
    alerts: &Alerts,
) -> Result<(), OnboardingError> {
    let Some(name) = &tenant.template else { return Ok(()) };
    let template = templates::find(name).ok_or_else(|| OnboardingError::Unknown(name.clone()))?;
    let gift = gift(template, tenant.timezone, Utc::now())?;
    seed(tenant, template.cloud_events(tenant), types.registry(), intake, hub).await?;
    directory.finish_template(&tenant.id, gift).await?;
    types.reread_fields(Tenant(tenant.number)).await?;
    alerts.changed(tenant.number);
    Ok(())
}

/// What a template gives to a tenant of that zone at that time, beside its reference data. What is
/// over modules that are off is there too: it waits until the module is switched on.
pub(crate) fn gift(
    template: &Template,
    zone: Tz,
    at: DateTime<Utc>,
) -> Result<TemplateGift, OnboardingError> {
    Ok(TemplateGift {
        template: template.clone(),
        at,
        dashboards: dashboards::of_template(template, at)?,
        reports: reports_given(template, zone, at)?,
        rules: rules_given(template, at)?,
    })
}

/// Has the templates of a folder be there, if each gives what it must.
pub(crate) fn take_templates(path: &Path) -> Result<(), ServeError> {
    for template in templates::load(path)? {
        let gift = gift(template, Tz::UTC, Utc::now());
        gift.map_err(|source| ServeError::Template {
            name: template.vertical.clone(),
            source: Box::new(source),
        })?;
    }
    Ok(())
}

/// Takes reference data in, and waits for a while until the views show them.
pub(crate) async fn seed(
    tenant: &TenantRecord,
    events: Vec<Value>,
    types: &EventRegistry,
    intake: &Intake,
    hub: &Hub,
) -> Result<(), OnboardingError> {
    if events.is_empty() {
        return Ok(());
    }
    let body = Value::from(events).to_string();
    // Those of modules that are off too: they are there when the module is switched on.
    let types = types.visible(Tenant(tenant.number));
    let (limits, sender) = (Limits::default(), sender(tenant));
    let decoded =
        intake.decode(&types, &limits, &sender, Format::Batch, body.as_bytes(), Utc::now())?;
    let receipt = intake.submit(&sender, decoded).await?;
    if let Some(rejected) = receipt.rejected.into_iter().next() {
        return Err(OnboardingError::Refused(rejected.reason));
    }
    let awaited = Awaited::parse(Tenant(tenant.number), &receipt.position)
        .map_err(|error| OnboardingError::Refused(error.to_string()))?;
    // What is recorded holds, also when the views take longer than this to show it.
    drop(intake.wait(hub, &awaited, tenant.id.as_str(), APPLIED).await);
    Ok(())
}

/// Gives what was left undone to the tenants that are served here, for as long as it is polled.
pub(crate) async fn keep(
    directory: &Directory,
    types: &TypeDirectory,
    intake: &Intake,
    hub: &Hub,
    alerts: &Alerts,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        for tenant in directory.unfinished() {
            match give(&tenant, types, intake, hub, directory, alerts).await {
                Ok(()) => tracing::info!(tenant = tenant.number, "a template is given"),
                // Who serves it does it.
                Err(OnboardingError::Intake(IntakeError::Elsewhere)) => {}
                Err(error) => {
                    let tenant = tenant.number;
                    tracing::warn!(%error, tenant, "a template is not given yet; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}
