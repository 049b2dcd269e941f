//! Files that are not as they were written.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use projections::Tenant;
use proptest::prelude::*;

use super::notes;
use super::support::{NAME, all, kind, segment};
use crate::history::{Accepted, HistoryError, HistoryFile, HistoryStore, Recent, Tail};

struct Written {
    objects: Arc<dyn ObjectStore>,
    accepted: Accepted,
    file: Arc<HistoryFile>,
    bytes: Vec<u8>,
}

/// One file with those rows.
async fn written(rows: &[(u32, u64)]) -> Written {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = HistoryStore::new(Arc::clone(&objects), 0, 0);
    let tail = Tail::new(1 << 30);
    tail.push(1, vec![segment(&kind(None, NAME, 0), rows)]);
    let accepted = Accepted::new(store, Recent::Tail(tail), Vec::new(), 0);
    let files = accepted.write(1, &mut notes()).await.unwrap();
    let file = Arc::clone(&files[0]);
    accepted.publish(files, 1);
    accepted.trim(1).await.unwrap();
    let object = objects.get(&Path::from(file.path.as_str())).await.unwrap();
    let bytes = object.bytes().await.unwrap().to_vec();
    Written { objects, accepted, file, bytes }
}

impl Written {
    async fn put(&self, bytes: Vec<u8>) {
        self.objects.put(&Path::from(self.file.path.as_str()), bytes.into()).await.unwrap();
    }

    async fn scan(&self, tenant: u32) -> Result<Vec<Vec<String>>, HistoryError> {
        all(self.accepted.scan(Tenant(tenant), &kind(None, NAME, 0), 1, None)).await
    }

    fn is_named(&self, error: &HistoryError) -> bool {
        matches!(error, HistoryError::Damaged { .. }) && error.to_string().contains(&self.file.path)
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_change_goes_unseen(
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        run(async {
            let rows: Vec<(u32, u64)> = (0..300).map(|n| (n as u32 % 3, n)).collect();
            let written = written(&rows).await;
            let whole = written.scan(1).await.unwrap();
            assert_eq!(whole.len(), 100);
            let mut changed = written.bytes.clone();
            changed[at.index(written.bytes.len())] ^= flip;
            let cut = written.bytes[..cut.index(written.bytes.len())].to_vec();
            let longer = [written.bytes.clone(), vec![0]].concat();
            for (bytes, may_go_unread) in [(changed, true), (cut, false), (longer, true)] {
                written.put(bytes).await;
                match written.scan(1).await {
                    // What was not read may be damaged.
                    Ok(rows) => assert!(may_go_unread && rows == whole),
                    Err(error) => assert!(written.is_named(&error), "{error}"),
                }
                let error = written.accepted.store().verify(&written.file).await.unwrap_err();
                assert!(written.is_named(&error), "{error}");
                let erased = written
                    .accepted
                    .store()
                    .erase(&written.accepted.files(), Tenant(0))
                    .await;
                if let Err(error) = erased {
                    assert!(written.is_named(&error), "{error}");
                }
            }
        });
    }
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let written = written(&[(1, 1), (2, 2)]).await;
    written.objects.delete(&Path::from(written.file.path.as_str())).await.unwrap();
    for error in [
        written.scan(1).await.unwrap_err(),
        written.accepted.store().verify(&written.file).await.unwrap_err(),
    ] {
        assert!(written.is_named(&error) && error.to_string().contains("missing"), "{error}");
    }
    // Somebody whom the file does not concern does not open it.
    assert_eq!(written.scan(3).await.unwrap(), Vec::<Vec<String>>::new());
}

/// A tenant's rows are found without reading those of the others: damage far away is not noticed
/// by it, and is by whom it concerns.
#[tokio::test]
async fn a_scan_reads_little_more_than_what_is_the_tenants() {
    let rows: Vec<(u32, u64)> = (0..150_000).map(|n| (n as u32 / 1_500, n)).collect();
    let written = written(&rows).await;
    let mut changed = written.bytes.clone();
    let damaged = changed.len() / 2;
    changed[damaged] ^= 1;
    written.put(changed).await;
    let (mut whole, mut failed) = (0, 0);
    for tenant in 0..100 {
        match written.scan(tenant).await {
            Ok(rows) => {
                assert_eq!(rows.len(), 1_500);
                whole += 1;
            }
            Err(error) => {
                assert!(written.is_named(&error), "{error}");
                failed += 1;
            }
        }
    }
    assert!((1..=20).contains(&failed) && whole >= 80, "{whole} whole, {failed} damaged");
    let erased = written.accepted.store().erase(&written.accepted.files(), Tenant(0)).await;
    assert!(written.is_named(&erased.unwrap_err()));
}
