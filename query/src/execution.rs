//! Running one query within its limits.
//!
//! A query plans and runs on a thread of its own, so that one that computes for long keeps no
//! other work of the process waiting. Its batches come to the reader through a short channel: a
//! slow reader slows the query, and the query's time goes on. The reader keeps the time too, so
//! the limit holds even while the query's thread is busy and cannot be asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use chrono::NaiveDate;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use projections::{EventRegistry, Position, Tenant, TenantSnapshot};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::admission::{Admission, Permit};
use crate::cache::{Asked, Cache, Collected, KeptAnswer, KeptPlan, Reads};
use crate::catalog::Relations;
use crate::disk::{Disk, Refusal};
use crate::error::LimitKind;
use crate::grounds::Grounds;
use crate::guard::Watch;
use crate::history::History;
use crate::joins::is_hashed;
use crate::lanes::Lanes;
use crate::session::{Joins, Means, Planned, Prepared, Template};
use crate::thread::Threads;
use crate::transit::{Held, Transit};
use crate::turn::{FREE, Turn};
use crate::{QueryError, QueryLimits, statement, thread};

/// A query whose SQL has more bytes is a long one from its beginning: it takes its time to read and plan
/// it, in steps that nothing ends.
const LONG_SQL: usize = 16 << 10;

/// Batches that wait for the reader.
const WAITING: usize = 2;

/// Ad hoc SQL for all tenants.
pub struct Queries {
    types: EventRegistry,
    history: Arc<dyn History>,
    limits: QueryLimits,
    admission: Arc<Admission>,
    template: Arc<Template>,
    cache: Arc<Cache>,
    disk: Option<Arc<Disk>>,
    lanes: Arc<Lanes>,
    threads: Threads,
}

/// An answer at one position.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The position of the snapshot it was computed from.
    pub position: Position,
    /// The tenant's date at that position, which `current_date` gave.
    pub as_of: Option<NaiveDate>,
    /// The rows. An error in it is a [`QueryError`], which [`QueryError::from`] takes out; the
    /// answer is whole only if the stream ends without one. Dropping it ends the query.
    pub batches: SendableRecordBatchStream,
    /// What it was computed from; none of one that does not follow from views and events alone, and of
    /// one that no statement gave.
    pub grounds: Option<Grounds>,
}

/// What a statement takes and gives.
#[derive(Clone, Debug)]
pub struct Description {
    /// The columns.
    pub schema: SchemaRef,
    /// The types of `$1`, `$2`, …; none where the statement takes any.
    pub params: Vec<Option<DataType>>,
}

impl Queries {
    /// Queries over events of the types that `types` holds when they are asked, and their `history`,
    /// within `limits`. Nothing is put on disk.
    pub fn new(
        types: impl Into<EventRegistry>,
        history: Arc<dyn History>,
        limits: QueryLimits,
    ) -> Result<Self, QueryError> {
        Ok(Self {
            types: types.into(),
            history,
            admission: Admission::new(&limits),
            template: Arc::new(Template::new(&limits, None)?),
            cache: Arc::new(Cache::new(&limits)),
            disk: None,
            lanes: Lanes::new(),
            threads: Threads::default(),
            limits,
        })
    }

    /// Has queries put on disk what does not fit into their memory, within their limits: into files
    /// of `folder`, which must be theirs alone and is emptied first.
    pub fn spilling_to(mut self, folder: &Path) -> Result<Self, QueryError> {
        let bytes = self.limits.total_spill_bytes;
        if bytes > 0 {
            let disk = Disk::new(folder, bytes).map_err(|error| QueryError::Internal {
                message: format!("the folder {} of queries: {error}", folder.display()),
            })?;
            self.template = Arc::new(Template::new(&self.limits, Some(disk.clone()))?);
            self.disk = Some(disk);
        }
        Ok(self)
    }

    /// Runs one statement that reads, over the views of `snapshot` and the history up to it.
    /// `params` are the values of `$1`, `$2`, and so on. Must be called within a tokio runtime.
    pub async fn run(
        &self,
        snapshot: Arc<TenantSnapshot>,
        sql: &str,
        params: Vec<serde_json::Value>,
    ) -> Result<Answer, QueryError> {
        let relations = self.relations(&snapshot);
        let asked = Asked::new(snapshot.tenant(), sql, &params);
        if let Some(asked) = &asked
            && let Some(kept) = self.cache.answer(asked, &relations)
        {
            return Ok(again(&snapshot, &kept));
        }
        statement::glance(sql, self.limits.sql_bytes)?;
        let permit = self.admission.enter(snapshot.tenant()).await?;
        let watch = Arc::new(Watch::new(self.limits.seconds));
        let turn = self.turn(snapshot.tenant(), sql, &watch)?;
        let (planned, plan) = oneshot::channel();
        let (sender, receiver) = mpsc::channel(WAITING);
        let guard = Abandon(watch.clone());
        let query = Query {
            sql: sql.to_owned(),
            params,
            asked,
            relations,
            limits: self.limits.clone(),
            template: self.template.clone(),
            cache: self.cache.clone(),
            turn: turn.clone(),
            permit: Some(permit),
        };
        let running = self.threads.run(turn, move || async move {
            query.run(planned, &sender).await;
        });
        running.map_err(|error| internal(&error))?;
        let (schema, reads) = match tokio::time::timeout_at(watch.deadline().into(), plan).await {
            Ok(Ok(begun)) => begun?,
            Ok(Err(_)) => return Err(died()),
            Err(_) => return Err(watch.over()),
        };
        let batches = stream::unfold(Some(Reader { receiver, guard }), Reader::next);
        Ok(Answer {
            position: snapshot.position(),
            as_of: snapshot.today(),
            batches: Box::pin(RecordBatchStreamAdapter::new(schema.clone(), batches)),
            grounds: reads.map(|reads| Grounds::new(reads, &snapshot)),
            schema,
        })
    }

    /// What one statement takes and gives, without running it. It is planned as it would be to be run,
    /// within the same limits. Must be called within a tokio runtime.
    pub async fn describe(
        &self,
        snapshot: Arc<TenantSnapshot>,
        sql: &str,
    ) -> Result<Description, QueryError> {
        let relations = self.relations(&snapshot);
        statement::glance(sql, self.limits.sql_bytes)?;
        let permit = self.admission.enter(snapshot.tenant()).await?;
        let watch = Arc::new(Watch::new(self.limits.seconds));
        let turn = self.turn(snapshot.tenant(), sql, &watch)?;
        let _guard = Abandon(watch.clone());
        let (sender, described) = oneshot::channel();
        let (sql, most, template) = (sql.to_owned(), self.limits.sql_bytes, self.template.clone());
        let within = turn.clone();
        let running = self.threads.run(turn, move || async move {
            let described = thread::unpanicked(async {
                let statement = statement::parse(&sql, most)?;
                template.describe(&relations, statement, &within).await
            })
            .await;
            drop(permit);
            // Nobody may be waiting any more; then there is nobody to tell.
            let _ = sender.send(described);
        });
        running.map_err(|error| internal(&error))?;
        match tokio::time::timeout_at(watch.deadline().into(), described).await {
            Ok(Ok(described)) => described,
            Ok(Err(_)) => Err(died()),
            Err(_) => Err(watch.over()),
        }
    }

    /// The turn of one query among all.
    fn turn(&self, tenant: Tenant, sql: &str, watch: &Arc<Watch>) -> Result<Arc<Turn>, QueryError> {
        let caller = Handle::try_current().map_err(|error| internal(&error))?;
        let ran = if sql.len() > LONG_SQL { FREE } else { Duration::ZERO };
        Ok(Arc::new(Turn::new(tenant, watch.clone(), self.lanes.clone(), caller, ran)))
    }

    /// Their limits.
    pub fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    /// What a tenant can read at this moment.
    pub(crate) fn relations(&self, snapshot: &Arc<TenantSnapshot>) -> Arc<Relations> {
        Arc::new(Relations {
            snapshot: snapshot.clone(),
            types: self.types.visible(snapshot.tenant()).hiding(snapshot.hidden().clone()),
            history: self.history.clone(),
        })
    }

    /// Lets go of what is kept of a tenant's plans and answers.
    pub fn forget(&self, tenant: Tenant) {
        self.cache.forget(tenant);
    }

    /// Brings the figures of the process up to date: what runs, waits, is kept and is on disk.
    pub fn record_figures(&self) {
        let (running, waiting) = self.admission.counts();
        metrics::gauge!("tidemark_queries_running").set(running as f64);
        metrics::gauge!("tidemark_queries_waiting").set(waiting as f64);
        let spilled = self.disk.as_ref().map_or(0, |disk| disk.used());
        metrics::gauge!("tidemark_query_spill_bytes").set(spilled as f64);
        self.cache.record_figures();
    }
}

/// An answer that was given before, at the position of this snapshot.
fn again(snapshot: &TenantSnapshot, kept: &KeptAnswer) -> Answer {
    let batches: Vec<_> = kept.batches.iter().cloned().map(Ok).collect();
    let schema = kept.schema.clone();
    Answer {
        position: snapshot.position(),
        as_of: snapshot.today(),
        batches: Box::pin(RecordBatchStreamAdapter::new(schema.clone(), stream::iter(batches))),
        grounds: Some(Grounds::new(kept.reads.clone(), snapshot)),
        schema,
    }
}

fn internal(error: &impl std::fmt::Display) -> QueryError {
    QueryError::Internal { message: error.to_string() }
}

fn died() -> QueryError {
    QueryError::Internal { message: "the query ended without an answer".into() }
}

/// What a query's thread tells its reader.
enum Message {
    Batch(RecordBatch, Held),
    Failed(QueryError),
    Done,
}

/// A query on its own thread.
struct Query {
    sql: String,
    params: Vec<serde_json::Value>,
    /// None if it is not to be remembered.
    asked: Option<Arc<Asked>>,
    relations: Arc<Relations>,
    limits: QueryLimits,
    template: Arc<Template>,
    cache: Arc<Cache>,
    turn: Arc<Turn>,
    /// Given back before the end is told, so that the reader's next query is let in.
    permit: Option<Permit>,
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
    async fn run(
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
struct Abandon(Arc<Watch>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The reader's end of a query.
struct Reader {
    receiver: mpsc::Receiver<Message>,
    guard: Abandon,
}

impl Reader {
    /// The next batch, and the reader if there may be more.
    async fn next(
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
