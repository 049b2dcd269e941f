//! SQL that is followed live: joins the crate `stream`, which asks again when something has changed, and
//! the crate `query`, which answers.
//!
//! **In:** a tenant's snapshot as it is shown, and a text of SQL. **Out:** the answer and what it was
//! computed from, or why there is none, in the words in which `POST /v1/query` says it.
//!
//! Invariants:
//! - An evaluation is a query like any other of its tenant: it waits in the same line and has the same
//!   limits.
//! - What has another answer each time it is asked is refused, as nobody could say when it has changed.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use projections::TenantSnapshot;
use query::{Queries, QueryError};
use stream::{Answer, Grounds, Questions, Unanswered};

use crate::http::{query_problem, unfollowed_query};

/// Answers the SQL of subscriptions.
pub(crate) struct LiveQueries {
    queries: Arc<Queries>,
}

impl LiveQueries {
    pub(crate) fn new(queries: Arc<Queries>) -> Self {
        Self { queries }
    }
}

impl Questions for LiveQueries {
    fn ask<'a>(
        &'a self,
        snapshot: Arc<TenantSnapshot>,
        sql: &'a str,
    ) -> BoxFuture<'a, Result<Answer, Unanswered>> {
        Box::pin(async move {
            let answer = self.queries.run(snapshot, sql, Vec::new()).await;
            let answer = answer.map_err(|error| unanswered(&error))?;
            let Some(grounds) = answer.grounds else {
                return Err(Unanswered::Refused(unfollowed_query()));
            };
            let rows = answer
                .batches
                .map(|batch| batch.map_err(|error| unanswered(&QueryError::from(error))));
            let grounds = Read { queries: Arc::clone(&self.queries), grounds };
            let grounds: Box<dyn Grounds> = Box::new(grounds);
            Ok(Answer { schema: answer.schema, rows: rows.boxed(), grounds })
        })
    }
}

/// What an answer was computed from.
struct Read {
    queries: Arc<Queries>,
    grounds: query::Grounds,
}

impl Grounds for Read {
    fn hold(&self, snapshot: &Arc<TenantSnapshot>) -> bool {
        self.queries.is_unchanged(&self.grounds, snapshot)
    }

    fn since(&self) -> Option<u64> {
        self.grounds.since()
    }
}

/// Whether it is to be asked again, or why not.
fn unanswered(error: &QueryError) -> Unanswered {
    match error {
        QueryError::Busy | QueryError::NotServed => Unanswered::Later,
        _ => Unanswered::Refused(query_problem(error)),
    }
}
