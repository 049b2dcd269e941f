//! Deliveries: what became of an alert is told by e-mail and webhooks, as the files of reports are
//! brought. A delivery is taken under a lease; a node that goes away leaves a lease that ends, and the
//! delivery is tried anew with the key that it had.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{NaiveDate, TimeDelta};
use projections::Tenant;
use query::Calendar;
use serde_json::{Map, Value, json};
use tenancy::audit::{Action, AuditEntry, Chain, bounded};
use tenancy::{ReportJob, StoreError, StoredNotice, TenantId, TenantRecord, TransitionKind};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::rule::Definition;
use super::told::{position, values};
use super::words::{Words, moment, on_one_line};
use super::{Alerts, Shared};
use crate::reports::told::instant;
use crate::reports::{Notice, Target, wait};

/// How often it is looked for what is due.
const PERIOD: Duration = Duration::from_secs(1);
/// For how long one is taken: longer than a try may take.
const LEASE: TimeDelta = TimeDelta::seconds(180);
/// Deliveries that are tried at a time on one node, and of these those of one tenant.
const AT_ONCE: usize = 16;
const OF_TENANT: u32 = 4;
/// How often a delivery is tried.
const ATTEMPTS: u32 = 10;
/// When it is tried again to read what this version cannot, which a newer one may have written; and for
/// how long.
const READ_AGAIN: TimeDelta = TimeDelta::minutes(5);
const UNREAD: TimeDelta = TimeDelta::days(1);
/// The longest subject of a message, in characters.
const MAX_SUBJECT: usize = 200;
/// Why somebody is not told whom the rule does not tell any more.
const CHANGED: &str = "the rule was changed meanwhile and does not go there any more";

/// What may be delivered at a time.
pub(super) struct Courier {
    slots: Arc<Semaphore>,
    fair: Mutex<Fair>,
    /// That something is due at once.
    wake: Notify,
}

/// Whose turn it is.
#[derive(Default)]
struct Fair {
    /// How many are tried of each tenant.
    busy: HashMap<u32, u32>,
    /// When each had one last, counted in deliveries.
    last: HashMap<u32, u64>,
    deliveries: u64,
}

impl Courier {
    pub(super) fn new() -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self { slots, fair: Mutex::default(), wake: Notify::new() }
    }

    /// Has it be looked at once.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    fn fair(&self) -> MutexGuard<'_, Fair> {
        self.fair.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among what is tried; it is given back when this goes.
struct Place {
    shared: Arc<Shared>,
    tenant: u32,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut fair = self.shared.courier.fair();
        if let Some(count) = fair.busy.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                fair.busy.remove(&self.tenant);
            }
        }
        drop(fair);
        self.shared.courier.wake();
    }
}

impl Alerts {
    /// Delivers what is due for the tenants that `serves` names, for as long as it is polled.
    pub(super) async fn carry(&self, serves: &impl Fn(&TenantId) -> bool) {
        let mut turns = interval(PERIOD);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = self.shared.courier.wake.notified() => {}
            }
            if let Err(error) = self.carry_turn(serves).await {
                tracing::warn!(%error, "it cannot be seen what is to be told; trying again");
            }
        }
    }

    /// Begins what is due now and there is room for.
    pub(super) async fn carry_turn(
        &self,
        serves: &impl Fn(&TenantId) -> bool,
    ) -> Result<Vec<JoinHandle<()>>, StoreError> {
        let now = self.shared.now();
        let mut served = self.shared.parts.directory.all();
        served.retain(|tenant| serves(&tenant.id));
        let served: Vec<u32> = served.iter().map(|tenant| tenant.number).collect();
        let mut due = self.shared.store().due_alert_jobs(now, &served, OF_TENANT).await?;
        {
            // Who has had nothing for longest comes first.
            let fair = self.shared.courier.fair();
            due.sort_by_key(|job| (fair.last.get(&job.tenant).copied(), job.due_at));
        }
        let mut begun = Vec::new();
        for job in due {
            let Some(tenant) = self.shared.parts.directory.by_number(job.tenant) else { continue };
            let Some(place) = self.place(job.tenant) else { continue };
            let drawn: u128 = rand::random();
            let lease = format!("{drawn:032x}");
            if self.shared.store().claim_report_job(&job, &lease, now, now + LEASE).await? {
                let shared = Arc::clone(&self.shared);
                begun.push(tokio::spawn(async move {
                    let _place = place;
                    if let Err(error) = shared.deliver(&tenant, &job, &lease).await {
                        // The lease ends, and then it is tried again.
                        let tenant = job.tenant;
                        tracing::warn!(%error, tenant, alert = job.id, "it is not known what came of a delivery");
                    }
                }));
            }
        }
        Ok(begun)
    }

    /// A place for a delivery of a tenant, if there is one.
    fn place(&self, tenant: u32) -> Option<Place> {
        let courier = &self.shared.courier;
        let permit = Arc::clone(&courier.slots).try_acquire_owned().ok()?;
        let mut fair = courier.fair();
        let count = fair.busy.entry(tenant).or_default();
        if *count >= OF_TENANT {
            return None;
        }
        *count += 1;
        fair.deliveries += 1;
        let turn = fair.deliveries;
        fair.last.insert(tenant, turn);
        Some(Place { shared: Arc::clone(&self.shared), tenant, _permit: permit })
    }
}

impl Shared {
    /// Tries a delivery.
    async fn deliver(
        &self,
        tenant: &TenantRecord,
        job: &ReportJob,
        lease: &str,
    ) -> Result<(), StoreError> {
        let (begun, now) = (Instant::now(), self.now());
        let Some(notice) = self.store().alert_notice(job).await? else {
            return self.store().end_report_job(job, lease).await;
        };
        let (target, is_wanted) = match by_now(&notice) {
            Ok(by_now) => by_now,
            Err(error) => {
                let (tenant, alert, rule) = (job.tenant, &job.id, &notice.alert.rule_id);
                tracing::error!(%error, tenant, alert, rule, "a delivery cannot be read; trying again later");
                if now - notice.transition.at < UNREAD {
                    let again = now + READ_AGAIN;
                    return self.store().return_report_job(job, lease, again).await;
                }
                let error = format!("what is stored of it cannot be read: {error}");
                let ended = self.store().end_alert_delivery(job, lease, Some(&error), now, None);
                return ended.await.map(drop);
            }
        };
        let tried = job.attempts + 1;
        let told = match self.notice(tenant, &notice, &target) {
            _ if !is_wanted => Err((CHANGED.to_owned(), false)),
            Ok(said) => self.parts.reports.notify(said, &target).await.map_err(|undelivered| {
                let may_pass = undelivered.may_pass && tried < ATTEMPTS;
                (undelivered.message, may_pass)
            }),
            Err(message) => Err((message, false)),
        };
        let now = self.now();
        let (error, again) = match told {
            Ok(()) => (None, None),
            Err((message, may_pass)) => (Some(message), may_pass.then(|| now + wait(tried))),
        };
        let error = error.as_deref();
        let status = match (error, again) {
            (None, _) => 200,
            (Some(_), Some(_)) => 503,
            (Some(_), None) => 422,
        };
        let mut detail: Map<String, Value> = Map::from_iter([
            ("ms".to_owned(), json!(begun.elapsed().as_millis() as u64)),
            ("attempt".to_owned(), json!(tried)),
        ]);
        if let Some(error) = error {
            detail.insert("error".to_owned(), bounded(json!(error)));
        }
        self.record(tenant, &notice, &target, status, detail).await;
        self.store().end_alert_delivery(job, lease, error, now, again).await.map(drop)
    }

    /// What a target is told.
    fn notice(
        &self,
        tenant: &TenantRecord,
        stored: &StoredNotice,
        target: &Target,
    ) -> Result<Notice, String> {
        let StoredNotice { alert, transition, delivery, .. } = stored;
        let (at, number) = (instant(transition.at), Tenant(tenant.number));
        let position = transition.sequence.map(|sequence| position(number, sequence));
        let what = match transition.kind {
            TransitionKind::Cleared => "Cleared",
            _ => "Alert",
        };
        let head = format!("{what}: {}", alert.title);
        let mut words = Words::of(alert, tenant.timezone);
        if transition.kind != TransitionKind::Fired {
            // They are those of when it fired.
            words.details.clear();
        }
        let url = self.parts.reports.link(&format!("/v1/alerts/{}", alert.id));
        let body = json!({
            "type": format!("alert.{}", transition.kind.as_str()),
            "tenant": tenant.id,
            "alert": alert.id,
            "rule": alert.rule_id,
            "number": transition.number,
            "title": alert.title,
            "severity": alert.severity,
            "text": words.sentence(&head),
            "subject": values(&alert.subject),
            "details": values(&alert.details),
            "position": position,
            "at": at,
            "fired_at": instant(alert.fired_at),
            "url": url,
        });
        let today = transition.at.with_timezone(&tenant.timezone).date_naive();
        let subject_line = match target {
            Target::Email { subject: Some(words), .. } => expanded(words, today)?,
            _ => [std::slice::from_ref(&head), words.subject.as_slice()].concat().join(" · "),
        };
        let when = moment(transition.at, tenant.timezone);
        let lines = [words.subject, words.details].concat().join("\n");
        let text = format!(
            "{head}\n{}, {}, {when}\n\n{lines}\n\nAlert {}\n",
            tenant.firm(),
            alert.severity,
            alert.id,
        );
        Ok(Notice {
            key: format!("{}.{}", alert.id, delivery.place),
            subject: line(&subject_line),
            text,
            body,
        })
    }

    /// Records what was to be told, and whom, with what came of it.
    async fn record(
        &self,
        tenant: &TenantRecord,
        notice: &StoredNotice,
        target: &Target,
        status: u16,
        mut detail: Map<String, Value>,
    ) {
        detail.insert("target".to_owned(), bounded(target.shown()));
        let transition = notice.transition.kind.as_str();
        detail.insert("transition".to_owned(), json!(transition));
        let entry = AuditEntry {
            chain: Chain::Tenant(tenant.number),
            at: self.now(),
            actor: notice.owner.clone(),
            source: String::new(),
            action: Action::Download,
            object: format!("alert {} of the rule {}", notice.alert.id, notice.alert.rule_id),
            status,
            detail,
        };
        if let Err(error) = self.parts.trail.keep(entry).await {
            tracing::error!(%error, tenant = tenant.number, "a delivery is not in the audit");
        }
    }
}

/// The target as its rule has it by now, with the secret of now, and of a message with those whom the rule
/// still tells; or as it was, which the rule does not tell any more. With the rule gone, what was decided
/// before stands.
fn by_now(notice: &StoredNotice) -> serde_json::Result<(Target, bool)> {
    let target: Target = serde_json::from_str(&notice.delivery.target)?;
    let Some(rule) = &notice.definition else { return Ok((target, true)) };
    let rule: Definition = serde_json::from_str(rule)?;
    if let Some(now) = rule.deliver.iter().find(|now| now.shown() == target.shown()) {
        return Ok((now.clone(), true));
    }
    let Target::Email { to, subject, role } = target else { return Ok((target, false)) };
    let is_told = |address: &String| {
        let tells = |now: &Target| matches!(now, Target::Email { to, .. } if to.contains(address));
        rule.deliver.iter().any(tells)
    };
    let still: Vec<String> = to.iter().filter(|address| is_told(address)).cloned().collect();
    let is_wanted = !still.is_empty();
    Ok((Target::Email { to: if is_wanted { still } else { to }, subject, role }, is_wanted))
}

/// A subject of a message whose words in double braces are dates.
fn expanded(words: &str, today: NaiveDate) -> Result<String, String> {
    Calendar::new(today, 1).expand(words).map_err(|error| error.to_string())
}

/// A text as one line that is not too long.
fn line(text: &str) -> String {
    on_one_line(text).chars().take(MAX_SUBJECT).collect()
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;
