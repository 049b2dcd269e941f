//! `/v1/tenant/fields`: what a tenant declares beside the fields of event types.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stream::Problem;
use tenancy::templates::CustomFieldType;
use tenancy::{DeclaredField, FieldOrigin};
use utoipa::ToSchema;

use super::audit::Trace;
use super::caller::Caller;
use super::params::Params;
use super::{App, body, problems};
use crate::custom_fields;

/// What is said of a field that is declared.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewField)]
pub(super) struct New {
    /// Its name for people.
    title: String,
    /// What it holds.
    r#type: CustomFieldType,
    /// Of a text, what it may be; anything, where nothing is named.
    #[serde(default)]
    choices: Vec<String>,
}

/// A field that is declared.
#[derive(Serialize, ToSchema)]
#[schema(as = DeclaredField)]
pub(super) struct Shown {
    /// The event type and the name.
    id: String,
    /// The event type.
    on: String,
    /// Its name in the event's data, and its column's name in SQL.
    name: String,
    /// Its name for people.
    title: String,
    /// What it holds.
    r#type: CustomFieldType,
    /// Of a text, what it may be; anything, where nothing is named.
    choices: Vec<String>,
    /// Who has declared it.
    origin: FieldOrigin,
}

/// A list of fields.
#[derive(Serialize, ToSchema)]
#[schema(as = DeclaredFields)]
pub(super) struct Listed {
    fields: Vec<Shown>,
}

impl Shown {
    fn of(origin: FieldOrigin, field: &DeclaredField) -> Self {
        let DeclaredField { on, name, title, r#type, choices } = field.clone();
        Self { id: format!("{on}/{name}"), on, name, title, r#type, choices, origin }
    }
}

/// Lists what the caller's tenant has declared, without what is of modules that are switched off.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    let (declared, hidden) = (app.types.fields(caller.number()), app.shown.hidden(caller.number()));
    let shown = declared.all().filter(|(_, field)| hidden.event_type(&field.on).is_none());
    Ok(Json(Listed { fields: shown.map(|(origin, field)| Shown::of(origin, field)).collect() }))
}

/// One of them.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((on, name)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Shown>, Problem> {
    params.finish("")?;
    check_shown(&app, &caller, &on)?;
    find(&app, &caller, &on, &name).map(Json)
}

/// Declares a field, or declares it otherwise.
pub(super) async fn declare(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Path((on, name)): Path<(String, String)>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let New { title, r#type, choices } = body::json(&headers, body).await?;
    check_shown(&app, &caller, &on)?;
    let field = DeclaredField { on: on.clone(), name: name.clone(), title, r#type, choices };
    trace.note("field", json!(field));
    let declared = custom_fields::declare(&app.types, &app.own_views, caller.number(), field).await;
    let is_new = declared.map_err(|error| problems::field(&error))?;
    app.hub.redefined(caller.number());
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(find(&app, &caller, &on, &name)?)).into_response();
    // Names have only characters that a header may have.
    if let Ok(at) = HeaderValue::from_str(&format!("/v1/tenant/fields/{on}/{name}")) {
        response.headers_mut().insert(LOCATION, at);
    }
    Ok(response)
}

/// Takes a field away.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((on, name)): Path<(String, String)>,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.finish("")?;
    check_shown(&app, &caller, &on)?;
    let removed =
        custom_fields::remove(&app.types, &app.own_views, caller.number(), on, name).await;
    removed.map_err(|error| problems::field(&error))?;
    app.hub.redefined(caller.number());
    Ok(StatusCode::NO_CONTENT)
}

fn find(app: &App, caller: &Caller, on: &str, name: &str) -> Result<Shown, Problem> {
    let declared = app.types.fields(caller.number());
    let found = declared.all().find(|(_, field)| field.on == on && field.name == name);
    let shown = found.map(|(origin, field)| Shown::of(origin, field));
    shown.ok_or_else(|| problems::unknown_field(on, name))
}

fn check_shown(app: &App, caller: &Caller, on: &str) -> Result<(), Problem> {
    match app.shown.hidden(caller.number()).event_type(on) {
        None => Ok(()),
        Some(module) => Err(Problem::switched_off(&format!("the event type '{on}'"), module)),
    }
}
