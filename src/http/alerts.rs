//! `/v1/alert-rules` and `/v1/alerts`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stream::Problem;
use tenancy::{AlertFilter, AlertState, StoredAlert};
use utoipa::ToSchema;

use super::audit::Trace;
use super::caller::Caller;
use super::params::{Name, Params};
use super::stored::{Meant, if_match, located, tagged};
use super::{App, body, problems};
use crate::alerts::rule::{Definition, Rule, rank_of};
use crate::alerts::told::{ShownAlert, ShownRule, TOLD, WholeAlert};
use crate::reports::Target;
use crate::reports::told::instant;

/// Alerts of a page, unless it says, and at most.
pub(super) const PAGE: u32 = 50;
pub(super) const PAGE_MOST: u32 = 500;

/// The rules of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertRules)]
pub(super) struct Rules {
    rules: Vec<ShownRule>,
}

/// Alerts that the caller sees.
#[derive(Serialize, ToSchema)]
#[schema(as = Alerts)]
pub(super) struct Listed {
    alerts: Vec<ShownAlert>,
    /// How many are open in all.
    open: u64,
    /// For `after`; null on the last page.
    next: Option<String>,
}

/// The rules of the caller's tenant.
pub(super) async fn rules(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Rules>, Problem> {
    params.finish("")?;
    let rules = app.alerts.rules(&caller.tenant).await;
    let rules = rules.map_err(|error| problems::alert(&error))?;
    Ok(Json(Rules { rules: rules.iter().map(ShownRule::of).collect() }))
}

/// Makes a rule.
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
    let made = app.alerts.create(&caller.tenant, &caller.identity, definition).await;
    let rule = made.map_err(|error| problems::alert(&error))?;
    Ok(located(shown(StatusCode::CREATED, &rule), &format!("/v1/alert-rules/{}", rule.id)))
}

/// A rule.
pub(super) async fn read_rule(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<Response, Problem> {
    params.finish("")?;
    let rule = app.alerts.rule(&caller.tenant, &id).await;
    Ok(shown(StatusCode::OK, &rule.map_err(|error| problems::alert(&error))?))
}

/// Puts another definition in a rule's place.
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
    let known = app.alerts.rule(&caller.tenant, &id).await;
    known.map_err(|error| problems::alert(&error))?;
    let version = if_match(&headers)?.ok_or_else(problems::no_if_match)?.version();
    let replaced =
        app.alerts.replace(&caller.tenant, &caller.identity, &id, version, definition).await;
    Ok(shown(StatusCode::OK, &replaced.map_err(|error| problems::alert(&error))?))
}

/// Deletes a rule.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    params.finish("")?;
    let version = if_match(&headers)?.and_then(Meant::version);
    let deleted = app.alerts.delete(&caller.tenant, &id, version).await;
    deleted.map_err(|error| problems::alert(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The alerts that the caller sees, the newest first; those that are open unless it says.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    mut params: Params,
) -> Result<Json<Listed>, Problem> {
    let most = params.limit(PAGE_MOST)?.unwrap_or(PAGE);
    let state = state(params.one("state")?.as_deref())?;
    let (rule, before) = (params.one("rule")?, params.one("after")?);
    params.finish("state, rule, limit and after")?;
    let audience = rank_of(caller.identity.roles);
    let (rule, before) = (rule.as_deref(), before.as_deref());
    let filter = AlertFilter { audience, state, rule, before, most };
    let listed = app.alerts.alerts(caller.tenant.number, filter).await;
    let (alerts, open) = listed.map_err(|error| problems::alert(&error))?;
    trace.rows(alerts.len());
    let is_page = alerts.len() == most as usize;
    let next = alerts.last().filter(|_| is_page).map(|alert| alert.id.clone());
    let shown = |alert: &StoredAlert| ShownAlert::of(caller.number(), alert);
    Ok(Json(Listed { alerts: alerts.iter().map(shown).collect(), open, next }))
}

/// What `state` says.
fn state(text: Option<&str>) -> Result<Option<AlertState>, Problem> {
    match text {
        None | Some("open") => Ok(Some(AlertState::Open)),
        Some("cleared") => Ok(Some(AlertState::Cleared)),
        Some("all") => Ok(None),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            let message = format!("'{other}' is not open, cleared or all");
            Err(problems::parameter("state", &message))
        }
    }
}

/// An alert and what became of it.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Name(id): Name,
    params: Params,
) -> Result<Json<WholeAlert>, Problem> {
    params.finish("")?;
    let audience = rank_of(caller.identity.roles);
    let found = app.alerts.alert(caller.tenant.number, &id, audience).await;
    let found = found.map_err(|error| problems::alert(&error))?;
    trace.rows(1);
    Ok(Json(WholeAlert::of(caller.number(), &found)))
}

/// Notes that the caller has seen an alert.
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<Json<WholeAlert>, Problem> {
    params.finish("")?;
    let done = app.alerts.acknowledge(caller.tenant.number, &caller.identity, &id).await;
    let done = done.map_err(|error| problems::alert(&error))?;
    Ok(Json(WholeAlert::of(caller.number(), &done)))
}

/// Until when nobody is to be told of an alert.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertSnooze)]
pub(super) struct Snooze {
    /// A time to come, at most 366 days ahead; null: from now on they are told again.
    // So that it must be there, be it null.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    until: Option<DateTime<Utc>>,
}

/// Has nobody be told of an alert for a while.
pub(super) async fn snooze(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Name(id): Name,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<WholeAlert>, Problem> {
    params.finish("")?;
    let Snooze { until } = body::json(&headers, body).await?;
    trace.note("until", until.map(instant));
    let done = app.alerts.snooze(caller.tenant.number, &caller.identity, &id, until).await;
    let done = done.map_err(|error| problems::alert(&error))?;
    Ok(Json(WholeAlert::of(caller.number(), &done)))
}

/// What of a definition stands in the audit.
fn note(trace: &Trace, definition: &Definition) {
    trace.note("title", definition.title.as_str());
    trace.note("sql", definition.sql.as_str());
    let deliver: Vec<Value> = definition.deliver.iter().map(Target::shown).collect();
    if !deliver.is_empty() {
        trace.note("deliver", deliver);
    }
}

fn shown(status: StatusCode, rule: &Rule) -> Response {
    tagged(status, rule.version, ShownRule::of(rule))
}
