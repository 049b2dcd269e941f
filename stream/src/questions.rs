//! SQL that is followed: answered outside, asked for here.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use projections::{Tenant, TenantSnapshot, ViewSnapshot};

use crate::problem::Problem;

/// Answers SQL over a tenant's snapshot.
pub trait Questions: Send + Sync {
    /// Answers `sql` with the rows that it has at the snapshot's position. What does not follow from
    /// the tenant's views and events alone, so that nobody could tell when it has changed, is refused.
    fn ask<'a>(
        &'a self,
        snapshot: Arc<TenantSnapshot>,
        sql: &'a str,
    ) -> BoxFuture<'a, Result<Answer, Unanswered>>;

    /// Has the rows of `sql`, which was answered, maintained as changes come, for as long as what this
    /// gives is held. None: there is no room for it now. It must cost little.
    fn maintain(&self, tenant: Tenant, sql: &str) -> Option<Box<dyn Circuit>>;
}

/// SQL whose rows are maintained. Dropping it ends that.
pub trait Circuit: Send + Sync {
    /// The rows over a snapshot of its tenant. Those who wait for them are told of changes when they are
    /// ready ([`Hub::redefined`](crate::Hub::redefined)). Asked for often: it must cost little.
    fn over(&self, snapshot: &TenantSnapshot) -> Rows;
}

/// What a circuit has over a snapshot.
#[derive(Clone, Debug)]
pub enum Rows {
    /// The rows of the answer over it.
    At(ViewSnapshot),
    /// Nothing: it is still being made.
    NotYet,
    /// Nothing: the SQL may mean something else by now. Another one may be had.
    Anew,
    /// Nothing: the SQL cannot be maintained.
    Never,
}

/// An answer on its way.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows; whole only if it ends without an error. Dropping it ends the query.
    pub rows: BoxStream<'static, Result<RecordBatch, Unanswered>>,
    /// What it was computed from.
    pub grounds: Box<dyn Grounds>,
}

/// What an answer was computed from.
pub trait Grounds: Send + Sync {
    /// Whether the answer over this snapshot is the same, as nothing that it was computed from is
    /// another. Asked often: it must cost little.
    fn hold(&self, snapshot: &Arc<TenantSnapshot>) -> bool;

    /// Whether all that it was computed from is still there and shown, defined as it was, whatever its
    /// rows: those who follow may be told of the answer on. It must cost little.
    fn stand(&self, snapshot: &Arc<TenantSnapshot>) -> bool;

    /// The tenant's sequence up to which the same SQL may have been about something else; none if it
    /// always was about this.
    fn since(&self) -> Option<u64>;
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum Unanswered {
    /// Not now: it is asked again.
    Later,
    /// It cannot be answered.
    Refused(Problem),
}

impl From<Problem> for Unanswered {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}
