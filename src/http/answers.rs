//! What reads have in common: the position they wait for and stand at, and the form of the answer.

use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::stream::iter;
use futures::{Stream, StreamExt};
use projections::Tenant;
use query::{Answer, Format, QueryError, arrow_body, csv_body, json_body, parquet_body};
use stream::Problem;

use super::audit::{Trace, counted};
use super::caller::Caller;
use super::params::Params;
use super::shelf::{Shelf, Space};
use super::{App, problems};
use crate::serve::Awaited;

const POSITION: HeaderName = HeaderName::from_static("tidemark-position");

/// How long a read waits for its position unless it says otherwise, and at most.
pub(super) const WAIT_MS: u64 = 5_000;
pub(super) const WAIT_MS_MOST: u64 = 60_000;

/// What one answer may hold before its first byte leaves.
const HELD_ONE: usize = 16 << 20;
/// From which size a part is kept as one.
const PART: usize = 64 << 10;

/// States the position of an answer.
pub(super) fn at_position(mut response: Response, position: &str) -> Response {
    // A position is ASCII.
    if let Ok(position) = HeaderValue::from_str(position) {
        response.headers_mut().insert(POSITION, position);
    }
    response
}

/// What a read waits for, and until when.
pub(super) struct Waiting {
    awaited: Option<Awaited>,
    tenant_id: String,
    until: Instant,
    is_asked: bool,
}

impl Waiting {
    /// What `wait_for` and `wait_ms` say.
    pub(super) fn of(caller: &Caller, params: &mut Params) -> Result<Self, Problem> {
        let expected = format!("a number of milliseconds up to {WAIT_MS_MOST}");
        let given: Option<u64> = params.parsed("wait_ms", &expected)?;
        let wait_ms = given.unwrap_or(WAIT_MS);
        if wait_ms > WAIT_MS_MOST {
            return Err(problems::parameter("wait_ms", &format!("{wait_ms} is not {expected}")));
        }
        let awaited = match params.one("wait_for")? {
            Some(text) => {
                Some(Awaited::parse(caller.number(), &text).map_err(|e| problems::position(&e))?)
            }
            None => None,
        };
        let until = Instant::now() + Duration::from_millis(wait_ms);
        let is_asked = awaited.is_some() || given.is_some();
        Ok(Self { awaited, tenant_id: caller.tenant.id.to_string(), until, is_asked })
    }

    /// Waits for the position, if there is one.
    pub(super) async fn applied(&self, app: &App) -> Result<(), Problem> {
        let Some(awaited) = &self.awaited else { return Ok(()) };
        let waited = app.intake()?.wait(&app.hub, awaited, &self.tenant_id, self.left()).await;
        waited.map_err(|error| problems::not_come(&error))
    }

    /// Waits until the view is filled, if one of the parameters was given.
    pub(super) async fn filled(
        &self,
        app: &App,
        caller: &Caller,
        view: &str,
    ) -> Result<(), Problem> {
        if self.is_asked && !app.own_views.wait(caller.number(), view, self.left()).await {
            return Err(problems::view_not_filled(view));
        }
        Ok(())
    }

    /// Waits until the view is filled that a query found to be filling, if one of the parameters was
    /// given. Whatever else a query failed by is its answer.
    pub(super) async fn readable(
        &self,
        app: &App,
        caller: &Caller,
        error: &QueryError,
    ) -> Result<(), Problem> {
        match error {
            QueryError::ViewFilling { view } if self.is_asked => {
                if self.left().is_zero() {
                    return Err(problems::view_not_filled(view));
                }
                self.filled(app, caller, view).await
            }
            _ => Err(problems::query(error)),
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// Waits for the position in `wait_for`, if there is one.
pub(super) async fn wait(app: &App, caller: &Caller, params: &mut Params) -> Result<(), Problem> {
    Waiting::of(caller, params)?.applied(app).await
}

/// The format that the caller accepts.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    // A header that is no text names no format, like one that names an unknown one.
    let accept = headers.get(ACCEPT).map(|value| value.to_str().unwrap_or("?"));
    Format::negotiate(accept).map_err(|error| problems::not_acceptable(&error.to_string()))
}

/// The value of `raw`.
pub(super) fn raw(params: &mut Params) -> Result<bool, Problem> {
    Ok(params.parsed("raw", "true or false")?.unwrap_or(false))
}

type Parts = Pin<Box<dyn Stream<Item = Result<Bytes, QueryError>> + Send>>;

fn encoded(mut answer: Answer, format: Format, raw: bool, trace: &Trace) -> Parts {
    answer.batches = counted(answer.batches, trace);
    match format {
        Format::Json => Box::pin(json_body(answer)),
        Format::Csv => Box::pin(csv_body(answer, raw)),
        Format::ArrowStream => Box::pin(arrow_body(answer)),
        Format::Parquet => Box::pin(parquet_body(answer)),
    }
}

/// Streams an answer as it comes. If it fails on the way, the connection is cut, so that nobody
/// takes a part for the whole.
pub(super) fn streamed(answer: Answer, format: Format, raw: bool, trace: &Trace) -> Response {
    let position = answer.position.to_string();
    at_position(without_position(answer, format, raw, trace), &position)
}

/// The same of what stands at no position.
pub(super) fn without_position(
    answer: Answer,
    format: Format,
    raw: bool,
    trace: &Trace,
) -> Response {
    let parts = encoded(answer, format, raw, trace).map(logged);
    typed(Body::from_stream(parts), format)
}

/// Completes an answer before its first byte leaves, so that one that goes over a limit is a
/// problem; only one too large to be held is streamed from there on.
pub(super) async fn completed(
    shelf: &Shelf,
    answer: Answer,
    format: Format,
    raw: bool,
    trace: &Trace,
) -> Result<Response, Problem> {
    let (tenant, position) = (answer.position.tenant, answer.position.to_string());
    let mut parts = encoded(answer, format, raw, trace);
    let mut held = Held::default();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| problems::query(&error))?;
        if !held.take(shelf, tenant, &part) {
            let rest = parts.map(logged);
            let body = Body::from_stream(held.stream().chain(rest));
            return Ok(respond(body, format, &position));
        }
    }
    Ok(respond(held.body(), format, &position))
}

/// Encoded parts and the room they take.
#[derive(Default)]
struct Held {
    parts: Vec<Bytes>,
    /// Small parts, until they are worth being one.
    small: BytesMut,
    bytes: usize,
    room: Vec<Space>,
}

impl Held {
    /// Adds a part; false when that was the last one for which there is room.
    fn take(&mut self, shelf: &Shelf, tenant: Tenant, part: &Bytes) -> bool {
        self.bytes += part.len();
        self.small.extend_from_slice(part);
        if self.small.len() < PART {
            return true;
        }
        let part = self.small.split().freeze();
        let space = shelf.take(tenant, part.len());
        self.parts.push(part);
        match space {
            Some(space) => {
                self.room.push(space);
                self.bytes < HELD_ONE
            }
            None => false,
        }
    }

    /// All of it; with its length if it is small.
    fn body(self) -> Body {
        if self.parts.is_empty() {
            return Body::from(self.small.freeze());
        }
        Body::from_stream(self.stream())
    }

    /// The parts, each letting go of its room when the next one is taken: until then it is being sent.
    fn stream(mut self) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
        if !self.small.is_empty() {
            self.parts.push(self.small.freeze());
        }
        let mut room = self.room.into_iter();
        let mut leaving = None;
        iter(self.parts).map(move |part| {
            drop(leaving.take());
            leaving = room.next();
            Ok(part)
        })
    }
}

fn logged(part: Result<Bytes, QueryError>) -> Result<Bytes, QueryError> {
    part.inspect_err(|error| tracing::warn!(%error, "an answer was cut off"))
}

fn respond(body: Body, format: Format, position: &str) -> Response {
    at_position(typed(body, format), position)
}

fn typed(body: Body, format: Format) -> Response {
    let kind = HeaderValue::from_static(format.content_type());
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::TryStreamExt;

    use super::*;

    const ONE: Tenant = Tenant(1);

    #[tokio::test]
    async fn what_is_held_is_given_back_whole_and_takes_its_room_only_meanwhile() {
        let shelf = Shelf::of(1024);
        let mut held = Held::default();
        let mut given = Vec::new();
        for size in [0, 1, PART - 1, 1, PART, 3 * PART / 2, 7] {
            let part = Bytes::from(vec![size as u8; size]);
            given.extend_from_slice(&part);
            assert!(held.take(&shelf, ONE, &part));
        }
        // Of its 256 KiB.
        assert!(shelf.take(ONE, 100 << 10).is_none());
        let parts: Vec<Bytes> = held.stream().try_collect().await.unwrap();
        assert_eq!(parts.concat(), given);
        assert!(shelf.take(ONE, 256 << 10).is_some());
    }

    #[tokio::test]
    async fn a_part_has_its_room_until_the_next_is_taken() {
        let shelf = Shelf::of(1024);
        let mut held = Held::default();
        for _ in 0..4 {
            assert!(held.take(&shelf, ONE, &Bytes::from(vec![0; PART])));
        }
        let mut parts = Box::pin(held.stream());
        parts.next().await.unwrap().unwrap();
        assert!(shelf.take(ONE, 1).is_none());
        parts.next().await.unwrap().unwrap();
        assert!(shelf.take(ONE, PART).is_some());
    }

    #[tokio::test]
    async fn many_small_parts_take_the_room_of_their_bytes() {
        let shelf = Shelf::of(4 << 10);
        let mut held = Held::default();
        for _ in 0..100_000 {
            assert!(held.take(&shelf, ONE, &Bytes::from_static(b"[1],[2],")));
        }
        let full = Bytes::from(vec![0; 1 << 20]);
        assert!(!held.take(&shelf, ONE, &full), "there is no room for more than a mebibyte");
    }
}
