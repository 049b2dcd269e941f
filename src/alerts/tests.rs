//! Rules, owners and hand-overs, on a clock that the test turns and dates that it sets.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicI64, Ordering};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use projections::{EventTypes, Input, Partition, Tick, ViewDefinition};
use serde_json::{Value, json};
use stream::StreamLimits;
use tempfile::TempDir;
use tenancy::audit::AuditKey;
use tenancy::{
    AlertBounds, AlertSubject, Decision, Role, RoleSet, Secret, StoredOwner, TemplateGift,
    TransitionKind, templates,
};

use super::*;
use crate::config::Limits;
use crate::event_types::TypeDirectory;
use crate::exports::Sources;
use crate::forward::Alone;
use crate::own_views::OwnViews;
use crate::reports;
use crate::reports::settings::{ReportSettings, SmtpUrl};
use crate::serve::{EventHistory, Orders, alone};

/// Nodes that share a control store and a clock.
struct Place {
    folder: TempDir,
    /// Microseconds since 1970.
    time: Arc<AtomicI64>,
}

/// One of them, with a partition of its own.
struct Node {
    alerts: Alerts,
    partition: Partition,
    fences: Slots<Fence>,
}

impl Place {
    fn new() -> Self {
        let now: DateTime<Utc> = "2026-11-01T05:00:00Z".parse().unwrap();
        let time = Arc::new(AtomicI64::new(now.timestamp_micros()));
        Self { folder: tempfile::tempdir().unwrap(), time }
    }

    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    async fn node(&self, name: &str) -> Node {
        let store = Store::open(&self.folder.path().join("control.db")).await.unwrap();
        let directory = Directory::open(store.clone()).await.unwrap();
        let limits = Limits::default();
        let types =
            TypeDirectory::new(store.clone(), Vec::new(), Vec::new(), limits.types.clone(), false)
                .unwrap();
        let registry = types.registry().clone();
        let history = EventHistory::new(1, alone());
        let partition = Partition::new(&EventTypes::builtin(), ViewDefinition::builtin()).unwrap();
        let readers = partition.readers();
        let own_views = OwnViews::start(
            store.clone(),
            history.clone(),
            registry.clone(),
            readers.clone(),
            Orders::new(1, alone()),
            limits.views.clone(),
        )
        .unwrap();
        let shown =
            Shown::new(readers.clone(), directory.clone(), registry.clone(), own_views.clone());
        let queries = || {
            let history = Arc::new(history.clone());
            Queries::new(registry.clone(), history, limits.query.clone()).unwrap()
        };
        let sources = Sources {
            store: store.clone(),
            types,
            history: history.clone(),
            readers: readers.clone(),
            own_views,
        };
        let (trail, _) = Trail::start(store.clone(), AuditKey::new(&Secret::random().unwrap()));
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let time = Arc::clone(&self.time);
        let clock: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync> = Arc::new(move || {
            DateTime::from_timestamp_micros(time.load(Ordering::Relaxed)).unwrap()
        });
        let reports = Reports::open(reports::Parts {
            sources,
            directory: directory.clone(),
            shown: shown.clone(),
            places: Arc::new(Alone),
            queries: queries(),
            objects,
            outside: None,
            scratch: self.folder.path().join(name),
            settings: ReportSettings::default(),
            tenant_bytes: limits.tenant_bytes,
            trail: trail.clone(),
            clock: Arc::clone(&clock),
        });
        let fences = Slots::new(1, alone());
        let alerts = Alerts::new(Parts {
            store,
            directory,
            hub: Hub::new(shown.clone(), StreamLimits::default()),
            readers,
            shown,
            places: Arc::new(Alone),
            fences: fences.clone(),
            queries: queries(),
            reports: reports.unwrap(),
            settings: AlertSettings { subjects: 2, ..AlertSettings::default() },
            trail,
            clock,
        });
        Node { alerts, partition, fences }
    }
}

impl Node {
    fn store(&self) -> &Store {
        self.alerts.shared.store()
    }

    async fn tenant(&self) -> Arc<TenantRecord> {
        let new = json!({
            "id": "acme", "name": "Acme", "timezone": "Europe/Berlin", "currency": "EUR",
        });
        let directory = &self.alerts.shared.parts.directory;
        directory.create(serde_json::from_value(new).unwrap()).await.unwrap()
    }

    /// Makes it the owner of the partition.
    async fn take(&self, name: &str) {
        let (epoch, _) = self.store().acquire_partition(0, name, None).await.unwrap();
        self.fences.set(0, Some(Fence { partition: 0, epoch }));
    }

    /// Sets the tenant's date to that day of the month.
    fn day(&mut self, day: u32) {
        let today = chrono::NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let offset = u64::from(day);
        let ticks = vec![Tick { tenant: Tenant(1), today }];
        drop(self.partition.apply(Input { events: Vec::new(), ticks, offset }));
    }

    /// Evaluates what is due after a while.
    async fn look(&self, place: &Place) {
        place.pass(50);
        let serves = |_: &TenantId| true;
        for begun in self.alerts.turn(&serves) {
            begun.await.unwrap();
        }
    }

    /// The subjects that have an open alert.
    async fn open(&self) -> Vec<Value> {
        let state = Some(AlertState::Open);
        let filter = AlertFilter { audience: 3, state, rule: None, before: None, most: 100 };
        let (alerts, _) = self.alerts.alerts(1, filter).await.unwrap();
        let mut open: Vec<Value> =
            alerts.iter().map(|alert| serde_json::from_str(&alert.subject).unwrap()).collect();
        open.sort_by_key(Value::to_string);
        open
    }

    /// How often alerts fired and were cleared.
    async fn counts(&self) -> (usize, usize) {
        let filter = AlertFilter { audience: 3, state: None, rule: None, before: None, most: 100 };
        let (mut fired, mut cleared) = (0, 0);
        for alert in self.alerts.alerts(1, filter).await.unwrap().0 {
            for transition in self.alerts.alert(1, &alert.id, 3).await.unwrap().history {
                fired += usize::from(transition.kind == TransitionKind::Fired);
                cleared += usize::from(transition.kind == TransitionKind::Cleared);
            }
        }
        (fired, cleared)
    }
}

fn somebody(subject: &str, role: Role) -> Identity {
    Identity {
        subject: subject.to_owned(),
        tenant: Some("acme".parse().unwrap()),
        roles: RoleSet::of(&[role]),
        issued_at: DateTime::UNIX_EPOCH,
        expires_at: DateTime::<Utc>::MAX_UTC,
    }
}

fn definition(more: Value) -> Definition {
    let mut all = json!({ "title": "days", "key": ["s"], "sql": "SELECT s FROM (VALUES ('a', 10), \
        ('b', 20)) AS v(s, d) WHERE date_part('day', current_date) >= d \
        AND date_part('day', current_date) < 28" });
    let more: serde_json::Map<String, Value> = serde_json::from_value(more).unwrap();
    all.as_object_mut().unwrap().extend(more);
    serde_json::from_value(all).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_fires_once_and_clears_once_whoever_evaluates_it() {
    let place = Place::new();
    let mut one = place.node("one").await;
    let acme = one.tenant().await;
    let mut two = place.node("two").await;
    one.take("one").await;
    one.day(1);
    let jo = somebody("jo", Role::Analyst);
    let rule = one.alerts.create(&acme, &jo, definition(json!({}))).await.unwrap();
    assert_eq!(rule.state, RuleState::Waiting);
    one.look(&place).await;
    assert_eq!(one.alerts.rule(&acme, &rule.id).await.unwrap().state, RuleState::Live);
    assert_eq!(one.open().await, [] as [Value; 0]);
    one.day(12);
    one.look(&place).await;
    one.look(&place).await;
    let a = json!({ "s": "a" });
    assert_eq!(one.open().await, std::slice::from_ref(&a));
    // The next owner begins from what stands in the store, and the one before decides no more.
    two.take("two").await;
    two.day(12);
    two.look(&place).await;
    one.day(29);
    one.look(&place).await;
    assert_eq!((two.open().await, two.counts().await), (vec![a.clone()], (1, 0)));
    two.day(25);
    two.look(&place).await;
    assert_eq!(two.open().await, [a, json!({ "s": "b" })]);
    // So does a process that begins anew.
    drop(two);
    let mut three = place.node("three").await;
    three.take("two").await;
    three.day(25);
    three.day(26);
    three.look(&place).await;
    assert_eq!(three.counts().await, (2, 0));
    three.day(29);
    three.look(&place).await;
    three.look(&place).await;
    assert_eq!((three.open().await.len(), three.counts().await), (0, (2, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_fails_says_so_and_changes_no_alert() {
    let place = Place::new();
    let mut node = place.node("one").await;
    let acme = node.tenant().await;
    node.take("one").await;
    node.day(1);
    let jo = somebody("jo", Role::Analyst);
    let sql = "SELECT 1 / CAST(date_part('day', current_date) - 15 AS INT) AS n";
    let always = definition(json!({ "sql": sql, "key": [] }));
    let rule = node.alerts.create(&acme, &jo, always).await.unwrap();
    let state = async |node: &Node| {
        let rule = node.alerts.rule(&acme, &rule.id).await.unwrap();
        (rule.state, rule.error.unwrap_or_default())
    };
    node.look(&place).await;
    assert_eq!((state(&node).await.0, node.counts().await), (RuleState::Live, (1, 0)));
    node.day(15);
    node.look(&place).await;
    let (failed, why) = state(&node).await;
    assert_eq!(failed, RuleState::Failed);
    assert!(why.to_lowercase().contains("zero"), "{why}");
    assert_eq!((node.open().await.len(), node.counts().await), (1, (1, 0)));
    node.day(16);
    place.pass(60);
    node.look(&place).await;
    assert_eq!((state(&node).await.0, node.counts().await), (RuleState::Live, (1, 0)));
    // More subjects than may be are a failure too.
    let many = "SELECT s FROM (VALUES ('a'), ('b'), ('c')) AS v(s)";
    let many = definition(json!({ "sql": many }));
    let many = node.alerts.create(&acme, &jo, many).await.unwrap();
    node.look(&place).await;
    let many = node.alerts.rule(&acme, &many.id).await.unwrap();
    assert!(many.error.unwrap().contains("more than 2 subjects"));
    assert_eq!(node.counts().await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_has_the_rights_that_its_owner_has_then() {
    let place = Place::new();
    let mut node = place.node("one").await;
    let acme = node.tenant().await;
    node.take("one").await;
    node.day(12);
    let (jo, ann) = (somebody("jo", Role::Analyst), somebody("ann", Role::Admin));
    let rule = node.alerts.create(&acme, &jo, definition(json!({}))).await.unwrap();
    node.look(&place).await;
    assert_eq!(node.open().await.len(), 1);
    let less =
        StoredOwner { roles: RoleSet::of(&[Role::Executive]), seen_at: node.alerts.shared.now() };
    node.store().note_owner(1, "jo", &less, false).await.unwrap();
    place.pass(60);
    node.day(25);
    node.look(&place).await;
    let failed = node.alerts.rule(&acme, &rule.id).await.unwrap();
    let why = failed.error.unwrap();
    assert!(why.contains("the rule's owner 'jo' is no analyst any more (executive)"), "{why}");
    assert_eq!(node.open().await.len(), 1, "what was known stays");
    let replaced = node.alerts.replace(&acme, &ann, &rule.id, Some(1), definition(json!({})));
    assert_eq!(replaced.await.unwrap().owner, "ann");
    node.look(&place).await;
    assert_eq!(node.open().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_rules_are_everybodys_and_stay() {
    let place = Place::new();
    let mut node = place.node("one").await;
    let acme = node.tenant().await;
    node.take("one").await;
    node.day(12);
    node.look(&place).await;
    let rules = node.alerts.rules(&acme).await.unwrap();
    let states: Vec<_> = rules.iter().map(|rule| (rule.id.as_str(), rule.state)).collect();
    let live = RuleState::Live;
    assert_eq!(states, [("budget-exceeded", live), ("compliance-failed", live)]);
    assert!(node.store().alert_rules(1).await.unwrap().is_empty(), "there is nothing to say");
    let id = "budget-exceeded";
    let kept = node.alerts.delete(&acme, id, None).await.unwrap_err();
    assert!(matches!(kept, AlertError::Builtin(_)), "{kept}");
    let jo = somebody("jo", Role::Analyst);
    let other = node.alerts.replace(&acme, &jo, id, Some(1), definition(json!({}))).await;
    assert!(matches!(other, Err(AlertError::Wrong(_))));
    let off = json!({ "title": "Too much spent", "enabled": false, "roles": ["admin"] });
    let off: Definition = serde_json::from_value(off).unwrap();
    let replaced = node.alerts.replace(&acme, &jo, id, Some(1), off).await.unwrap();
    assert_eq!((replaced.version, replaced.owner.as_str()), (2, "jo"));
    let again = node.alerts.rule(&acme, id).await.unwrap();
    assert_eq!(again.definition, replaced.definition);
    assert_eq!(again.definition.sql, "SELECT * FROM budget_variance WHERE exceeded");
    let changed = node.alerts.replace(&acme, &jo, id, Some(1), replaced.definition).await;
    assert!(matches!(changed, Err(AlertError::Changed)));
    node.look(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_evaluated_is_not_taken() {
    let place = Place::new();
    let mut node = place.node("one").await;
    let acme = node.tenant().await;
    node.day(1);
    let jo = somebody("jo", Role::Analyst);
    for (rule, part) in [
        (json!({ "sql": "SELECT nothing" }), "nothing"),
        (json!({ "sql": "DROP TABLE x" }), "not allowed"),
        (json!({ "sql": "SELECT $1 AS s" }), "no parameters"),
        (json!({ "key": ["t"] }), "no column 't'"),
        (json!({ "deliver": [{ "kind": "email", "to": ["a@b.example"] }] }), "smtp_url"),
    ] {
        let error = node.alerts.create(&acme, &jo, definition(rule)).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(node.alerts.rules(&acme).await.unwrap().len(), 2);
}

/// A tenant of a line of business, which has been given its rules.
async fn of_template(node: &mut Node, number: u32, body: Value) -> Arc<TenantRecord> {
    let directory = &node.alerts.shared.parts.directory;
    let tenant = directory.create(serde_json::from_value(body).unwrap()).await.unwrap();
    assert_eq!(tenant.number, number);
    let template = templates::find(tenant.template.as_deref().unwrap()).unwrap();
    let rules = rules_given(template, tenant.created_at).unwrap();
    let gift = TemplateGift {
        template: template.clone(),
        at: tenant.created_at,
        dashboards: Vec::new(),
        reports: Vec::new(),
        rules,
    };
    directory.finish_template(&tenant.id, gift).await.unwrap();
    let today = chrono::NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
    let ticks = vec![Tick { tenant: Tenant(number), today }];
    drop(node.partition.apply(Input { events: Vec::new(), ticks, offset: number.into() }));
    tenant
}

fn business(vertical: &str) -> Value {
    json!({
        "id": vertical, "name": vertical, "timezone": "Europe/Berlin", "currency": "EUR",
        "vertical": vertical,
    })
}

/// A tenant's own rules, and how they do.
async fn own_rules(node: &Node, tenant: &TenantRecord) -> Vec<Rule> {
    let rules = node.alerts.rules(tenant).await.unwrap();
    rules.into_iter().filter(|rule| rule.builtin.is_none()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_templates_can_be_evaluated_and_are_nobodys_until_they_are_replaced() {
    let place = Place::new();
    let mut node = place.node("one").await;
    node.take("one").await;
    let jo = somebody("jo", Role::Analyst);
    for (number, template) in (1..).zip(templates::all()) {
        let tenant = of_template(&mut node, number, business(&template.vertical)).await;
        let rules = own_rules(&node, &tenant).await;
        assert_eq!(rules.len(), template.alert_rules.len());
        for Rule { id, owner, definition, .. } in rules {
            assert_eq!(owner, "");
            assert!(!definition.key.is_empty(), "{id}");
            // As if somebody sent it: it is planned, and its key is in its answer.
            let checked = node.alerts.checked(&tenant, definition.clone(), None).await;
            assert_eq!(checked.unwrap_or_else(|error| panic!("{id}: {error}")), definition);
        }
    }
    for _ in 0..3 {
        node.look(&place).await;
    }
    for template in templates::all() {
        let id = template.vertical.parse().unwrap();
        let tenant = node.alerts.shared.parts.directory.get(&id).unwrap();
        for rule in own_rules(&node, &tenant).await {
            assert_eq!(rule.state, RuleState::Live, "{}: {:?}", rule.id, rule.error);
        }
        let rule = own_rules(&node, &tenant).await.into_iter().next().unwrap();
        let replaced = node.alerts.replace(&tenant, &jo, &rule.id, Some(1), rule.definition);
        assert_eq!(replaced.await.unwrap().owner, "jo");
        node.alerts.delete(&tenant, &rule.id, Some(2)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_a_template_waits_for_a_module_that_is_off() {
    let place = Place::new();
    let mut node = place.node("one").await;
    node.take("one").await;
    let mut body = business("retail");
    body["modules"] = json!(["tasks"]);
    let shop = of_template(&mut node, 1, body).await;
    for _ in 0..3 {
        node.look(&place).await;
    }
    let states = async |node: &Node| -> Vec<(String, RuleState)> {
        let rules = own_rules(node, &shop).await;
        rules.into_iter().map(|rule| (rule.id, rule.state)).collect()
    };
    let state = |id: &str, state| (id.to_owned(), state);
    let (idle, live) = (RuleState::Idle, RuleState::Live);
    let waits = [
        state("retail-below-reorder-point", idle),
        state("retail-routine-broken", live),
        state("retail-stock-below-zero", idle),
    ];
    assert_eq!(states(&node).await, waits);
    let on = serde_json::from_value(json!({ "modules": ["tasks", "inventory"] })).unwrap();
    node.alerts.shared.parts.directory.update(&shop.id, on).await.unwrap();
    for _ in 0..3 {
        node.look(&place).await;
    }
    let all_live = waits.map(|(id, _)| (id, live));
    assert_eq!(states(&node).await, all_live);
}

/// A rule that tells nobody, and an alert `x` of it that is to be told a target of before.
async fn told_of_before(node: &mut Node, target: &str) {
    told_by(node, json!({}), target).await;
}

/// The same of a rule that says more.
async fn told_by(node: &mut Node, more: Value, target: &str) {
    let acme = node.tenant().await;
    node.day(12);
    let jo = somebody("jo", Role::Analyst);
    let rule = node.alerts.create(&acme, &jo, definition(more)).await.unwrap();
    let rule = node.store().alert_rule(1, &rule.id).await.unwrap().unwrap();
    let (epoch, _) = node.store().acquire_partition(0, "one", None).await.unwrap();
    let subject = AlertSubject {
        alert_id: "x".to_owned(),
        key: "x".to_owned(),
        subject: "{}".to_owned(),
        details: "{}".to_owned(),
    };
    let decision = Decision {
        rule: &rule,
        is_builtin: false,
        sequence: 1,
        at: node.alerts.shared.now(),
        title: "",
        severity: "warning",
        subjects: &[subject],
        columns: "[]",
        deliver: &[target.to_owned()],
        bounds: AlertBounds { queued: 9, kept: 9, kept_since: DateTime::UNIX_EPOCH },
    };
    node.store().decide_alerts(1, Fence { partition: 0, epoch }, &decision).await.unwrap();
}

/// Tries what is due; how much that was, and what has become of the alert's delivery, and why.
async fn carried(node: &Node) -> (usize, String, String) {
    let serves = |_: &TenantId| true;
    let tried = node.alerts.carry_turn(&serves).await.unwrap();
    let count = tried.len();
    for tried in tried {
        tried.await.unwrap();
    }
    let told = node.alerts.alert(1, "x", 3).await.unwrap();
    let [delivery] = told.deliveries.as_slice() else { panic!("there is one") };
    (count, delivery.state.clone(), delivery.error.clone().unwrap_or_default())
}

/// A newer version may have queued it, and its nodes may read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_cannot_be_read_waits_for_a_day() {
    let place = Place::new();
    let mut node = place.node("one").await;
    told_of_before(&mut node, "{\"kind\": \"pigeon\"}").await;
    for (seconds, begun, state) in
        [(0, 1, "waiting"), (60, 0, "waiting"), (300, 1, "waiting"), (86_400, 1, "failed")]
    {
        place.pass(seconds);
        let (count, came, why) = carried(&node).await;
        assert_eq!((count, came.as_str()), (begun, state), "after {seconds} seconds");
        assert_eq!(why.contains("cannot be read"), state == "failed", "{why}");
    }
}

/// Somebody who has left may be taken out of a rule while an alert of it waits, snoozed for long.
#[tokio::test(flavor = "multi_thread")]
async fn whom_a_rule_does_not_tell_any_more_is_not_told_what_waited() {
    let place = Place::new();
    let mut node = place.node("one").await;
    let left = json!({ "kind": "email", "to": ["left@acme.example"] });
    told_of_before(&mut node, &left.to_string()).await;
    let (count, state, why) = carried(&node).await;
    assert_eq!((count, state.as_str()), (1, "failed"));
    assert!(why.contains("does not go there any more"), "{why}");
}

/// Who is added, or taken out beside others, keeps what waits from nobody who stays.
#[tokio::test(flavor = "multi_thread")]
async fn whom_a_changed_rule_still_tells_is_told_what_waited() {
    let place = Place::new();
    let mut node = place.node("one").await;
    let nobody_listens = SmtpUrl::new("smtp://127.0.0.1:1").unwrap();
    node.alerts.shared.parts.reports.replace_smtp(Some(nobody_listens));
    let to = |names: [&str; 2]| {
        let to = names.map(|name| format!("{name}@acme.example"));
        json!({ "kind": "email", "to": to })
    };
    let rule = json!({ "deliver": [to(["stays", "comes"])] });
    told_by(&mut node, rule, &to(["left", "stays"]).to_string()).await;
    let (count, state, why) = carried(&node).await;
    assert_eq!((count, state.as_str()), (1, "waiting"), "{why}");
    assert!(why.contains("the mail server"), "{why}");
}
