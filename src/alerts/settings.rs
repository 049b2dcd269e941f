//! How alerts are looked for, and within which bounds.

use query::QueryLimits;

/// The settings of alerts.
#[derive(Clone, Debug)]
pub(crate) struct AlertSettings {
    /// Milliseconds between two evaluations of a rule, at least.
    pub(crate) interval_ms: u64,
    /// Days for which an alert is kept that is cleared.
    pub(crate) keep_days: u32,
    /// Rules of a tenant, without the built-in ones.
    pub(crate) count: usize,
    /// Subjects of one rule that have an alert at a time.
    pub(crate) subjects: usize,
    /// Deliveries of a tenant that wait.
    pub(crate) queued: usize,
    /// Alerts of a tenant that are kept although they are cleared.
    pub(crate) history: usize,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            interval_ms: 1_000,
            keep_days: 400,
            count: 100,
            subjects: 1_000,
            queued: 10_000,
            history: 10_000,
        }
    }
}

/// Queries of rules that run at a time.
const AT_ONCE: usize = 4;

impl AlertSettings {
    /// The bounds of the queries of rules, where those of who asks are these. They are apart from
    /// them, so that rules take no place of who asks.
    pub(crate) fn query_limits(asked: &QueryLimits) -> QueryLimits {
        QueryLimits {
            total_memory_bytes: 2 * asked.memory_bytes,
            total_concurrent: AT_ONCE.min(asked.total_concurrent),
            total_cache_bytes: asked.total_cache_bytes / 4,
            ..asked.clone()
        }
    }
}
