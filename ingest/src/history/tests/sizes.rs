//! Files of more than one part, of large rows, and of many row groups.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use projections::Tenant;

use super::notes;
use super::support::{NAME, all, kind, segment};
use crate::history::{Accepted, HistoryStore, Recent, Tail};
use crate::log::Segment;

/// Events with a text each that cannot be made smaller.
fn large(rows: &[(u32, u64)], bytes: usize) -> Segment {
    let mut segment = segment(&kind(None, NAME, 0), rows);
    let mut columns: Vec<ArrayRef> = segment.rows.columns().to_vec();
    let text = |_: &(u32, u64)| -> String {
        let parts = (0..bytes / 16).map(|_| format!("{:016x}", rand::random::<u64>()));
        parts.collect::<Vec<_>>().concat()
    };
    columns[3] = Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>());
    segment.rows = RecordBatch::try_new(segment.rows.schema(), columns).unwrap();
    segment
}

fn accepted(tail: Tail) -> Accepted {
    let store = HistoryStore::new(Arc::new(InMemory::new()), 0, 0);
    Accepted::new(store, Recent::Tail(tail), Vec::new(), 0)
}

#[tokio::test]
async fn large_rows_come_in_small_batches() {
    let tail = Tail::new(1 << 30);
    for offset in 1..=4 {
        let rows: Vec<(u32, u64)> = (0..100).map(|n| (n as u32 % 2, offset * 100 + n)).collect();
        tail.push(offset, vec![large(&rows, 100 << 10)]);
    }
    let accepted = accepted(tail);
    let kind = kind(None, NAME, 0);
    let before = all(accepted.scan(Tenant(1), &kind, 4, None)).await.unwrap();
    assert_eq!(before.len(), 200);
    let files = accepted.write(4, &mut notes()).await.unwrap();
    assert!(files.len() == 1 && files[0].bytes > 20 << 20, "{}", files[0].bytes);
    accepted.publish(files, 4);
    accepted.trim(4).await.unwrap();
    let batches: Vec<RecordBatch> =
        accepted.scan(Tenant(1), &kind, 4, None).try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.get_array_memory_size() < 12 << 20));
    assert!(batches.len() >= 5);
    assert_eq!(all(accepted.scan(Tenant(1), &kind, 4, None)).await.unwrap(), before);
    let change = accepted.store().erase(&accepted.files(), Tenant(0)).await.unwrap();
    assert_eq!(change.erased, 200);
    accepted.publish(change.apply(&accepted.files()), 4);
    assert_eq!(all(accepted.scan(Tenant(1), &kind, 4, None)).await.unwrap(), before);
    assert!(all(accepted.scan(Tenant(0), &kind, 4, None)).await.unwrap().is_empty());
}

#[tokio::test]
async fn many_small_files_become_few_in_order() {
    let tail = Tail::new(1 << 30);
    let accepted = accepted(tail.clone());
    let kind = kind(None, NAME, 0);
    let mut expected = Vec::new();
    for offset in 1..=70 {
        let rows: Vec<(u32, u64)> = (0..40).map(|n| (n as u32 % 9, offset * 100 + n)).collect();
        expected
            .extend(rows.iter().filter(|(tenant, _)| *tenant == 4).map(|(_, n)| format!("e{n}")));
        tail.push(offset, vec![segment(&kind, &rows)]);
        let added = accepted.write(offset, &mut notes()).await.unwrap();
        let files = accepted.files().into_iter().chain(added).collect();
        accepted.publish(files, offset);
    }
    accepted.trim(70).await.unwrap();
    while let Some(change) = accepted.store().compact(&accepted.files()).await.unwrap() {
        assert_eq!((change.removed.len(), change.added.len()), (8, 1));
        accepted.publish(change.apply(&accepted.files()), 70);
    }
    assert!(accepted.files().len() < 8);
    assert_eq!(accepted.files().iter().map(|file| file.rows).sum::<u64>(), 70 * 40);
    let mut found = all(accepted.scan(Tenant(4), &kind, 70, Some(vec![0]))).await.unwrap().concat();
    // Within a file a tenant's events come in the order in which they were accepted.
    let at = |id: &String| expected.iter().position(|other| other == id).unwrap();
    let breaks = found.windows(2).filter(|pair| at(&pair[0]) > at(&pair[1])).count();
    assert!(breaks < accepted.files().len());
    found.sort_by_key(at);
    assert_eq!(found, expected);
}
