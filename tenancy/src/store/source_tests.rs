//! What is kept of Kafka, with two stores in one place.
#![allow(clippy::unwrap_used)]

use super::super::places::{Place, on_both};

on_both! {
async fn the_first_number_of_partitions_stays(place: &Place) {
    let (a, b) = (place.open().await, place.open().await);
    assert_eq!(a.source_partitions(6).await.unwrap(), 6);
    for found in [6, 12, 3] {
        assert_eq!(b.source_partitions(found).await.unwrap(), 6);
    }
    a.close().await;
    assert_eq!(place.open().await.source_partitions(9).await.unwrap(), 6);
}

async fn of_several_who_begin_at_once_one_says_how_many(place: &Place) {
    let store = place.open().await;
    let mut asked = tokio::task::JoinSet::new();
    for found in 1..=8 {
        let store = store.clone();
        asked.spawn(async move { store.source_partitions(found).await.unwrap() });
    }
    let told = asked.join_all().await;
    assert!(told.iter().all(|kept| *kept == told[0]), "{told:?}");
}

async fn schemas_are_kept_by_registry_and_id(place: &Place) {
    let (a, b) = (place.open().await, place.open().await);
    let (one, other) = ("http://one/", "http://other/");
    assert_eq!(a.schema(one, 7).await.unwrap(), None);
    assert!(a.put_schema(one, 7, "{\"a\": 1}").await.unwrap());
    assert!(a.put_schema(other, 7, "{}").await.unwrap());
    assert!(a.put_schema(one, u32::MAX, "\"long\"").await.unwrap());
    assert_eq!(b.schema(one, 7).await.unwrap().as_deref(), Some("{\"a\": 1}"));
    assert_eq!(b.schema(other, 7).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(b.schema(one, u32::MAX).await.unwrap().as_deref(), Some("\"long\""));
    assert_eq!(b.schema(other, 8).await.unwrap(), None);
    assert!(b.put_schema(one, 7, "{\"a\": 2}").await.unwrap());
    assert_eq!(a.schema(one, 7).await.unwrap().as_deref(), Some("{\"a\": 2}"));
}
}
