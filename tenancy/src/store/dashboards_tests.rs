#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::places::{Place, on_both};
use super::*;
use crate::NewTenant;

fn tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn id(text: &str) -> DashboardId {
    text.parse().unwrap()
}

fn dashboard(name: &str) -> Dashboard {
    Dashboard {
        head: Head {
            id: id(name),
            version: 1,
            name: name.to_owned(),
            changed_by: "jo".to_owned(),
            created_at: at(0),
            changed_at: at(0),
            origin: None,
        },
        document: json!({ "said": "a\0b" }),
        base: None,
    }
}

fn change(number: i64) -> Change {
    Change {
        name: format!("the {number}th"),
        document: json!({ "number": number }),
        by: "ann\0".to_owned(),
        at: at(number),
        restored_from: None,
    }
}

/// A store with two tenants.
async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    for id in ["one", "two"] {
        store.create_tenant(tenant(id)).await.unwrap();
    }
    store
}

/// The numbers of the versions that are kept.
async fn kept(store: &Store, tenant: u32, id: &DashboardId) -> Vec<u64> {
    let versions = store.dashboard_versions(tenant, id).await.unwrap();
    versions.into_iter().map(|version| version.number).collect()
}

on_both! {
async fn dashboards_are_a_tenants_own_and_as_many_as_may_be(place: &Place) {
    let store = filled(place).await;
    let origin = Some(Origin { template: "retail/stock".to_owned(), version: 3 });
    let given = Dashboard {
        head: Head { origin, created_at: at(1), ..dashboard("a").head },
        base: Some(json!([1])),
        ..dashboard("a")
    };
    assert!(store.create_dashboard(1, &given, 2).await.unwrap());
    assert!(store.create_dashboard(1, &dashboard("b"), 2).await.unwrap());
    assert!(!store.create_dashboard(1, &dashboard("c"), 2).await.unwrap());
    store.create_dashboard(1, &dashboard("b"), 9).await.unwrap_err();
    assert!(store.create_dashboard(2, &dashboard("a"), 2).await.unwrap());
    let heads = [dashboard("b").head, given.head.clone()];
    assert_eq!(store.dashboards(1).await.unwrap(), heads, "the oldest first");
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.dashboard(1, &id("a")).await.unwrap(), Some(given));
    assert_eq!(store.dashboard(2, &id("a")).await.unwrap(), Some(dashboard("a")));
    assert_eq!(store.dashboard(2, &id("b")).await.unwrap(), None);
    assert_eq!(kept(&store, 2, &id("b")).await, [0; 0]);
    assert!(store.delete_dashboard(1, &id("a"), None).await.unwrap());
    assert_eq!(store.dashboards(2).await.unwrap(), [dashboard("a").head]);
    assert_eq!(kept(&store, 2, &id("a")).await, [1]);
}

async fn a_change_is_made_upon_the_version_that_was_seen(place: &Place) {
    let store = filled(place).await;
    let a = id("a");
    assert!(store.create_dashboard(1, &dashboard("a"), 9).await.unwrap());
    let second = store.change_dashboard(1, &a, Some(1), &change(2), 9).await.unwrap().unwrap();
    let head = Head {
        version: 2,
        name: "the 2th".to_owned(),
        changed_by: "ann\u{fffd}".to_owned(),
        changed_at: at(2),
        ..dashboard("a").head
    };
    assert_eq!(second, Dashboard { head, document: json!({ "number": 2 }), base: None });
    assert_eq!(store.dashboard(1, &a).await.unwrap(), Some(second.clone()));
    for (tenant, which, expected) in
        [(1, "a", Some(1)), (1, "a", Some(3)), (1, "b", None), (2, "a", None), (2, "a", Some(2))]
    {
        let made = store.change_dashboard(tenant, &id(which), expected, &change(3), 9).await;
        assert_eq!(made.unwrap(), None, "{tenant} {which} {expected:?}");
    }
    assert!(!store.delete_dashboard(1, &a, Some(1)).await.unwrap());
    assert!(!store.delete_dashboard(2, &a, None).await.unwrap());
    assert_eq!(store.dashboard(1, &a).await.unwrap(), Some(second));
    // Whoever says so changes whatever there is.
    let third = store.change_dashboard(1, &a, None, &change(3), 9).await.unwrap().unwrap();
    assert_eq!(third.head.version, 3);
    assert!(store.delete_dashboard(1, &a, Some(3)).await.unwrap());
    assert_eq!(store.dashboard(1, &a).await.unwrap(), None);
    assert_eq!(kept(&store, 1, &a).await, [0; 0], "its versions go with it");
}

async fn of_two_who_saw_the_same_one_changes_it(place: &Place) {
    let store = filled(place).await;
    let a = id("a");
    assert!(store.create_dashboard(1, &dashboard("a"), 9).await.unwrap());
    let (one, other) = (change(2), change(3));
    let (one, other) = tokio::join!(
        store.change_dashboard(1, &a, Some(1), &one, 9),
        store.change_dashboard(1, &a, Some(1), &other, 9),
    );
    let made: Vec<Dashboard> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(store.dashboard(1, &a).await.unwrap().as_ref(), made.first());
    assert_eq!(kept(&store, 1, &a).await, [2, 1]);
}

async fn the_newest_versions_are_kept(place: &Place) {
    let store = filled(place).await;
    let a = id("a");
    assert!(store.create_dashboard(1, &dashboard("a"), 9).await.unwrap());
    assert!(store.create_dashboard(2, &dashboard("a"), 9).await.unwrap());
    for number in 2..=6 {
        let change = Change { restored_from: (number == 6).then_some(4), ..change(number) };
        store.change_dashboard(1, &a, None, &change, 3).await.unwrap().unwrap();
    }
    assert_eq!(kept(&store, 1, &a).await, [6, 5, 4]);
    assert_eq!(kept(&store, 2, &a).await, [1]);
    let (version, document) = store.dashboard_version(1, &a, 6).await.unwrap().unwrap();
    let expected = Version {
        number: 6,
        name: "the 6th".to_owned(),
        changed_by: "ann\u{fffd}".to_owned(),
        changed_at: at(6),
        restored_from: Some(4),
    };
    assert_eq!((version, document), (expected, json!({ "number": 6 })));
    for (tenant, number) in [(1, 3), (1, 7), (1, u64::MAX), (2, 6)] {
        let found = store.dashboard_version(tenant, &a, number).await.unwrap();
        assert_eq!(found, None, "{tenant} {number}");
    }
}

async fn a_store_from_before_dashboards_gets_their_tables(place: &Place) {
    place.migrate_to(16).await;
    let one = "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) \
               VALUES ('one', 'One', 'UTC', 'EUR', 'wall', 0)";
    place.execute(one).await.unwrap();
    let store = place.open().await;
    assert!(store.create_dashboard(1, &dashboard("a"), 9).await.unwrap());
    assert_eq!(store.dashboards(1).await.unwrap(), [dashboard("a").head]);
}
}
