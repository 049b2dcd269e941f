#![allow(clippy::unwrap_used)]

use super::super::places::{Place, on_both};
use super::*;
use crate::{NewTenant, Tombstone};

fn tenant(id: &str) -> NewTenant {
    let body = serde_json::json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    serde_json::from_value(body).unwrap()
}

fn token(id: &str) -> StoredServiceToken {
    StoredServiceToken {
        id: id.to_owned(),
        name: "the till".to_owned(),
        hash: format!("{id:0>64}"),
        created_by: "jo".to_owned(),
        created_at: DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap(),
        expires_at: (id == "2").then(|| DateTime::from_timestamp(1_800_000_000, 0).unwrap()),
    }
}

on_both! {
async fn tokens_are_a_tenants_own_and_few(place: &Place) {
    let store = place.open().await;
    for id in ["one", "two"] {
        store.create_tenant(tenant(id)).await.unwrap();
    }
    for id in ["1", "2"] {
        assert!(store.put_service_token(1, &token(id), 2).await.unwrap());
    }
    assert!(!store.put_service_token(1, &token("3"), 2).await.unwrap());
    assert!(store.put_service_token(2, &token("1"), 2).await.unwrap());
    assert_eq!(store.service_tokens(1).await.unwrap(), [token("1"), token("2")]);
    assert_eq!(store.service_tokens(2).await.unwrap(), [token("1")]);
    assert!(store.delete_service_token(1, "1").await.unwrap());
    assert!(!store.delete_service_token(1, "1").await.unwrap());
    assert!(!store.delete_service_token(2, "2").await.unwrap());
    assert!(!store.delete_service_token(1, "2\0").await.unwrap(), "NUL is in no id");
    assert_eq!(store.service_tokens(1).await.unwrap(), [token("2")]);
    assert_eq!(store.service_tokens(2).await.unwrap(), [token("1")]);
}

async fn they_go_with_their_tenant(place: &Place) {
    let store = place.open().await;
    let one = store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.put_service_token(1, &token("1"), 2).await.unwrap());
    let stone: Tombstone = store.delete_tenant(&one.id, "ops").await.unwrap();
    store.put_service_token(1, &token("2"), 2).await.unwrap_err();
    store.erase_tenant(&stone).await.unwrap();
    assert!(store.service_tokens(1).await.unwrap().is_empty());
}
}
