#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::places::{Place, on_both};
use super::*;
use crate::{NewTenant, TenantChange};

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn named(name: &str) -> TenantChange {
    serde_json::from_value(json!({ "name": name })).unwrap()
}

fn stored(tenant: Option<u32>, name: &str, schema: &str) -> StoredEventType {
    StoredEventType { tenant, name: name.to_owned(), schema: schema.to_owned() }
}

on_both! {
/// Every change raises the number by itself, and what it was is found from any number before.
async fn every_change_has_a_number_of_its_own(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    assert_eq!(one.last_change().await.unwrap(), 0);
    let a = one.create_tenant(new_tenant("a")).await.unwrap();
    let b = other.create_tenant(new_tenant("b")).await.unwrap();
    assert_eq!((a.number, b.number), (1, 2));
    assert_eq!(one.last_change().await.unwrap(), 2);
    assert_eq!(one.tenants_since(0).await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(one.tenants_since(1).await.unwrap(), [b]);

    let a = other.update_tenant(&a.id, named("renamed")).await.unwrap();
    assert_eq!(one.tenants_since(2).await.unwrap(), [a]);
    assert!(one.event_types_since(0).await.unwrap().is_empty());

    let own = stored(Some(1), "acme.x", "1");
    assert!(other.put_event_type(&own, None).await.unwrap());
    let shared = stored(None, "acme.y", "1");
    assert!(one.put_event_type(&shared, None).await.unwrap());
    let own = stored(Some(1), "acme.x", "2");
    assert!(one.put_event_type(&own, Some("1")).await.unwrap());
    assert_eq!(other.last_change().await.unwrap(), 6);
    assert_eq!(other.event_types_since(3).await.unwrap(), [shared.clone(), own.clone()]);
    assert_eq!(other.event_types_since(4).await.unwrap(), [shared, own.clone()]);
    assert_eq!(other.event_types_since(5).await.unwrap(), [own]);
    assert!(other.tenants_since(3).await.unwrap().is_empty());
}
}

on_both! {
/// What is refused, and what concerns nobody's memory, is no change.
async fn what_changes_nothing_has_no_number(place: &Place) {
    let store = place.open().await;
    store.create_tenant(new_tenant("a")).await.unwrap();
    store.create_tenant(new_tenant("a")).await.unwrap_err();
    store.put_event_type(&stored(None, "acme.x", "1"), None).await.unwrap();
    let before = store.last_change().await.unwrap();
    assert!(!store.put_event_type(&stored(None, "acme.x", "3"), None).await.unwrap());
    assert!(!store.put_event_type(&stored(None, "acme.x", "3"), Some("2")).await.unwrap());
    store.acquire_partition(0, "me", None).await.unwrap();
    assert_eq!(store.last_change().await.unwrap(), before);
}
}
