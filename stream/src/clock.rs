//! What time it is.

use std::time::Instant;

/// Now, by the clock by which the runtime wakes sleepers: the system's, or that of a test that runs
/// time itself.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
