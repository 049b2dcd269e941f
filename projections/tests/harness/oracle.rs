//! DataFusion's own answer: the views' SQL over all events of one tenant, from scratch.
//!
//! Planning takes a hundred times as long as answering, so a view is planned once for each date
//! and its plan is then executed over relations that hold other events each time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::NaiveDate;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use projections::events::EventTypes;
use projections::sql::dialect;
use projections::{EventType, ViewDefinition, clock};
use tokio::runtime::Runtime;

use super::history::{Fact, relation};
use super::unordered::ForgetOrder;

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

/// An answer, or DataFusion's refusal to plan or to compute it.
pub(crate) type Outcome = std::result::Result<Answer, String>;

/// Asks DataFusion about some views.
pub(crate) struct Oracle {
    runtime: Runtime,
    session: SessionContext,
    views: Vec<ViewDefinition>,
    events: Vec<(Arc<EventType>, Arc<Relation>)>,
    answers: RefCell<HashMap<String, Arc<Relation>>>,
    plans: RefCell<HashMap<(String, Option<NaiveDate>), Planned>>,
    date: Arc<RwLock<Option<NaiveDate>>>,
    /// Whether `current_date` reads `date` when a plan runs.
    variable_date: bool,
}

impl Oracle {
    /// Ready for questions about `views` over the built-in events; each view may read those
    /// before it.
    pub(crate) fn new(views: Vec<ViewDefinition>) -> Self {
        Self::over(&EventTypes::builtin(), views)
    }

    /// Ready for questions about `views` over events of `types`.
    pub(crate) fn over(types: &EventTypes, views: Vec<ViewDefinition>) -> Self {
        Self::within(dialect::session(), types, views)
    }

    /// The same over the built-in events, with `current_date` as a function that is asked when a
    /// plan runs: one plan for all dates, and a second reading of what the date means.
    pub(crate) fn by_variable_date(views: Vec<ViewDefinition>) -> Self {
        let oracle = Self::new(views);
        oracle.session.register_udf(ScalarUDF::from(Date {
            today: oracle.date.clone(),
            signature: Signature::exact(Vec::new(), Volatility::Volatile),
        }));
        Self { variable_date: true, ..oracle }
    }

    /// The same, through as few of DataFusion's rewrites as it can plan with, and without what it
    /// claims of columns in which nulls are put: a second opinion.
    pub(crate) fn plain(types: &EventTypes, views: Vec<ViewDefinition>) -> Self {
        const NEEDED: [&str; 7] = [
            "decorrelate_predicate_subquery",
            "decorrelate_lateral_join",
            "scalar_subquery_to_join",
            "replace_distinct_aggregate",
            "rewrite_set_comparison",
            "extract_equijoin_predicate",
            // Some functions exist only as what they are simplified to.
            "simplify_expressions",
        ];
        let rules = Optimizer::new().rules;
        let kept = rules.into_iter().filter(|rule| NEEDED.contains(&rule.name())).collect();
        let mut physical = PhysicalOptimizer::new().rules;
        physical.insert(0, Arc::new(ForgetOrder));
        let state = SessionStateBuilder::new_from_existing(dialect::session().state())
            .with_optimizer_rules(kept)
            .with_physical_optimizer_rules(physical)
            .build();
        Self::within(SessionContext::new_with_state(state), types, views)
    }

    fn within(session: SessionContext, types: &EventTypes, views: Vec<ViewDefinition>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let catalog = session.catalog("datafusion").unwrap();
        catalog.register_schema("events", Arc::new(MemorySchemaProvider::new())).unwrap();
        let events = types
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
            date: Arc::default(),
            variable_date: false,
        }
    }

    /// The answers for a tenant with these events on this date.
    pub(crate) fn answers(
        &self,
        facts: &[&Fact],
        today: Option<NaiveDate>,
    ) -> HashMap<String, Answer> {
        let unwrapped = |(name, outcome): (String, Outcome)| match outcome {
            Ok(answer) => (name, answer),
            Err(error) => panic!("{name}: {error}"),
        };
        self.outcomes(facts, today).into_iter().map(unwrapped).collect()
    }

    /// What DataFusion answers, or why it does not; what reads a view that has no answer has none
    /// either.
    pub(crate) fn outcomes(
        &self,
        facts: &[&Fact],
        today: Option<NaiveDate>,
    ) -> HashMap<String, Outcome> {
        for (kind, rows) in &self.events {
            let of_kind: Vec<&Fact> =
                facts.iter().copied().filter(|f| f.kind.name() == kind.name()).collect();
            rows.set(vec![relation(kind, &of_kind)]);
        }
        *self.date.write().unwrap_or_else(PoisonError::into_inner) = today;
        let mut outcomes: HashMap<String, Outcome> = HashMap::new();
        for view in &self.views {
            let broken = self.views.iter().map(|v| &v.name).find(|name| {
                view.sql.contains(name.as_str()) && matches!(outcomes.get(*name), Some(Err(_)))
            });
            let outcome = match broken {
                Some(name) => Err(format!("'{name}' has no answer")),
                // DataFusion panics at times, which is no answer either.
                None => {
                    catch_unwind(AssertUnwindSafe(|| self.runtime.block_on(self.ask(view, today))))
                        .map_err(|_| "DataFusion panicked".to_owned())
                        .and_then(|answer| answer.map_err(|error| error.strip_backtrace()))
                }
            };
            outcomes.insert(view.name.clone(), outcome);
        }
        outcomes
    }

    async fn ask(&self, view: &ViewDefinition, today: Option<NaiveDate>) -> Result<Answer> {
        let (schema, plan) = self.planned(view, today).await?;
        let batches = collect(reset_plan_states(plan)?, self.session.task_ctx())
            .await?
            .into_iter()
            .map(|batch| as_planned(&schema, &batch))
            .collect::<Result<Vec<_>>>()?;
        if let Some(relation) = self.answers.borrow().get(&view.name) {
            relation.set(batches.clone());
        }
        Ok(Answer { schema, batches })
    }

    async fn planned(&self, view: &ViewDefinition, today: Option<NaiveDate>) -> Result<Planned> {
        // One plan for all dates is enough where none is read.
        let dated = CLOCK.iter().any(|function| view.sql.contains(function));
        let at = (view.name.clone(), today.filter(|_| dated && !self.variable_date));
        if let Some(planned) = self.plans.borrow().get(&at) {
            return Ok(planned.clone());
        }
        let (state, plan) = self.session.sql(&view.sql).await?.into_parts();
        let plan = if self.variable_date { plan } else { clock::pin(plan, today)? };
        let pinned = DataFrame::new(state, plan);
        // Only once it is analyzed do both sides of a UNION have one type.
        let plan = pinned.create_physical_plan().await?;
        let schema = nullable(plan.schema().as_ref());
        let planned = (schema.clone(), plan);
        self.plans.borrow_mut().insert(at, planned.clone());
        self.answers
            .borrow_mut()
            .entry(view.name.clone())
            .or_insert_with(|| register(&self.session, &view.name, schema));
        Ok(planned)
    }
}

/// What may read the date.
const CLOCK: [&str; 4] = ["current_date", "today(", "now(", "current_timestamp"];

/// The rows with the types that the plan says; what comes out is at times of a near one.
fn as_planned(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let typed = |(column, field): (&ArrayRef, &Arc<Field>)| cast(column, field.data_type());
    let columns = batch.columns().iter().zip(schema.fields()).map(typed);
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<std::result::Result<_, _>>()?)?)
}

/// `current_date` of the tenant that is asked about.
#[derive(Debug)]
struct Date {
    today: Arc<RwLock<Option<NaiveDate>>>,
    signature: Signature,
}

impl PartialEq for Date {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.today, &other.today)
    }
}

impl Eq for Date {}

impl Hash for Date {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Date {
    fn name(&self) -> &'static str {
        "current_date"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let today = *self.today.read().unwrap_or_else(PoisonError::into_inner);
        Ok(ColumnarValue::Scalar(ScalarValue::Date32(today.map(clock::epoch_days))))
    }
}

fn register(session: &SessionContext, name: &str, schema: SchemaRef) -> Arc<Relation> {
    let relation = Arc::new(Relation { schema: schema.clone(), rows: RwLock::default() });
    let table = StreamingTable::try_new(schema, vec![Arc::new(Rows(relation.clone()))]).unwrap();
    session.register_table(name, Arc::new(table)).unwrap();
    relation
}
