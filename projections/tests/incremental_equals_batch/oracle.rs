//! DataFusion's own answer: the views' SQL over all events of one tenant, from scratch.
//!
//! Planning takes a hundred times as long as answering, so a view is planned once for each date
//! and its plan is then executed over relations that hold other events each time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::NaiveDate;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use projections::events::EventTypes;
use projections::{EventType, ViewDefinition, clock, exact_sum};
use tokio::runtime::Runtime;

use crate::history::{Fact, relation};

/// All rows of a view.
pub(crate) struct Answer {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Answer {
    pub(crate) fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.batches.iter().flat_map(rows).collect();
        rows.sort_unstable();
        rows
    }
}

/// The rows as text, `a | b | c`.
pub(crate) fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let formatters: Vec<_> =
        batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    let row = |row: usize| {
        let values: Vec<String> = formatters.iter().map(|f| f.value(row).to_string()).collect();
        values.join(" | ")
    };
    (0..batch.num_rows()).map(row).collect()
}

/// A relation whose rows are put in anew for each question.
#[derive(Debug)]
struct Relation {
    schema: SchemaRef,
    rows: RwLock<Vec<RecordBatch>>,
}

impl Relation {
    fn set(&self, rows: Vec<RecordBatch>) {
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = rows;
    }
}

/// The relation as DataFusion reads it.
#[derive(Debug)]
struct Rows(Arc<Relation>);

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.0.rows.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(MemoryStream::try_new(rows, self.0.schema.clone(), None).unwrap())
    }
}

/// A plan may promise more about nulls than its operators say of their batches.
fn nullable(schema: &Schema) -> SchemaRef {
    let field = |f: &Arc<Field>| f.as_ref().clone().with_nullable(true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// A view planned for one date, ready to run.
type Planned = (SchemaRef, Arc<dyn ExecutionPlan>);

/// Asks DataFusion about some views.
pub(crate) struct Oracle {
    runtime: Runtime,
    session: SessionContext,
    views: Vec<ViewDefinition>,
    events: Vec<(Arc<EventType>, Arc<Relation>)>,
    answers: RefCell<HashMap<String, Arc<Relation>>>,
    plans: RefCell<HashMap<(String, Option<NaiveDate>), Planned>>,
}

impl Oracle {
    /// Ready for questions about `views`, each of which may read those before it.
    pub(crate) fn new(views: Vec<ViewDefinition>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let config = SessionConfig::new().with_target_partitions(1);
        let session = SessionContext::new_with_config(config);
        let catalog = session.catalog("datafusion").unwrap();
        catalog.register_schema("events", Arc::new(MemorySchemaProvider::new())).unwrap();
        let events = EventTypes::builtin()
            .iter()
            .map(|kind| {
                let name = format!("events.\"{}\"", kind.name());
                (kind.clone(), register(&session, &name, kind.relation().clone()))
            })
            .collect();
        Self {
            runtime,
            session,
            views,
            events,
            answers: RefCell::default(),
            plans: RefCell::default(),
        }
    }

    /// The same with the `sum` that views have, for amounts at which DataFusion's own wraps.
    pub(crate) fn with_exact_sums(views: Vec<ViewDefinition>) -> Self {
        let oracle = Self::new(views);
        oracle.session.register_udaf(exact_sum().as_ref().clone());
        oracle
    }

    /// The answers for a tenant with these events on this date.
    pub(crate) fn answers(
        &self,
        facts: &[&Fact],
        today: Option<NaiveDate>,
    ) -> HashMap<String, Answer> {
        self.runtime.block_on(self.ask(facts, today)).unwrap()
    }

    async fn ask(
        &self,
        facts: &[&Fact],
        today: Option<NaiveDate>,
    ) -> Result<HashMap<String, Answer>> {
        for (kind, rows) in &self.events {
            let of_kind: Vec<&Fact> =
                facts.iter().copied().filter(|f| f.kind.name() == kind.name()).collect();
            rows.set(vec![relation(kind, &of_kind)]);
        }
        let mut answers = HashMap::new();
        for view in &self.views {
            let (schema, plan) = self.planned(view, today).await?;
            let batches = collect(reset_plan_states(plan)?, self.session.task_ctx())
                .await?
                .into_iter()
                .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            if let Some(relation) = self.answers.borrow().get(&view.name) {
                relation.set(batches.clone());
            }
            answers.insert(view.name.clone(), Answer { schema, batches });
        }
        Ok(answers)
    }

    async fn planned(&self, view: &ViewDefinition, today: Option<NaiveDate>) -> Result<Planned> {
        let at = (view.name.clone(), today);
        if let Some(planned) = self.plans.borrow().get(&at) {
            return Ok(planned.clone());
        }
        let (state, plan) = self.session.sql(&view.sql).await?.into_parts();
        let pinned = DataFrame::new(state, clock::pin(plan, today)?);
        let schema = nullable(pinned.schema().as_arrow());
        let planned = (schema.clone(), pinned.create_physical_plan().await?);
        self.plans.borrow_mut().insert(at, planned.clone());
        self.answers
            .borrow_mut()
            .entry(view.name.clone())
            .or_insert_with(|| register(&self.session, &view.name, schema));
        Ok(planned)
    }
}

fn register(session: &SessionContext, name: &str, schema: SchemaRef) -> Arc<Relation> {
    let relation = Arc::new(Relation { schema: schema.clone(), rows: RwLock::default() });
    let table = StreamingTable::try_new(schema, vec![Arc::new(Rows(relation.clone()))]).unwrap();
    session.register_table(name, Arc::new(table)).unwrap();
    relation
}
