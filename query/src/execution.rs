//! Queries as they are asked: let in, given their turn and a thread ([`running`]), or answered from
//! what is kept.

mod running;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use chrono::NaiveDate;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use projections::{EventRegistry, EventTypes, Position, Tenant, TenantSnapshot};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use self::running::{Abandon, Query, Reader};
use crate::admission::Admission;
use crate::cache::{Asked, Cache, KeptAnswer};
use crate::catalog::Relations;
use crate::disk::Disk;
use crate::grounds::Grounds;
use crate::guard::Watch;
use crate::history::History;
use crate::lanes::Lanes;
use crate::session::Template;
use crate::thread::Threads;
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
        self.run_over(self.relations(&snapshot), sql, params).await
    }

    /// The same of SQL of the service's own. It does not see the fields that the tenant has declared: they
    /// may have the names that it gives to columns of its own.
    pub(crate) async fn run_undeclared(
        &self,
        snapshot: &Arc<TenantSnapshot>,
        sql: &str,
        params: Vec<serde_json::Value>,
    ) -> Result<Answer, QueryError> {
        let types = self.types.visible(snapshot.tenant()).undeclared();
        self.run_over(self.relations_with(snapshot, types), sql, params).await
    }

    async fn run_over(
        &self,
        relations: Arc<Relations>,
        sql: &str,
        params: Vec<serde_json::Value>,
    ) -> Result<Answer, QueryError> {
        let snapshot = relations.snapshot.clone();
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
        self.relations_with(snapshot, self.types.visible(snapshot.tenant()))
    }

    fn relations_with(&self, snapshot: &Arc<TenantSnapshot>, types: EventTypes) -> Arc<Relations> {
        Arc::new(Relations {
            snapshot: snapshot.clone(),
            types: types.hiding(snapshot.hidden().clone()),
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
