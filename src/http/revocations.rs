//! Ended sign-ins of a tenant: an admin ends those of somebody, and sees which were ended.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use stream::Problem;
use tenancy::StoredRevocation;
use utoipa::ToSchema;

use super::audit::Trace;
use super::caller::Caller;
use super::params::Params;
use super::{App, body, problems};

/// Whose sign-ins are to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRevocation)]
pub(super) struct New {
    /// The subject of the tokens: 1 to 255 bytes.
    #[schema(min_length = 1)]
    subject: String,
}

/// Ended sign-ins.
#[derive(Serialize, ToSchema)]
#[schema(as = Revocation)]
pub(super) struct Shown {
    subject: String,
    /// No token that was issued before holds.
    #[schema(format = DateTime)]
    ended_at: String,
    /// The subject of the token by which they were ended.
    ended_by: String,
    /// Until when this is kept.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Those of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Revocations)]
pub(super) struct Listed {
    revocations: Vec<Shown>,
}

fn shown(ended: StoredRevocation) -> Shown {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    Shown {
        subject: ended.subject,
        ended_at: time(ended.ended_at),
        ended_by: ended.ended_by,
        expires_at: time(ended.expires_at),
    }
}

/// Ends all that a subject has signed in for in the caller's tenant, the caller's own too.
pub(super) async fn end(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Shown>, Problem> {
    params.finish("")?;
    let New { subject } = body::json(&headers, body).await?;
    trace.note("subject", subject.as_str());
    let (tenant, by) = (caller.tenant.number, &caller.identity.subject);
    let ended = app.revocations().end(tenant, &subject, by).await;
    ended.map(|ended| Json(shown(ended))).map_err(|error| problems::revocation(&error))
}

/// All of the caller's tenant, by subject.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    let ended = app.revocations().list(caller.tenant.number).await;
    let ended = ended.map_err(|error| problems::store(&error))?;
    Ok(Json(Listed { revocations: ended.into_iter().map(shown).collect() }))
}
