//! `POST /v1/events`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use ingest::{BodyError, Format, Rejected};
use serde::Serialize;
use stream::Problem;
use utoipa::ToSchema;

use super::answers::at_position;
use super::caller::Caller;
use super::limits::Seated;
use super::params::Params;
use super::{App, problems};
use crate::serve::{Body, sender};

/// What became of a body.
#[derive(Serialize, ToSchema)]
pub(super) struct Receipt {
    /// Events that are on disk now.
    accepted: usize,
    /// Events that were there already.
    duplicates: usize,
    rejected: Vec<Refused>,
    /// For `wait_for`: what holds all of it.
    position: String,
}

/// An event that was not taken.
#[derive(Serialize, ToSchema)]
#[schema(as = RejectedEvent)]
struct Refused {
    /// Its place among the events of the body, from 0.
    index: usize,
    /// What is wrong, and what is expected.
    reason: String,
}

/// Takes events: checks and decodes them off the async threads, a bounded number at a time, and
/// answers once they are on disk.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    seat: Seated,
    params: Params,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    params.finish("")?;
    let format = format(&headers)?;
    plain(&headers)?;
    if let Err(exceeded) = seat.may_send() {
        return Ok(problems::exceeded(&exceeded));
    }
    let limit = app.limits.intake.max_body;
    let held = app.room.read(caller.number(), &headers, body, limit).await?;
    let sender = sender(&caller.tenant);
    let intake = app.intake()?.clone();
    let turn = Arc::clone(&app.decoders).acquire_owned().await.map_err(|_| problems::closing())?;
    let (decoder, whose) = (intake.clone(), sender.clone());
    // All that it takes goes along: whoever goes away meanwhile gets nothing back before it is over.
    let background = app.background.clone();
    let (decoded, held) = background
        .spawn_blocking(move || {
            let types = app.shown.types(whose.tenant);
            let (limits, now) = (&app.limits.intake, Utc::now());
            let decoded = decoder.decode(&types, limits, &whose, format, &held.bytes, now);
            seat.sent(events(&decoded));
            drop(turn);
            decoded.map(|decoded| (decoded, held))
        })
        .await
        .map_err(|_| problems::internal())?
        .map_err(|error| problems::events_body(&error))?;
    let receipt = intake.submit(&sender, decoded).await.map_err(|e| problems::intake(&e))?;
    drop(held);
    let position = receipt.position;
    let refused = |Rejected { index, reason, .. }| Refused { index, reason };
    let answer = Receipt {
        accepted: receipt.accepted,
        duplicates: receipt.duplicates,
        rejected: receipt.rejected.into_iter().map(refused).collect(),
        position: position.clone(),
    };
    Ok(at_position((StatusCode::ACCEPTED, Json(answer)).into_response(), &position))
}

/// How many events were looked at.
fn events(decoded: &Result<Body, BodyError>) -> usize {
    match decoded {
        Ok(body) => body.events(),
        Err(BodyError::TooManyRejected { limit, .. }) => *limit,
        // As far as it was read it is charged by its bytes.
        Err(BodyError::TooLarge { .. } | BodyError::Malformed(_)) => 0,
    }
}

fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    Format::from_content_type(kind).ok_or_else(|| {
        problems::unsupported_media_type(
            kind,
            "application/cloudevents+json for one event, application/cloudevents-batch+json for \
             an array, or application/x-ndjson for one a line",
        )
    })
}

/// Refuses a compressed body, which would be taken for bad events.
fn plain(headers: &HeaderMap) -> Result<(), Problem> {
    let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    Err(problems::unsupported_content_encoding(coding))
}
