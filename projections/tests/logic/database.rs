//! The engine as a database that sqllogictest drives.
//!
//! - `CREATE TABLE events."shop.sold" (item TEXT NOT NULL, price DECIMAL, …)` registers an event
//!   type; the types are `TEXT`, `DECIMAL`, `DATE`, `TIMESTAMP`, `INT` and `BOOL`. The built-in
//!   types are there.
//! - `CREATE VIEW name AS SELECT …` defines a view; one defined later is filled from history.
//! - `INSERT INTO events."shop.sold" (item, …) VALUES …` feeds events. Without `event_id` they are
//!   `e1`, `e2`, … in the order of the file, without `occurred_at` a minute apart, from
//!   2025-01-01 on.
//! - `SET today = '2025-03-01'` changes the tenant's date, `SET tenant = 2` the tenant that the
//!   statements after it speak of; the first is 1.
//! - Everything else is a query over the views, as the tenant's snapshot holds them.
//!
//! `onlyif engine` marks what is asked of the engine alone and not of `DataFusion` as well.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field as ArrowField, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use chrono::NaiveDate;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use projections::events::{Field, FieldType};
use projections::sql::dialect;
use projections::{EventBatch, EventType, EventTypes, Input, Tenant, Tick, ViewDefinition, clock};

use crate::checkpointed::Checkpointed;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

/// How the steps of a file reach the views.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    /// Each statement as a batch of its own.
    StepByStep,
    /// Everything since the last query in one batch.
    InOneBatch,
    /// Event by event, those since the last query from the last to the first.
    Backwards,
    /// Each statement in a batch with the same of other tenants.
    AmongOthers,
    /// Event by event, while checkpoints are made and the views put together again from them.
    Restored,
    /// Not at all: `DataFusion` answers from scratch.
    AskedOfDataFusion,
}

/// A statement that failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

#[derive(Clone)]
enum Step {
    Events { tenant: u32, kind: Arc<EventType>, rows: RecordBatch },
    Tick(Tick),
}

pub(crate) struct Database {
    how: How,
    types: EventTypes,
    views: Vec<ViewDefinition>,
    /// All steps so far, and how many of them the partition has taken.
    steps: Vec<Step>,
    applied: usize,
    checkpointed: Checkpointed,
    tenant: u32,
    events: usize,
}

impl Database {
    pub(crate) fn new(how: How) -> Self {
        let types = EventTypes::builtin();
        Self {
            how,
            checkpointed: Checkpointed::new(&types, Vec::new(), 0).unwrap(),
            types,
            views: Vec::new(),
            steps: Vec::new(),
            applied: 0,
            tenant: 1,
            events: 0,
        }
    }

    async fn statement(&mut self, sql: &str) -> Result<(), Failure> {
        if let Some(rest) = sql.strip_prefix("CREATE TABLE events.\"") {
            let (name, columns) = rest.split_once('"').unwrap();
            self.types = self.types.clone().with(event_type(name, columns)?);
            self.checkpointed = self.fresh(self.views.clone())?;
            self.applied = 0;
        } else if let Some(rest) = sql.strip_prefix("CREATE VIEW ") {
            let (name, query) = rest.split_once(" AS").unwrap();
            let mut views = self.views.clone();
            views.push(ViewDefinition::parse(name.trim(), query.trim()));
            self.checkpointed = self.fresh(views.clone())?;
            (self.views, self.applied) = (views, 0);
        } else if let Some(rest) = sql.strip_prefix("SET today = ") {
            let today: NaiveDate = rest.trim_matches('\'').parse().map_err(failure)?;
            self.steps.push(Step::Tick(Tick { tenant: Tenant(self.tenant), today }));
        } else if let Some(rest) = sql.strip_prefix("SET tenant = ") {
            self.tenant = rest.parse().map_err(failure)?;
        } else {
            let rest = sql.strip_prefix("INSERT INTO events.\"").unwrap();
            let step = self.insert(rest).await?;
            self.steps.push(step);
        }
        if matches!(self.how, How::StepByStep | How::AmongOthers | How::Restored) {
            self.apply();
        }
        Ok(())
    }

    /// The events of `shop.sold" (columns) VALUES …`.
    async fn insert(&mut self, sql: &str) -> Result<Step, Failure> {
        let (name, rest) = sql.split_once('"').unwrap();
        let (columns, values) = rest.split_once("VALUES").unwrap();
        let kind = self.types.get(name).cloned();
        let kind = kind.ok_or_else(|| failure(format!("there is no event type '{name}'")))?;
        let columns: Vec<&str> =
            columns.trim().trim_matches(['(', ')']).split(',').map(str::trim).collect();
        let schema = kind.relation();
        let cast = |(i, name): (usize, &&str)| {
            let field = schema.field_with_name(name).map_err(failure)?;
            Ok(format!("arrow_cast(column{}, '{}') AS {name}", i + 1, field.data_type()))
        };
        let casts: Vec<String> =
            columns.iter().enumerate().map(cast).collect::<Result<_, Failure>>()?;
        let query = format!("SELECT {} FROM (VALUES {values})", casts.join(", "));
        let given = collected(&session(), &query).await?;
        let (first, count) = (self.events, given.num_rows());
        self.events += count;
        let column = |field: &Arc<ArrowField>| -> ArrayRef {
            match (given.column_by_name(field.name()), field.name().as_str()) {
                (Some(column), _) => column.clone(),
                (None, "event_id") => Arc::new(StringArray::from_iter_values(
                    (0..count).map(|i| format!("e{}", first + i + 1)),
                )),
                (None, "occurred_at") => Arc::new(
                    TimestampMicrosecondArray::from_iter_values(
                        (0..count).map(|i| START + (first + i) as i64 * 60_000_000),
                    )
                    .with_timezone("UTC"),
                ),
                (None, _) => new_null_array(field.data_type(), count),
            }
        };
        let columns = schema.fields().iter().map(column).collect();
        let rows = RecordBatch::try_new(schema.clone(), columns).map_err(failure)?;
        Ok(Step::Events { tenant: self.tenant, kind, rows })
    }

    /// A partition without events.
    fn fresh(&self, views: Vec<ViewDefinition>) -> Result<Checkpointed, Failure> {
        let restores = if self.how == How::Restored { 3 } else { 0 };
        Checkpointed::new(&self.types, views, restores).map_err(failure)
    }

    /// Gives the partition the steps it has not had.
    fn apply(&mut self) {
        let steps = self.steps[self.applied..].to_vec();
        self.applied = self.steps.len();
        let inputs: Vec<Vec<Step>> = match self.how {
            How::StepByStep => steps.into_iter().map(|step| vec![step]).collect(),
            How::InOneBatch => vec![steps],
            How::Backwards => backwards(steps),
            How::Restored => steps.into_iter().flat_map(|step| backwards(vec![step])).collect(),
            How::AmongOthers => {
                steps.iter().map(|step| [0, 100, 200].map(|by| moved(step, by)).to_vec()).collect()
            }
            How::AskedOfDataFusion => Vec::new(),
        };
        for steps in inputs {
            self.checkpointed.apply(input(&steps));
        }
    }

    async fn query(&mut self, sql: &str) -> Result<RecordBatch, Failure> {
        self.apply();
        let answers = match self.how {
            How::AskedOfDataFusion => {
                let (session, today) = self.history();
                asked(self.views.clone(), session, today).await
            }
            _ => self.held(),
        };
        let session = session();
        for (name, answer) in answers {
            match answer {
                Ok(rows) => register(&session, &name, rows)?,
                Err(failure) if sql.contains(&name) => return Err(failure),
                Err(_) => {}
            }
        }
        collected(&session, sql).await
    }

    /// What the tenant's snapshot holds.
    fn held(&self) -> Answers {
        let snapshot = self.checkpointed.partition.readers().snapshot(Tenant(self.tenant));
        let held = |view: &ViewDefinition| {
            let held = snapshot.view(&view.name).unwrap();
            let rows = match held.failure() {
                Some(error) => Err(failure(error)),
                None => {
                    concat_batches(held.view().schema(), &held.batches().unwrap()).map_err(failure)
                }
            };
            (view.name.clone(), rows)
        };
        self.views.iter().map(held).collect()
    }

    /// A session over the tenant's events, and its date.
    fn history(&self) -> (SessionContext, Option<NaiveDate>) {
        let session = session();
        let (mut today, mut events) = (None, HashMap::<&str, Vec<RecordBatch>>::new());
        for step in &self.steps {
            match step {
                Step::Events { tenant, kind, rows } if *tenant == self.tenant => {
                    events.entry(kind.name()).or_default().push(rows.clone());
                }
                Step::Tick(tick) if tick.tenant.0 == self.tenant => today = Some(tick.today),
                _ => {}
            }
        }
        for kind in self.types.iter() {
            let rows = events.remove(kind.name()).unwrap_or_default();
            let rows = concat_batches(kind.relation(), &rows).unwrap();
            register(&session, &format!("events.\"{}\"", kind.name()), rows).unwrap();
        }
        (session, today)
    }
}

type Answers = HashMap<String, Result<RecordBatch, Failure>>;

/// What `DataFusion` says of the views, each of which may read those before it.
async fn asked(
    views: Vec<ViewDefinition>,
    session: SessionContext,
    today: Option<NaiveDate>,
) -> Answers {
    let mut answers = Answers::new();
    for view in views {
        let answer = answered(&session, &view.sql, today).await;
        if let Ok(rows) = &answer {
            register(&session, &view.name, rows.clone()).unwrap();
        }
        answers.insert(view.name, answer);
    }
    answers
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let sql = sql.trim();
        let words = ["CREATE ", "INSERT ", "SET "];
        if words.iter().any(|word| sql.starts_with(word)) {
            self.statement(sql).await?;
            return Ok(DBOutput::StatementComplete(0));
        }
        let rows = self.query(sql).await?;
        let types = vec![DefaultColumnType::Any; rows.num_columns()];
        Ok(DBOutput::Rows { types, rows: texts(&rows) })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        if self.how == How::AskedOfDataFusion { "datafusion" } else { "engine" }
    }
}

/// 2025-01-01, in microseconds.
const START: i64 = 1_735_689_600_000_000;

/// The type of `name` with the columns `(a TEXT NOT NULL, b INT, …)`.
fn event_type(name: &str, columns: &str) -> Result<EventType, Failure> {
    let columns = columns.trim().trim_start_matches('(').trim_end_matches(')');
    let field = |column: &str| {
        let (name, rest) = column.trim().split_once(' ').unwrap();
        let (kind, optional) = match rest.strip_suffix(" NOT NULL") {
            Some(kind) => (kind, false),
            None => (rest, true),
        };
        let kind = match kind {
            "TEXT" => FieldType::Text,
            "DECIMAL" => FieldType::Decimal,
            "DATE" => FieldType::Date,
            "TIMESTAMP" => FieldType::Timestamp,
            "INT" => FieldType::Int,
            "BOOL" => FieldType::Bool,
            other => return Err(failure(format!("there is no field type {other}"))),
        };
        Ok(Field { name: name.to_owned(), kind, optional })
    };
    Ok(EventType::new(name, columns.split(',').map(field).collect::<Result<_, Failure>>()?))
}

fn session() -> SessionContext {
    let session = dialect::session();
    let catalog = session.catalog("datafusion").unwrap();
    catalog.register_schema("events", Arc::new(MemorySchemaProvider::new())).unwrap();
    session
}

fn register(session: &SessionContext, name: &str, rows: RecordBatch) -> Result<(), Failure> {
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(failure)?;
    session.register_table(name, Arc::new(table)).map_err(failure)?;
    Ok(())
}

/// The answer to a query on a date.
async fn answered(
    session: &SessionContext,
    sql: &str,
    today: Option<NaiveDate>,
) -> Result<RecordBatch, Failure> {
    let (state, plan) = session.sql(sql).await.map_err(failure)?.into_parts();
    gathered(DataFrame::new(state, clock::pin(plan, today).map_err(failure)?)).await
}

async fn collected(session: &SessionContext, sql: &str) -> Result<RecordBatch, Failure> {
    gathered(session.sql(sql).await.map_err(failure)?).await
}

/// All rows as one batch; its columns may be null, whatever the plan says.
async fn gathered(frame: DataFrame) -> Result<RecordBatch, Failure> {
    let fields = frame.schema().as_arrow().fields().clone();
    let fields: Vec<_> = fields.iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batches = frame.collect().await.map_err(failure)?;
    let batches: Vec<RecordBatch> = batches
        .into_iter()
        .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()))
        .collect::<Result<_, _>>()
        .map_err(failure)?;
    concat_batches(&schema, &batches).map_err(failure)
}

fn texts(rows: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<_> =
        rows.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    let text = |column: &ArrayFormatter<'_>, row: usize| {
        let text = column.value(row).to_string();
        if text.is_empty() { "(empty)".to_owned() } else { text }
    };
    (0..rows.num_rows()).map(|row| columns.iter().map(|c| text(c, row)).collect()).collect()
}

/// The step for a tenant whose number is so much higher.
fn moved(step: &Step, by: u32) -> Step {
    let mut step = step.clone();
    match &mut step {
        Step::Events { tenant, .. } => *tenant += by,
        Step::Tick(tick) => tick.tenant.0 += by,
    }
    step
}

/// Each event alone, the last first; then the dates, of which the last counts.
fn backwards(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let (events, ticks): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| matches!(step, Step::Events { .. }));
    let single = |step: &Step| -> Vec<Step> {
        let Step::Events { tenant, kind, rows } = step else { return Vec::new() };
        let row =
            |i: usize| Step::Events { tenant: *tenant, kind: kind.clone(), rows: rows.slice(i, 1) };
        (0..rows.num_rows()).rev().map(row).collect()
    };
    events.iter().rev().flat_map(single).chain(ticks).map(|step| vec![step]).collect()
}

/// The steps as one input, the events of a type in one batch with the tenants' rows in turn.
fn input(steps: &[Step]) -> Input {
    let mut input = Input::default();
    let mut kinds: Vec<&Arc<EventType>> = Vec::new();
    for step in steps {
        match step {
            Step::Events { kind, .. } => {
                if !kinds.iter().any(|k| k.name() == kind.name()) {
                    kinds.push(kind);
                }
            }
            Step::Tick(tick) => input.ticks.push(*tick),
        }
    }
    for kind in kinds {
        let mut rows: Vec<(usize, u32, RecordBatch)> = Vec::new();
        for step in steps {
            if let Step::Events { tenant, kind: of, rows: batch } = step
                && of.name() == kind.name()
            {
                rows.extend((0..batch.num_rows()).map(|i| (i, *tenant, batch.slice(i, 1))));
            }
        }
        rows.sort_by_key(|(i, ..)| *i);
        let batches: Vec<RecordBatch> = rows.iter().map(|(.., row)| row.clone()).collect();
        input.events.push(EventBatch {
            event_type: kind.clone(),
            tenants: rows.iter().map(|(_, tenant, _)| Some(*tenant)).collect::<UInt32Array>(),
            rows: concat_batches(kind.relation(), &batches).unwrap(),
            extra: None,
        });
    }
    input
}
