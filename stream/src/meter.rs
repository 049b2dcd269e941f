//! The figures of the live part. They name no tenant.

use metrics::{counter, gauge};

/// One more (`1.0`) or one less (`-1.0`) open connection.
pub(crate) fn connections(change: f64) {
    gauge!("tidemark_stream_connections").increment(change);
}

/// More or fewer subscriptions.
pub(crate) fn subscriptions(change: f64) {
    gauge!("tidemark_stream_subscriptions").increment(change);
}

/// A delta went out.
pub(crate) fn delta() {
    counter!("tidemark_stream_deltas_total").increment(1);
}

/// Several changes went out as one, for a slow client or one that asked for a rate.
pub(crate) fn conflation() {
    counter!("tidemark_stream_conflations_total").increment(1);
}

/// A subscription had to start anew.
pub(crate) fn reset() {
    counter!("tidemark_stream_resets_total").increment(1);
}

/// A connection was closed because its client did not read.
pub(crate) fn stalled() {
    counter!("tidemark_stream_stalled_total").increment(1);
}
