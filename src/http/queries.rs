//! `POST /v1/query`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use projections::encode::{ColumnType, column_types};
use query::Description;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stream::Problem;
use utoipa::ToSchema;

use super::answers::Waiting;
use super::audit::Trace;
use super::caller::Caller;
use super::params::Params;
use super::{App, answers, body, problems};

/// SQL of more bytes is long.
const LONG: usize = 16 << 10;

/// The body of a query.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// One statement that reads.
    sql: String,
    /// What `$1`, `$2` and so on are.
    #[serde(default)]
    params: Option<Vec<Value>>,
    /// Only what the statement takes and gives is asked for.
    #[serde(default)]
    describe: bool,
}

/// What a statement takes and gives.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementDescription)]
pub(super) struct Described {
    columns: Vec<DescribedColumn>,
    /// None where any type is taken.
    params: Vec<Option<DescribedType>>,
}

/// A column.
#[derive(Serialize, ToSchema)]
struct DescribedColumn {
    name: String,
    #[serde(flatten)]
    kind: DescribedType,
}

/// A type as answers state it, and as Arrow names it.
#[derive(Serialize, ToSchema)]
struct DescribedType {
    r#type: String,
    arrow: String,
}

impl DescribedType {
    fn of(column: ColumnType, data_type: &DataType) -> Self {
        Self { r#type: column.r#type, arrow: data_type.to_string() }
    }
}

impl Described {
    fn of(description: &Description) -> Self {
        let fields = description.schema.fields();
        let columns = column_types(&description.schema).into_iter().zip(fields);
        let columns = columns.map(|(column, field)| DescribedColumn {
            name: column.name.clone(),
            kind: DescribedType::of(column, field.data_type()),
        });
        let param = |known: &Option<DataType>| {
            let known = known.as_ref()?;
            let schema = Schema::new(vec![Field::new("", known.clone(), true)]);
            let column = column_types(&schema).into_iter().next()?;
            Some(DescribedType::of(column, known))
        };
        let params = description.params.iter().map(param).collect();
        Self { columns: columns.collect(), params }
    }
}

impl Question {
    fn note(&self, trace: &Trace) {
        trace.note("sql", self.sql.as_str());
        if let Some(params) = self.params.as_ref().filter(|params| !params.is_empty()) {
            trace.note("params", params.clone());
        }
    }
}

/// Has the question recorded. Of a long text it is the hash that is, which is computed behind the answers
/// of others.
async fn noted(app: &App, trace: &Trace, question: Question) -> Result<Question, Problem> {
    if question.sql.len() <= LONG {
        question.note(trace);
        return Ok(question);
    }
    let trace = trace.clone();
    let noting = app.background.spawn(async move {
        question.note(&trace);
        question
    });
    noting.await.map_err(|_| problems::internal())
}

/// Runs read-only SQL over the caller's views and history.
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    mut params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let format = answers::format(&headers)?;
    let raw = answers::raw(&mut params)?;
    let question: Question = body::json(&headers, body).await?;
    let question = noted(&app, &trace, question).await?;
    let waiting = Waiting::of(&caller, &mut params)?;
    params.finish("wait_for, wait_ms and raw")?;
    waiting.applied(&app).await?;
    if question.describe {
        trace.note("describe", true);
        return described(&app, &caller, &waiting, &question.sql).await;
    }
    let params = question.params.unwrap_or_default();
    let answer = loop {
        let snapshot = app.snapshot(&caller)?;
        match app.queries.run(snapshot, &question.sql, params.clone()).await {
            Ok(answer) => break answer,
            Err(error) => waiting.readable(&app, &caller, &error).await?,
        }
    };
    answers::completed(&app.shelf, answer, format, raw, &trace).await
}

/// What a statement takes and gives, and the position at which it does.
async fn described(
    app: &App,
    caller: &Caller,
    waiting: &Waiting,
    sql: &str,
) -> Result<Response, Problem> {
    loop {
        let snapshot = app.snapshot(caller)?;
        let position = snapshot.position().to_string();
        match app.queries.describe(snapshot, sql).await {
            Ok(description) => {
                let answer = Json(Described::of(&description)).into_response();
                return Ok(answers::at_position(answer, &position));
            }
            Err(error) => waiting.readable(app, caller, &error).await?,
        }
    }
}
