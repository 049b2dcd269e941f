//! When rules are evaluated, and what follows from what they say.
//!
//! In each turn it is looked which tenants have come further; their rules are evaluated, and where a
//! rule says something else than before, that is decided in the control store. What is held here of
//! what is open there only spares that question: the store compares for itself.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use projections::{Tenant, TenantSnapshot, ViewMark, ViewSnapshot};
use tenancy::{
    AlertBounds, AlertSubject, Decided, Decision, Fence, RuleState, StoreError, TenantId,
    TenantRecord,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::evaluation::{Found, Said, Unevaluated};
use super::rule::Rule;
use super::{AlertError, Alerts, Shared};
use crate::forward::Served;

/// After how long rules are read anew and evaluated at the latest, although nothing has changed: for
/// what changes no position, such as a module that is switched off, or an own view that is defined.
const REFRESH: TimeDelta = TimeDelta::seconds(60);
/// Within so many milliseconds before that, so that not all tenants come at once.
const SPREAD: u64 = 20_000;
/// After how long a rule is tried again that could not be evaluated yet.
const AGAIN: TimeDelta = TimeDelta::seconds(5);
/// A rule rests for so many times as long as its evaluation took.
const REST: u32 = 9;
/// Tenants whose rules are read at a time.
const READ: usize = 4;
/// The longest error that is noted of a rule, in characters.
const MAX_ERROR: usize = 1_000;

/// What is watched here.
pub(super) struct Watch {
    /// Held for a look-up or a change in memory only.
    tenants: Mutex<HashMap<u32, Arc<Entry>>>,
    reading: Semaphore,
}

/// A tenant that is watched here.
#[derive(Default)]
struct Entry {
    /// Raised with each change of its rules.
    changes: AtomicU64,
    /// Held by whoever evaluates its rules.
    watched: Arc<tokio::sync::Mutex<Watched>>,
}

/// A tenant's rules, as they were read.
#[derive(Default)]
struct Watched {
    read: Option<Read>,
    rules: Vec<Kept>,
    /// After a failure of the store nothing is tried before.
    rests_until: DateTime<Utc>,
}

/// When rules were read.
#[derive(Clone, Copy)]
struct Read {
    at: DateTime<Utc>,
    changes: u64,
    /// By which right what they say is decided upon.
    fence: Fence,
}

/// A position of a tenant, and its date.
type Seen = (u64, Option<NaiveDate>);

/// A rule that is evaluated.
struct Kept {
    rule: Rule,
    /// The keys of the subjects that have an open alert.
    open: BTreeSet<String>,
    /// Where it was evaluated last.
    seen: Option<Seen>,
    /// The view that it read then, of a built-in one.
    mark: Option<ViewMark>,
    /// It is not evaluated before.
    rests_until: DateTime<Utc>,
    /// Whether its owner was found to have the right, since it was read.
    is_allowed: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { tenants: Mutex::default(), reading: Semaphore::new(READ) }
    }

    /// What is held of each of these tenants; of others nothing any more.
    fn of(&self, served: Vec<Arc<TenantRecord>>) -> Vec<(Arc<TenantRecord>, Arc<Entry>)> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers: BTreeSet<u32> = served.iter().map(|tenant| tenant.number).collect();
        tenants.retain(|number, _| numbers.contains(number));
        let entry = |tenant: Arc<TenantRecord>| {
            let entry = Arc::clone(tenants.entry(tenant.number).or_default());
            (tenant, entry)
        };
        served.into_iter().map(entry).collect()
    }

    /// Has a tenant's rules be read anew.
    pub(super) fn change(&self, tenant: u32) {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = tenants.get(&tenant) {
            entry.changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Watched {
    /// Whether a tenant's rules must be read before they are evaluated.
    fn is_old(&self, tenant: u32, now: Read) -> bool {
        let sooner = u64::from(tenant).wrapping_mul(7_919) % SPREAD;
        let refresh = REFRESH - TimeDelta::milliseconds(sooner.cast_signed());
        self.read.is_none_or(|read| {
            read.fence != now.fence || read.changes != now.changes || now.at - read.at >= refresh
        })
    }

    /// Whether there is something to do at this position.
    fn is_due(&self, tenant: u32, now: Read, seen: Seen) -> bool {
        now.at >= self.rests_until
            && (self.is_old(tenant, now) || self.rules.iter().any(|kept| kept.is_due(seen, now.at)))
    }

    /// Takes rules that were read. What is known of one that has not changed stays.
    fn take(&mut self, rules: Vec<Rule>, open: Vec<(String, String)>, read: Read) {
        let mut before = std::mem::take(&mut self.rules);
        let mut of_rule: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (rule, key) in open {
            of_rule.entry(rule).or_default().insert(key);
        }
        for rule in rules.into_iter().filter(|rule| rule.definition.enabled) {
            let open = of_rule.remove(&rule.id).unwrap_or_default();
            let same = before.iter().position(|kept| {
                kept.rule.id == rule.id && kept.rule.version == rule.version && kept.open == open
            });
            let kept = same.map(|place| before.swap_remove(place));
            let (mark, rests_until) = match kept {
                Some(kept) => (kept.mark, kept.rests_until),
                None => (None, DateTime::UNIX_EPOCH),
            };
            self.rules.push(Kept { rule, open, seen: None, mark, rests_until, is_allowed: false });
        }
        self.read = Some(read);
    }
}

impl Kept {
    fn is_due(&self, seen: Seen, now: DateTime<Utc>) -> bool {
        self.seen != Some(seen) && now >= self.rests_until
    }
}

impl Alerts {
    /// Evaluates the rules of the tenants that `serves` names, turn by turn, for as long as it is
    /// polled.
    pub(super) async fn watch(&self, serves: &impl Fn(&TenantId) -> bool) {
        let every = Duration::from_millis(self.shared.parts.settings.interval_ms);
        let mut turns = interval(every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            // They go on by themselves.
            drop(self.turn(serves));
        }
    }

    /// Begins to evaluate what is due.
    pub(super) fn turn(&self, serves: &impl Fn(&TenantId) -> bool) -> Vec<JoinHandle<()>> {
        let now = self.shared.now();
        let all = self.shared.parts.directory.all();
        let served = all.into_iter().filter(|tenant| serves(&tenant.id)).collect();
        let mut begun = Vec::new();
        for (tenant, entry) in self.shared.watch.of(served) {
            let number = Tenant(tenant.number);
            // Before the snapshot is taken: who loses the tenant meanwhile decides nothing.
            let Some(fence) = self.shared.parts.fences.of(number) else { continue };
            let Ok(mut watched) = Arc::clone(&entry.watched).try_lock_owned() else { continue };
            let changes = entry.changes.load(Ordering::Acquire);
            let read = Read { at: now, changes, fence };
            let snapshot = self.shared.parts.readers.snapshot(number);
            if !watched.is_due(tenant.number, read, seen(&snapshot)) {
                continue;
            }
            let shared = Arc::clone(&self.shared);
            begun.push(tokio::spawn(async move {
                if let Err(error) = shared.look(&tenant, &mut watched, read).await {
                    (watched.read, watched.rests_until) = (None, now + AGAIN);
                    let tenant = tenant.number;
                    tracing::warn!(%error, tenant, "rules of alerts are not evaluated; trying again");
                }
            }));
        }
        begun
    }
}

fn seen(snapshot: &TenantSnapshot) -> Seen {
    (snapshot.position().sequence, snapshot.today())
}

impl Shared {
    /// Evaluates the rules of a tenant that are due.
    async fn look(
        &self,
        tenant: &TenantRecord,
        watched: &mut Watched,
        read: Read,
    ) -> Result<(), AlertError> {
        if watched.is_old(tenant.number, read) {
            let _turn = self.watch.reading.acquire().await;
            let (stored, open) = self.store().alert_watch(tenant.number).await?;
            watched.take(Rule::all(tenant, stored)?, open, read);
        }
        let snapshot = self.parts.shown.snapshot(Tenant(tenant.number));
        if self.parts.places.of(&tenant.id) != Served::Here {
            return Ok(());
        }
        let seen = seen(&snapshot);
        for kept in &mut watched.rules {
            if !kept.is_due(seen, self.now()) {
                continue;
            }
            if !self.evaluate(tenant, kept, &snapshot, read.fence).await? {
                // It is another rule by now, or this is another node's tenant.
                watched.read = None;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Evaluates a rule, and decides where it says something new; false if that is not this node's
    /// to decide, or the rule is another one by now.
    async fn evaluate(
        &self,
        tenant: &TenantRecord,
        kept: &mut Kept,
        snapshot: &Arc<TenantSnapshot>,
        fence: Fence,
    ) -> Result<bool, AlertError> {
        let view = kept.rule.builtin.and_then(|builtin| snapshot.view(builtin.view));
        let mark = view.map(ViewSnapshot::mark);
        if mark.is_some() && mark == kept.mark {
            kept.seen = Some(seen(snapshot));
            return Ok(true);
        }
        let begun = Instant::now();
        let snapshot_now = Arc::clone(snapshot);
        let said = self.said(tenant, &kept.rule, &mut kept.is_allowed, snapshot_now).await;
        let spent = TimeDelta::from_std(begun.elapsed() * REST).unwrap_or(REFRESH);
        let now = self.now();
        kept.rests_until = now + spent;
        let is_done = match said {
            Ok(said) => self.decide(tenant, kept, (said, seen(snapshot).0), fence).await?,
            Err(Unevaluated::Later(why)) => {
                tracing::debug!(tenant = tenant.number, rule = kept.rule.id, why, "a rule waits");
                kept.rests_until = now + AGAIN;
                kept.seen = None;
                return Ok(true);
            }
            // Whether a module is on needs no note: who asks for the rule sees it.
            Err(Unevaluated::Idle(_)) if kept.rule.builtin.is_some() => true,
            Err(Unevaluated::Idle(why)) => {
                self.note(tenant, &mut kept.rule, (RuleState::Idle, &why), fence).await?
            }
            Err(Unevaluated::Failed(why)) => {
                self.note(tenant, &mut kept.rule, (RuleState::Failed, &why), fence).await?
            }
        };
        if is_done {
            kept.seen = Some(seen(snapshot));
            kept.mark = mark;
        }
        Ok(is_done)
    }

    /// Makes the open alerts of a rule those that it says at a position, if they are not.
    async fn decide(
        &self,
        tenant: &TenantRecord,
        kept: &mut Kept,
        (said, sequence): (Said, u64),
        fence: Fence,
    ) -> Result<bool, AlertError> {
        let Said { subjects: found, columns } = said;
        let on: BTreeSet<String> = found.iter().map(|subject| subject.key.clone()).collect();
        if on == kept.open && kept.rule.state == RuleState::Live {
            return Ok(true);
        }
        let (at, settings) = (self.now(), &self.parts.settings);
        // Ids sort as the subjects came.
        let subjects: Vec<AlertSubject> = (0..)
            .zip(found)
            .map(|(place, Found { key, subject, details })| {
                let alert_id = alert_id(at + TimeDelta::microseconds(place));
                AlertSubject { alert_id, key, subject, details }
            })
            .collect();
        let definition = &kept.rule.definition;
        let deliver: Vec<String> =
            definition.deliver.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let stored = kept.rule.stored()?;
        let decision = Decision {
            rule: &stored,
            is_builtin: kept.rule.builtin.is_some(),
            sequence,
            at,
            title: &definition.title,
            severity: definition.severity.as_str(),
            subjects: &subjects,
            columns: &columns,
            deliver: &deliver,
            bounds: AlertBounds {
                queued: settings.queued,
                kept: settings.history,
                kept_since: at - TimeDelta::days(settings.keep_days.into()),
            },
        };
        let decided = self.store().decide_alerts(tenant.number, fence, &decision).await?;
        match decided {
            Decided::Fenced | Decided::Changed => Ok(false),
            Decided::Done { fired, cleared } => {
                kept.open = on;
                (kept.rule.state, kept.rule.error) = (RuleState::Live, None);
                if fired + cleared > 0 {
                    metrics::counter!("tidemark_alerts_fired_total").increment(fired as u64);
                    metrics::counter!("tidemark_alerts_cleared_total").increment(cleared as u64);
                    self.parts.hub.alerted(Tenant(tenant.number));
                    self.courier.wake();
                }
                Ok(true)
            }
        }
    }

    /// Notes that a rule cannot be evaluated, unless that is known; its alerts stay as they are.
    async fn note(
        &self,
        tenant: &TenantRecord,
        rule: &mut Rule,
        (state, why): (RuleState, &str),
        fence: Fence,
    ) -> Result<bool, AlertError> {
        let why: String = why.chars().take(MAX_ERROR).map(printable).collect();
        if rule.state == state && rule.error.as_ref() == Some(&why) {
            return Ok(true);
        }
        tracing::info!(tenant = tenant.number, rule = rule.id, why, "a rule is not evaluated");
        let noted = Rule { state, error: Some(why), ..rule.clone() };
        let (stored, is_builtin) = (noted.stored()?, noted.builtin.is_some());
        let is_noted: Result<bool, StoreError> =
            self.store().note_alert_rule(tenant.number, fence, &stored, is_builtin).await;
        if !is_noted? {
            return Ok(false);
        }
        *rule = noted;
        Ok(true)
    }
}

/// What the control store can keep of a character.
fn printable(c: char) -> char {
    if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }
}

/// A new id, which sorts by time.
fn alert_id(now: DateTime<Utc>) -> String {
    let drawn: u32 = rand::random();
    format!("{}-{drawn:08x}", now.format("%Y%m%dT%H%M%S%6f"))
}
