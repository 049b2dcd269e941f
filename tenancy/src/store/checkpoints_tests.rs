#![allow(clippy::unwrap_used)]

use super::super::places::{Place, on_both};
use super::*;

fn checkpoint(partition: u32, epoch: u64, number: u64, manifest: &str) -> StoredCheckpoint {
    let (manifest, checksum) = (manifest.to_owned(), format!("sum of {manifest}"));
    StoredCheckpoint { partition, epoch, number, manifest, checksum }
}

on_both! {
async fn each_owner_of_a_partition_has_a_later_epoch(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.acquire_partition(7, "a", None).await.unwrap().0, 1);
    assert_eq!(store.acquire_partition(7, "b", None).await.unwrap().0, 2);
    assert_eq!(store.acquire_partition(7, "b", None).await.unwrap().0, 3);
    assert_eq!(store.acquire_partition(8, "a", None).await.unwrap().0, 1);
}

async fn commits_follow_each_other_and_the_newest_are_kept(place: &Place) {
    let store = place.open().await;
    let epoch = store.acquire_partition(0, "a", None).await.unwrap().0;
    assert_eq!(store.acquire_partition(1, "a", None).await.unwrap().0, epoch);
    let other = checkpoint(1, epoch, 1, "other");
    assert_eq!(store.commit_checkpoint(&other, 3).await.unwrap(), CommitOutcome::Committed);
    let all: Vec<_> = (1..=5).map(|n| checkpoint(0, epoch, n, &format!("m{n}"))).collect();
    for one in &all {
        assert_eq!(store.commit_checkpoint(one, 3).await.unwrap(), CommitOutcome::Committed);
    }
    store.close().await;
    let store = place.open().await;
    let kept: Vec<_> = all[2..].iter().rev().cloned().collect();
    assert_eq!(store.checkpoints(0).await.unwrap(), kept);
    assert_eq!(store.checkpoints(1).await.unwrap(), [other]);
    assert!(store.checkpoints(2).await.unwrap().is_empty());
}

async fn a_commit_of_an_earlier_epoch_or_of_a_taken_number_does_nothing(place: &Place) {
    let store = place.open().await;
    let nobody = checkpoint(0, 1, 1, "nobody's");
    let refused = |epoch| CommitOutcome::Refused { epoch };
    assert_eq!(store.commit_checkpoint(&nobody, 3).await.unwrap(), refused(0));
    let before = store.acquire_partition(0, "a", None).await.unwrap().0;
    let first = checkpoint(0, before, 1, "first");
    store.commit_checkpoint(&first, 3).await.unwrap();
    for (number, manifest) in [(1, "second"), (3, "third")] {
        let wrong = checkpoint(0, before, number, manifest);
        assert_eq!(store.commit_checkpoint(&wrong, 3).await.unwrap(), refused(before));
    }
    let now = store.acquire_partition(0, "b", None).await.unwrap().0;
    let late = checkpoint(0, before, 2, "late");
    assert_eq!(store.commit_checkpoint(&late, 3).await.unwrap(), refused(now));
    assert_eq!(store.checkpoints(0).await.unwrap(), [first]);
}

async fn a_commit_that_is_asked_for_again_is_done_once(place: &Place) {
    let store = place.open().await;
    let epoch = store.acquire_partition(0, "a", None).await.unwrap().0;
    let first = checkpoint(0, epoch, 1, "first");
    for _ in 0..2 {
        assert_eq!(store.commit_checkpoint(&first, 3).await.unwrap(), CommitOutcome::Committed);
    }
    // Even when the partition has moved on: it was done then.
    store.acquire_partition(0, "b", None).await.unwrap();
    assert_eq!(store.commit_checkpoint(&first, 3).await.unwrap(), CommitOutcome::Committed);
    assert_eq!(store.checkpoints(0).await.unwrap(), [first]);
}

async fn of_many_at_once_one_commits(place: &Place) {
    let store = place.open().await;
    let epoch = store.acquire_partition(0, "a", None).await.unwrap().0;
    let commits = (0..8).map(|at| {
        let (store, one) = (store.clone(), checkpoint(0, epoch, 1, &format!("m{at}")));
        tokio::spawn(async move { store.commit_checkpoint(&one, 3).await.unwrap() })
    });
    let mut done = 0;
    for commit in commits.collect::<Vec<_>>() {
        done += usize::from(commit.await.unwrap() == CommitOutcome::Committed);
    }
    assert_eq!((done, store.checkpoints(0).await.unwrap().len()), (1, 1));
}

async fn a_store_from_before_checkpoints_gets_their_tables(place: &Place) {
    place.migrate_to(3).await;
    let event_type = "INSERT INTO platform_event_types VALUES ('a.b', '{}', 0, 0)";
    place.execute(event_type).await.unwrap();
    let store = place.open().await;
    assert_eq!(store.acquire_partition(0, "a", None).await.unwrap().0, 1);
    assert_eq!(store.event_types().await.unwrap().len(), 1);
}
}
