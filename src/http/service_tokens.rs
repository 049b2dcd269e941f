//! The tokens with which a tenant's producers send events: created, listed, revoked.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use stream::Problem;
use tenancy::StoredServiceToken;

use super::caller::Caller;
use super::{App, body, problems};

/// A token to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    expires_at: Option<DateTime<Utc>>,
}

/// A token as everybody who may see it sees it: without itself.
fn shown(token: &StoredServiceToken) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({
        "id": token.id, "name": token.name, "created_by": token.created_by,
        "created_at": time(token.created_at), "expires_at": token.expires_at.map(time),
    })
}

/// Makes a token, and shows it this once.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let New { name, expires_at } = body::json(&headers, body).await?;
    let by = &caller.identity.subject;
    let made = app.service_tokens.create(&caller.tenant, &name, expires_at, by).await;
    let made = made.map_err(|error| problems::service_token(&error))?;
    let location = format!("/v1/service-tokens/{}", made.stored.id);
    let mut answer = shown(&made.stored);
    answer["token"] = made.token.into();
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(answer)).into_response())
}

/// All of the caller's tenant, the oldest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    let tokens = app.service_tokens.list(caller.tenant.number).await;
    let tokens = tokens.map_err(|error| problems::service_token(&error))?;
    Ok(Json(json!({"service_tokens": tokens.iter().map(shown).collect::<Vec<_>>()})))
}

/// One of the caller's tenant.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let token = app.service_tokens.get(caller.tenant.number, &id).await;
    token.map(|token| Json(shown(&token))).map_err(|error| problems::service_token(&error))
}

/// Ends one.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let revoked = app.service_tokens.revoke(caller.tenant.number, &id).await;
    revoked.map(|()| StatusCode::NO_CONTENT).map_err(|error| problems::service_token(&error))
}
