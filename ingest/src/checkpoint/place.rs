//! Where the checkpoints of a partition lie: names of new files, and the object store itself.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;

use super::error::CheckpointError;

/// The folder of all partitions' checkpoints in the object store.
const FOLDER: &str = "checkpoints";
/// Deletions under way at once.
const DELETIONS: usize = 8;

/// Sizes and times of checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many checkpoints are kept.
    pub keep: u64,
    /// How long a file that no kept checkpoint names stays, for those that may still be reading it.
    pub grace: Duration,
    /// The size at which a file is closed, in bytes; two of that size may be in memory.
    pub file_bytes: usize,
    /// The size at which a block is closed, in bytes.
    pub block_bytes: usize,
    /// How many runs, or small files of chunks, are too many, so that they are merged.
    pub runs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep: 3,
            grace: Duration::from_mins(10),
            file_bytes: 16 << 20,
            block_bytes: 1 << 20,
            runs: 16,
        }
    }
}

/// Where the checkpoints of one owner of a partition lie.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) partition: u32,
    pub(super) epoch: u64,
    pub(super) options: Options,
    pub(super) runtime: Handle,
    next: AtomicU64,
    /// Whether the object store is a folder, once that is known.
    folder: OnceLock<bool>,
    /// What is being written, or written and not yet committed.
    writing: Mutex<HashSet<Path>>,
}

impl Place {
    pub(super) fn new(
        objects: Arc<dyn ObjectStore>,
        partition: u32,
        epoch: u64,
        options: Options,
    ) -> Self {
        let runtime = Handle::current();
        let (next, folder, writing) = (AtomicU64::new(1), OnceLock::new(), Mutex::default());
        Self { objects, partition, epoch, options, runtime, next, folder, writing }
    }

    pub(super) fn folder(&self) -> Path {
        Path::from(format!("{FOLDER}/{}", self.partition))
    }

    /// A name that no other file has or had: epochs are given out once, and so are the numbers
    /// within one.
    pub(super) fn name(&self, kind: &str) -> Path {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder().join(format!("{:010}-{number:010}.{kind}", self.epoch));
        self.lock().insert(path.clone());
        path
    }

    /// The epoch in the name of a file, if it is one of ours.
    pub(super) fn epoch_of(path: &Path) -> Option<u64> {
        path.filename()?.split_once('-')?.0.parse().ok()
    }

    pub(super) fn is_writing(&self, path: &Path) -> bool {
        self.lock().contains(path)
    }

    /// The files are committed, or deleted.
    pub(super) fn settle(&self, paths: &[Path]) {
        let mut writing = self.lock();
        for path in paths {
            writing.remove(path);
        }
    }

    /// Writes an object; it is on disk, or where the store keeps it, when this returns.
    pub(super) async fn put(
        &self,
        path: &Path,
        payload: PutPayload,
    ) -> Result<(), CheckpointError> {
        let failed = |doing| {
            move |source| CheckpointError::Objects { doing, path: path.to_string(), source }
        };
        self.objects.put(path, payload).await.map_err(failed("write"))?;
        if self.folder.get() == Some(&false) {
            return Ok(());
        }
        // A folder hands out the file itself: its bytes and its name must be on disk before a
        // commit names it.
        let written = self.objects.get(path).await.map_err(failed("read back"))?;
        let GetResultPayload::File(file, at) = written.payload else {
            self.folder.get_or_init(|| false);
            return Ok(());
        };
        let sync = move || {
            file.sync_all()?;
            at.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
        };
        let synced = tokio::task::spawn_blocking(sync).await?;
        synced.map_err(|error| failed("sync")(generic(error)))
    }

    /// Deletes objects. One that cannot be deleted is said and left: it is tried again as an
    /// orphan.
    pub(super) async fn delete(&self, paths: Vec<Path>) {
        let results = stream::iter(paths)
            .map(|path| async move { (self.objects.delete(&path).await, path) })
            .buffer_unordered(DELETIONS);
        results
            .for_each(|(result, path)| async move {
                match result {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => tracing::warn!(
                        "cannot delete the checkpoint file '{path}': {error}; it is tried again later"
                    ),
                }
            })
            .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Path>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error of the file system as one of the object store.
pub(super) fn generic(error: std::io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "the folder", source: Box::new(error) }
}
