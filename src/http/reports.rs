//! `/v1/reports`, their runs, and `/v1/exports/{run}`.

mod download;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stream::Problem;
use utoipa::ToSchema;

use super::audit::Trace;
use super::caller::Caller;
use super::params::{Name, Params};
use super::stored::{Meant, if_match, located, tagged};
use super::{App, body, problems};
use crate::reports::definition::Definition;
use crate::reports::told::TOLD;
use crate::reports::{Report, Run, Target};

pub(super) use self::download::download;
pub(super) use crate::reports::told::{ShownReport, ShownRun};

/// Runs of a page, unless it says, and at most.
pub(super) const PAGE: u32 = 50;
pub(super) const PAGE_MOST: u32 = 500;

/// The reports of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Reports)]
pub(super) struct Listed {
    reports: Vec<ShownReport>,
}

/// A run that waits for its turn.
#[derive(Serialize, ToSchema)]
#[schema(as = QueuedRun)]
pub(super) struct Queued {
    run_id: String,
}

/// Runs of a report.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportRuns)]
pub(super) struct Runs {
    runs: Vec<ShownRun>,
    /// For `after`; null on the last page.
    next: Option<String>,
}

/// The reports of the caller's tenant.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    let reports = app.reports.list(caller.tenant.number).await;
    let reports = reports.map_err(|error| problems::report(&error))?;
    Ok(Json(Listed { reports: reports.iter().map(ShownReport::listed).collect() }))
}

/// Makes a report.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let definition: Definition = body::definition(&headers, body, &TOLD).await?;
    note(&trace, &definition);
    let made = app.reports.create(&caller.tenant, &caller.identity, definition).await;
    let report = made.map_err(|error| problems::report(&error))?;
    Ok(located(shown(StatusCode::CREATED, &report), &format!("/v1/reports/{}", report.id)))
}

/// A report.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<Response, Problem> {
    params.finish("")?;
    let report = app.reports.get(caller.tenant.number, &id).await;
    let report = report.map_err(|error| problems::report(&error))?;
    Ok(shown(StatusCode::OK, &report))
}

/// Puts another definition in a report's place.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Name(id): Name,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let definition: Definition = body::definition(&headers, body, &TOLD).await?;
    note(&trace, &definition);
    // Nobody who may not know of it learns what it has to say.
    let known = app.reports.get(caller.tenant.number, &id).await;
    known.map_err(|error| problems::report(&error))?;
    let version = if_match(&headers)?.ok_or_else(problems::no_if_match)?.version();
    let replaced =
        app.reports.replace(&caller.tenant, &caller.identity, &id, version, definition).await;
    let report = replaced.map_err(|error| problems::report(&error))?;
    Ok(shown(StatusCode::OK, &report))
}

/// Deletes a report.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    params.finish("")?;
    let version = if_match(&headers)?.and_then(Meant::version);
    let deleted = app.reports.delete(caller.tenant.number, &id, version).await;
    deleted.map_err(|error| problems::report(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a run may say.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRun)]
pub(super) struct RunBody {
    /// Values of the report's parameters; of those that are left out, their defaults.
    #[serde(default)]
    params: Map<String, Value>,
    /// The day or position it is made at, in words; now unless it says.
    as_of: Option<String>,
}

/// Queues a run.
pub(super) async fn run(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Name(id): Name,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let is_empty = body.size_hint().exact() == Some(0);
    let asked: RunBody =
        if is_empty { RunBody::default() } else { body::json(&headers, body).await? };
    if !asked.params.is_empty() {
        trace.note("params", asked.params.clone());
    }
    let queued =
        app.reports.run(&caller.tenant, &caller.identity, &id, asked.params, asked.as_of).await;
    let run = queued.map_err(|error| problems::report(&error))?;
    let at = format!("/v1/reports/{id}/runs/{run}");
    Ok(located((StatusCode::ACCEPTED, Json(Queued { run_id: run })).into_response(), &at))
}

/// The runs of a report, the newest first.
pub(super) async fn runs(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    mut params: Params,
) -> Result<Json<Runs>, Problem> {
    let most = params.limit(PAGE_MOST)?.unwrap_or(PAGE);
    let after = params.one("after")?;
    params.finish("limit and after")?;
    let tenant = caller.tenant.number;
    let known = app.reports.version(tenant, &id).await;
    known.map_err(|error| problems::report(&error))?;
    let runs = app.reports.runs(tenant, &id, after.as_deref(), most).await;
    let runs = runs.map_err(|error| problems::report(&error))?;
    let is_page = runs.len() == most as usize;
    let next = runs.last().filter(|_| is_page).map(|run| run.stored.id.clone());
    Ok(Json(Runs { runs: runs.iter().map(ShownRun::of).collect(), next }))
}

/// How far a run has come.
pub(super) async fn read_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, run)): Path<(String, String)>,
    params: Params,
) -> Result<Json<ShownRun>, Problem> {
    params.finish("")?;
    let run = of_report(&app, &caller, &id, &run).await?;
    Ok(Json(ShownRun::of(&run)))
}

/// Calls a run off.
pub(super) async fn cancel_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, run)): Path<(String, String)>,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.finish("")?;
    let run = of_report(&app, &caller, &id, &run).await?;
    let called_off = app.reports.cancel(caller.tenant.number, &run.stored.id).await;
    called_off.map_err(|error| problems::report(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn of_report(app: &App, caller: &Caller, id: &str, run: &str) -> Result<Run, Problem> {
    let known = app.reports.version(caller.tenant.number, id).await;
    known.map_err(|error| problems::report(&error))?;
    let found = app.reports.run_of(caller.tenant.number, run).await;
    let found = found.map_err(|error| problems::report(&error))?;
    if found.stored.report_id == id {
        return Ok(found);
    }
    Err(problems::report(&crate::reports::ReportError::UnknownRun(run.chars().take(40).collect())))
}

/// What of a definition stands in the audit.
fn note(trace: &Trace, definition: &Definition) {
    trace.note("name", definition.name.as_str());
    if let Some(sql) = &definition.sql {
        trace.note("sql", sql.as_str());
    }
    if let Some(view) = &definition.view {
        trace.note("view", view.as_str());
    }
    let deliver: Vec<Value> = definition.deliver.iter().map(Target::shown).collect();
    if !deliver.is_empty() {
        trace.note("deliver", deliver);
    }
}

fn shown(status: StatusCode, report: &Report) -> Response {
    tagged(status, report.version, ShownReport::of(report))
}
