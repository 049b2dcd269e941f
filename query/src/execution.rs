//! Running one query within its limits.
//!
//! A query plans and runs on a thread of its own, so that one that computes for long keeps no
//! other work of the process waiting. Its batches come to the reader through a short channel: a
//! slow reader slows the query, and the query's time goes on. The reader keeps the time too, so
//! the limit holds even while the query's thread is busy and cannot be asked.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt, stream};
use projections::{EventRegistry, Position, TenantSnapshot};
use tokio::sync::{mpsc, oneshot};

use crate::admission::{Admission, Permit};
use crate::catalog::Relations;
use crate::error::LimitKind;
use crate::guard::Watch;
use crate::history::History;
use crate::memory::QueryPool;
use crate::session::Template;
use crate::{QueryError, QueryLimits, statement};

/// The stack of a query's thread: expressions are trees as deep as their text is long, and are
/// walked by recursion. The pages that are not used are never taken.
const STACK_BYTES: usize = 32 << 20;

/// Batches that wait for the reader.
const WAITING: usize = 2;

/// Ad hoc SQL for all tenants.
pub struct Queries {
    types: EventRegistry,
    history: Arc<dyn History>,
    limits: QueryLimits,
    admission: Arc<Admission>,
    template: Arc<Template>,
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
}

impl Queries {
    /// Queries over events of the types that `types` holds when they are asked, and their `history`,
    /// within `limits`.
    pub fn new(
        types: impl Into<EventRegistry>,
        history: Arc<dyn History>,
        limits: QueryLimits,
    ) -> Result<Self, QueryError> {
        Ok(Self {
            types: types.into(),
            history,
            admission: Admission::new(&limits),
            template: Arc::new(Template::new(&limits)?),
            limits,
        })
    }

    /// Runs one statement that reads, over the views of `snapshot` and the history up to it.
    /// `params` are the values of `$1`, `$2`, and so on. Must be called within a tokio runtime.
    pub async fn run(
        &self,
        snapshot: Arc<TenantSnapshot>,
        sql: &str,
        params: Vec<serde_json::Value>,
    ) -> Result<Answer, QueryError> {
        let permit = self.admission.enter(snapshot.tenant())?;
        let watch = Arc::new(Watch::new(self.limits.seconds));
        let (planned, plan) = oneshot::channel();
        let (sender, receiver) = mpsc::channel(WAITING);
        let guard = Abandon(watch.clone());
        let query = Query {
            sql: sql.to_owned(),
            params,
            relations: Arc::new(Relations {
                snapshot: snapshot.clone(),
                types: self.types.visible(snapshot.tenant()).hiding(snapshot.hidden().clone()),
                history: self.history.clone(),
            }),
            limits: self.limits.clone(),
            template: self.template.clone(),
            watch: watch.clone(),
            permit: Some(permit),
        };
        spawn(query, planned, sender)?;
        let schema = match tokio::time::timeout_at(watch.deadline().into(), plan).await {
            Ok(Ok(planned)) => planned?,
            Ok(Err(_)) => return Err(died()),
            Err(_) => return Err(watch.over()),
        };
        let batches = stream::unfold(Some(Reader { receiver, guard }), Reader::next);
        Ok(Answer {
            position: snapshot.position(),
            as_of: snapshot.today(),
            batches: Box::pin(RecordBatchStreamAdapter::new(schema.clone(), batches)),
            schema,
        })
    }
}

/// Starts the query's thread.
fn spawn(
    query: Query,
    planned: oneshot::Sender<Result<SchemaRef, QueryError>>,
    sender: mpsc::Sender<Message>,
) -> Result<(), QueryError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|error| internal(&error))?;
    std::thread::Builder::new()
        .name("query".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let run = AssertUnwindSafe(query.run(planned, &sender)).catch_unwind();
            if runtime.block_on(run).is_err() {
                // The channel closes without an end, which the reader takes for what it is.
                tracing::error!("a query panicked");
            }
        })
        .map(drop)
        .map_err(|error| internal(&error))
}

fn internal(error: &impl std::fmt::Display) -> QueryError {
    QueryError::Internal { message: error.to_string() }
}

fn died() -> QueryError {
    QueryError::Internal { message: "the query ended without an answer".into() }
}

/// What a query's thread tells its reader.
enum Message {
    Batch(RecordBatch),
    Failed(QueryError),
    Done,
}

/// A query on its own thread.
struct Query {
    sql: String,
    params: Vec<serde_json::Value>,
    relations: Arc<Relations>,
    limits: QueryLimits,
    template: Arc<Template>,
    watch: Arc<Watch>,
    /// Given back before the end is told, so that the reader's next query is let in.
    permit: Option<Permit>,
}

impl Query {
    async fn run(
        mut self,
        planned: oneshot::Sender<Result<SchemaRef, QueryError>>,
        sender: &mpsc::Sender<Message>,
    ) {
        let pool = self.template.pool(&self.limits);
        let batches = match self.start(pool.clone()).await {
            Ok(batches) => batches,
            Err(error) => {
                self.permit = None;
                // Nobody may be waiting any more; then there is nobody to tell.
                let _ = planned.send(Err(self.blame(error, &pool)));
                return;
            }
        };
        if planned.send(Ok(batches.schema())).is_err() {
            return;
        }
        let last = match self.forward(batches, sender).await {
            Ok(Some(())) => Message::Done,
            Ok(None) => return,
            Err(error) => Message::Failed(self.blame(error, &pool)),
        };
        self.permit = None;
        let _ = sender.send(last).await;
    }

    async fn start(
        &mut self,
        pool: Arc<QueryPool>,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let statement = statement::parse(&self.sql, self.limits.sql_bytes)?;
        let params = std::mem::take(&mut self.params);
        let prepared = self
            .template
            .prepare(self.relations.clone(), statement, params, &self.watch, pool)
            .await?;
        Ok(execute_stream(prepared.plan, prepared.context)?)
    }

    /// Sends the batches on; `None` when the reader has gone.
    async fn forward(
        &self,
        mut batches: SendableRecordBatchStream,
        sender: &mpsc::Sender<Message>,
    ) -> Result<Option<()>, QueryError> {
        let mut rows = 0;
        loop {
            let next = tokio::select! {
                biased;
                () = sender.closed() => return Ok(None),
                next = tokio::time::timeout_at(self.watch.deadline().into(), batches.next()) => next,
            };
            let batch = match next {
                Err(_) => return Err(self.watch.over()),
                Ok(None) => return Ok(Some(())),
                Ok(Some(batch)) => batch?,
            };
            rows += batch.num_rows();
            if rows > self.limits.rows {
                let limit = format!("{} rows", self.limits.rows);
                return Err(QueryError::Limit { which: LimitKind::Rows, limit });
            }
            if batch.num_rows() > 0 && sender.send(Message::Batch(batch)).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Names the bound: the engine knows only that there was no memory.
    fn blame(&self, error: QueryError, pool: &QueryPool) -> QueryError {
        match error {
            QueryError::Limit { which: LimitKind::Memory, limit } if limit.is_empty() => {
                if pool.shared_exhausted() {
                    return QueryError::Busy;
                }
                let limit = format!("{} KiB", self.limits.memory_bytes >> 10);
                QueryError::Limit { which: LimitKind::Memory, limit }
            }
            other => other,
        }
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
            Ok(Some(Message::Batch(batch))) => return Some((Ok(batch), Some(reader))),
            Ok(Some(Message::Done)) => return None,
            Ok(Some(Message::Failed(error))) => error,
            Ok(None) => died(),
            Err(_) => watch.over(),
        };
        Some((Err(error.into_datafusion()), None))
    }
}
