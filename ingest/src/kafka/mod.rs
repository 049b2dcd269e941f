//! Kafka as the source: a topic for each event type, and a partition number read over all topics.
//!
//! **In:** topics, the offsets to begin at and what is known there. **Out:** for each poll that
//! brought something new one [`projections::Input`] with a number that grows by one, and for the
//! newest of them the [`Offsets`] up to which everything is in it.
//!
//! Invariants:
//! - Offsets are given, never asked of the group; what is committed there is for outside tools.
//! - Nothing is skipped: what cannot be read next stops its partition number, and what is no event
//!   is a dead letter on disk before anything passes it.
//! - What an aborted transaction wrote is not seen.
//! - A tenant lives in one partition number: topics with unequal numbers of partitions, or others than
//!   at first, are refused, and so is a message in another partition than its key's.
//! - A topic that is not there and of which nothing was read stops nobody.
//! - The client's queues, polls, the way to the views and what waits for a schema are bounded.

mod error;
mod first;
mod messages;
mod murmur2;
mod offsets;
mod partition;
mod producer;
mod reader;
mod replay;
mod senders;
mod settings;
mod source;
mod ticket;
mod topics;
mod watch;

#[cfg(test)]
mod tests;

use rdkafka::config::RDKafkaLogLevel;

pub use error::SourceError;
pub use messages::KnownTenants;
pub use murmur2::partition_of;
pub use offsets::{Offsets, Place};
pub use partition::{Begin, KafkaPartition, Outlet, SourceParts};
pub use producer::{Delivered, KafkaIntake, Outgoing};
pub use replay::ReplayError;
pub use settings::KafkaSettings;
pub use source::KafkaSource;
pub use ticket::{Ticket, TicketError};

/// What the client says goes to the log of the service.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::error!(facility, "Kafka's client: {message}"),
        RDKafkaLogLevel::Warning => tracing::warn!(facility, "Kafka's client: {message}"),
        _ => tracing::debug!(facility, "Kafka's client: {message}"),
    }
}
