//! A tenant out of a partition and out of all files of it.
//!
//! One cut is made without the tenant, and its checkpoint is committed alone, so that no other is
//! kept which would still name what held something of the tenant. Then that is removed at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use ingest::IdNotes;
use ingest::checkpoint::{Extent, Unmerged};
use projections::Tenant;
use tenancy::Tombstone;
use tokio::sync::oneshot;

use super::{CheckpointFailure, Checkpointer, Reading, state};

/// How long it is waited at a time for those who still read what is to be removed.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(50);

/// A deleted tenant whose data is to go.
pub(crate) struct Erasure {
    pub(crate) stone: Tombstone,
    /// Nothing of it comes beyond this offset.
    pub(crate) up_to: u64,
    /// Told once nothing of it is left in the files of the partition; dropped if that is to be asked
    /// for again.
    pub(crate) done: oneshot::Sender<()>,
}

/// What a checkpoint without a tenant has left over.
pub(crate) struct Leftover {
    tenant: Tenant,
    /// Files of history that nothing names any more.
    files: Vec<String>,
    /// The offset of the cut.
    offset: u64,
}

impl Checkpointer {
    /// Erases a tenant. What is still in use by readers, or being merged, is left for the next
    /// time; then `done` is not told.
    pub(super) async fn erase(
        &mut self,
        reading: &Reading,
        erasure: Erasure,
    ) -> Result<(), CheckpointFailure> {
        let Erasure { stone, up_to, done } = erasure;
        // What is removed below is what no checkpoint that is known here names.
        self.resolve().await?;
        // What a merge under way writes would be named by nothing, and have the tenant in it.
        let Some(unmerged) = self.checkpoints.unmerged() else { return Ok(()) };
        let tenant = Tenant(stone.number);
        let before = self.leftovers.iter().position(|leftover| leftover.tenant == tenant);
        let mut leftover = match before {
            Some(place) => self.leftovers.swap_remove(place),
            None => self.commit_without(reading, &stone, up_to).await?,
        };
        match self.remove(&mut leftover, &unmerged, up_to).await {
            Ok(true) => {
                // Who has gone away in the meantime does not need an answer.
                done.send(()).ok();
            }
            Ok(false) => self.leftovers.push(leftover),
            Err(error) => {
                tracing::warn!(%error, "what held a deleted tenant is not removed yet; trying again");
                self.leftovers.push(leftover);
            }
        }
        Ok(())
    }

    /// Makes a cut without the tenant, and commits it alone.
    async fn commit_without(
        &mut self,
        reading: &Reading,
        stone: &Tombstone,
        up_to: u64,
    ) -> Result<Leftover, CheckpointFailure> {
        self.cuts.reached(up_to).await?;
        self.resolve().await?;
        let tenant = Tenant(stone.number);
        let mut begun = self.cuts.without(tenant).await?;
        let source = reading.source(begun.offset);
        self.start_anew();
        let mut writer = self.checkpoints.begin(Extent::Whole)?;
        writer.alone()?;
        state(&mut begun, &mut writer).await?;
        self.views(&begun.snapshots, &mut writer).await?;
        let source = source.ok_or(CheckpointFailure::Late(begun.offset))?;
        let mut files = self.accepted.files();
        // What is noted of them would have the tenant's ids: it is noted from the files that stay.
        files.extend(self.accepted.write(begun.offset, &mut IdNotes::new(&self.id_key)).await?);
        let change = self.accepted.store().erase(&files, tenant).await?;
        let removed: Vec<String> = change.removed.iter().map(|file| file.path.clone()).collect();
        // Before it is so: a try that comes after the commit finds nothing any more.
        self.store.note_erasure(&stone.id, change.erased, removed.len() as u64).await?;
        let files = change.apply(&files);
        let mut notes = IdNotes::new(&self.id_key);
        for file in &files {
            self.accepted.store().note(file, &mut notes).await?;
        }
        let committed = self.commit_files(writer, &notes, &files, begun.offset, source).await?;
        self.accepted.publish(files, begun.offset);
        self.newest.remove(&tenant);
        self.has_failed = false;
        self.kept.clone_from(&committed.kept);
        Ok(Leftover { tenant, files: removed, offset: begun.offset })
    }

    /// What came before this is not built upon any more.
    fn start_anew(&mut self) {
        self.has_failed = true;
        self.saver.forget();
        self.catalogue.clear();
    }

    /// Removes what is left over; false if some of it is still being read.
    async fn remove(
        &self,
        leftover: &mut Leftover,
        unmerged: &Unmerged,
        up_to: u64,
    ) -> Result<bool, CheckpointFailure> {
        let begun = Instant::now();
        let history = self.accepted.store();
        loop {
            let trimmed = self.accepted.trim(leftover.offset).await?;
            let listed = self.listed();
            // Looked at before anything is removed: what is let go of meanwhile goes in the next round.
            let is_read = history.is_read_unlisted(leftover.tenant, &listed);
            let removed = history.remove_unlisted(&listed, Utc::now(), true).await?;
            leftover.files.retain(|path| !removed.contains(path));
            if trimmed >= up_to && leftover.files.is_empty() && !is_read {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
        self.accepted.scrub().await?;
        self.checkpoints.sweep_at_once(unmerged).await?;
        let (address, folder) = (self.address.clone(), format!("history/{}", self.number));
        let half_written = move || address.remove_half_written(&folder);
        let removed = tokio::task::spawn_blocking(half_written).await;
        removed.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(Arc::new)?;
        Ok(true)
    }
}
