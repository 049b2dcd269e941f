//! What is left over, who still uses it, and when it goes.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use projections::Tenant;

use super::notes;
use super::support::{NAME, all, kind, listed, segment};
use crate::history::{Accepted, HistoryStore, Recent, Tail};

fn minutes(number: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::minutes(number)
}

/// An owner of a partition with one row at each offset up to `rows`.
fn owner(objects: &Arc<dyn ObjectStore>, partition: u32, epoch: u64, rows: u64) -> Accepted {
    let tail = Tail::new(1 << 30);
    for offset in 1..=rows {
        tail.push(offset, vec![segment(&kind(None, NAME, 0), &[(1, offset)])]);
    }
    let store = HistoryStore::new(Arc::clone(objects), partition, epoch);
    Accepted::new(store, Recent::Tail(tail), Vec::new(), 0)
}

async fn removed(of: &Accepted, listed: &HashSet<String>, now: DateTime<Utc>) -> usize {
    of.store().remove_unlisted(listed, now, false).await.unwrap().len()
}

#[tokio::test]
async fn what_another_owner_has_just_written_is_given_time() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (old, new) = (owner(&objects, 1, 1, 3), owner(&objects, 1, 2, 3));
    let theirs = old.write(3, &mut notes()).await.unwrap();
    let ours = new.write(3, &mut notes()).await.unwrap();
    assert_ne!(theirs[0].path, ours[0].path);
    let manifest: HashSet<String> = ours.iter().map(|file| file.path.clone()).collect();
    drop(ours);
    // The fenced owner's file is unnamed. It goes when it has been so for a while.
    assert_eq!(removed(&new, &manifest, minutes(1)).await, 0);
    assert_eq!(removed(&new, &manifest, minutes(10)).await, 0);
    assert_eq!(removed(&new, &manifest, minutes(17)).await, 1);
    assert_eq!(listed(&objects).await, manifest.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_owner_that_has_lost_the_partition_deletes_nothing_of_the_next() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (old, new) = (owner(&objects, 1, 9, 3), owner(&objects, 1, 10, 3));
    drop((old.write(3, &mut notes()).await.unwrap(), new.write(3, &mut notes()).await.unwrap()));
    let none = HashSet::new();
    let deleted = old.store().remove_unlisted(&none, minutes(1), true).await.unwrap();
    assert_eq!((deleted.len(), listed(&objects).await.len()), (1, 1));
    let deleted = new.store().remove_unlisted(&none, minutes(1), true).await.unwrap();
    assert_eq!((deleted.len(), listed(&objects).await.len()), (1, 0));
}

#[tokio::test]
async fn other_partitions_are_not_touched() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    // Numbers that begin alike.
    let (one, eleven) = (owner(&objects, 1, 1, 1), owner(&objects, 11, 1, 1));
    drop((one.write(1, &mut notes()).await.unwrap(), eleven.write(1, &mut notes()).await.unwrap()));
    let none = HashSet::new();
    assert_eq!(one.store().remove_unlisted(&none, minutes(1), true).await.unwrap().len(), 1);
    assert_eq!(listed(&objects).await.len(), 1);
    assert!(listed(&objects).await[0].starts_with("history/11/"));
}

#[tokio::test]
async fn what_is_read_or_on_its_way_stays() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let accepted = owner(&objects, 1, 1, 3);
    let files = accepted.write(3, &mut notes()).await.unwrap();
    let none = HashSet::new();
    // Written and not yet listed.
    assert!(accepted.store().remove_unlisted(&none, minutes(99), true).await.unwrap().is_empty());
    accepted.publish(files, 3);
    let kind = kind(None, NAME, 0);
    let mut reader = Box::pin(accepted.scan(Tenant(1), &kind, 3, None));
    let merged = accepted.store().erase(&accepted.files(), Tenant(1)).await.unwrap();
    accepted.publish(merged.apply(&accepted.files()), 3);
    drop(merged);
    // No longer listed, but a reader has begun with it.
    assert!(accepted.store().remove_unlisted(&none, minutes(99), true).await.unwrap().is_empty());
    assert_eq!(reader.try_next().await.unwrap().unwrap().num_rows(), 3);
    drop(reader);
    assert_eq!(accepted.store().remove_unlisted(&none, minutes(99), true).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_recent_is_kept_for_who_reads_from_an_earlier_cut() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let accepted = owner(&objects, 1, 1, 5);
    let kind = kind(None, NAME, 0);
    let reader = accepted.scan(Tenant(1), &kind, 5, Some(vec![0]));
    let files = accepted.write(4, &mut notes()).await.unwrap();
    accepted.publish(files, 4);
    assert_eq!(accepted.trim(4).await.unwrap(), 0);
    assert_eq!(all(reader).await.unwrap().len(), 5);
    assert_eq!(accepted.trim(3).await.unwrap(), 3);
    assert_eq!(accepted.trim(5).await.unwrap(), 4);
    assert_eq!(all(accepted.scan(Tenant(1), &kind, 5, Some(vec![0]))).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_full_tail_makes_its_source_wait_until_a_cut() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let row = segment(&kind(None, NAME, 0), &[(1, 1)]);
    let bytes = crate::stored::row_bytes(&row.rows);
    let tail = Tail::new(bytes * 3);
    let store = HistoryStore::new(objects, 1, 1);
    let accepted = Accepted::new(store, Recent::Tail(tail.clone()), Vec::new(), 0);
    for offset in 1..=3 {
        tail.room().await;
        tail.push(offset, vec![row.clone()]);
    }
    tail.is_filling().await;
    assert_eq!(tail.bytes(), bytes * 3);
    let mut room = std::pin::pin!(tail.room());
    assert!(futures::poll!(room.as_mut()).is_pending());
    let files = accepted.write(2, &mut notes()).await.unwrap();
    accepted.publish(files, 2);
    assert!(futures::poll!(room.as_mut()).is_pending());
    accepted.trim(2).await.unwrap();
    room.await;
    let mut filling = std::pin::pin!(tail.is_filling());
    assert!(futures::poll!(filling.as_mut()).is_pending());
}

#[tokio::test]
async fn a_file_from_before_a_merge_is_known_to_be_read_until_it_is_let_go() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let accepted = owner(&objects, 1, 1, 8);
    for up_to in 1..=8 {
        let mut files = accepted.files();
        files.extend(accepted.write(up_to, &mut notes()).await.unwrap());
        accepted.publish(files, up_to);
    }
    let kind = kind(None, NAME, 0);
    let reader = Box::pin(accepted.scan(Tenant(1), &kind, 8, None));
    let merged = accepted.store().compact(&accepted.files()).await.unwrap().unwrap();
    accepted.publish(merged.apply(&accepted.files()), 8);
    drop(merged);
    let erased = accepted.store().erase(&accepted.files(), Tenant(1)).await.unwrap();
    accepted.publish(erased.apply(&accepted.files()), 8);
    drop(erased);
    let none = HashSet::new();
    let gone = accepted.store().remove_unlisted(&none, minutes(99), true).await.unwrap();
    assert_eq!(gone.len(), 1, "what they were merged into");
    assert!(accepted.store().is_read_unlisted(Tenant(1), &none));
    assert!(!accepted.store().is_read_unlisted(Tenant(2), &none));
    drop(reader);
    assert!(!accepted.store().is_read_unlisted(Tenant(1), &none));
    let gone = accepted.store().remove_unlisted(&none, minutes(99), true).await.unwrap();
    assert_eq!(gone.len(), 8);
}
