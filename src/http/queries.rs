//! `POST /v1/query`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use stream::Problem;

use super::audit::Trace;
use super::caller::Caller;
use super::params::Params;
use super::{App, answers, body, problems};

/// The body of a query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
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
    trace.note("sql", question.sql.as_str());
    if !question.params.is_empty() {
        trace.note("params", question.params.clone());
    }
    answers::wait(&app, &caller, &mut params).await?;
    params.finish("wait_for, wait_ms and raw")?;
    let snapshot = app.snapshot(&caller)?;
    let answer = app
        .queries
        .run(snapshot, &question.sql, question.params)
        .await
        .map_err(|error| problems::query(&error))?;
    answers::completed(&app.shelf, answer, format, raw, &trace).await
}
