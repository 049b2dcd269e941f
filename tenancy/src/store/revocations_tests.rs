#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::super::places::{Place, on_both};
use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn revocation(tenant: u32, subject: &str, seconds: i64) -> StoredRevocation {
    StoredRevocation {
        tenant,
        subject: subject.to_owned(),
        ended_at: at(seconds),
        ended_by: "ada".to_owned(),
        expires_at: at(seconds + 100),
    }
}

async fn tenant(store: &Store, id: &str) -> u32 {
    let new: Value = json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    store.create_tenant(serde_json::from_value(new).unwrap()).await.unwrap().number
}

on_both! {
async fn the_latest_end_of_somebodys_sign_ins_is_kept(place: &Place) {
    let store = place.open().await;
    let (acme, globex) = (tenant(&store, "acme").await, tenant(&store, "globex").await);
    let before = store.last_change().await.unwrap();
    assert!(store.put_revocation(&revocation(acme, "jo", 10), 2).await.unwrap());
    assert!(store.put_revocation(&revocation(globex, "jo", 11), 2).await.unwrap());
    // Everybody hears of each.
    let heard = store.revocations_since(before).await.unwrap();
    assert_eq!(heard, [revocation(acme, "jo", 10), revocation(globex, "jo", 11)]);
    let before = store.last_change().await.unwrap();
    assert!(store.put_revocation(&revocation(acme, "jo", 20), 2).await.unwrap());
    assert_eq!(store.revocations_since(before).await.unwrap(), [revocation(acme, "jo", 20)]);
    // An earlier one changes nothing.
    assert!(store.put_revocation(&revocation(acme, "jo", 15), 2).await.unwrap());
    assert_eq!(store.revocations(acme).await.unwrap(), [revocation(acme, "jo", 20)]);
    assert_eq!(store.revocations(globex).await.unwrap(), [revocation(globex, "jo", 11)]);
}

async fn a_tenant_has_so_many_at_a_time(place: &Place) {
    let store = place.open().await;
    let acme = tenant(&store, "acme").await;
    for subject in ["a", "b"] {
        assert!(store.put_revocation(&revocation(acme, subject, 10), 2).await.unwrap());
    }
    assert!(!store.put_revocation(&revocation(acme, "c", 20), 2).await.unwrap());
    assert!(store.put_revocation(&revocation(acme, "b", 30), 2).await.unwrap(), "it is there");
    // That of "a" is over by then.
    assert!(store.put_revocation(&revocation(acme, "c", 110), 2).await.unwrap());
    let kept = store.revocations(acme).await.unwrap();
    assert_eq!(kept, [revocation(acme, "b", 30), revocation(acme, "c", 110)]);
}
}
