#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::places::{Place, on_both};
use super::*;
use crate::dashboards::Head;
use crate::{NewTenant, RuleState, templates};

fn tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn origin(id: &str, version: u64) -> Origin {
    Origin { template: format!("household/{id}"), version }
}

fn dashboard(id: &str, version: u64) -> Dashboard {
    let document = json!({ "of": id });
    Dashboard {
        head: Head {
            id: id.parse().unwrap(),
            version: 1,
            name: id.to_owned(),
            changed_by: String::new(),
            created_at: at(0),
            changed_at: at(0),
            origin: Some(origin(id, version)),
        },
        base: Some(document.clone()),
        document,
    }
}

fn report(id: &str, version: u64) -> StoredReport {
    StoredReport {
        id: id.to_owned(),
        version,
        owner: String::new(),
        definition: format!("{{\"version\":{version}}}"),
        created_at: at(0),
        changed_at: at(0),
    }
}

fn rule(id: &str, version: u64) -> StoredAlertRule {
    StoredAlertRule {
        id: id.to_owned(),
        version,
        owner: String::new(),
        definition: format!("{{\"version\":{version}}}"),
        audience: 1,
        state: RuleState::Waiting,
        error: None,
        created_at: at(0),
        changed_at: at(0),
    }
}

/// What a tenant is given of a version.
fn gift(version: u64) -> TemplateGift {
    TemplateGift {
        template: Template { version, ..templates::find("household").unwrap().clone() },
        at: at(version.cast_signed()),
        dashboards: Vec::new(),
        reports: Vec::new(),
        rules: Vec::new(),
    }
}

fn update(revision: Option<u64>, gift: TemplateGift) -> TemplateUpdate {
    TemplateUpdate {
        revision,
        by: "ann\0".to_owned(),
        modules: None,
        gift,
        dashboards: Vec::new(),
        reports: Vec::new(),
        rules: Vec::new(),
        removed: Vec::new(),
        // Each update is one change of them too.
        fields: CustomFields { revision: revision.unwrap_or_default(), ..CustomFields::default() },
    }
}

/// A store with two tenants, both with the same of the first version.
async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    for (id, number) in [("one", 1), ("two", 2)] {
        assert_eq!(store.create_tenant(tenant(id)).await.unwrap().number, number);
        let gift = TemplateGift {
            dashboards: vec![dashboard("a", 1), dashboard("b", 1)],
            reports: vec![(report("r", 1), Some(at(60)))],
            rules: vec![rule("x", 1)],
            ..gift(1)
        };
        assert!(store.update_template(number, &update(None, gift), 9).await.unwrap());
    }
    store
}

/// The second version: it changes all but one dashboard, which it has no more, and has another.
fn second() -> TemplateUpdate {
    TemplateUpdate {
        dashboards: vec![UpdatedDashboard {
            id: "a".parse().unwrap(),
            version: 1,
            content: Some(NewDashboard { name: "A".to_owned(), document: json!({ "of": "both" }) }),
            origin: origin("a", 2),
            base: json!({ "of": "theirs" }),
        }],
        reports: vec![(report("r", 2), Some(at(90)))],
        rules: vec![rule("x", 2)],
        removed: vec![RemovedPart { kind: PartKind::Dashboard, id: "b".to_owned(), version: 1 }],
        ..update(Some(1), TemplateGift { dashboards: vec![dashboard("c", 2)], ..gift(2) })
    }
}

/// All that a tenant has of its template.
type All = (Vec<Option<Dashboard>>, Vec<StoredReport>, Vec<StoredAlertRule>, Option<GivenTemplate>);

async fn all(store: &Store, tenant: u32) -> All {
    let mut dashboards = Vec::new();
    for head in store.dashboards(tenant).await.unwrap() {
        dashboards.push(store.dashboard(tenant, &head.id).await.unwrap());
    }
    let reports = store.reports(tenant).await.unwrap();
    let rules = store.alert_rules(tenant).await.unwrap();
    (dashboards, reports, rules, store.given_template(tenant).await.unwrap())
}

on_both! {
async fn a_newer_version_is_taken_over_as_one(place: &Place) {
    let store = filled(place).await;
    let before = all(&store, 2).await;
    let given = GivenTemplate { template: gift(1).template, given_at: at(1), revision: 1 };
    assert_eq!(before.3, Some(given));
    assert!(store.update_template(1, &second(), 9).await.unwrap());
    let (dashboards, reports, rules, given) = all(&store, 1).await;
    let changed = Dashboard {
        head: Head {
            version: 2,
            name: "A".to_owned(),
            changed_by: "ann\u{fffd}".to_owned(),
            changed_at: at(2),
            origin: Some(origin("a", 2)),
            ..dashboard("a", 1).head
        },
        document: json!({ "of": "both" }),
        base: Some(json!({ "of": "theirs" })),
    };
    assert_eq!(dashboards, [Some(changed.clone()), Some(dashboard("c", 2))]);
    // What it was before is kept.
    let kept = store.dashboard_versions(1, &changed.head.id).await.unwrap();
    assert_eq!(kept.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((reports, rules), (vec![report("r", 2)], vec![rule("x", 2)]));
    let second = GivenTemplate { template: gift(2).template, given_at: at(2), revision: 2 };
    assert_eq!(given, Some(second));
    let due = store.due_report_jobs(at(100), &[1, 2], 9).await.unwrap();
    let due: Vec<_> = due.into_iter().map(|job| (job.tenant, job.due_at)).collect();
    assert_eq!(due, [(2, at(60)), (1, at(90))]);
    // The other tenant has what it had.
    assert_eq!(all(&store, 2).await, before);
}

async fn what_was_changed_meanwhile_stops_all_of_it(place: &Place) {
    let store = filled(place).await;
    let before = all(&store, 1).await;
    let stale_dashboard = UpdatedDashboard { version: 2, ..second().dashboards[0].clone() };
    let stale_part = RemovedPart { version: 2, ..second().removed[0].clone() };
    let stale = [
        TemplateUpdate { revision: None, ..second() },
        TemplateUpdate { revision: Some(2), ..second() },
        TemplateUpdate { dashboards: vec![stale_dashboard], ..second() },
        TemplateUpdate { reports: vec![(report("r", 3), None)], ..second() },
        TemplateUpdate { rules: vec![rule("x", 3)], ..second() },
        TemplateUpdate { rules: vec![rule("y", 2)], ..second() },
        TemplateUpdate { removed: vec![stale_part], ..second() },
        TemplateUpdate { fields: CustomFields::default(), ..second() },
    ];
    for (place, update) in stale.iter().enumerate() {
        assert!(!store.update_template(1, update, 9).await.unwrap(), "{place}");
        assert_eq!(all(&store, 1).await, before, "{place}");
    }
    assert!(store.update_template(1, &second(), 9).await.unwrap());
    assert!(!store.update_template(1, &second(), 9).await.unwrap(), "once");
}

async fn modules_are_switched_with_it(place: &Place) {
    let store = filled(place).await;
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all: Vec<String> = MODULES.map(str::to_owned).to_vec();
    let switch = |before: &[String], after: &[String]| {
        Some(SwitchedModules { before: before.to_vec(), after: after.to_vec() })
    };
    let modules = async |id: &str| {
        let id: TenantId = id.parse().unwrap();
        store.tenant(&id).await.unwrap().unwrap().modules
    };
    let (some, fewer) = (named(&["crm", "tasks"]), named(&["tasks"]));
    // Others are on than were looked at: nothing is done.
    let stale = TemplateUpdate { modules: switch(&some, &fewer), ..second() };
    assert!(!store.update_template(1, &stale, 9).await.unwrap());
    assert_eq!(modules("one").await, all);
    let before = store.last_change().await.unwrap();
    let switched = TemplateUpdate { modules: switch(&all, &some), ..second() };
    assert!(store.update_template(1, &switched, 9).await.unwrap());
    assert_eq!((modules("one").await, modules("two").await), (some.clone(), all));
    // Other nodes are told.
    let told = store.tenants_since(before).await.unwrap();
    assert_eq!(told.iter().map(|tenant| tenant.number).collect::<Vec<_>>(), [1]);
    let next = TemplateUpdate { modules: switch(&some, &fewer), ..update(Some(2), gift(2)) };
    assert!(store.update_template(1, &next, 9).await.unwrap());
    assert_eq!(modules("one").await, fewer);
}

async fn of_two_who_take_it_over_at_once_one_does(place: &Place) {
    let store = filled(place).await;
    let update = second();
    let (one, other) =
        tokio::join!(store.update_template(1, &update, 9), store.update_template(1, &update, 9));
    assert_eq!(u8::from(one.unwrap()) + u8::from(other.unwrap()), 1);
    assert_eq!(all(&store, 1).await.3.unwrap().revision, 2);
}

async fn every_kind_of_part_can_be_deleted(place: &Place) {
    let store = filled(place).await;
    let part = |kind, id: &str| RemovedPart { kind, id: id.to_owned(), version: 1 };
    let removed = vec![
        part(PartKind::Dashboard, "a"),
        part(PartKind::Report, "r"),
        part(PartKind::AlertRule, "x"),
    ];
    let update = TemplateUpdate { removed, ..update(Some(1), gift(2)) };
    assert!(store.update_template(1, &update, 9).await.unwrap());
    let (dashboards, reports, rules, _) = all(&store, 1).await;
    assert_eq!(dashboards, [Some(dashboard("b", 1))]);
    assert!(reports.is_empty() && rules.is_empty());
    assert_eq!(all(&store, 2).await.1, [report("r", 1)]);
}

async fn a_dashboard_that_is_brought_back_goes_on_counting(place: &Place) {
    let store = filled(place).await;
    let id: DashboardId = "a".parse().unwrap();
    let change = DashboardChange {
        name: "mine".to_owned(),
        document: json!({}),
        by: "ann".to_owned(),
        at: at(1),
        restored_from: None,
    };
    let changed = store.change_dashboard(1, &id, Some(1), &change, 9).await.unwrap().unwrap();
    assert_eq!(changed.head.version, 2);
    for revision in [1, 2] {
        assert!(store.delete_dashboard(1, &id, None).await.unwrap());
        let gift = TemplateGift { dashboards: vec![dashboard("a", 2)], ..gift(2) };
        assert!(store.update_template(1, &update(Some(revision), gift), 9).await.unwrap());
        let brought = store.dashboard(1, &id).await.unwrap().unwrap();
        let head = Head { version: revision + 2, ..dashboard("a", 2).head };
        assert_eq!(brought, Dashboard { head, ..dashboard("a", 2) });
        let kept = store.dashboard_versions(1, &id).await.unwrap();
        assert_eq!(kept.iter().map(|kept| kept.number).collect::<Vec<_>>(), [revision + 2]);
        // Who holds what it was before changes nothing of what it is.
        for seen in 1..revision + 2 {
            let late = store.change_dashboard(1, &id, Some(seen), &change, 9).await.unwrap();
            assert_eq!(late, None, "{seen}");
        }
    }
    assert_eq!(store.dashboard(2, &id).await.unwrap(), Some(dashboard("a", 1)));
}

async fn dashboards_from_before_go_on_counting_too(place: &Place) {
    place.migrate_to(19).await;
    for statement in [
        "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) \
         VALUES ('one', 'One', 'UTC', 'EUR', 'wall', 0)",
        "INSERT INTO dashboards (tenant_id, id, version, name, changed_by, created_at, changed_at, \
         template, template_version, document) \
         VALUES (1, 'a', 7, 'A', '', 0, 0, 'household/a', 1, '{}')",
    ] {
        place.execute(statement).await.unwrap();
    }
    let store = place.open().await;
    let id: DashboardId = "a".parse().unwrap();
    assert!(store.delete_dashboard(1, &id, Some(7)).await.unwrap());
    let gift = TemplateGift { dashboards: vec![dashboard("a", 2)], ..gift(2) };
    assert!(store.update_template(1, &update(None, gift), 9).await.unwrap());
    assert_eq!(store.dashboard(1, &id).await.unwrap().unwrap().head.version, 8);
}

async fn reports_and_rules_that_are_brought_back_go_on_counting(place: &Place) {
    let store = filled(place).await;
    let (r, x) = ("household-r", "household-x");
    let brought = || TemplateGift {
        reports: vec![(report(r, 1), Some(at(60)))],
        rules: vec![rule(x, 1)],
        ..gift(2)
    };
    for tenant in [1, 2] {
        assert!(store.update_template(tenant, &update(Some(1), brought()), 9).await.unwrap());
    }
    assert!(store.replace_report(1, &report(r, 2), None).await.unwrap());
    assert!(store.replace_alert_rule(1, &rule(x, 2), None, None).await.unwrap());
    for revision in [2, 3] {
        assert!(store.delete_report(1, r, Some(revision)).await.unwrap());
        assert!(store.delete_alert_rule(1, x, Some(revision)).await.unwrap());
        assert!(store.update_template(1, &update(Some(revision), brought()), 9).await.unwrap());
        let version = revision + 1;
        let (report_now, rule_now) = (
            StoredReport { version, ..report(r, 1) },
            StoredAlertRule { version, ..rule(x, 1) },
        );
        // Who holds what it was before changes nothing of what it is.
        for seen in 1..version {
            assert!(!store.replace_report(1, &report(r, seen + 1), None).await.unwrap());
            assert!(!store.replace_alert_rule(1, &rule(x, seen + 1), None, None).await.unwrap());
            assert!(!store.delete_report(1, r, Some(seen)).await.unwrap());
            assert!(!store.delete_alert_rule(1, x, Some(seen)).await.unwrap());
        }
        assert_eq!(store.report(1, r).await.unwrap(), Some(report_now));
        assert_eq!(store.alert_rule(1, x).await.unwrap(), Some(rule_now));
    }
    assert_eq!(store.report(2, r).await.unwrap(), Some(report(r, 1)));
    assert_eq!(store.alert_rule(2, x).await.unwrap(), Some(rule(x, 1)));
}

async fn what_a_newer_version_took_away_goes_on_counting_too(place: &Place) {
    let store = filled(place).await;
    let (r, x) = ("household-r", "household-x");
    let brought = || TemplateGift {
        reports: vec![(report(r, 1), None)],
        rules: vec![rule(x, 1)],
        ..gift(2)
    };
    let part = |kind, id: &str| RemovedPart { kind, id: id.to_owned(), version: 1 };
    let removed = vec![part(PartKind::Report, r), part(PartKind::AlertRule, x)];
    let gone = TemplateUpdate { removed, ..update(Some(2), gift(2)) };
    assert!(store.update_template(1, &update(Some(1), brought()), 9).await.unwrap());
    assert!(store.update_template(1, &gone, 9).await.unwrap());
    assert!(store.update_template(1, &update(Some(3), brought()), 9).await.unwrap());
    assert_eq!(store.report(1, r).await.unwrap().unwrap().version, 2);
    assert_eq!(store.alert_rule(1, x).await.unwrap().unwrap().version, 2);
}

async fn reports_and_rules_from_before_go_on_counting_too(place: &Place) {
    place.migrate_to(24).await;
    for statement in [
        "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) \
         VALUES ('one', 'One', 'UTC', 'EUR', 'wall', 0)",
        "INSERT INTO reports (tenant_id, id, version, owner, definition, created_at, changed_at) \
         VALUES (1, 'household-r', 7, '', '{}', 0, 0)",
        "INSERT INTO alert_rules (tenant_id, id, version, owner, definition, audience, state, \
         sequence, created_at, changed_at) \
         VALUES (1, 'household-x', 9, '', '{}', 1, 'waiting', 0, 0, 0)",
    ] {
        place.execute(statement).await.unwrap();
    }
    let store = place.open().await;
    let (r, x) = ("household-r", "household-x");
    assert!(store.delete_report(1, r, Some(7)).await.unwrap());
    assert!(store.delete_alert_rule(1, x, Some(9)).await.unwrap());
    let gift = TemplateGift {
        reports: vec![(report(r, 1), None)],
        rules: vec![rule(x, 1)],
        ..gift(2)
    };
    assert!(store.update_template(1, &update(None, gift), 9).await.unwrap());
    assert_eq!(store.report(1, r).await.unwrap().unwrap().version, 8);
    assert_eq!(store.alert_rule(1, x).await.unwrap().unwrap().version, 10);
}

async fn a_store_from_before_takes_templates_over(place: &Place) {
    place.migrate_to(18).await;
    let one = "INSERT INTO tenants (id, name, timezone, currency, clock, created_at, vertical) \
               VALUES ('one', 'One', 'UTC', 'EUR', 'wall', 0, 'household')";
    place.execute(one).await.unwrap();
    let store = place.open().await;
    assert_eq!(store.given_template(1).await.unwrap(), None);
    assert!(store.update_template(1, &update(None, gift(2)), 9).await.unwrap());
    assert_eq!(store.given_template(1).await.unwrap().unwrap().template.version, 2);
}
}
