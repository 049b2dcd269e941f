//! Where commits are listed: the control store, behind a trait, since this crate does not know it.

use std::fmt::Debug;

use async_trait::async_trait;

/// A committed checkpoint, as the control store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The partition.
    pub partition: u32,
    /// The epoch of the owner who committed.
    pub epoch: u64,
    /// The number: one more than that of the commit before.
    pub number: u64,
    /// The object that holds the manifest.
    pub manifest: String,
    /// The manifest's checksum, in hexadecimal digits.
    pub checksum: String,
}

/// Why a commit, or another call, failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitsError {
    /// The partition belongs to a later epoch, or another commit has taken the number.
    #[error("the partition {partition} is at epoch {now}, not {epoch}")]
    Fenced {
        /// The partition.
        partition: u32,
        /// The epoch of the caller.
        epoch: u64,
        /// The epoch that holds.
        now: u64,
    },
    /// The control store failed. Whether a commit was made is then not known.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// The list of commits by partition, with an owner's epoch as the fence.
///
/// Every call is one transaction: it has an effect whole or not at all.
#[async_trait]
pub trait Commits: Debug + Send + Sync {
    /// Makes `owner` the owner of the partition and answers the new epoch, higher than all before.
    /// From then on no commit of an earlier epoch succeeds.
    async fn acquire(&self, partition: u32, owner: &str) -> Result<u64, CommitsError>;

    /// The commits of a partition that are listed, newest first.
    async fn listed(&self, partition: u32) -> Result<Vec<Commit>, CommitsError>;

    /// One compare-and-set: lists the commit if its epoch is the partition's and the number before
    /// is the newest, and takes those off the list that are not among the `keep` newest. Asked
    /// again with the same commit, it says again that it is done.
    async fn commit(&self, commit: &Commit, keep: u64) -> Result<(), CommitsError>;
}
