//! Uploads that come to nothing.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::{Error, PutResult, UploadPart};
use tokio::fs::File;

use super::*;

/// An upload that stops somebody with its second part, or fails with it.
#[derive(Debug, Default)]
struct Broken {
    parts: AtomicUsize,
    stops: Option<CancellationToken>,
    is_aborted: AtomicBool,
}

#[async_trait]
impl MultipartUpload for Broken {
    fn put_part(&mut self, _: PutPayload) -> UploadPart {
        let is_second = self.parts.fetch_add(1, Ordering::Relaxed) == 1;
        let sent = match &self.stops {
            Some(stop) if is_second => {
                stop.cancel();
                Ok(())
            }
            None if is_second => Err(Error::NotImplemented {
                operation: "a second part".to_owned(),
                implementer: "this".to_owned(),
            }),
            _ => Ok(()),
        };
        std::future::ready(sent).boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.is_aborted.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A file of three parts.
async fn draft(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("draft");
    tokio::fs::write(&path, vec![7_u8; 2 * PART + 1]).await.unwrap();
    path
}

#[tokio::test]
async fn what_fails_or_is_stopped_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let draft = draft(&folder).await;
    let stop = CancellationToken::new();
    let mut failing = Broken::default();
    let failed = send(File::open(&draft).await.unwrap(), &mut failing, &stop).await;
    assert!(matches!(failed, Err(ExportError::Objects(_))), "{failed:?}");
    let mut stopping = Broken { stops: Some(stop.clone()), ..Broken::default() };
    let stopped = send(File::open(&draft).await.unwrap(), &mut stopping, &stop).await;
    assert!(matches!(stopped, Err(ExportError::Stopped)), "{stopped:?}");
    for broken in [failing, stopping] {
        assert_eq!(broken.parts.into_inner(), 2, "the third part is not sent");
        assert!(broken.is_aborted.into_inner());
    }
}

#[tokio::test]
async fn a_file_is_sent_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let draft = draft(&folder).await;
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let to = Path::from("a/b");
    let stop = CancellationToken::new();
    upload(&objects, &draft, &to, &stop).await.unwrap();
    let there = objects.get(&to).await.unwrap().bytes().await.unwrap();
    assert_eq!(there, vec![7_u8; 2 * PART + 1]);
    stop.cancel();
    let to = Path::from("a/c");
    upload(&objects, &draft, &to, &stop).await.unwrap_err();
    assert!(matches!(objects.get(&to).await, Err(Error::NotFound { .. })));
}
