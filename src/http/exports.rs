//! `POST /v1/tenant/export`, `GET /v1/tenant/export/{run}` and its archive.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stream::Problem;

use super::caller::Caller;
use super::params::{Name, Params};
use super::stored::located;
use super::{App, problems};
use crate::exports::{self, Run};

/// Begins an export of the caller's tenant, or answers the one that is under way.
pub(super) async fn start(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Response, Problem> {
    params.finish("")?;
    let run = app.exports.start(&caller.tenant, &caller.identity.subject);
    let at = format!("/v1/tenant/export/{}", run.id);
    Ok(located((StatusCode::ACCEPTED, Json(run)).into_response(), &at))
}

/// How far an export has come.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<Json<Run>, Problem> {
    params.finish("")?;
    find(&app, &caller, &id).await.map(Json)
}

/// The archive of an export that is done.
pub(super) async fn archive(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<Response, Problem> {
    params.finish("")?;
    let run = find(&app, &caller, &id).await?;
    if run.state != exports::State::Done {
        return Err(problems::export_not_done(&run));
    }
    let archive = app.exports.archive(caller.number(), &run).await;
    let archive = archive.map_err(|error| problems::export(&error))?;
    let mut response = Body::from_stream(archive).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    if let Some(bytes) = run.bytes {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    // Ids of tenants and runs have only characters that stand in a name as they are.
    let name = format!("attachment; filename=\"{}-{}.tar\"", caller.tenant.id, run.id);
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

async fn find(app: &App, caller: &Caller, id: &str) -> Result<Run, Problem> {
    let found = app.exports.get(caller.number(), id).await;
    found.map_err(|error| problems::export(&error))?.ok_or_else(|| problems::no_export(id))
}
