//! The files of one partition's history: their names, who uses them, and what is left over.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use projections::Tenant;
use tokio::runtime::Handle;

use super::{HistoryError, HistoryFile};

/// How long a file that no manifest names is kept. Another process may still be writing it or,
/// having been the owner, be reading it.
const GRACE: TimeDelta = TimeDelta::minutes(15);

/// What the next manifest lists otherwise than the one before.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Files to be listed no more. They may be deleted once no manifest that is kept names them.
    pub removed: Vec<Arc<HistoryFile>>,
    /// Files to be listed.
    pub added: Vec<Arc<HistoryFile>>,
    /// Events that are in the removed files and not in the added ones.
    pub erased: u64,
}

impl Change {
    /// The list with the change made.
    pub fn apply(&self, files: &[Arc<HistoryFile>]) -> Vec<Arc<HistoryFile>> {
        let gone: HashSet<&str> = self.removed.iter().map(|file| file.path.as_str()).collect();
        let stay = files.iter().filter(|file| !gone.contains(file.path.as_str()));
        stay.chain(&self.added).cloned().collect()
    }
}

/// Where one partition's files are written and read; cheap to clone.
///
/// An `Arc<HistoryFile>` is a lease: for as long as one of them lives in this process, whether in a
/// list, in a scan or on its way to a manifest, the file is not deleted.
#[derive(Clone)]
pub struct HistoryStore {
    inner: Arc<Inner>,
}

struct Inner {
    objects: Arc<dyn ObjectStore>,
    partition: u32,
    epoch: u64,
    uses: Mutex<Uses>,
}

#[derive(Default)]
struct Uses {
    leases: HashMap<String, Weak<HistoryFile>>,
    writing: HashSet<String>,
    /// When files were first found that nobody names.
    unnamed: HashMap<String, DateTime<Utc>>,
}

/// A file that is being written; its name is nobody else's.
pub(super) struct Writing {
    pub(super) path: String,
    store: HistoryStore,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.store.uses().writing.remove(&self.path);
    }
}

impl HistoryStore {
    /// The history of a partition, written by the owner of that epoch.
    pub fn new(objects: Arc<dyn ObjectStore>, partition: u32, epoch: u64) -> Self {
        Self { inner: Arc::new(Inner { objects, partition, epoch, uses: Mutex::default() }) }
    }

    /// Leases on the files that a manifest lists.
    pub fn adopt(&self, files: impl IntoIterator<Item = HistoryFile>) -> Vec<Arc<HistoryFile>> {
        let mut uses = self.uses();
        files.into_iter().map(|file| uses.lease(file)).collect()
    }

    /// Reads a whole file and compares its checksum.
    ///
    /// # Errors
    /// It is missing, damaged, or the store refuses.
    pub async fn verify(&self, file: &HistoryFile) -> Result<(), HistoryError> {
        let path = Path::from(file.path.as_str());
        let failed = |error| HistoryError::reading(&file.path, error);
        let mut parts = self.objects().get(&path).await.map_err(failed)?.into_stream();
        let (mut sum, mut bytes) = (crc32fast::Hasher::new(), 0_u64);
        while let Some(part) = parts.try_next().await.map_err(failed)? {
            sum.update(&part);
            bytes += part.len() as u64;
        }
        if bytes != file.bytes {
            let what = format!("it has {bytes} bytes instead of {}", file.bytes);
            return Err(HistoryError::damaged(&file.path, &what));
        }
        if sum.finalize() != file.crc {
            return Err(HistoryError::damaged(&file.path, "its checksum does not match"));
        }
        Ok(())
    }

    /// Deletes what no manifest that is kept names: what a crash left between writing and commit,
    /// and what a merge or an erasure has replaced. `listed` are the paths of all files in all
    /// manifests that are kept. Returns the paths that were deleted.
    ///
    /// A file stays while it is being written here, while somebody here holds a lease, and for a
    /// grace time of 15 minutes after it was written and first found to be unnamed: so this is to
    /// be called now and then. With `at_once`, as an erasure needs it, there is no grace time.
    /// Files of a later owner are never deleted: an owner that does not yet know that it has lost
    /// the partition knows nothing of that one's manifests.
    ///
    /// # Errors
    /// The store refuses; what was not deleted is found again.
    pub async fn remove_unlisted(
        &self,
        listed: &HashSet<String>,
        now: DateTime<Utc>,
        at_once: bool,
    ) -> Result<Vec<String>, HistoryError> {
        let folder = self.folder();
        let failed = |error| HistoryError::store(folder.as_ref(), "listed", error);
        let found: Vec<_> =
            self.objects().list(Some(&folder)).try_collect().await.map_err(failed)?;
        let mut idle = Vec::new();
        {
            let mut uses = self.uses();
            let before = std::mem::take(&mut uses.unnamed);
            uses.leases.retain(|_, lease| lease.strong_count() > 0);
            for object in found {
                let path = object.location.to_string();
                if listed.contains(&path) || uses.is_used(&path) || self.is_later(&path) {
                    continue;
                }
                let since = before.get(&path).copied().unwrap_or(now).max(object.last_modified);
                if at_once || now.signed_duration_since(since) >= GRACE {
                    idle.push(path);
                } else {
                    uses.unnamed.insert(path, since);
                }
            }
        }
        let mut deleted = Vec::with_capacity(idle.len());
        for path in idle {
            match self.objects().delete(&Path::from(path.as_str())).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => deleted.push(path),
                Err(error) => return Err(HistoryError::store(&path, "deleted", error)),
            }
        }
        Ok(deleted)
    }

    /// Whether somebody still holds a file with something of the tenant that is not among `listed`: one
    /// that others were merged into since, or what was left of it.
    pub fn is_read_unlisted(&self, tenant: Tenant, listed: &HashSet<String>) -> bool {
        let uses = self.uses();
        let unlisted = uses.leases.iter().filter(|(path, _)| !listed.contains(*path));
        let mut held = unlisted.filter_map(|(_, lease)| lease.upgrade());
        held.any(|file| file.concerns(tenant))
    }

    pub(super) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.inner.objects
    }

    /// A name that no other file has, of this owner or another.
    pub(super) fn begin(&self, event_type: &str, first: u64) -> Writing {
        let (epoch, random) = (self.inner.epoch, rand::random::<u64>());
        let folder = self.folder();
        let path = format!("{folder}/{event_type}/{epoch:08x}-{first:012x}-{random:016x}.parquet");
        self.uses().writing.insert(path.clone());
        Writing { path, store: self.clone() }
    }

    /// A lease on a file that has just been written.
    pub(super) fn written(&self, file: HistoryFile) -> Arc<HistoryFile> {
        self.uses().lease(file)
    }

    /// Whether a later owner of the partition has written the file. One whose name says nothing is
    /// nobody's of this kind, and is left alone too.
    fn is_later(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let epoch = name.split_once('-').and_then(|(epoch, _)| u64::from_str_radix(epoch, 16).ok());
        epoch.is_none_or(|epoch| epoch > self.inner.epoch)
    }

    fn folder(&self) -> Path {
        Path::from(format!("history/{}", self.inner.partition))
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        // Insertions and look-ups are all that happens under the lock; they leave the maps whole.
        self.inner.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uses {
    fn lease(&mut self, file: HistoryFile) -> Arc<HistoryFile> {
        if let Some(held) = self.leases.get(&file.path).and_then(Weak::upgrade) {
            return held;
        }
        let file = Arc::new(file);
        self.leases.insert(file.path.clone(), Arc::downgrade(&file));
        file
    }

    fn is_used(&self, path: &str) -> bool {
        let leased = self.leases.get(path).is_some_and(|lease| lease.strong_count() > 0);
        leased || self.writing.contains(path)
    }
}

/// Does work that keeps a processor busy off the async threads.
pub(super) async fn aside<T: Send + 'static>(
    work: impl Future<Output = Result<T, HistoryError>> + Send + 'static,
) -> Result<T, HistoryError> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work)).await;
    done.unwrap_or(Err(HistoryError::Stopped))
}
