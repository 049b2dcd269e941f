//! Intake: from the bytes of an HTTP body to events that are on disk and on their way to the views.
//!
//! **In:** bodies of CloudEvents JSON ([`decode`]) and changes of a tenant's date
//! ([`Intake::tick`]). **Out:** for every group of submissions one row of the [`Log`] and one
//! [`projections::Input`], in the same order, and a [`Receipt`] for each submitter once its events
//! are on disk. [`history`] keeps what was accepted, and reads a tenant's events back.
//!
//! Invariants:
//! - What a receipt counts as accepted is durable, and is forwarded exactly once: by the writer,
//!   or by the replay after a restart.
//! - An event id counts once per tenant and type, within a body, across bodies and across restarts.
//! - A commit that fails leaves nothing: no row, no remembered id, no input, no position.
//! - An event is taken exactly as it was sent or refused with a reason; no number is rounded.
//! - Replay gives the same inputs with the same offsets: dates are recorded, never recomputed.
//! - Queue, groups, bodies, events, texts and lists of rejections are bounded.

mod avro;
pub mod checkpoint;
mod dead_letters;
mod decode;
mod format;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod history;
mod intake;
mod kafka;
mod limits;
mod log;
pub mod objects;
mod schema;
mod stored;

pub use avro::{KeptSchemas, RegistryError, SchemaRegistry};
pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetters, KEPT_BYTES};
pub use decode::{BodyError, Decoded, DecodedBatch, Rejected, Sender, decode};
pub use format::Format;
pub use intake::ledger::Marks;
pub use intake::{IdNotes, Intake, IntakeError, Known, Receipt};
pub use kafka::{
    Begin, Delivered, KafkaIntake, KafkaPartition, KafkaSettings, KafkaSource, KnownTenants,
    Offsets, Outgoing, Outlet, Place, ReplayError, SourceError, SourceParts, Ticket, TicketError,
    partition_of,
};
pub use limits::Limits;
pub use log::{Log, LogError};
pub use schema::{
    Growth, SchemaError, TypeLimits, avro, check_field_name, check_name, compare, fields,
};
pub use stored::stored_schema;
