#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::super::places::{Place, on_both};
use super::super::{
    AlertBounds, AlertSubject, Decided, Decision, ReportJob, RuleState, StoredAlertRule,
};
use super::*;
use crate::{NewTenant, Tombstone};

fn tenant(id: &str) -> NewTenant {
    let body = serde_json::json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    serde_json::from_value(body).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn rule(id: &str) -> StoredAlertRule {
    StoredAlertRule {
        id: id.to_owned(),
        version: 1,
        owner: "jo".to_owned(),
        definition: "{}".to_owned(),
        audience: 1,
        state: RuleState::Waiting,
        error: None,
        created_at: at(0),
        changed_at: at(0),
    }
}

const COLUMNS: &str = "[{\"name\":\"s\",\"type\":\"text\"}]";

const BOUNDS: AlertBounds =
    AlertBounds { queued: 1_000, kept: 1_000, kept_since: DateTime::UNIX_EPOCH };

/// A rule that says of these subjects, at a position and a second of the same number, that they have
/// an alert.
struct Says<'a> {
    rule: &'a StoredAlertRule,
    subjects: &'a [&'a str],
    at: i64,
    deliver: &'a [String],
    bounds: AlertBounds,
}

impl<'a> Says<'a> {
    fn new(rule: &'a StoredAlertRule, at: i64, subjects: &'a [&'a str]) -> Self {
        Self { rule, subjects, at, deliver: &[], bounds: BOUNDS }
    }

    async fn to(&self, store: &Store, fence: Fence) -> Decided {
        let subject = |key: &&str| AlertSubject {
            alert_id: format!("{:06}-{}-{key}", self.at, self.rule.id),
            key: (*key).to_owned(),
            subject: format!("{{\"s\":\"{key}\"}}"),
            details: "{}".to_owned(),
        };
        let subjects: Vec<AlertSubject> = self.subjects.iter().map(subject).collect();
        let decision = Decision {
            rule: self.rule,
            is_builtin: self.rule.owner.is_empty(),
            sequence: u64::try_from(self.at).unwrap(),
            at: at(self.at),
            title: "too much",
            severity: "warning",
            subjects: &subjects,
            columns: COLUMNS,
            deliver: self.deliver,
            bounds: self.bounds,
        };
        store.decide_alerts(1, fence, &decision).await.unwrap()
    }
}

fn filter(state: Option<AlertState>) -> AlertFilter<'static> {
    AlertFilter { audience: 3, state, rule: None, before: None, most: 10_000 }
}

async fn acquire(store: &Store, node: &str) -> Fence {
    let (epoch, is_mine) = store.acquire_partition(0, node, None).await.unwrap();
    assert!(is_mine);
    Fence { partition: 0, epoch }
}

async fn open(store: &Store) -> Vec<String> {
    let all = store.alerts(1, filter(Some(AlertState::Open))).await.unwrap();
    all.into_iter().map(|alert| alert.subject).collect()
}

fn done(fired: usize, cleared: usize) -> Decided {
    Decided::Done { fired, cleared }
}

async fn due(store: &Store, seconds: i64) -> Vec<ReportJob> {
    store.due_alert_jobs(at(seconds), &[1], 1_000).await.unwrap()
}

on_both! {
async fn an_alert_fires_once_and_clears_once(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let fence = acquire(&store, "a").await;
    let rule = rule("r");
    assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
    let deliver = ["{\"a\":1}".to_owned(), "{\"b\":1}".to_owned()];
    let says = |at, subjects| Says { deliver: &deliver, ..Says::new(&rule, at, subjects) };
    assert_eq!(says(1, &["x", "y"]).to(&store, fence).await, done(2, 0));
    assert_eq!(says(2, &["x", "y"]).to(&store, fence).await, done(0, 0));
    assert_eq!(says(3, &["y", "z"]).to(&store, fence).await, done(1, 1));
    assert_eq!(open(&store).await, ["{\"s\":\"z\"}", "{\"s\":\"y\"}"]);
    assert_eq!(store.open_alerts(1, 1).await.unwrap(), 2);
    let (alert, history) = store.alert(1, "000001-r-x", 1).await.unwrap().unwrap();
    assert_eq!((alert.state, alert.cleared_at), (AlertState::Cleared, Some(at(3))));
    assert_eq!(alert.columns, COLUMNS);
    let kinds: Vec<_> = history.iter().map(|t| (t.number, t.kind, t.sequence)).collect();
    let fired = (1, TransitionKind::Fired, Some(1));
    assert_eq!(kinds, [fired, (2, TransitionKind::Cleared, Some(3))]);
    // Of each transition each target is told.
    let told = store.alert_deliveries(1, "000001-r-x").await.unwrap();
    let told: Vec<_> = told.iter().map(|d| (d.place, d.number, d.target.as_str())).collect();
    let (a, b) = (deliver[0].as_str(), deliver[1].as_str());
    assert_eq!(told, [(0, 1, a), (1, 1, b), (2, 2, a), (3, 2, b)]);
    assert_eq!(due(&store, 3).await.len(), 8);
    let of_reports = store.due_report_jobs(at(3), &[1], 100).await.unwrap();
    assert!(of_reports.is_empty(), "they are not a report's");
    // What comes from before, or from a node that has lost the tenant, decides nothing.
    assert_eq!(says(2, &[]).to(&store, fence).await, Decided::Changed);
    let later = acquire(&store, "b").await;
    assert_eq!(says(4, &[]).to(&store, fence).await, Decided::Fenced);
    assert_eq!(says(4, &["y", "z"]).to(&store, later).await, done(0, 0));
    let state = store.alert_rule(1, "r").await.unwrap().unwrap().state;
    assert_eq!(state, RuleState::Live);
}

/// Random answers, decided by whoever has the tenant, by whoever had it, and again after a restart.
async fn whoever_decides_each_transition_is_made_once(place: &Place) {
    const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let mut store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let rule = rule("r");
    assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
    let deliver = ["{}".to_owned()];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut held, mut lost) = (acquire(&store, "a").await, None::<Fence>);
    let (mut model, mut expected): (BTreeSet<&str>, _) = (BTreeSet::new(), BTreeMap::new());
    for step in 1..=60 {
        match draw(6) {
            // Another node has it from now on; the one before does not know.
            0 => lost = Some(std::mem::replace(&mut held, acquire(&store, "b").await)),
            1 => {
                store.close().await;
                store = place.open().await;
            }
            _ => {}
        }
        let said: Vec<&str> = KEYS.into_iter().filter(|_| draw(2) == 0).collect();
        let says = Says { deliver: &deliver, ..Says::new(&rule, step, &said) };
        if let Some(lost) = lost {
            assert_eq!(says.to(&store, lost).await, Decided::Fenced);
        }
        let now: BTreeSet<&str> = said.iter().copied().collect();
        let come: Vec<&str> = now.difference(&model).copied().collect();
        let gone: Vec<&str> = model.difference(&now).copied().collect();
        let (both, again) = tokio::join!(says.to(&store, held), says.to(&store, held));
        let outcomes = BTreeSet::from([format!("{both:?}"), format!("{again:?}")]);
        let once = format!("{:?}", done(come.len(), gone.len()));
        let nothing = format!("{:?}", done(0, 0));
        assert_eq!(outcomes, BTreeSet::from([once, nothing]), "step {step}");
        for (keys, kind) in [(come, TransitionKind::Fired), (gone, TransitionKind::Cleared)] {
            for key in keys {
                *expected.entry((key, kind.as_str())).or_insert(0_usize) += 1;
            }
        }
        model = now;
    }
    let mut found = BTreeMap::new();
    let mut told = 0;
    for alert in store.alerts(1, filter(None)).await.unwrap() {
        let key = KEYS.into_iter().find(|key| alert.id.ends_with(key)).unwrap();
        let (_, history) = store.alert(1, &alert.id, 1).await.unwrap().unwrap();
        for transition in history {
            *found.entry((key, transition.kind.as_str())).or_insert(0_usize) += 1;
        }
        told += store.alert_deliveries(1, &alert.id).await.unwrap().len();
    }
    assert_eq!(found, expected);
    assert_eq!(told, expected.values().sum::<usize>());
    assert_eq!(due(&store, 100).await.len(), told);
}

async fn a_delivery_is_one_nodes_at_a_time_and_ends(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let fence = acquire(&store, "a").await;
    let rule = rule("r");
    assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
    let deliver = ["{\"a\":1}".to_owned(), "{\"b\":1}".to_owned()];
    let bounds = AlertBounds { queued: 1, ..BOUNDS };
    let says = Says { deliver: &deliver, bounds, ..Says::new(&rule, 1, &["x"]) };
    assert_eq!(says.to(&store, fence).await, done(1, 0));
    let [job]: [ReportJob; 1] = due(&store, 1).await.try_into().unwrap();
    assert!(store.claim_report_job(&job, "x", at(1), at(61)).await.unwrap());
    assert!(!store.claim_report_job(&job, "y", at(1), at(61)).await.unwrap());
    let notice = store.alert_notice(&job).await.unwrap().unwrap();
    assert_eq!((notice.alert.id.as_str(), notice.owner.as_str()), ("000001-r-x", "jo"));
    assert_eq!((notice.transition.kind, notice.delivery.place), (TransitionKind::Fired, 0));
    let again = Some(at(10));
    assert!(!store.end_alert_delivery(&job, "y", None, at(2), None).await.unwrap());
    assert!(store.end_alert_delivery(&job, "x", Some("busy"), at(2), again).await.unwrap());
    assert_eq!(due(&store, 9).await, []);
    let [job]: [ReportJob; 1] = due(&store, 10).await.try_into().unwrap();
    assert!(store.claim_report_job(&job, "z", at(10), at(70)).await.unwrap());
    assert!(store.end_alert_delivery(&job, "z", None, at(11), None).await.unwrap());
    assert_eq!(due(&store, 100_000).await, []);
    let told = store.alert_deliveries(1, "000001-r-x").await.unwrap();
    let states: Vec<_> = told.iter().map(|d| (d.state.as_str(), d.attempts)).collect();
    // For the second one there was no room, and it says so.
    assert_eq!(states, [("done", 2), ("failed", 0)]);
    assert!(told[1].error.as_deref().unwrap().contains("1 deliveries waited"), "{told:?}");
}

async fn what_people_do_with_an_alert_is_kept(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let fence = acquire(&store, "a").await;
    let rule = rule("r");
    assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
    let deliver = ["{}".to_owned()];
    let says = |at, subjects| Says { deliver: &deliver, ..Says::new(&rule, at, subjects) };
    assert_eq!(says(1, &["x"]).to(&store, fence).await, done(1, 0));
    let id = "000001-r-x";
    assert!(store.acknowledge_alert(1, id, "ann", at(2)).await.unwrap());
    assert!(!store.acknowledge_alert(1, id, "bob", at(3)).await.unwrap(), "somebody has");
    assert!(store.snooze_alert(1, id, "ann", at(3), Some(at(50))).await.unwrap());
    assert_eq!(due(&store, 49).await, []);
    let [job]: [ReportJob; 1] = due(&store, 50).await.try_into().unwrap();
    assert!(store.claim_report_job(&job, "x", at(50), at(110)).await.unwrap());
    assert!(store.snooze_alert(1, id, "ann", at(51), Some(at(90))).await.unwrap());
    let soon = Some(at(60));
    assert!(store.end_alert_delivery(&job, "x", Some("busy"), at(52), soon).await.unwrap());
    assert_eq!(due(&store, 89).await, []);
    assert!(store.snooze_alert(1, id, "bob", at(60), None).await.unwrap());
    assert_eq!(due(&store, 60).await.len(), 1);
    // What clears while it is snoozed is told later, too.
    assert!(store.snooze_alert(1, id, "bob", at(61), Some(at(200))).await.unwrap());
    assert_eq!(says(70, &[]).to(&store, fence).await, done(0, 1));
    assert_eq!(due(&store, 199).await, []);
    assert_eq!(due(&store, 200).await.len(), 2);
    assert!(!store.acknowledge_alert(1, id, "ann", at(71)).await.unwrap(), "it is over");
    assert!(!store.snooze_alert(1, id, "ann", at(71), None).await.unwrap(), "it is over");
    let (alert, history) = store.alert(1, id, 1).await.unwrap().unwrap();
    assert_eq!(alert.acknowledged_by.as_deref(), Some("ann"));
    let kinds: Vec<_> = history.iter().map(|t| (t.kind.as_str(), t.actor.as_deref())).collect();
    let expected = [
        ("fired", None),
        ("acknowledged", Some("ann")),
        ("snoozed", Some("ann")),
        ("snoozed", Some("ann")),
        ("woken", Some("bob")),
        ("snoozed", Some("bob")),
        ("cleared", None),
    ];
    assert_eq!(kinds, expected);
}

async fn rules_are_a_tenants_own_and_change_by_version(place: &Place) {
    let store = place.open().await;
    for id in ["one", "two"] {
        store.create_tenant(tenant(id)).await.unwrap();
    }
    let fence = acquire(&store, "a").await;
    let builtin = StoredAlertRule { owner: String::new(), ..rule("b") };
    assert!(store.create_alert_rule(1, &rule("r"), &["b"], 2).await.unwrap());
    assert!(store.create_alert_rule(2, &rule("r"), &["b"], 2).await.unwrap());
    // A built-in one has its row when there is something to say of it, and does not count.
    assert_eq!(Says::new(&builtin, 1, &["x"]).to(&store, fence).await, done(1, 0));
    assert!(store.create_alert_rule(1, &rule("s"), &["b"], 2).await.unwrap());
    assert!(!store.create_alert_rule(1, &rule("t"), &["b"], 2).await.unwrap());
    assert_eq!(Says::new(&rule("r"), 1, &["x", "y"]).to(&store, fence).await, done(2, 0));
    let second = StoredAlertRule { version: 2, definition: "{\"a\":1}".into(), ..rule("r") };
    assert!(store.replace_alert_rule(1, &second, None, None).await.unwrap());
    assert!(!store.replace_alert_rule(1, &second, None, None).await.unwrap(), "it has that already");
    assert_eq!(store.alert_rule(1, "r").await.unwrap(), Some(second.clone()));
    assert_eq!(store.alert_rule(2, "r").await.unwrap(), Some(rule("r")));
    assert_eq!(store.alert_rule(2, "r\0").await.unwrap(), None, "NUL is in no id");
    assert_eq!(open(&store).await.len(), 3, "its alerts stay");
    assert_eq!(Says::new(&rule("r"), 2, &[]).to(&store, fence).await, Decided::Changed);
    let broken = StoredAlertRule {
        state: RuleState::Failed, error: Some("no such column".into()), ..second.clone()
    };
    assert!(store.note_alert_rule(1, fence, &broken, false).await.unwrap());
    assert_eq!(store.alert_rule(1, "r").await.unwrap(), Some(broken));
    let stale = Fence { epoch: fence.epoch + 1, ..fence };
    assert!(!store.note_alert_rule(1, stale, &second, false).await.unwrap());
    // Switched off, its alerts are cleared, and no longer.
    let off = StoredAlertRule { version: 3, ..second };
    assert!(store.replace_alert_rule(1, &off, None, Some("ann")).await.unwrap());
    let (alert, history) = store.alert(1, "000001-r-x", 1).await.unwrap().unwrap();
    assert_eq!(alert.state, AlertState::Cleared);
    assert_eq!(history.last().unwrap().actor.as_deref(), Some("ann"));
    assert!(!store.delete_alert_rule(1, "r", Some(2)).await.unwrap());
    assert!(store.delete_alert_rule(1, "r", Some(3)).await.unwrap());
    assert_eq!(store.alert(1, "000001-r-x", 3).await.unwrap(), None);
    assert_eq!(Says::new(&rule("r"), 9, &["x"]).to(&store, fence).await, Decided::Changed);
    let kept: Vec<String> =
        store.alert_rules(1).await.unwrap().into_iter().map(|rule| rule.id).collect();
    assert_eq!(kept, ["b", "s"]);
}

async fn a_caller_sees_the_alerts_of_its_role(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let fence = acquire(&store, "a").await;
    for (audience, id) in [(1, "e"), (2, "a"), (3, "x")] {
        let rule = StoredAlertRule { audience, ..rule(id) };
        assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
        assert_eq!(Says::new(&rule, 1, &["s"]).to(&store, fence).await, done(1, 0));
    }
    for (audience, expected) in [(0, 0), (1, 1), (2, 2), (3, 3)] {
        let listed = store.alerts(1, AlertFilter { audience, ..filter(None) }).await.unwrap();
        assert_eq!(listed.len(), expected);
        assert_eq!(store.open_alerts(1, audience).await.unwrap(), expected as u64);
        let admins = store.alert(1, "000001-x-s", audience).await.unwrap();
        assert_eq!(admins.is_some(), audience == 3);
    }
    let page = AlertFilter { most: 2, ..filter(None) };
    let first = store.alerts(1, page).await.unwrap();
    let rest = AlertFilter { before: Some(&first[1].id), ..page };
    assert_eq!(store.alerts(1, rest).await.unwrap().len(), 1);
    let one = AlertFilter { rule: Some("a"), ..filter(None) };
    assert_eq!(store.alerts(1, one).await.unwrap().len(), 1);
    assert!(store.alerts(2, filter(None)).await.unwrap().is_empty());
    // NUL is in no id.
    assert_eq!(store.alert(1, "000001-x-s\0", 3).await.unwrap(), None);
    let bad = AlertFilter { rule: Some("a\0"), before: Some("\0"), ..filter(None) };
    assert!(store.alerts(1, bad).await.unwrap().is_empty());
}

async fn cleared_alerts_are_kept_for_their_time_and_number(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let fence = acquire(&store, "a").await;
    let rule = rule("r");
    assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
    let deliver = ["{}".to_owned()];
    let bounds = AlertBounds { kept: 2, ..BOUNDS };
    for step in 0..5 {
        let says = |at, subjects| {
            Says { deliver: &deliver, bounds, ..Says::new(&rule, at, subjects) }
        };
        assert_eq!(says(2 * step + 1, &["x"]).to(&store, fence).await, done(1, 0));
        assert_eq!(says(2 * step + 2, &[]).to(&store, fence).await, done(0, 1));
    }
    let kept = store.alerts(1, filter(None)).await.unwrap();
    let ids: Vec<&str> = kept.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids, ["000009-r-x", "000007-r-x"]);
    assert!(store.alert_deliveries(1, "000001-r-x").await.unwrap().is_empty());
    assert_eq!(due(&store, 100).await.len(), 4, "what is gone is told nobody");
    let bounds = AlertBounds { kept_since: at(10), ..BOUNDS };
    let says = |at, subjects| Says { bounds, ..Says::new(&rule, at, subjects) };
    assert_eq!(says(20, &["x"]).to(&store, fence).await, done(1, 0));
    assert_eq!(says(21, &[]).to(&store, fence).await, done(0, 1));
    let kept = store.alerts(1, filter(None)).await.unwrap();
    let ids: Vec<&str> = kept.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids, ["000020-r-x", "000009-r-x"]);
}

/// The one that stood for longest is not forgotten in the moment in which it is cleared.
async fn of_too_many_cleared_alerts_those_go_that_were_cleared_first(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let fence = acquire(&store, "a").await;
    let rule = rule("r");
    assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
    let (deliver, bounds) = (["{}".to_owned()], AlertBounds { kept: 1, ..BOUNDS });
    let says = |at, subjects| Says { deliver: &deliver, bounds, ..Says::new(&rule, at, subjects) };
    assert_eq!(says(1, &["x"]).to(&store, fence).await, done(1, 0));
    assert_eq!(says(2, &["x", "y"]).to(&store, fence).await, done(1, 0));
    assert_eq!(says(3, &["x"]).to(&store, fence).await, done(0, 1));
    assert_eq!(says(4, &[]).to(&store, fence).await, done(0, 1));
    let kept = store.alerts(1, filter(None)).await.unwrap();
    let ids: Vec<&str> = kept.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids, ["000001-r-x"]);
    assert_eq!(store.alert_deliveries(1, "000001-r-x").await.unwrap().len(), 2);
}

async fn an_alert_of_before_its_columns_were_kept_stays(place: &Place) {
    place.migrate_to(16).await;
    for row in [
        "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) \
         VALUES ('one', 'One', 'UTC', 'EUR', 'wall', 0)",
        "INSERT INTO alert_rules (tenant_id, id, version, owner, definition, audience, state, \
         sequence, created_at, changed_at) VALUES (1, 'r', 1, 'jo', '{}', 1, 'live', 1, 0, 0)",
        "INSERT INTO alerts (tenant_id, id, rule_id, subject_key, subject, details, title, \
         severity, state, sequence, fired_at) \
         VALUES (1, 'a', 'r', 'x', '{}', '{}', 'too much', 'warning', 'open', 1, 0)",
    ] {
        place.execute(row).await.unwrap();
    }
    let store = place.open().await;
    let (alert, _) = store.alert(1, "a", 1).await.unwrap().unwrap();
    assert_eq!((alert.columns.as_str(), alert.state), ("[]", AlertState::Open));
}

async fn all_of_it_goes_with_its_tenant(place: &Place) {
    let store = place.open().await;
    let one = store.create_tenant(tenant("one")).await.unwrap();
    let fence = acquire(&store, "a").await;
    let rule = rule("r");
    assert!(store.create_alert_rule(1, &rule, &[], 9).await.unwrap());
    let deliver = ["{}".to_owned()];
    let says = Says { deliver: &deliver, ..Says::new(&rule, 1, &["x"]) };
    assert_eq!(says.to(&store, fence).await, done(1, 0));
    let stone: Tombstone = store.delete_tenant(&one.id, "ops").await.unwrap();
    let late = StoredAlertRule { id: "s".into(), ..rule.clone() };
    store.create_alert_rule(1, &late, &[], 9).await.unwrap_err();
    store.erase_tenant(&stone).await.unwrap();
    assert!(store.alert_rules(1).await.unwrap().is_empty());
    assert!(store.alerts(1, filter(None)).await.unwrap().is_empty());
    assert!(store.alert_deliveries(1, "000001-r-x").await.unwrap().is_empty());
    assert_eq!(due(&store, 1_000).await, []);
}
}
