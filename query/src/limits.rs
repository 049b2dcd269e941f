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
        }
    }
}
