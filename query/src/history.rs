//! The accepted events of a tenant, as relations.

mod columns;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{Stream, StreamExt};
use projections::{EventType, Tenant};
use tokio::runtime::Handle;

use self::columns::Columns;
use crate::QueryError;
use crate::turn::Turn;

/// Where accepted events are read from.
pub trait History: Send + Sync {
    /// The events of `tenant` and `event_type` that were accepted up to and with the offset
    /// `up_to`, each once, in any order. `columns` are indices into
    /// [`EventType::relation`], in the order in which they are wanted, and at the end there may be
    /// [`EventType::extra_place`], which is text; none means all of the relation, and the list is never
    /// empty. The batches have exactly those columns. The stream is read on
    /// a thread of the query's own, inside the runtime of the caller of
    /// [`Queries::run`](crate::Queries::run); it stops when it is dropped. Of a tenant whose events
    /// are not here it is [`QueryError::NotServed`], never empty.
    fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> SendableRecordBatchStream;

    /// Another number whenever an offset may have come to mean other events than before, as when a
    /// partition was held by another node in between.
    fn version(&self) -> u64 {
        0
    }
}

/// One event type of one tenant up to one offset: `events."<type>"`.
#[derive(Clone)]
pub(crate) struct EventRelation {
    pub(crate) history: Arc<dyn History>,
    pub(crate) tenant: Tenant,
    pub(crate) event_type: Arc<EventType>,
    pub(crate) up_to: u64,
}

impl fmt::Debug for EventRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventRelation({})", self.event_type.name())
    }
}

#[async_trait::async_trait]
impl TableProvider for EventRelation {
    fn schema(&self) -> SchemaRef {
        self.event_type.columns().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.event_type.columns().project(columns)?),
            None => self.event_type.columns().clone(),
        };
        let columns = Columns::new(&self.event_type, projection.map(Vec::as_slice));
        let (relation, columns) = (self.clone(), Arc::new(columns));
        let scan = EventScan { relation, columns, schema: schema.clone() };
        let parts: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(scan)];
        let plan = StreamingTableExec::try_new(schema, parts, None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// The scan of some columns of a relation.
#[derive(Debug)]
struct EventScan {
    relation: EventRelation,
    columns: Arc<Columns>,
    schema: SchemaRef,
}

impl PartitionStream for EventScan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let turn = context.session_config().get_extension::<Turn>();
        let batches = Within::new(turn.map(|turn| turn.caller().clone()), || {
            let Self { relation, columns, .. } = self;
            let columns = Some(columns.read().to_vec());
            relation.history.scan(relation.tenant, &relation.event_type, relation.up_to, columns)
        });
        let (columns, schema) = (self.columns.clone(), self.schema.clone());
        let fitted = batches.map(move |batch| columns.of(&batch.map_err(|e| unread(&e))?, &schema));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), fitted))
    }
}

/// Batches that are read inside the runtime of who asked, if there is one, on whatever thread: their
/// connections and timers belong to it and outlive the query.
struct Within {
    caller: Option<Handle>,
    /// None only while it is dropped.
    batches: Option<SendableRecordBatchStream>,
}

impl Within {
    fn new(caller: Option<Handle>, scan: impl FnOnce() -> SendableRecordBatchStream) -> Self {
        let entered = caller.as_ref().map(Handle::enter);
        let batches = Some(scan());
        drop(entered);
        Self { caller, batches }
    }
}

impl Stream for Within {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { caller, batches } = self.get_mut();
        let _entered = caller.as_ref().map(Handle::enter);
        match batches {
            Some(batches) => batches.poll_next_unpin(context),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let _entered = self.caller.as_ref().map(Handle::enter);
        self.batches = None;
    }
}

/// What cannot be read of history is no fault of the query. It is for the log, not for who asks: the
/// names of files tell of others.
fn unread(error: &DataFusionError) -> DataFusionError {
    let message = match error {
        DataFusionError::External(inner) => match inner.downcast_ref() {
            Some(QueryError::NotServed) => return QueryError::NotServed.into_datafusion(),
            Some(_) | None => inner.to_string(),
        },
        other => other.strip_backtrace(),
    };
    QueryError::Internal { message }.into_datafusion()
}
