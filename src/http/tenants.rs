//! `/v1/tenant` and `/v1/platform/tenants`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use ingest::IntakeError;
use projections::{Position, Tenant};
use serde::Serialize;
use stream::Problem;
use tenancy::templates::{self, Template};
use tenancy::{
    NewTenant, StoreError, TenantChange, TenantId, TenantRecord, TenantSettings, Tombstone,
};
use utoipa::ToSchema;

use super::audit::Trace;
use super::caller::{Caller, Operator};
use super::params::{Name, Params};
use super::stored::located;
use super::{App, body, problems};
use crate::onboarding;
use crate::serve::tick_one;

/// Between two looks whether another node has done something.
const LOOK: Duration = Duration::from_millis(50);
/// For a new date to be shown by the views.
const APPLIED: Duration = Duration::from_secs(5);

/// A tenant as the platform sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = PlatformTenant)]
pub(super) struct Described {
    #[serde(flatten)]
    #[schema(value_type = TenantRecord)]
    tenant: Arc<TenantRecord>,
    /// `active`, or `onboarding` until it has what its template gives.
    state: &'static str,
    /// What its views hold; only if it is served by the node that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    memory_bytes: Option<usize>,
}

/// A tenant that is being erased.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedTenant)]
pub(super) struct Buried {
    #[schema(value_type = String)]
    id: TenantId,
    /// `deleting`.
    state: &'static str,
    deleted_at: DateTime<Utc>,
}

/// A tenant of which there is something.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = KnownTenant)]
pub(super) enum Known {
    /// It is there.
    There(Described),
    /// It is being erased.
    Deleted(Buried),
}

/// All tenants.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenants)]
pub(super) struct Listed {
    tenants: Vec<Known>,
}

/// All templates.
#[derive(Serialize, ToSchema)]
pub(super) struct Verticals {
    verticals: &'static [Template],
}

/// The caller's own tenant.
pub(super) async fn own(caller: Caller, params: Params) -> Result<Json<TenantRecord>, Problem> {
    params.finish("")?;
    Ok(Json(caller.tenant.as_ref().clone()))
}

/// Changes the caller's own tenant: what its admin may change.
pub(super) async fn change_own(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TenantRecord>, Problem> {
    params.finish("")?;
    let settings: TenantSettings = body::json(&headers, body).await?;
    change_tenant(&app, &trace, &caller.tenant.id, settings.into()).await
}

/// All tenants, for the platform; those that are being erased last.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    params.finish("")?;
    let tenants = app.directory.all();
    let deleted = app.directory.tombstones();
    let deleted = deleted.iter().filter(|stone| stone.erased_at.is_none()).map(buried);
    let tenants = tenants.into_iter().map(|tenant| Known::There(described(&app, tenant)));
    Ok(Json(Listed { tenants: tenants.chain(deleted.map(Known::Deleted)).collect() }))
}

/// A tenant with its state, and the bytes that its views hold if it is served here.
fn described(app: &App, tenant: Arc<TenantRecord>) -> Described {
    let state = if tenant.template.is_some() { "onboarding" } else { "active" };
    let bytes = || app.readers.snapshot(Tenant(tenant.number)).bytes();
    let memory_bytes = app.serves(&tenant.id).then(bytes);
    Described { tenant, state, memory_bytes }
}

/// A tenant that is being erased.
fn buried(stone: &Tombstone) -> Buried {
    Buried { id: stone.id.clone(), state: "deleting", deleted_at: stone.deleted_at }
}

/// Creates a tenant; its date and what its template holds are recorded before the answer leaves.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let new: NewTenant = body::json(&headers, body).await?;
    let (tenant, status) = match app.directory.create(new.clone()).await {
        Ok(tenant) => (tenant, StatusCode::CREATED),
        Err(error @ StoreError::Conflict { .. }) => {
            // The same call again, which may be about one that was cut off: what is left is done.
            let there = app.tenant(&new.id).await?.filter(|tenant| new.describes(tenant));
            (there.ok_or_else(|| problems::store(&error))?, StatusCode::OK)
        }
        Err(error) => return Err(problems::store(&error)),
    };
    trace.about(tenant.number);
    begin(&app, &tenant).await?;
    settle(&app, &tenant).await?;
    let response = (status, Json(tenant.as_ref().clone())).into_response();
    Ok(located(response, &format!("/v1/platform/tenants/{}", tenant.id)))
}

/// Gives a tenant what its template holds, or waits until the node that serves it has done so.
async fn begin(app: &App, tenant: &TenantRecord) -> Result<(), Problem> {
    if app.serves(&tenant.id) {
        let (types, intake) = (&app.types, app.intake()?);
        let (hub, directory, alerts) = (&app.hub, &app.directory, &app.alerts);
        let given = onboarding::give(tenant, types, intake, hub, directory, alerts).await;
        return given.map_err(|error| problems::onboarding(&error));
    }
    let is_due = || app.directory.get(&tenant.id).is_some_and(|now| now.template.is_some());
    let until = Instant::now() + APPLIED;
    while is_due() {
        if Instant::now() >= until {
            return Err(problems::not_begun());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The lines of business there are templates for.
pub(super) async fn verticals(params: Params) -> Result<Json<Verticals>, Problem> {
    params.finish("")?;
    Ok(Json(Verticals { verticals: templates::all() }))
}

/// One tenant, for the platform.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Name(id): Name,
    params: Params,
) -> Result<Json<Known>, Problem> {
    params.finish("")?;
    let known: TenantId = id.parse().map_err(|_| problems::no_tenant(&id))?;
    if let Some(tenant) = app.tenant(&known).await? {
        return Ok(Json(Known::There(described(&app, tenant))));
    }
    match app.directory.tombstone(&known) {
        None => Err(problems::no_tenant(&id)),
        Some(stone) if stone.erased_at.is_some() => Err(problems::erased_tenant(&stone)),
        Some(stone) => Ok(Json(Known::Deleted(buried(&stone)))),
    }
}

/// Deletes a tenant, for the platform: from the answer on it is served no more, and its data is
/// erased behind.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Name(id): Name,
    Operator(actor): Operator,
    params: Params,
) -> Result<Response, Problem> {
    params.finish("")?;
    let id: TenantId = id.parse().map_err(|_| problems::no_tenant(&id))?;
    let stone = app.directory.delete(&id, &actor).await.map_err(|error| problems::store(&error))?;
    if stone.erased_at.is_some() {
        return Err(problems::erased_tenant(&stone));
    }
    app.hub.leave(|tenant| tenant == Tenant(stone.number));
    app.queries.forget(Tenant(stone.number));
    Ok((StatusCode::ACCEPTED, Json(buried(&stone))).into_response())
}

/// Changes a tenant, for the platform.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Name(id): Name,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TenantRecord>, Problem> {
    params.finish("")?;
    let change: TenantChange = body::json(&headers, body).await?;
    let id: TenantId = id.parse().map_err(|_| problems::no_tenant(&id))?;
    change_tenant(&app, &trace, &id, change).await
}

async fn change_tenant(
    app: &App,
    trace: &Trace,
    id: &TenantId,
    change: TenantChange,
) -> Result<Json<TenantRecord>, Problem> {
    let tenant = app.directory.update(id, change).await.map_err(|error| problems::store(&error))?;
    trace.about(tenant.number);
    // Those who watch are told before the answer; on another node, as soon as it has seen the change.
    app.hub.redefined(Tenant(tenant.number));
    settle(app, &tenant).await?;
    Ok(Json(tenant.as_ref().clone()))
}

/// Records the date that follows from the tenant's clock, if it is another than before, so that
/// who reads after the answer sees it. Another node that serves the tenant does it as soon as it
/// has seen the change.
pub(super) async fn settle(app: &App, tenant: &TenantRecord) -> Result<(), Problem> {
    let intake = app.intake()?;
    if !app.serves(&tenant.id) {
        return Ok(());
    }
    match tick_one(tenant, intake, Utc::now()).await {
        Ok(()) => {}
        // The tenant is being handed over: who has it next records its date.
        Err(IntakeError::Closed | IntakeError::Elsewhere) => return Ok(()),
        Err(error) => return Err(problems::intake(&error)),
    }
    let number = Tenant(tenant.number);
    let position = Position::new(number, intake.sequence(number));
    // What is recorded holds, also when the views take longer than this to show it.
    drop(app.hub.wait_for(position, APPLIED).await);
    Ok(())
}
