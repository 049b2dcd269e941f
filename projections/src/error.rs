//! What can go wrong: when a view is defined, and when it runs.

use datafusion::error::DataFusionError;

use crate::functions::TooMuch;

/// A view could not be defined.
#[derive(Debug, thiserror::Error)]
pub enum DefineError {
    /// The SQL is wrong: it does not parse, or names what does not exist.
    #[error("view '{view}': {message}")]
    Invalid {
        /// The view's name.
        view: String,
        /// What is wrong and where.
        message: String,
    },
    /// The SQL is right, but not maintained incrementally.
    #[error("view '{view}': {construct} is not maintained incrementally; {way_out}")]
    Unsupported {
        /// The view's name.
        view: String,
        /// The construct.
        construct: String,
        /// A way round it.
        way_out: String,
    },
}

/// A view could not be evaluated for one tenant's rows; its other views and the other tenants go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuntimeError {
    /// What went wrong, as DataFusion says it.
    pub message: String,
}

impl From<DataFusionError> for RuntimeError {
    fn from(error: DataFusionError) -> Self {
        let own = match error.find_root() {
            DataFusionError::External(inner) => inner.downcast_ref::<TooMuch>(),
            _ => None,
        };
        own.map_or_else(|| Self { message: error.strip_backtrace() }, |own| own.clone().into())
    }
}

impl From<TooMuch> for RuntimeError {
    fn from(error: TooMuch) -> Self {
        Self { message: error.to_string() }
    }
}

impl From<arrow::error::ArrowError> for RuntimeError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self { message: error.to_string() }
    }
}
