//! `/v1/dead-letters` and `/v1/platform/dead-letters`: what came by Kafka and is no event.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use stream::Problem;
use utoipa::ToSchema;

use super::caller::Caller;
use super::params::{Name, Params};
use super::{App, problems};
use crate::dead_letters::{Described, letter};

/// Dead letters of one page unless asked otherwise, and at most.
pub(super) const PAGE: u32 = 100;
pub(super) const MOST: u32 = 1_000;

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetters)]
pub(super) struct Listed {
    dead_letters: Vec<Described>,
    /// For `after`; null on the last page.
    next: Option<String>,
}

/// What was given to Kafka again.
#[derive(Serialize, ToSchema)]
pub(super) struct Replayed {
    /// The id of the dead letter, which is no more.
    replayed: String,
}

/// The caller's tenant's.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    page(&app, Some(caller.number().0), params).await
}

/// Those without a tenant, for the platform.
pub(super) async fn list_shared(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<Listed>, Problem> {
    page(&app, None, params).await
}

/// Gives one of the caller's tenant to Kafka again.
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(id): Name,
    params: Params,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    params.finish("")?;
    again(&app, Some(caller.number().0), &id).await
}

/// Gives one without a tenant to Kafka again, for the platform.
pub(super) async fn replay_shared(
    State(app): State<Arc<App>>,
    Name(id): Name,
    params: Params,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    params.finish("")?;
    again(&app, None, &id).await
}

async fn page(app: &App, tenant: Option<u32>, mut params: Params) -> Result<Json<Listed>, Problem> {
    let limit = params.limit(MOST)?.unwrap_or(PAGE);
    let after = params.one("after")?;
    params.finish("limit and after")?;
    let letters = app.store.dead_letters(tenant, after.as_deref(), limit).await;
    let letters = letters.map_err(|error| problems::store(&error))?;
    let is_page = letters.len() == limit as usize;
    let next = letters.last().filter(|_| is_page).map(|last| last.id.clone());
    Ok(Json(Listed { dead_letters: letters.iter().map(Described::of).collect(), next }))
}

async fn again(
    app: &App,
    tenant: Option<u32>,
    id: &str,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    let failed = |error: tenancy::StoreError| problems::store(&error);
    let found = app.store.dead_letter(tenant, id).await.map_err(failed)?;
    let stored = found.ok_or_else(|| problems::no_dead_letter(id))?;
    let intake = app.intake()?.kafka().ok_or_else(|| problems::no_dead_letter(id))?;
    intake.replay(letter(stored.letter)).await.map_err(|error| problems::replay(&error))?;
    // If this fails it can be replayed once more: a repeat has no effect.
    app.store.remove_dead_letter(tenant, id).await.map_err(failed)?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed: id.to_owned() })))
}
