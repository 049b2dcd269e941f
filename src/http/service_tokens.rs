//! The tokens with which a tenant's producers send events: created, listed, revoked.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use stream::Problem;
use tenancy::StoredServiceToken;
use utoipa::ToSchema;

use super::caller::Caller;
use super::params::{Name, Params};
use super::stored::located;
use super::{App, body, problems};

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewServiceToken)]
pub(super) struct New {
    /// What it is for: 1 to 200 bytes.
    #[schema(min_length = 1)]
    name: String,
    /// From when on it no longer holds; never unless it says.
    expires_at: Option<DateTime<Utc>>,
}

/// A token as everybody who may see it sees it: without itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceToken)]
pub(super) struct Shown {
    id: String,
    name: String,
    /// The subject of the token by which it was made.
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it no longer holds; null: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The same with itself.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeServiceToken)]
pub(super) struct Made {
    #[serde(flatten)]
    shown: Shown,
    /// The token, which is shown this once.
    token: String,
}

/// The tokens of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceTokens)]
pub(super) struct Listed {
    service_tokens: Vec<Shown>,
}

fn shown(token: &StoredServiceToken) -> Shown {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    Shown {
        id: token.id.clone(),
        name: token.name.clone(),
        created_by: token.created_by.clone(),
        created_at: time(token.created_at),
        expires_at: token.expires_at.map(time),
    }
}

/// Makes a token, and shows it this once.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let New { name, expires_at } = body::json(&headers, body).await?;
    let by = &caller.identity.subject;
    let made = app.service_tokens.create(&caller.tenant, &name, expires_at, by).await;
    let made = made.map_err(|error| problems::service_token(&error))?;
    let at = format!("/v1/service-tokens/{}", made.stored.id);
    let answer = Made { shown: shown(&made.stored), token: made.token };
    Ok(located((StatusCode::CREATED, Json(answer)).into_response(), &at))
}

/// All of the caller's tenant, the oldest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    let tokens = app.service_tokens.list(caller.tenant.number).await;
    let tokens = tokens.map_err(|error| problems::service_token(&error))?;
    Ok(Json(Listed { service_tokens: tokens.iter().map(shown).collect() }))
}

/// One of the caller's tenant.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<Json<Shown>, Problem> {
    params.finish("")?;
    let token = app.service_tokens.get(caller.tenant.number, &id).await;
    token.map(|token| Json(shown(&token))).map_err(|error| problems::service_token(&error))
}

/// Ends one.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.finish("")?;
    let revoked = app.service_tokens.revoke(caller.tenant.number, &id).await;
    revoked.map(|()| StatusCode::NO_CONTENT).map_err(|error| problems::service_token(&error))
}
