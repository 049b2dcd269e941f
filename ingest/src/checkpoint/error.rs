//! What can go wrong with checkpoints.

use super::commits::CommitsError;

/// Errors of checkpoints.
///
/// [`Damaged`](Self::Damaged) is the one after which the checkpoint before is worth a try;
/// [`Fenced`](Self::Fenced) the one after which this process must let the partition go.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The object store failed: the disk is full, the network is down, a right is missing.
    #[error(
        "cannot {doing} '{path}' in the object store: {source}; nothing is lost, the next checkpoint tries again"
    )]
    Objects {
        /// What was being done.
        doing: &'static str,
        /// The object.
        path: String,
        /// Why.
        source: object_store::Error,
    },
    /// A file is not what its manifest says, or is not there.
    #[error("the checkpoint file '{path}' cannot be used: {what}")]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// Another process has taken the partition over.
    #[error(
        "the partition {partition} has a new owner of epoch {now}, this one had epoch {epoch}; stop it here"
    )]
    Fenced {
        /// The partition.
        partition: u32,
        /// The epoch of this process.
        epoch: u64,
        /// The epoch of the new owner.
        now: u64,
    },
    /// The control store failed before it was asked to commit, or while reading.
    #[error("the control store does not answer for the checkpoints: {0}")]
    Commits(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The control store failed while committing, so that it is not known whether it has.
    #[error(
        "it is not known whether checkpoint {number} was committed: {reason}; ask again with resolve"
    )]
    Undecided {
        /// The number of the checkpoint.
        number: u64,
        /// What the control store said.
        reason: String,
    },
    /// Checkpoints are listed, but none of them is whole.
    #[error(
        "none of the {listed} checkpoints of partition {partition} is whole; restore the object store from a backup, or start from nothing"
    )]
    NothingWhole {
        /// The partition.
        partition: u32,
        /// How many are listed.
        listed: usize,
    },
    /// The caller has not kept to what a method asks for.
    #[error("{0}")]
    Misuse(String),
    /// A task ended before it could answer, as it does when the process shuts down.
    #[error("a task of the checkpoint was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl CheckpointError {
    pub(super) fn damaged(path: &impl ToString, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_string(), what: what.into() }
    }

    /// An error of a read: a file that is missing is damage, all else is a store that fails.
    pub(super) fn reading(path: &impl ToString, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::damaged(path, "it is missing"),
            source => Self::Objects { doing: "read", path: path.to_string(), source },
        }
    }

    /// Whether the checkpoint itself is at fault, so that the one before is worth a try.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

impl From<CommitsError> for CheckpointError {
    fn from(error: CommitsError) -> Self {
        match error {
            CommitsError::Fenced { partition, epoch, now } => {
                Self::Fenced { partition, epoch, now }
            }
            CommitsError::Failed(source) => Self::Commits(source),
        }
    }
}
