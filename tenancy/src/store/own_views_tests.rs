#![allow(clippy::unwrap_used)]

use super::super::places::{Place, on_both};
use super::*;
use crate::NewTenant;

fn tenant(id: &str) -> NewTenant {
    let body = serde_json::json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    serde_json::from_value(body).unwrap()
}

fn view(name: &str, sql: &str, key: &[&str]) -> StoredView {
    let key = key.iter().map(|column| (*column).to_owned()).collect();
    StoredView { name: name.to_owned(), sql: sql.to_owned(), key }
}

/// A store with two tenants.
async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    for id in ["one", "two"] {
        store.create_tenant(tenant(id)).await.unwrap();
    }
    store
}

on_both! {
async fn views_come_back_in_the_order_in_which_they_build_on_each_other(place: &Place) {
    let store = filled(place).await;
    let (a, b) = (view("a", "SELECT 1", &["x", "y"]), view("b", "SELECT * FROM a", &[]));
    store.put_own_views(1, &[a.clone(), b.clone()]).await.unwrap();
    store.put_own_views(2, std::slice::from_ref(&b)).await.unwrap();
    // `a` comes to read `b`.
    let anew = view("a", "SELECT * FROM b", &[]);
    store.put_own_views(1, std::slice::from_ref(&anew)).await.unwrap();
    store.close().await;
    let store = place.open().await;
    let all = [(1, b.clone()), (1, anew), (2, b.clone())];
    assert_eq!(store.own_views().await.unwrap(), all);
    store.delete_own_view(1, "a").await.unwrap();
    store.delete_own_view(1, "nothing").await.unwrap();
    assert_eq!(store.own_views().await.unwrap(), [(1, b.clone()), (2, b)]);
}

async fn several_are_stored_together_or_not_at_all(place: &Place) {
    let store = filled(place).await;
    let nameless = [view("a", "SELECT 1", &[]), view("", "SELECT 2", &[])];
    store.put_own_views(1, &nameless).await.unwrap_err();
    store.put_own_views(3, &nameless[..1]).await.unwrap_err();
    assert!(store.own_views().await.unwrap().is_empty());
}

async fn a_store_from_before_own_views_gets_their_table(place: &Place) {
    place.migrate_to(1).await;
    let one = "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) \
               VALUES ('one', 'One', 'UTC', 'EUR', 'wall', 0)";
    place.execute(one).await.unwrap();
    let store = place.open().await;
    store.put_own_views(1, &[view("a", "SELECT 1", &[])]).await.unwrap();
    assert_eq!(store.own_views().await.unwrap().len(), 1);
}
}
