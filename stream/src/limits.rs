//! The bounds of the live part.

use std::time::Duration;

use serde::Deserialize;

/// Bounds on what watching may cost, each with a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamLimits {
    /// Bytes of changes kept for one tenant's resumes and slow readers (8 MiB).
    pub ring_bytes: usize,
    /// Bytes of changes kept for all tenants; with many watched tenants each gets an equal share
    /// of it instead of `ring_bytes` (256 MiB).
    pub rings_bytes: usize,
    /// Seconds for which a change is kept, and a ring after its last connection left (300).
    pub ring_age_s: u64,
    /// Bytes of messages that may wait for one connection: beyond it they are merged, and if
    /// they still exceed it, replaced by a snapshot (1 MiB).
    pub connection_bytes: usize,
    /// Subscriptions on one connection (64).
    pub subscriptions: usize,
    /// Connections of one tenant (2,000).
    pub tenant_connections: usize,
    /// Connections in all (60,000).
    pub connections: usize,
    /// Rows in one part of a snapshot (5,000).
    pub snapshot_part_rows: usize,
    /// Seconds between heartbeats (15).
    pub heartbeat_s: u64,
    /// Bytes of one message from a client (64 KiB).
    pub message_bytes: usize,
    /// Seconds for which a client may leave a message unread before it is closed (60).
    pub stall_s: u64,
    /// Seconds for which a WebSocket may stay without a token (10).
    pub auth_s: u64,
    /// Reads that may wait for a position at the same time, in all (10,000).
    pub waiting_reads: usize,
    /// Milliseconds from one evaluation of SQL that is followed to the next, at least (250).
    pub sql_interval_ms: u64,
    /// Different SQL that one tenant follows (32).
    pub tenant_sql_queries: usize,
    /// Different SQL that all tenants follow (1,000).
    pub sql_queries: usize,
    /// Evaluations of one tenant's followed SQL at a time (2).
    pub sql_evaluations: usize,
    /// Bytes of one answer of followed SQL, encoded (1 MiB).
    pub sql_answer_bytes: usize,
    /// Bytes that all answers of followed SQL, and how they came to be, may take (256 MiB).
    pub sql_bytes: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            ring_bytes: 8 << 20,
            rings_bytes: 256 << 20,
            ring_age_s: 300,
            connection_bytes: 1 << 20,
            subscriptions: 64,
            tenant_connections: 2_000,
            connections: 60_000,
            snapshot_part_rows: 5_000,
            heartbeat_s: 15,
            message_bytes: 64 << 10,
            stall_s: 60,
            auth_s: 10,
            waiting_reads: 10_000,
            sql_interval_ms: 250,
            tenant_sql_queries: 32,
            sql_queries: 1_000,
            sql_evaluations: 2,
            sql_answer_bytes: 1 << 20,
            sql_bytes: 256 << 20,
        }
    }
}

impl StreamLimits {
    pub(crate) fn ring_age(&self) -> Duration {
        Duration::from_secs(self.ring_age_s)
    }

    /// Never zero, so that a heartbeat cannot become a busy loop.
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_s.max(1))
    }

    pub(crate) fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_s.max(1))
    }

    pub(crate) fn auth(&self) -> Duration {
        Duration::from_secs(self.auth_s.max(1))
    }

    pub(crate) fn sql_interval(&self) -> Duration {
        Duration::from_millis(self.sql_interval_ms)
    }
}
