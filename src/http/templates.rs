//! `/v1/tenant/template`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use stream::Problem;
use tenancy::templates::merge::{Settlements, Side};
use utoipa::ToSchema;

use super::audit::Trace;
use super::caller::Caller;
use super::params::Params;
use super::{App, body, problems};
use crate::template_versions::{self, Means, Outlook, VersionError, Wanted};

/// Which version of its template a tenant takes over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateUpdate)]
pub(super) struct Update {
    /// The `newest` as it was read.
    version: u64,
    /// Which side stands, by paths: of each conflict, or of a part as a whole.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Side>, required = false)]
    settle: Settlements,
}

/// What the caller's tenant was given of its template, and what a newer version would do. That it has
/// none is an answer and no refusal: whoever shows a tenant's settings asks without knowing.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Response, Problem> {
    params.finish("")?;
    match template_versions::outlook(&app.store, &caller.tenant).await {
        Ok(outlook) => tagged(&outlook),
        Err(VersionError::None) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Err(problems::template(&error)),
    }
}

/// Takes the newest version of its template over for the caller's tenant.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let Update { version, settle } = body::json(&headers, body).await?;
    trace.note("version", version);
    if !settle.is_empty() {
        let sides = settle.iter().map(|(path, side)| (path.to_string(), json!(side)));
        trace.note("settle", sides.collect::<serde_json::Map<_, _>>());
    }
    let means = Means {
        store: &app.store,
        directory: &app.directory,
        types: &app.types,
        intake: app.intake()?,
        hub: &app.hub,
        alerts: &app.alerts,
        limits: &app.limits.dashboards,
    };
    let wanted =
        Wanted { version, settle: &settle, tag: tag(&headers)?, by: &caller.identity.subject };
    let updated = template_versions::update(&means, &caller.tenant, &wanted).await;
    tagged(&updated.map_err(|error| problems::template(&error))?)
}

/// The tag that `If-Match` asks for, if it asks for one.
fn tag(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map_err(|_| problems::bad_if_match())?.trim();
    Ok(Some(text).filter(|text| *text != "*"))
}

fn tagged(outlook: &Outlook) -> Result<Response, Problem> {
    let tag = outlook.tag().map_err(|error| problems::template(&VersionError::Damaged(error)))?;
    let mut response = Json(outlook).into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}
