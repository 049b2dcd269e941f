//! Live views: what a partition computes, pushed to whoever watches.
//!
//! **In:** the changes of each applied batch ([`Hub::publish`], called by the partition's thread)
//! and the subscriptions of clients. **Out:** for each subscription one snapshot and then deltas,
//! over Server-Sent Events ([`sse`]) or a WebSocket ([`upgrade`]). A WebSocket whose tenant another
//! service serves is relayed to it ([`Far`]). SQL is answered outside ([`Questions`]).
//!
//! How it works: each tenant that is watched has a *ring* of its latest changes, bounded by bytes
//! and by age. A connection holds no queue: it holds a place in the ring, and takes the next
//! change only when its client has accepted the one before. A client that keeps up gets every
//! change as it was applied, encoded once for all; one that falls behind gets what it missed
//! merged into one; one that falls off the ring starts anew from a snapshot. SQL that is followed is a
//! *standing query* of its tenant: kept by a circuit of the engine where it can be, otherwise evaluated
//! when what it reads has changed; once for all who follow the same, and told as what leads from one
//! answer to the next.
//!
//! Invariants:
//! - The snapshot and all deltas after it equal the view, or the answer to the SQL, at every position
//!   that the client is told for it.
//! - All subscriptions of a connection advance together: whatever belongs to one position is
//!   sent before anything of the next. Only those with a rate of their own and those to SQL lag behind
//!   it, and none runs ahead.
//! - [`Hub::publish`] never waits for a client, and its cost does not depend on their number.
//! - What a connection makes the server hold is bounded ([`StreamLimits`]), whatever its client
//!   does or leaves undone.
//! - A connection belongs to one tenant, and nothing but that tenant's channel is in its reach.
//! - What may no longer be followed is not sent from then on. That is asked before each message, so
//!   that a client that reads slowly gets no more of it than one that keeps up.

// So that the tests' support is the same inside the crate and outside.
#[cfg(test)]
extern crate self as stream;

mod body;
mod clock;
mod close;
mod connection;
mod delta;
mod door;
mod ending;
mod filter;
mod gzip;
mod hub;
mod limits;
mod merge;
mod message;
mod meter;
mod problem;
mod questions;
mod relay;
mod request;
mod ring;
mod snapshot;
mod sse;
mod standing;
mod subscription;
mod wait;
mod websocket;

pub use close::Close;
pub use door::{Door, Viewer};
pub use hub::{Hub, Snapshots};
pub use limits::StreamLimits;
pub use problem::{Problem, ProblemType};
pub use questions::{Answer, Circuit, Grounds, Questions, Rows, Unanswered};
pub use relay::{Far, upgrade_relayed};
pub use sse::sse;
pub use subscription::Subscription;
pub use wait::NotYet;
pub use websocket::{upgrade, websocket};

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
