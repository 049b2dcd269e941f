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

/// One more or one less standing query: different SQL that is followed.
pub(crate) fn sql_queries(change: f64) {
    gauge!("tidemark_stream_sql_queries").increment(change);
}

/// Bytes that answers of followed SQL take, more or fewer.
pub(crate) fn sql_bytes(change: f64) {
    gauge!("tidemark_stream_sql_bytes").increment(change);
}

/// One more or one less standing query that a circuit keeps.
pub(crate) fn sql_circuits(change: f64) {
    gauge!("tidemark_stream_sql_circuits").increment(change);
}

/// SQL that is followed is evaluated.
pub(crate) fn sql_evaluation() {
    counter!("tidemark_stream_sql_evaluations_total").increment(1);
}

/// SQL that is followed could not be evaluated, and its subscriptions ended.
pub(crate) fn sql_failure() {
    counter!("tidemark_stream_sql_failures_total").increment(1);
}
