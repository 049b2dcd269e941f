//! The control store as the list of commits that checkpoints are written to.

use async_trait::async_trait;
use ingest::checkpoint::{Commit, Commits, CommitsError};
use tenancy::{CommitOutcome, Store, StoreError, StoredCheckpoint};

/// Commits in the control store.
#[derive(Debug)]
pub(crate) struct StoreCommits {
    pub(crate) store: Store,
    /// The epoch that the partition must have to be acquired, 0 if nobody ever had it; none:
    /// whatever it has.
    pub(crate) from: Option<u64>,
}

fn failed(error: StoreError) -> CommitsError {
    CommitsError::Failed(Box::new(error))
}

#[async_trait]
impl Commits for StoreCommits {
    async fn acquire(&self, partition: u32, owner: &str) -> Result<u64, CommitsError> {
        let acquired = self.store.acquire_partition(partition, owner, self.from).await;
        match (acquired.map_err(failed)?, self.from) {
            ((epoch, true), _) | ((epoch, false), None) => Ok(epoch),
            ((now, false), Some(epoch)) => Err(CommitsError::Fenced { partition, epoch, now }),
        }
    }

    async fn listed(&self, partition: u32) -> Result<Vec<Commit>, CommitsError> {
        let listed = self.store.checkpoints(partition).await.map_err(failed)?;
        let commit = |stored| {
            let StoredCheckpoint { partition, epoch, number, manifest, checksum } = stored;
            Commit { partition, epoch, number, manifest, checksum }
        };
        Ok(listed.into_iter().map(commit).collect())
    }

    async fn commit(&self, commit: &Commit, keep: u64) -> Result<(), CommitsError> {
        let Commit { partition, epoch, number, manifest, checksum } = commit.clone();
        let stored = StoredCheckpoint { partition, epoch, number, manifest, checksum };
        match self.store.commit_checkpoint(&stored, keep).await.map_err(failed)? {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Refused { epoch: now } => {
                Err(CommitsError::Fenced { partition, epoch, now })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use ingest::checkpoint::{CheckpointError, Checkpoints, Cut, Extent, Options, Source};
    use object_store::memory::InMemory;

    use super::*;

    fn cut(step: u64) -> Cut {
        Cut {
            circuit: [0; 16],
            source: Source::Log { offset: step },
            step,
            catalogue: Vec::new(),
            history: Vec::new(),
            sections: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn checkpoints_are_committed_to_the_control_store_and_fenced_by_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("control.db")).await.unwrap();
        let commits = Arc::new(StoreCommits { store, from: None });
        let objects = Arc::new(InMemory::new());
        let open =
            || Checkpoints::open(objects.clone(), commits.clone(), 2, "here", Options::default());
        let before = open().await.unwrap();
        for step in 1..=5 {
            let mut writer = before.begin(before.extent()).unwrap();
            writer.ids(&[u128::from(step)]).await.unwrap();
            writer.commit(cut(step)).await.unwrap();
        }
        let late = before.begin(Extent::Changes).unwrap();
        let now = open().await.unwrap();
        assert_eq!((before.epoch(), now.epoch()), (1, 2));
        let restored = now.restore(|restored| Ok(restored.id_blocks().1)).await.unwrap();
        let (checkpoint, ids) = restored.unwrap();
        assert_eq!((checkpoint.number, checkpoint.step, ids), (5, 5, 5));
        let fenced = late.commit(cut(6)).await.unwrap_err();
        assert!(matches!(fenced, CheckpointError::Fenced { epoch: 1, now: 2, .. }), "{fenced}");
        let listed = commits.listed(2).await.unwrap();
        assert_eq!(listed.iter().map(|commit| commit.number).collect::<Vec<_>>(), [5, 4, 3]);
    }
}
