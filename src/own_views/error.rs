//! Why a view is not defined, or not deleted.

use ingest::history::HistoryError;
use projections::DefineError;
use tenancy::StoreError;

use crate::serve::EngineEnded;

/// A view was not defined, or not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnViewError {
    /// The name is no name of a view.
    #[error(
        "'{0}' is no name of a view: use 1 to 63 lower-case letters, digits and _, and begin with a letter"
    )]
    Name(String),
    /// The name is that of a view which every tenant has.
    #[error("'{0}' is a built-in view, which stays as it is: choose another name")]
    BuiltIn(String),
    /// The SQL or the key is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The SQL cannot be maintained.
    #[error("{construct} is not maintained incrementally; {way_out}")]
    Unsupported {
        /// The construct, with its place where that is known.
        construct: String,
        /// What to do.
        way_out: String,
    },
    /// The view would read itself.
    #[error("the view would read itself: {}; define it over other views", .0.join(" reads "))]
    Cycle(Vec<String>),
    /// The view is hidden, or would be.
    #[error(
        "the view '{view}' reads what belongs to the module `{module}`, which is switched off; an \
         admin switches it on with PATCH /v1/tenant"
    )]
    SwitchedOff {
        /// The view.
        view: String,
        /// The module.
        module: String,
    },
    /// Another view reads this one and would not compile any more.
    #[error(
        "the view '{reader}' reads it and would not work any more: {reason}; change or delete that one first"
    )]
    Breaks {
        /// The other view.
        reader: String,
        /// Why it would not compile.
        reason: String,
    },
    /// Other views read this one.
    #[error("the view '{name}' is read by {}; delete those first", .readers.join(", "))]
    InUse {
        /// The view.
        name: String,
        /// Those that read it.
        readers: Vec<String>,
    },
    /// The tenant has spent what its views may take.
    #[error("{0}")]
    Limit(String),
    /// There is no such view.
    #[error("there is no view '{0}' of your own")]
    Unknown(String),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The history that it is filled from cannot be read at this moment.
    #[error(transparent)]
    History(HistoryError),
    /// The service is stopping.
    #[error(transparent)]
    Ended(#[from] EngineEnded),
    /// The task ended before it could answer.
    #[error("the call was interrupted: {0}; list the views to see what was done")]
    Interrupted(#[from] tokio::task::JoinError),
    /// The operating system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl From<DefineError> for OwnViewError {
    fn from(error: DefineError) -> Self {
        match error {
            DefineError::Invalid { message, .. } => Self::Invalid(message),
            DefineError::Unsupported { construct, way_out, .. } => {
                Self::Unsupported { construct, way_out }
            }
        }
    }
}
