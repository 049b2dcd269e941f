//! What one query, one tenant and all tenants together may use.

use serde::Deserialize;

/// The bounds of ad hoc queries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryLimits {
    /// Seconds from the start of a query until its last row is read.
    pub seconds: u64,
    /// Bytes that the operators of one query may hold.
    pub memory_bytes: usize,
    /// Rows of one answer.
    pub rows: usize,
    /// Queries of one tenant at once.
    pub concurrent: usize,
    /// Bytes of the text of one query.
    pub sql_bytes: usize,
    /// Bytes that the operators of all queries together may hold.
    pub total_memory_bytes: usize,
    /// Queries of all tenants at once.
    pub total_concurrent: usize,
    /// Queries of one tenant that wait to be run.
    pub queued: usize,
    /// Seconds that a query waits to be run.
    pub queue_seconds: u64,
    /// Bytes that the operators of one query may put on disk.
    pub spill_bytes: u64,
    /// Bytes that the operators of all queries together may put on disk.
    pub total_spill_bytes: u64,
    /// Bytes of plans and answers that are kept of one tenant.
    pub cache_bytes: usize,
    /// Bytes of plans and answers that are kept of all tenants; 0 keeps none.
    pub total_cache_bytes: usize,
    /// Bytes of the largest answer that is kept.
    pub cache_answer_bytes: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            seconds: 30,
            memory_bytes: 256 << 20,
            rows: 1_000_000,
            concurrent: 8,
            sql_bytes: 256 << 10,
            total_memory_bytes: 1 << 30,
            total_concurrent: 64,
            queued: 32,
            queue_seconds: 5,
            spill_bytes: 1 << 30,
            total_spill_bytes: 4 << 30,
            cache_bytes: 8 << 20,
            total_cache_bytes: 128 << 20,
            cache_answer_bytes: 1 << 20,
        }
    }
}
