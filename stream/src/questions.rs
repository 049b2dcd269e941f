//! SQL that is followed: answered outside, asked for here.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use projections::TenantSnapshot;

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
