#![allow(clippy::unwrap_used)]

use serde_json::json;
use tokio::task::JoinSet;

use super::super::Access;
use super::super::places::{Place, on_both};
use super::*;
use crate::{NewTenant, StoreError};

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

on_both! {
/// Far more than there are connections, and readers beside them.
async fn all_who_write_at_once_come_to_it(place: &Place) {
    let access = Access { connections: 2, ..place.access() };
    let store = Store::connect(&access).await.unwrap();
    let mut writers = JoinSet::new();
    for number in 0..60 {
        let store = store.clone();
        writers.spawn(async move { store.create_tenant(new_tenant(&format!("t{number}"))).await });
    }
    let mut seen = 0;
    while !writers.is_empty() {
        let there = store.tenants().await.unwrap().len();
        assert!(there >= seen, "{there} after {seen}");
        seen = there;
        while let Some(written) = writers.try_join_next() {
            written.unwrap().unwrap();
        }
    }
    assert_eq!(store.tenants().await.unwrap().len(), 60);
    store.close().await;
}
}

/// Two who change the same row of a server, of whom the second does not wait as long as it would.
async fn hold_a_row(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    one.create_tenant(new_tenant("acme")).await.unwrap();
    let rename = "UPDATE tenants SET name = 'changed' WHERE id = 'acme'";
    let mut held = one.write(Scope::Platform).await.unwrap();
    sql::query(rename).execute(&mut *held).await.unwrap();
    let mut waiting = other.write(Scope::Platform).await.unwrap();
    let impatient = "SELECT set_config('lock_timeout', '50', true)";
    sql::query(impatient).execute(&mut *waiting).await.unwrap();
    let source = sql::query(rename).execute(&mut *waiting).await.unwrap_err();
    let error = StoreError::Database { doing: "changing a tenant", source };
    assert!(error.is_unavailable(), "{error}");
    waiting.rollback().await.unwrap();
    held.rollback().await.unwrap();
    assert_eq!(other.tenants().await.unwrap()[0].name, "acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_another_does_not_let_go_of_is_unavailable() {
    hold_a_row(&Place::server().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_behind_a_pooler() {
    hold_a_row(&Place::pooled().await).await;
}
