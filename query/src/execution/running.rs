//! Running one query within its limits.
//!
//! A query plans and runs on a thread of its own, so that one that computes for long keeps no
//! other work of the process waiting. Its batches come to the reader through a short channel: a
//! slow reader slows the query, and the query's time goes on. The reader keeps the time too, so
//! the limit holds even while the query's thread is busy and cannot be asked.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};

use super::died;
use crate::admission::Permit;
use crate::cache::{Asked, Cache, Collected, KeptPlan, Reads};
use crate::catalog::Relations;
use crate::disk::Refusal;
use crate::error::LimitKind;
use crate::guard::Watch;
use crate::joins::is_hashed;
use crate::session::{Joins, Means, Planned, Prepared, Template};
use crate::transit::{Held, Transit};
use crate::turn::Turn;
use crate::{QueryError, QueryLimits, statement, thread};

/// What a query's thread tells its reader.
pub(super) enum Message {
    Batch(RecordBatch, Held),
    Failed(QueryError),
    Done,
}

/// A query on its own thread.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) params: Vec<serde_json::Value>,
    /// None if it is not to be remembered.
    pub(super) asked: Option<Arc<Asked>>,
    pub(super) relations: Arc<Relations>,
    pub(super) limits: QueryLimits,
    pub(super) template: Arc<Template>,
    pub(super) cache: Arc<Cache>,
    pub(super) turn: Arc<Turn>,
    /// Given back before the end is told, so that the reader's next query is let in.
    pub(super) permit: Option<Permit>,
}

/// The columns of an answer, and what it reads if the same always gives the same rows.
type Begun = (SchemaRef, Option<Reads>);

/// Where the rows of a query go.
struct Outlet<'a> {
    /// Until the columns are told.
    planned: Option<oneshot::Sender<Result<Begun, QueryError>>>,
    /// What is told with them.
    reads: Option<Reads>,
    sender: &'a mpsc::Sender<Message>,
    rows: usize,
    kept: Option<Collected>,
}

impl Query {
    /// Plans and runs, and tells how that ends: in the place of the columns, or behind the rows.
    pub(super) async fn run(
        mut self,
        planned: oneshot::Sender<Result<Begun, QueryError>>,
        sender: &mpsc::Sender<Message>,
    ) {
        let (planned, reads, kept) = (Some(planned), None, None);
        let mut outlet = Outlet { planned, reads, sender, rows: 0, kept };
        let end = thread::unpanicked(self.answer(&mut outlet)).await;
        self.permit = None;
        let last = match (end, outlet.planned.take()) {
            (Ok(None), _) => return,
            (Ok(Some(())), _) => Message::Done,
            (Err(error), None) => Message::Failed(error),
            (Err(error), Some(planned)) => {
                // Nobody may be waiting any more; then there is nobody to tell.
                let _ = planned.send(Err(error));
                return;
            }
        };
        let _ = sender.send(last).await;
    }

    /// Plans and runs; `None` when the reader has gone. A query whose joins do not fit into its
    /// memory is run once more with joins that need not.
    async fn answer(&self, outlet: &mut Outlet<'_>) -> Result<Option<()>, QueryError> {
        let Planned { plan, reads, is_repeatable } = self.plan().await?;
        let means = self.template.means(&self.limits);
        let prepared =
            match self.template.prepare(plan.clone(), Joins::Hashed, &self.turn, &means).await {
                Ok(prepared) => prepared,
                Err(error) => return Err(self.blame(error, &means)),
            };
        let may_sort = means.disk.is_some() && is_hashed(&prepared.plan);
        outlet.reads = reads.filter(|_| is_repeatable);
        outlet.kept = outlet.reads.clone().map(|reads| self.cache.collect(reads));
        let schema = prepared.plan.schema();
        let ended = match self.forward(prepared, outlet, &means).await {
            Ok(ended) => ended,
            Err(error) => {
                let error = self.blame(error, &means);
                let is_memory = matches!(error, QueryError::Limit { which: LimitKind::Memory, .. });
                if !(is_memory && may_sort && outlet.rows == 0) {
                    return Err(error);
                }
                drop(means);
                self.sort(plan, outlet, error).await?
            }
        };
        if let (Some(()), Some(asked), Some(kept)) = (ended, &self.asked, outlet.kept.take()) {
            self.cache.keep_answer(asked, schema, kept);
        }
        Ok(ended)
    }

    /// Runs a plan with sorted joins; where there is no such, `error` stands.
    async fn sort(
        &self,
        plan: LogicalPlan,
        outlet: &mut Outlet<'_>,
        error: QueryError,
    ) -> Result<Option<()>, QueryError> {
        let means = self.template.means(&self.limits);
        let Ok(prepared) = self.template.prepare(plan, Joins::Sorted, &self.turn, &means).await
        else {
            return Err(error);
        };
        if is_hashed(&prepared.plan) {
            return Err(error);
        }
        self.forward(prepared, outlet, &means).await.map_err(|error| self.blame(error, &means))
    }

    /// The plan that is kept, or a new one, which is kept from now on.
    async fn plan(&self) -> Result<Planned, QueryError> {
        if let Some(asked) = &self.asked
            && let Some(kept) = self.cache.plan(asked, &self.relations)
        {
            return Ok(Planned {
                plan: self.relations.put_in(kept.plan)?,
                reads: Some(kept.reads.renewed(&self.relations)),
                is_repeatable: kept.is_repeatable,
            });
        }
        let statement = statement::parse(&self.sql, self.limits.sql_bytes)?;
        let planned =
            self.template.plan(&self.relations, statement, &self.params, &self.turn).await?;
        if let (Some(asked), Some(reads)) = (&self.asked, &planned.reads)
            && let Some(plan) = Relations::taken_out(planned.plan.clone())?
        {
            let (reads, is_repeatable) = (reads.clone(), planned.is_repeatable);
            self.cache.keep_plan(asked, KeptPlan { plan, reads, is_repeatable });
        }
        Ok(planned)
    }

    /// Runs a plan and sends its batches on; `None` when the reader has gone.
    async fn forward(
        &self,
        prepared: Prepared,
        outlet: &mut Outlet<'_>,
        means: &Means,
    ) -> Result<Option<()>, QueryError> {
        let watch = self.turn.watch();
        let transit = Transit::new(means.memory.clone());
        let mut batches = execute_stream(prepared.plan, prepared.context)?;
        if let Some(planned) = outlet.planned.take()
            && planned.send(Ok((batches.schema(), outlet.reads.take()))).is_err()
        {
            return Ok(None);
        }
        loop {
            let next = tokio::select! {
                biased;
                () = outlet.sender.closed() => return Ok(None),
                next = tokio::time::timeout_at(watch.deadline().into(), batches.next()) => next,
            };
            let batch = match next {
                Err(_) => return Err(watch.over()),
                Ok(None) => return Ok(Some(())),
                Ok(Some(batch)) => batch?,
            };
            outlet.rows += batch.num_rows();
            if outlet.rows > self.limits.rows {
                let limit = format!("{} rows", self.limits.rows);
                return Err(QueryError::Limit { which: LimitKind::Rows, limit });
            }
            if batch.num_rows() == 0 {
                continue;
            }
            if let Some(kept) = &mut outlet.kept {
                kept.add(&batch);
            }
            let held = tokio::select! {
                biased;
                () = outlet.sender.closed() => return Ok(None),
                held = tokio::time::timeout_at(watch.deadline().into(), transit.hold(&batch)) => held,
            };
            let held = held.map_err(|_| watch.over())??;
            if outlet.sender.send(Message::Batch(batch, held)).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Names the bound: the engine knows only that there was no memory, or that a file could not
    /// grow.
    fn blame(&self, error: QueryError, means: &Means) -> QueryError {
        let is_unnamed = matches!(&error, QueryError::Limit { which: LimitKind::Memory, limit }
            if limit.is_empty());
        let is_own = matches!(error, QueryError::Limit { .. } | QueryError::ViewFailed { .. });
        match means.disk.as_ref().and_then(|disk| disk.refusal()) {
            Some(Refusal::Own) if is_unnamed || !is_own => {
                let limit = format!("{} KiB", self.limits.spill_bytes >> 10);
                return QueryError::Limit { which: LimitKind::Disk, limit };
            }
            Some(Refusal::Shared) if is_unnamed || !is_own => return QueryError::Busy,
            _ => {}
        }
        if !is_unnamed {
            return error;
        }
        if means.memory.shared_exhausted() {
            return QueryError::Busy;
        }
        let limit = format!("{} KiB", self.limits.memory_bytes >> 10);
        QueryError::Limit { which: LimitKind::Memory, limit }
    }
}

/// Ends the query when its answer is dropped.
pub(super) struct Abandon(pub(super) Arc<Watch>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The reader's end of a query.
pub(super) struct Reader {
    pub(super) receiver: mpsc::Receiver<Message>,
    pub(super) guard: Abandon,
}

impl Reader {
    /// The next batch, and the reader if there may be more.
    pub(super) async fn next(
        reader: Option<Self>,
    ) -> Option<(Result<RecordBatch, DataFusionError>, Option<Self>)> {
        let mut reader = reader?;
        let watch = reader.guard.0.clone();
        let message =
            tokio::time::timeout_at(watch.deadline().into(), reader.receiver.recv()).await;
        let error = match message {
            Ok(Some(Message::Batch(batch, _held))) => return Some((Ok(batch), Some(reader))),
            Ok(Some(Message::Done)) => return None,
            Ok(Some(Message::Failed(error))) => error,
            Ok(None) => died(),
            Err(_) => watch.over(),
        };
        Some((Err(error.into_datafusion()), None))
    }
}
