//! `/v1/dashboards` and their versions.

mod shown;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stream::Problem;
use tenancy::dashboards::document::Document;
use tenancy::dashboards::{Dashboard, DashboardError, NewDashboard};
use utoipa::ToSchema;

use self::shown::TOLD;
pub(super) use self::shown::{Shown, ShownHead, ShownVersion, WholeVersion};
use super::audit::Trace;
use super::caller::Caller;
use super::params::{Name, Params};
use super::stored::{Meant, if_match, located, matches_tag, tag, tagged};
use super::{App, body, problems};

/// The dashboards of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Dashboards)]
pub(super) struct Listed {
    dashboards: Vec<ShownHead>,
}

/// The versions of a dashboard.
#[derive(Serialize, ToSchema)]
#[schema(as = DashboardVersions)]
pub(super) struct Versions {
    versions: Vec<ShownVersion>,
}

/// What a dashboard is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDashboard)]
pub(super) struct New {
    /// Its name for people: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What is on it.
    #[schema(value_type = Document)]
    document: Value,
}

/// Reads what is to be stored.
async fn sent(headers: &HeaderMap, body: Body, trace: &Trace) -> Result<NewDashboard, Problem> {
    let New { name, document } = body::definition(headers, body, &TOLD).await?;
    trace.note("name", name.as_str());
    Ok(NewDashboard { name, document })
}

/// The dashboards of the caller's tenant.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    let heads = app.dashboards.list(caller.tenant.number).await;
    let heads = heads.map_err(|error| problems::dashboard(&error))?;
    Ok(Json(Listed { dashboards: heads.iter().map(ShownHead::of).collect() }))
}

/// Makes a dashboard.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let new = sent(&headers, body, &trace).await?;
    let made = app.dashboards.create(caller.tenant.number, &caller.identity.subject, new).await;
    let made = made.map_err(|error| problems::dashboard(&error))?;
    trace.note("dashboard", made.head.id.as_str());
    Ok(located(whole(StatusCode::CREATED, &made), &format!("/v1/dashboards/{}", made.head.id)))
}

/// A dashboard, unless the caller has it as it is.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    params.finish("")?;
    let dashboard = known(&app, &caller, &id).await?;
    let tag = tag(dashboard.head.version);
    if matches_tag(&headers, &IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(whole(StatusCode::OK, &dashboard))
}

/// Puts another name and document in a dashboard's place.
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
    let new = sent(&headers, body, &trace).await?;
    // Nobody who may not know of it learns what it has to say.
    known(&app, &caller, &id).await?;
    let expected = if_match(&headers)?.ok_or_else(problems::no_if_match)?.version();
    let (tenant, by) = (caller.tenant.number, &caller.identity.subject);
    changed(&trace, app.dashboards.replace(tenant, &id, expected, by, new).await)
}

/// Deletes a dashboard and its versions.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Name(id): Name,
    params: Params,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    params.finish("")?;
    // All that stays of it is the record that it was there.
    let known = known(&app, &caller, &id).await?;
    trace.note("name", known.head.name);
    trace.note("version", known.head.version);
    let expected = if_match(&headers)?.and_then(Meant::version);
    let deleted = app.dashboards.delete(caller.tenant.number, &id, expected).await;
    deleted.map_err(|error| problems::dashboard(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The versions of a dashboard that are kept, the newest first.
pub(super) async fn versions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<Json<Versions>, Problem> {
    params.finish("")?;
    let versions = app.dashboards.versions(caller.tenant.number, &id).await;
    let versions = versions.map_err(|error| problems::dashboard(&error))?;
    Ok(Json(Versions { versions: versions.iter().map(ShownVersion::of).collect() }))
}

/// What a dashboard was after one of its changes.
pub(super) async fn read_version(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, number)): Path<(String, String)>,
    params: Params,
) -> Result<Json<WholeVersion>, Problem> {
    params.finish("")?;
    let found = app.dashboards.version(caller.tenant.number, &id, &number).await;
    let (version, document) = found.map_err(|error| problems::dashboard(&error))?;
    Ok(Json(WholeVersion::of(&version, document)))
}

/// Makes a dashboard again what it was, as a new version.
pub(super) async fn restore(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Path((id, number)): Path<(String, String)>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    params.finish("")?;
    let known = known(&app, &caller, &id).await?;
    trace.note("name", known.head.name);
    let expected = if_match(&headers)?.ok_or_else(problems::no_if_match)?.version();
    let (tenant, by) = (caller.tenant.number, &caller.identity.subject);
    changed(&trace, app.dashboards.restore(tenant, &id, &number, expected, by).await)
}

async fn known(app: &App, caller: &Caller, id: &str) -> Result<Dashboard, Problem> {
    let found = app.dashboards.get(caller.tenant.number, id).await;
    found.map_err(|error| problems::dashboard(&error))
}

/// What a dashboard has become.
fn changed(trace: &Trace, outcome: Result<Dashboard, DashboardError>) -> Result<Response, Problem> {
    let dashboard = outcome.map_err(|error| problems::dashboard(&error))?;
    trace.note("version", dashboard.head.version);
    Ok(whole(StatusCode::OK, &dashboard))
}

fn whole(status: StatusCode, dashboard: &Dashboard) -> Response {
    tagged(status, dashboard.head.version, Shown::of(dashboard))
}
