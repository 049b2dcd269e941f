//! What can go wrong with history.

use std::error::Error;
use std::sync::Arc;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use crate::LogError;

/// History cannot be read or written. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file is not as it was written.
    #[error(
        "the history file {path} is damaged: {what}; restore it from a backup of the object store"
    )]
    Damaged {
        /// The file, within the object store.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The object store refused.
    #[error("the history file {path} cannot be {done}: {source}")]
    Store {
        /// The file or folder, within the object store.
        path: String,
        /// `read`, `written`, `listed` or `deleted`.
        done: &'static str,
        /// What the store says.
        source: Arc<object_store::Error>,
    },
    /// Events could not be laid out in columns, or columns were asked for that are not there.
    #[error("the events do not fit into columns: {0}")]
    Columns(Arc<ArrowError>),
    /// A file could not be laid out.
    #[error("the events of {event_type} cannot be written as Parquet: {source}")]
    Layout {
        /// The key of their type.
        event_type: String,
        /// What the format says.
        source: Arc<ParquetError>,
    },
    /// What came after the files cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The runtime is shutting down.
    #[error("history was given up while it was read or written: the service is stopping")]
    Stopped,
}

impl HistoryError {
    /// Whether the same may succeed later: it was the object store or the log that did not answer, and
    /// not what they hold.
    pub fn passes(&self) -> bool {
        match self {
            Self::Store { .. } | Self::Stopped => true,
            Self::Log(error) => matches!(error, LogError::Open { .. } | LogError::Read { .. }),
            Self::Damaged { .. } | Self::Columns(_) | Self::Layout { .. } => false,
        }
    }

    pub(super) fn damaged(path: &str, what: &(impl ToString + ?Sized)) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }

    pub(super) fn reading(path: &str, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::damaged(path, "it is missing"),
            source => Self::store(path, "read", source),
        }
    }

    pub(super) fn store(path: &str, done: &'static str, source: object_store::Error) -> Self {
        Self::Store { path: path.to_owned(), done, source: Arc::new(source) }
    }

    /// What a reader of Parquet says of the bytes of a file; an error that came through it from
    /// below comes out as it was.
    pub(super) fn parquet(path: &str, error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::damaged(path, &other),
            },
            other => Self::damaged(path, &other),
        }
    }

    /// What a writer of Parquet says.
    pub(super) fn layout(event_type: &str, error: ParquetError) -> Self {
        Self::Layout { event_type: event_type.to_owned(), source: Arc::new(error) }
    }

    /// What the end of an upload says, which comes as an error of input and output.
    pub(super) fn writing(path: &str, error: Box<dyn Error + Send + Sync>) -> Self {
        let source = object_store::Error::Generic { store: "objects", source: error };
        Self::store(path, "written", source)
    }
}

impl From<ArrowError> for HistoryError {
    fn from(error: ArrowError) -> Self {
        Self::Columns(Arc::new(error))
    }
}
