//! Removing orphans: files that a crash left before their commit, or after that of their successors.

use std::time::{Duration, SystemTime};

use chrono::Utc;
use futures::TryStreamExt;
use object_store::{GetResultPayload, ObjectStoreExt};

use super::error::CheckpointError;
use super::place::Place;
use super::{Checkpoints, Unmerged};

impl Checkpoints {
    /// Deletes the files that no kept checkpoint names, once their grace is over; answers how many.
    ///
    /// Files of a later epoch are not touched: they are a new owner's, and this one does not know
    /// yet.
    pub async fn sweep(&self) -> Result<usize, CheckpointError> {
        self.sweep_older(self.inner.place.options.grace).await
    }

    /// The same without any grace, for when what orphans hold must be gone. Nothing may be merged
    /// meanwhile, as what a merge has just written is named by nothing yet.
    pub async fn sweep_at_once(&self, _: &Unmerged) -> Result<usize, CheckpointError> {
        self.sweep_older(Duration::ZERO).await
    }

    async fn sweep_older(&self, grace: Duration) -> Result<usize, CheckpointError> {
        let place = &self.inner.place;
        let folder = place.folder();
        let listing =
            |source| CheckpointError::Objects { doing: "list", path: folder.to_string(), source };
        let found: Vec<_> =
            place.objects.list(Some(&folder)).try_collect().await.map_err(listing)?;
        let oldest = Utc::now() - grace;
        let orphans: Vec<_> = {
            let standing = self.inner.standing();
            let named = standing.named();
            found
                .into_iter()
                .filter(|file| {
                    Place::epoch_of(&file.location).is_some_and(|epoch| epoch <= place.epoch)
                })
                .filter(|file| file.last_modified <= oldest && !place.is_writing(&file.location))
                .filter(|file| !named.contains(file.location.as_ref()))
                .map(|file| file.location)
                .collect()
        };
        let count = orphans.len();
        for orphan in &orphans {
            tracing::info!("the file '{orphan}' belongs to no checkpoint and is removed");
        }
        place.delete(orphans).await;
        Ok(count + self.sweep_broken_off(grace).await?)
    }

    /// In a folder, a file that a killed process was writing is left under a name with `#`, which
    /// the object store does not list.
    async fn sweep_broken_off(&self, grace: Duration) -> Result<usize, CheckpointError> {
        let place = &self.inner.place;
        let newest = {
            let standing = self.inner.standing();
            standing.listed.first().map(|listed| listed.commit.manifest.clone())
        };
        let Some(newest) = newest else { return Ok(0) };
        let path = newest.as_str().into();
        let Ok(manifest) = place.objects.get(&path).await else { return Ok(0) };
        let GetResultPayload::File(_, at) = manifest.payload else { return Ok(0) };
        let removed = tokio::task::spawn_blocking(move || broken_off(&at, grace)).await?;
        removed.map_err(|error| CheckpointError::Objects {
            doing: "tidy the folder of",
            path: newest,
            source: super::place::generic(error),
        })
    }
}

fn broken_off(manifest: &std::path::Path, grace: Duration) -> std::io::Result<usize> {
    let Some(folder) = manifest.parent() else { return Ok(0) };
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().contains('#') {
            continue;
        }
        let modified = match entry.metadata() {
            Ok(metadata) => metadata.modified()?,
            // It was renamed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        if age >= grace {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}
