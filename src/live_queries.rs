//! SQL that is followed live: joins the crate `stream`, which asks again when something has changed, and
//! the crate `query`, which answers; and has the engine maintain the answer where it can be.
//!
//! **In:** a tenant's snapshot as it is shown, and a text of SQL. **Out:** the answer and what it was
//! computed from, or why there is none, in the words in which `POST /v1/query` says it; and from then on
//! the rows that it has over later snapshots, if they are maintained.
//!
//! Invariants:
//! - An evaluation is a query like any other of its tenant: it waits in the same line and has the same
//!   limits.
//! - What has another answer each time it is asked is refused, as nobody could say when it has changed.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use projections::{Tenant, TenantSnapshot};
use query::{Queries, QueryError};
use stream::{Answer, Circuit, Grounds, Questions, Rows, Unanswered};

use crate::http::{query_problem, unfollowed_query};
use crate::own_views::{OwnViews, PassingView};

/// Answers the SQL of subscriptions.
pub(crate) struct LiveQueries {
    queries: Arc<Queries>,
    own_views: OwnViews,
}

impl LiveQueries {
    pub(crate) fn new(queries: Arc<Queries>, own_views: OwnViews) -> Self {
        Self { queries, own_views }
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

    fn maintain(&self, tenant: Tenant, sql: &str) -> Option<Box<dyn Circuit>> {
        let view = self.own_views.follow(tenant, sql)?;
        Some(Box::new(Maintained { view, rows: self.queries.limits().rows }))
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

    fn stand(&self, snapshot: &Arc<TenantSnapshot>) -> bool {
        self.queries.is_defined_alike(&self.grounds, snapshot)
    }

    fn since(&self) -> Option<u64> {
        self.grounds.since()
    }
}

/// An answer that the engine maintains, as long as it has no more rows than a query may.
struct Maintained {
    view: PassingView,
    rows: usize,
}

impl Circuit for Maintained {
    fn over(&self, snapshot: &TenantSnapshot) -> Rows {
        match self.view.over(snapshot) {
            // Asked as a query, it says that these are too many.
            Rows::At(rows) if rows.row_count() > self.rows => Rows::Never,
            rows => rows,
        }
    }
}

/// Whether it is to be asked again, or why not.
fn unanswered(error: &QueryError) -> Unanswered {
    match error {
        QueryError::Busy | QueryError::NotServed => Unanswered::Later,
        _ => Unanswered::Refused(query_problem(error)),
    }
}
