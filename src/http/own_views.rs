//! `POST /v1/views`, `DELETE /v1/views/{name}`: the views that a tenant defines.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use projections::encode::column_types;
use projections::{TenantSnapshot, ViewDefinition, ViewSnapshot};
use serde::{Deserialize, Serialize};
use stream::Problem;
use utoipa::ToSchema;

use super::caller::Caller;
use super::params::{Name, Params};
use super::stored::located;
use super::views::Described;
use super::{App, body, problems};
use crate::forward::ForwardError;
use crate::own_views::{OwnView, OwnViewError};

/// The body of a definition.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewView)]
pub(super) struct New {
    #[schema(pattern = "^[a-z][a-z0-9_]{0,62}$")]
    name: String,
    sql: String,
    /// The columns that tell its rows apart; all of them unless it says.
    #[serde(default)]
    key: Option<Vec<String>>,
}

/// Whether a view can be read, and if not, why.
#[derive(Serialize, ToSchema)]
#[schema(as = ViewStatus)]
pub(super) struct Status {
    /// `filling`, `live` or `failed`.
    pub(super) state: &'static str,
    /// How much of it is filled, from 0 to 1.
    pub(super) filled: f64,
    /// Why it failed, or why its last replacement was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) error: Option<String>,
}

/// Defines a view, or another under the name of one; it is filled behind the answer.
pub(super) async fn define(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let New { name, sql, key } = body::json(&headers, body).await?;
    let key = key.unwrap_or_default();
    let definition = ViewDefinition { name, sql, key, internal: false };
    let hidden = app.shown.hidden(caller.number());
    let defined = app.own_views.define(caller.number(), definition, hidden).await;
    let (view, is_new) = defined.map_err(|error| refusal(&app, &caller, &error))?;
    let snapshot = app.snapshot(&caller);
    // It is done, and what can be said of it is said by another node.
    let snapshot = snapshot.map_err(|_| problems::forward(ForwardError::Interrupted))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let response = (status, Json(described(&view, &snapshot))).into_response();
    Ok(located(response, &format!("/v1/views/{}", view.definition.name)))
}

/// Deletes a view.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(name): Name,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.finish("")?;
    if let Some(module) = app.shown.hidden(caller.number()).view(&name) {
        return Err(Problem::switched_off(&format!("the view '{name}'"), module));
    }
    let deleted = app.own_views.delete(caller.number(), name).await;
    deleted.map_err(|error| refusal(&app, &caller, &error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Why a view is not defined or deleted. Of a tenant that is not served here any more the views are
/// forgotten, so that nothing true can be said of them.
fn refusal(app: &App, caller: &Caller, error: &OwnViewError) -> Problem {
    if app.serves(&caller.tenant.id) {
        return problems::own_view(error);
    }
    problems::forward(ForwardError::Interrupted)
}

/// An own view as lists have it. While a view that is replaced is served, its columns and rows are
/// those that can be read.
pub(super) fn described(own: &OwnView, snapshot: &TenantSnapshot) -> Described {
    let name = own.definition.name.as_str();
    let served = own.is_served.then(|| snapshot.view(name)).flatten();
    let view = served.map(ViewSnapshot::view).or(own.view.as_ref());
    let columns = view.map_or_else(Vec::new, |view| column_types(view.schema()));
    let key = view.map_or_else(Vec::new, |view| {
        view.key().iter().map(|c| view.schema().field(*c).name().clone()).collect()
    });
    Described {
        id: Some(name.to_owned()),
        name: name.to_owned(),
        columns,
        key,
        sql: own.definition.sql.clone(),
        row_count: served.map_or(0, ViewSnapshot::row_count),
        memory_bytes: served.map_or(0, ViewSnapshot::bytes),
        own: true,
        state: own.state,
        filled: Some(own.filled),
        error: own.error.clone(),
    }
}

/// How far an own view has come.
pub(super) fn status(own: &OwnView) -> Status {
    Status { state: own.state, filled: own.filled, error: own.error.clone() }
}
