//! Nodes and owners, with two stores in one place.
#![allow(clippy::unwrap_used)]

use chrono::TimeDelta;

use super::super::places::{Place, on_both};
use super::*;

fn owner(partition: u32, owner: &str, epoch: u64) -> StoredPartition {
    let owner = (!owner.is_empty()).then(|| owner.to_owned());
    StoredPartition { partition, owner, epoch }
}

on_both! {
async fn nodes_beat_and_retire_and_are_forgotten(place: &Place) {
    let (a, b) = (place.open().await, place.open().await);
    let now = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap();
    a.beat("a", "127.0.0.1:1", now).await.unwrap();
    b.beat("b", "127.0.0.1:2", now).await.unwrap();
    a.beat("a", "127.0.0.1:3", now + TimeDelta::seconds(5)).await.unwrap();
    let nodes = b.ownership().await.unwrap().nodes;
    let alive_until = now + TimeDelta::seconds(5);
    let first = StoredNode { node: "a".into(), address: "127.0.0.1:3".into(), alive_until };
    assert_eq!((nodes.len(), &nodes[0]), (2, &first));
    a.beat("a", "127.0.0.1:3", now + TimeDelta::days(2)).await.unwrap();
    assert_eq!(b.ownership().await.unwrap().nodes.len(), 1);
    b.retire("a").await.unwrap();
    assert_eq!(a.ownership().await.unwrap(), Ownership::default());
}

async fn nodes_that_begin_at_the_same_moment_make_the_schema_once(place: &Place) {
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let access = place.access();
        opening.spawn(async move { Store::connect(&access).await });
    }
    while let Some(opened) = opening.join_next().await {
        let store = opened.unwrap().unwrap();
        assert_eq!(store.ownership().await.unwrap(), Ownership::default());
    }
}

async fn of_two_that_want_a_partition_one_gets_it(place: &Place) {
    let (a, b) = (place.open().await, place.open().await);
    assert_eq!(a.acquire_partition(2, "a", Some(0)).await.unwrap(), (1, true));
    assert_eq!(b.acquire_partition(2, "b", Some(0)).await.unwrap(), (1, false));
    assert_eq!(b.ownership().await.unwrap().partitions, [owner(2, "a", 1)]);
    // A release by an owner of an earlier epoch does nothing.
    assert_eq!(b.acquire_partition(2, "b", Some(1)).await.unwrap(), (2, true));
    a.release_partition(2, 1).await.unwrap();
    assert_eq!(a.ownership().await.unwrap().partitions, [owner(2, "b", 2)]);
    b.release_partition(2, 2).await.unwrap();
    assert_eq!(a.ownership().await.unwrap().partitions, [owner(2, "", 2)]);
    // Whatever it has: the embedded mode has one owner.
    assert_eq!(a.acquire_partition(2, "a", None).await.unwrap(), (3, true));
}
}
