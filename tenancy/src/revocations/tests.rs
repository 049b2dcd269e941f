#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::Role;

fn identity(subject: &str, issued_at: DateTime<Utc>) -> Identity {
    Identity {
        subject: subject.to_owned(),
        tenant: Some("acme".parse().unwrap()),
        roles: Role::Analyst.into(),
        issued_at,
        expires_at: DateTime::<Utc>::MAX_UTC,
    }
}

async fn tenant(store: &Store, id: &str) -> u32 {
    let new = json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    store.create_tenant(serde_json::from_value(new).unwrap()).await.unwrap().number
}

#[tokio::test]
async fn tokens_of_before_hold_no_more_and_those_of_after_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let store = Store::open(&path).await.unwrap();
    let (acme, globex) = (tenant(&store, "acme").await, tenant(&store, "globex").await);
    let (here, there) = (
        Revocations::open(store.clone()).await.unwrap(),
        Revocations::open(Store::open(&path).await.unwrap()).await.unwrap(),
    );
    let since = store.last_change().await.unwrap();
    let ended = here.end(acme, "jo", "ada").await.unwrap();
    let before = identity("jo", ended.ended_at - TimeDelta::microseconds(1));
    let after = identity("jo", ended.ended_at);
    let undated = identity("jo", DateTime::UNIX_EPOCH);
    assert!(!there.refuses(acme, &before), "it has not heard of it");
    there.refresh(since).await.unwrap();
    let anew = Revocations::open(store.clone()).await.unwrap();
    for node in [&here, &there, &anew] {
        assert!(node.refuses(acme, &before) && node.refuses(acme, &undated));
        assert!(!node.refuses(acme, &after));
        assert!(!node.refuses(acme, &identity("bo", DateTime::UNIX_EPOCH)));
        assert!(!node.refuses(globex, &before), "it is another tenant's jo");
        assert_eq!(node.told().await, [acme].into());
    }
    assert_eq!(here.list(acme).await.unwrap(), [ended]);
}

#[tokio::test]
async fn what_is_no_subject_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("control.db")).await.unwrap();
    let acme = tenant(&store, "acme").await;
    let revocations = Revocations::open(store).await.unwrap();
    for subject in ["", "a\nb", "service-token:x", &"x".repeat(256)] {
        let refused = revocations.end(acme, subject, "ada").await.unwrap_err();
        assert!(matches!(refused, RevocationError::Subject(_)), "{refused}");
    }
}
