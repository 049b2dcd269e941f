//! The audit: what was done, by whom, when and from where, in chains that show what is done to them.
//!
//! **In:** an [`AuditEntry`] for everything that is to be recorded ([`Trail`]). **Out:** records in
//! the control store, one chain for each tenant and one for the platform, and what is wrong with a
//! chain ([`verify`]).
//!
//! Invariants:
//! - Each record's hash covers the hash of the one before ([`AuditRecord::digest`]), so nothing can be
//!   changed, removed or moved within a chain without all later hashes changing.
//! - The last hash and the number of records are sealed with a key that the database does not hold
//!   ([`AuditKey`]), so the chain cannot be written anew, nor its end be cut off. Before it is built
//!   on, the seal is checked: what is not sealed is never sealed by what comes behind it.
//! - What waits to be written is bounded; whoever records more waits.

mod detail;
mod key;
mod record;
mod reseal;
mod trail;
mod verify;

pub use detail::bounded;
pub use key::{AuditKey, AuditKeyError};
pub use record::{
    Action, AuditEntry, AuditFilter, AuditHead, AuditPage, AuditRecord, Chain, ShownRecord,
    UnknownAction,
};
pub use reseal::{Resealed, reseal};
pub use trail::{Trail, TrailError};
pub use verify::{Anchor, Fault, Verdict, verify};

#[cfg(test)]
mod tests;
