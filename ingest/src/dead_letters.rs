//! Dead letters: messages from Kafka that cannot be events, with what is needed to repair them.

use std::future::Future;
use std::pin::Pin;

use projections::Tenant;

/// The most bytes of a message that are kept. A longer one cannot be replayed from here.
pub const KEPT_BYTES: usize = 1 << 20;

/// A message that is no event. Its source position tells it apart from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic it came by.
    pub topic: String,
    /// The partition of that topic.
    pub partition: i32,
    /// Its offset in there.
    pub offset: i64,
    /// Whose it is, by its key; none where the key is no tenant's, or another tenant's data may be
    /// in it: it names another, or whom it names could not be read.
    pub tenant: Option<Tenant>,
    /// What is wrong with it, and what is expected.
    pub reason: String,
    /// Its key, at most [`KEPT_BYTES`] of it; none if it has none.
    pub key: Option<Vec<u8>>,
    /// Its value, at most [`KEPT_BYTES`] of it; none if it has none.
    pub value: Option<Vec<u8>>,
    /// The bytes of its whole value.
    pub size: usize,
    /// Whether a header says that the value is a CloudEvent in JSON, which nothing else does.
    pub is_json: bool,
}

/// Why dead letters were not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// There are as many as may be, and the first of these was one too many.
    #[error("there are {limit} dead letters already")]
    Full {
        /// The limit.
        limit: usize,
        /// How many of these were stored before.
        stored: usize,
    },
    /// The store cannot be written; trying again may help.
    #[error("the dead letters cannot be stored: {0}")]
    Store(String),
}

/// Where dead letters are kept. Those whose source position is there already are left as they are.
pub trait DeadLetters: Send + Sync {
    /// Stores them in their order; when it returns, they are on disk.
    fn store(
        &self,
        letters: Vec<DeadLetter>,
    ) -> Pin<Box<dyn Future<Output = Result<(), DeadLetterError>> + Send + '_>>;
}
