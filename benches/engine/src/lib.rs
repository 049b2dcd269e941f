//! Measuring the engine alone: what [`projections::Partition::apply`] takes for decoded events.
//!
//! **In:** a [`Plan`] of synthetic events of all built-in types, the same that `tidemark generate`
//! writes, decoded by the intake's decoder into the batches that the intake would make.
//! **Out:** times, both of the wall and of the thread's own CPU (a machine that does
//! other things too changes the first, hardly the second), memory, and a digest of every view.
//!
//! Invariants:
//! - Nothing but `apply` and the release of its answer is timed.
//! - Equal plans give equal events, so every run and every peer gets the same.

pub mod digest;
pub mod events;
pub mod export;
mod generate;
pub mod run;
pub mod views;

pub use digest::{Digest, digest};
pub use events::{Feed, Plan};
