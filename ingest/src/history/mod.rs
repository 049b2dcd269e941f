//! History: all accepted events as Parquet files in the object store, by event type, sorted by
//! tenant.
//!
//! **In:** the events that a partition has accepted since its last cut ([`Accepted::write`]).
//! **Out:** files for the manifest of the next checkpoint, and a tenant's events of one type up to
//! any offset ([`Accepted::scan`]): from the files up to the cut, and from what came since.
//!
//! Invariants:
//! - A file is never changed, and no two writers ever use one name. What counts is listed in a
//!   committed manifest; anything else is left over from a crash and goes in time.
//! - An event stands in exactly one listed file, or came after the cut; never both.
//! - Every byte that is read is checked against a checksum; a damaged file is named, not skipped.
//! - A file that somebody in this process still reads is not deleted.
//! - Writing, merging and scanning hold a bounded number of rows, however much history there is.

mod accepted;
mod checked;
mod compact;
mod cut;
mod erase;
mod error;
mod file;
mod ids;
mod merge;
mod scan;
mod store;
mod tail;
mod tenants;
#[cfg(test)]
mod tests;
mod write;

pub use accepted::{Accepted, Reading, Recent};
pub use error::HistoryError;
pub use file::HistoryFile;
pub use store::{Change, HistoryStore};
pub use tail::Tail;
pub use tenants::Tenants;
