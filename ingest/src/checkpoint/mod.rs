//! Checkpoints: a partition's state at a cut, in files, committed by one compare-and-set.
//!
//! **In:** the parts of a cut as the engine captures them ([`CheckpointWriter`]). **Out:** after a
//! restart the newest cut that is whole ([`Restored`]), in blocks that several threads can read at
//! once.
//!
//! ```text
//! checkpoints/<partition>/<epoch>-<n>.state | .views | .ids | .manifest      object store
//! (partition, epoch, number, manifest, checksum)                             control store
//! ```
//!
//! Invariants:
//! - A checkpoint is there whole or not at all: its manifest is committed after all its files are
//!   on disk, and names each with its checksum. Nothing is ever read from two checkpoints.
//! - No file is changed once it is written, and no name is given out twice: epochs are unique, and
//!   so is the number within one.
//! - An owner of an earlier epoch can write files, but commit nothing.
//! - A file is removed only when no listed checkpoint names it and none is about to. Whether one does
//!   is not known once its commit was asked for and not answered: then only the next owner, who reads
//!   the list anew, removes it.
//! - Memory is bounded, whatever the size of the state: see [`CheckpointWriter`].

mod builder;
mod commits;
mod error;
mod file;
mod files;
mod manifest;
mod merge;
mod part;
mod place;
mod reader;
mod restored;
mod standing;
mod sweep;
mod writer;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

pub use commits::{Commit, Commits, CommitsError};
pub use error::CheckpointError;
pub use manifest::{Checkpoint, Checksum, FileEntry, Run, Section, Source, TenantViews};
pub use part::StatePart;
pub use place::Options;
pub use restored::{BlockRef, Restored, StateParts, StoreBlocks};
pub use writer::{CheckpointWriter, Cut, Extent};

use place::Place;
use standing::{Attempt, Base, Busy, Listed, Standing};

/// How often a commit is asked for again when the control store does not answer, and after how long.
const ASKED_AGAIN: usize = 3;
const BEFORE_ASKING: Duration = Duration::from_millis(200);

/// The checkpoints of a partition, as its owner has them. Clones are the same.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    place: Arc<Place>,
    commits: Arc<dyn Commits>,
    standing: Mutex<Standing>,
    writing: Arc<AtomicBool>,
    merging: Arc<AtomicBool>,
}

impl Inner {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A checkpoint that is committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What it is made of.
    pub checkpoint: Arc<Checkpoint>,
    /// The bytes that were written for it.
    pub written: u64,
    /// The checkpoints that are kept and not known to be damaged, newest first. What the last of
    /// them would read again must be kept by its source; the history's files that any of them
    /// names, by the history.
    pub kept: Vec<Arc<Checkpoint>>,
}

fn no_base() -> CheckpointError {
    let message = "there is no checkpoint to build upon; adopt the one that was restored, or write a whole one";
    CheckpointError::Misuse(message.to_owned())
}

fn being_written() -> CheckpointError {
    CheckpointError::Misuse("a checkpoint of this partition is being written".to_owned())
}

impl Checkpoints {
    /// Takes the partition over for `owner` and reads which checkpoints it has. From then on no
    /// earlier owner can commit.
    ///
    /// Must be called within a tokio runtime, which is used to the end.
    pub async fn open(
        objects: Arc<dyn ObjectStore>,
        commits: Arc<dyn Commits>,
        partition: u32,
        owner: &str,
        options: Options,
    ) -> Result<Self, CheckpointError> {
        let epoch = commits.acquire(partition, owner).await?;
        let place = Arc::new(Place::new(objects, partition, epoch, options));
        let mut standing = Standing::default();
        for commit in commits.listed(partition).await? {
            let checkpoint = match read_manifest(&place, &commit).await {
                Ok(checkpoint) => Some(Arc::new(checkpoint)),
                Err(error) if error.is_damage() => {
                    tracing::warn!("checkpoint {} is passed over: {error}", commit.number);
                    None
                }
                Err(error) => return Err(error),
            };
            let refused = checkpoint.is_none();
            standing.listed.push(Listed { commit, checkpoint, refused });
        }
        let (standing, writing, merging) = (Mutex::new(standing), Arc::default(), Arc::default());
        Ok(Self { inner: Arc::new(Inner { place, commits, standing, writing, merging }) })
    }

    /// The epoch under which the partition is held.
    pub fn epoch(&self) -> u64 {
        self.inner.place.epoch
    }

    /// The newest checkpoint that is whole, as far as can be seen without reading all of it; none
    /// if there never was one. [`CheckpointError::NothingWhole`] if there was: the caller decides
    /// whether to begin from nothing. [`CheckpointError::Fenced`] if a later owner took them away.
    pub async fn newest(&self) -> Result<Option<Restored>, CheckpointError> {
        loop {
            let (newest, listed) = {
                let standing = self.inner.standing();
                let whole = standing.listed.iter().find(|listed| !listed.refused);
                (whole.and_then(|listed| listed.checkpoint.clone()), standing.listed.len())
            };
            let Some(checkpoint) = newest else {
                return if listed == 0 {
                    Ok(None)
                } else {
                    Err(self.nothing_whole(listed).await?)
                };
            };
            match Restored::open(&self.inner.place, checkpoint.clone()).await {
                Err(error) if error.is_damage() => self.refuse(checkpoint.number, &error),
                restored => return restored.map(Some),
            }
        }
    }

    /// Why none of those that were listed can be read: a later owner, whoever it was and wherever it
    /// is now, has removed their files with its own commits; or else they are damaged.
    async fn nothing_whole(&self, listed: usize) -> Result<CheckpointError, CheckpointError> {
        let Inner { place, commits, .. } = &*self.inner;
        let (partition, epoch) = (place.partition, place.epoch);
        let commits = commits.listed(partition).await?;
        let later = commits.iter().map(|commit| commit.epoch).find(|other| *other > epoch);
        Ok(match later {
            Some(now) => CheckpointError::Fenced { partition, epoch, now },
            None => CheckpointError::NothingWhole { partition, listed },
        })
    }

    /// Passes over a checkpoint of which something turned out to be damaged; the one before is the
    /// newest then.
    pub fn refuse(&self, number: u64, why: &CheckpointError) {
        tracing::warn!("checkpoint {number} is passed over: {why}");
        for listed in &mut self.inner.standing().listed {
            listed.refused |= listed.commit.number == number;
        }
    }

    /// Builds upon a checkpoint from now on: all of it has been read and is in use.
    pub fn adopt(&self, restored: &Restored) {
        let checkpoint = restored.checkpoint().clone();
        let chunk_footers = restored.chunk_footers();
        self.inner.standing().base = Some(Base { checkpoint, chunk_footers });
    }

    /// Loads the newest checkpoint that is whole, and adopts it. `load` runs on a thread where it
    /// may block; when it meets damage, what it has made is dropped and it is called again with the
    /// checkpoint before. None if there never was one.
    pub async fn restore<T, F>(
        &self,
        load: F,
    ) -> Result<Option<(Arc<Checkpoint>, T)>, CheckpointError>
    where
        T: Send + 'static,
        F: Fn(&Restored) -> Result<T, CheckpointError> + Send + Sync + 'static,
    {
        let load = Arc::new(load);
        while let Some(restored) = self.newest().await? {
            let load = load.clone();
            let loading = move || (load(&restored), restored);
            match tokio::task::spawn_blocking(loading).await? {
                (Ok(loaded), restored) => {
                    self.adopt(&restored);
                    return Ok(Some((restored.checkpoint().clone(), loaded)));
                }
                (Err(error), restored) if error.is_damage() => {
                    self.refuse(restored.checkpoint().number, &error);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What the next checkpoint may be: changes, if there is a sound one to build upon.
    pub fn extent(&self) -> Extent {
        if self.inner.standing().base.is_some() { Extent::Changes } else { Extent::Whole }
    }

    /// How far the source had been read at the checkpoint that the next builds upon; none if there is
    /// no such.
    pub fn source(&self) -> Option<Source> {
        let standing = self.inner.standing();
        standing.base.as_ref().map(|base| base.checkpoint.source.clone())
    }

    /// Whether files have been merged since the last commit, which the next one makes count.
    pub fn has_merged(&self) -> bool {
        !self.inner.standing().pending.is_empty()
    }

    /// Begins a checkpoint. There is one at a time.
    ///
    /// Changes are those since the one that was committed last. If a checkpoint has failed since,
    /// what it held must come again; where that is not known any more, write a whole one.
    pub fn begin(&self, extent: Extent) -> Result<CheckpointWriter, CheckpointError> {
        let busy = Busy::take(&self.inner.writing).ok_or_else(being_written)?;
        let number = {
            let standing = self.inner.standing();
            if let Some(attempt) = &standing.undecided {
                let reason = "it was not resolved".to_owned();
                return Err(CheckpointError::Undecided { number: attempt.commit.number, reason });
            }
            if extent == Extent::Changes && standing.base.is_none() {
                return Err(no_base());
            }
            standing.number() + 1
        };
        Ok(CheckpointWriter::new(self.clone(), extent, number, busy))
    }

    /// Finds out what became of a commit that was undecided: committed, or (none) not. Tried again
    /// by the caller as long as it says [`CheckpointError::Undecided`].
    pub async fn resolve(&self) -> Result<Option<Committed>, CheckpointError> {
        let busy = Busy::take(&self.inner.writing).ok_or_else(being_written)?;
        let attempt = self.inner.standing().undecided.take();
        match attempt {
            None => Ok(None),
            Some(attempt) => {
                let decided = self.decide(attempt).await;
                drop(busy);
                decided.map(Some)
            }
        }
    }

    /// Commits: once it is said that it is done, it is; that it is fenced, it never will be, but an
    /// earlier question whose answer was lost may have been done, and built upon since.
    async fn decide(&self, mut attempt: Attempt) -> Result<Committed, CheckpointError> {
        let Inner { place, commits, .. } = &*self.inner;
        let mut asked = 1;
        self.inner.standing().ask(&mut attempt);
        loop {
            match commits.commit(&attempt.commit, attempt.keep).await {
                Ok(()) => break,
                Err(CommitsError::Failed(_)) if asked < ASKED_AGAIN => {
                    tokio::time::sleep(BEFORE_ASKING).await;
                    asked += 1;
                }
                Err(CommitsError::Failed(error)) => {
                    let number = attempt.commit.number;
                    self.inner.standing().undecided = Some(attempt);
                    return Err(CheckpointError::Undecided { number, reason: error.to_string() });
                }
                Err(fenced) => return Err(fenced.into()),
            }
        }
        let (committed, unused) = self.inner.standing().conclude(attempt);
        place.delete(unused.into_iter().map(Path::from).collect()).await;
        Ok(committed)
    }

    /// Merges what is due, one thing; answers whether there was any. To be called after a commit,
    /// by a task of its own, until there is none; what it makes comes with the next commit.
    ///
    /// Where it meets damage, the checkpoint is not built upon any more: the next is a whole one.
    pub async fn merge(&self) -> Result<bool, CheckpointError> {
        let Some(_one) = Busy::take(&self.inner.merging) else { return Ok(false) };
        let (job, number) = {
            let standing = self.inner.standing();
            let Some(base) = &standing.base else { return Ok(false) };
            if !standing.pending.is_empty() {
                return Ok(false);
            }
            (merge::next(base, &self.inner.place), base.checkpoint.number)
        };
        let Some(job) = job else { return Ok(false) };
        match job.run(&self.inner.place).await {
            Ok(replacement) => self.inner.standing().pending.push(replacement),
            Err(error) => {
                let mut standing = self.inner.standing();
                let same = standing.base.as_ref().is_some_and(|b| b.checkpoint.number == number);
                if error.is_damage() && same {
                    standing.base = None;
                }
                return Err(error);
            }
        }
        Ok(true)
    }
}

/// For as long as it is there, nothing is merged.
#[derive(Debug)]
pub struct Unmerged {
    _busy: Busy,
}

impl Checkpoints {
    /// Lets no merge begin; none if one is under way.
    pub fn unmerged(&self) -> Option<Unmerged> {
        Busy::take(&self.inner.merging).map(|busy| Unmerged { _busy: busy })
    }
}

/// Reads the manifest of a commit; [`CheckpointError::Damaged`] if it is not the one committed.
async fn read_manifest(place: &Place, commit: &Commit) -> Result<Checkpoint, CheckpointError> {
    let path = Path::from(commit.manifest.as_str());
    let reading = |source| CheckpointError::reading(&path, source);
    let read = place.objects.get(&path).await.map_err(reading)?;
    let bytes = read.bytes().await.map_err(reading)?;
    Checkpoint::decode(&bytes, &commit.checksum)
        .map_err(|what| CheckpointError::damaged(&path, what))
}

#[cfg(test)]
mod tests;
