//! What can go wrong with the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The log cannot be opened, read or written. Cheap to clone: everybody in a failed commit gets it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("the log {} cannot be opened: {source}; see that its folder exists and can be written", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<sqlx::Error>,
    },
    /// The file has another layout.
    #[error(
        "the log {} has layout {found}, and this version knows {known}: run the version that wrote it", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The layout of this version.
        known: i64,
    },
    /// Reading failed.
    #[error("the log {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<sqlx::Error>,
    },
    /// Writing failed, and nothing of it was kept.
    #[error(
        "the log {} cannot be written: {source}; nothing was recorded, \
         and it can be sent again once there is room on the disk", path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<sqlx::Error>,
    },
    /// Rows could not be let go of; they are still there.
    #[error(
        "the log {} cannot be trimmed: {source}; it grows until there is room on the disk to write to it", path.display()
    )]
    Trim {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<sqlx::Error>,
    },
    /// Rows are asked for that have been let go of.
    #[error(
        "the log {} begins behind offset {trimmed}, and what follows offset {after} is asked for: \
         restore the checkpoint and the history that belong to it", path.display()
    )]
    Trimmed {
        /// The file.
        path: PathBuf,
        /// The last offset that was let go of.
        trimmed: u64,
        /// The offset behind which rows are asked for.
        after: u64,
    },
    /// A row is not as it was written.
    #[error(
        "the log {} is damaged at offset {offset}: {what}; restore the file from a backup", path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The row.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Events could not be laid out in columns, or columns were asked for that are not there.
    #[error("the events do not fit into columns: {0}")]
    Columns(Arc<arrow::error::ArrowError>),
    /// The receiver of inputs has gone, or the runtime is shutting down.
    #[error("the log was given up while it was replayed or read: the service is stopping")]
    Stopped,
}

impl LogError {
    pub(super) fn open(path: &Path, source: sqlx::Error) -> Self {
        Self::Open { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn read(path: &Path, source: sqlx::Error) -> Self {
        Self::Read { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn write(path: &Path, source: sqlx::Error) -> Self {
        Self::Write { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn trim(path: &Path, source: sqlx::Error) -> Self {
        Self::Trim { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn corrupt(path: &Path, offset: u64, what: &(impl ToString + ?Sized)) -> Self {
        Self::Corrupt { path: path.to_owned(), offset, what: what.to_string() }
    }
}

impl From<arrow::error::ArrowError> for LogError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Columns(Arc::new(error))
    }
}
