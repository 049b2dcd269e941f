//! The core of Tidemark: events in, relations out.
//!
//! **In:** batches of decoded, deduplicated events ([`EventBatch`]) and recorded changes of a
//! tenant's date ([`Tick`]). **Out:** for each tenant that was touched, the change of every view
//! ([`TenantDelta`]) and an immutable [`TenantSnapshot`] for readers.
//!
//! A view is plain SQL that never names a tenant. It is planned once by DataFusion and compiled
//! into a [`circuit`] of operators over weighted Arrow batches (Z-sets, as in DBSP,
//! <https://doi.org/10.14778/3587136.3587137>); a [`Partition`] owns the circuit of its tenants.
//!
//! Invariants:
//! - The tenant is a column of every [`Change`] and the first part of every key; only the
//!   compiler puts it there, so a view cannot leave it out.
//! - For any events in any order and any batching, a view equals DataFusion's answer to the same
//!   SQL over all events of that tenant.
//! - All views of a tenant change together; a reader holds one snapshot and sees one position.
//! - No I/O, no wall clock, no randomness, no panic on data.

mod bytes;
pub mod change;
pub mod circuit;
pub mod clock;
pub mod encode;
mod error;
pub mod events;
mod exact;
pub mod functions;
mod hidden;
mod own;
mod partition;
mod position;
pub mod snapshot;
mod sorted;
pub mod sql;
pub mod views;

pub use change::Change;
pub use circuit::StateLoader;
pub use circuit::state::StatePart;
pub use clock::Tick;
pub use error::{DefineError, RuntimeError};
pub use events::{EventBatch, EventRegistry, EventType, EventTypes};
pub use exact::{exact_average, exact_sum};
pub use hidden::Hidden;
pub use own::{Fill, FillError, OwnLimits, OwnView, PassingId, PassingLimits, Reads, StepTime};
pub use partition::{CutSnapshots, Input, Partition, Readers, TenantDelta, ViewChange};
pub use position::{Position, PositionError, mark, set_mark_key};
pub use snapshot::{
    SavedChunk, SavedMarks, SavedViews, TenantSnapshot, Unready, ViewMark, ViewSaver, ViewSnapshot,
};
pub use views::{View, ViewDefinition};

/// A tenant's number in the control store: stable for ever and never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(pub u32);
