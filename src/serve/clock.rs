//! The tenants' dates: read from the wall clock out here, recorded as ticks, so that the engine
//! needs no clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ingest::IntakeError;
use projections::{Tenant, Tick};
use tenancy::{Directory, TenantRecord};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Intake;
use crate::changes::Changes;

/// How often the dates are looked at. A date is at most this late after midnight.
const PERIOD: Duration = Duration::from_secs(2);
/// How long a look waits for its dates to be recorded. What waits for room in one partition is told
/// again at the next look, and the next day of the others does not wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Records the date of each of these tenants for which another one, or none, is recorded.
pub(super) async fn tick_all(
    tenants: &[Arc<TenantRecord>],
    intake: &Intake,
    now: DateTime<Utc>,
) -> Result<(), IntakeError> {
    let ticks: Vec<Tick> = tenants.iter().filter_map(|tenant| due(tenant, intake, now)).collect();
    if ticks.is_empty() {
        return Ok(());
    }
    intake.tick(ticks).await
}

/// Records the date of one tenant, just created or changed.
pub(crate) async fn tick_one(
    tenant: &TenantRecord,
    intake: &Intake,
    now: DateTime<Utc>,
) -> Result<(), IntakeError> {
    match due(tenant, intake, now) {
        Some(tick) => intake.tick(vec![tick]).await,
        None => Ok(()),
    }
}

/// The tick a tenant needs, if any. Under an `events` clock its events move the date as they are
/// recorded; a tick is due only when clock or timezone have become others.
fn due(tenant: &TenantRecord, intake: &Intake, now: DateTime<Utc>) -> Option<Tick> {
    let number = Tenant(tenant.number);
    // The date before the newest event: events recorded in between then make a tick that is
    // already there, and never one that leads back.
    let recorded = intake.last_date(number);
    let today = tenant.today(now).or_else(|| {
        let newest = intake.newest_event(number)?;
        Some(newest.with_timezone(&tenant.timezone).date_naive())
    })?;
    (recorded != Some(today)).then_some(Tick { tenant: number, today })
}

/// Keeps the dates until `closing`. A failure is logged and tried again with the next look.
/// What another process has changed is looked at when it is known here.
pub(super) async fn keep(
    directory: &Directory,
    intake: &Intake,
    changes: Option<&Changes>,
    closing: &CancellationToken,
) {
    let mut taken = changes.map(Changes::taken);
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = period.tick() => {}
            () = changed(taken.as_mut()) => {}
        }
        let read_here: Vec<Arc<TenantRecord>> =
            directory.all().into_iter().filter(|tenant| intake.is_read(&tenant.id)).collect();
        let recorded = timeout(PATIENCE, tick_all(&read_here, intake, Utc::now())).await;
        let Ok(recorded) = recorded else {
            tracing::warn!(
                "some tenants' dates wait for room where they are recorded; trying again"
            );
            continue;
        };
        match recorded {
            Ok(()) => {}
            // A partition is being given up: whoever has it next records the dates.
            Err(error @ (IntakeError::Closed | IntakeError::Elsewhere)) => {
                tracing::debug!(%error, "dates are recorded elsewhere, or at the next look");
            }
            Err(error) => {
                tracing::error!(%error, "a tenant's new date could not be recorded; trying again");
            }
        }
    }
}

/// Returns when something was taken over from another process.
async fn changed(taken: Option<&mut watch::Receiver<u64>>) {
    let Some(taken) = taken else { return std::future::pending().await };
    if taken.changed().await.is_err() {
        // Nothing will be taken over any more.
        std::future::pending::<()>().await;
    }
}
