//! `/v1/event-types` and `/v1/platform/event-types`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use projections::Tenant;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stream::Problem;
use utoipa::ToSchema;

use super::caller::Caller;
use super::params::{Name, Params};
use super::stored::located;
use super::{App, body, problems};
use crate::event_types::Described;

/// The body of a registration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEventType)]
pub(super) struct Registration {
    /// Its name: `module.fact`.
    r#type: String,
    /// An Avro record of its data fields.
    #[schema(value_type = Object)]
    schema: Box<RawValue>,
}

/// A list of types.
#[derive(Serialize, ToSchema)]
#[schema(as = EventTypes)]
pub(super) struct Listed {
    event_types: Vec<Described>,
}

/// Lists the types that the caller's tenant has.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    Ok(Json(Listed { event_types: app.types.list(&app.shown.types(caller.number())) }))
}

/// One of them.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(name): Name,
    params: Params,
) -> Result<Json<Described>, Problem> {
    params.finish("")?;
    let types = app.shown.types(caller.number());
    if let Some(module) = types.hidden(&name) {
        return Err(Problem::switched_off(&format!("the event type '{name}'"), module));
    }
    let found = app.types.get(&types, &name);
    found.map(Json).ok_or_else(|| problems::unknown_event_type(&name))
}

/// Registers a type for the caller's tenant alone.
pub(super) async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    take(&app, Some(caller.number()), "/v1/event-types", &headers, body).await
}

/// Lists the types that all tenants have.
pub(super) async fn list_shared(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    Ok(Json(Listed { event_types: app.types.list(&app.types.registry().shared()) }))
}

/// One of them.
pub(super) async fn read_shared(
    State(app): State<Arc<App>>,
    Name(name): Name,
    params: Params,
) -> Result<Json<Described>, Problem> {
    params.finish("")?;
    let found = app.types.get(&app.types.registry().shared(), &name);
    found.map(Json).ok_or_else(|| problems::unknown_event_type(&name))
}

/// Registers a type for all tenants.
pub(super) async fn register_shared(
    State(app): State<Arc<App>>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    take(&app, None, "/v1/platform/event-types", &headers, body).await
}

async fn take(
    app: &App,
    owner: Option<Tenant>,
    path: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Registration { r#type, schema } = body::json(headers, body).await?;
    let hidden = owner.map(|tenant| app.shown.hidden(tenant)).unwrap_or_default();
    if let Some(module) = hidden.event_type(&r#type) {
        return Err(Problem::switched_off(&format!("the event type '{type}'"), module));
    }
    let at = format!("{path}/{type}");
    let (described, new) = app
        .types
        .register(owner, r#type, schema)
        .await
        .map_err(|error| problems::event_type(&error))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(located((status, Json(described)).into_response(), &at))
}
