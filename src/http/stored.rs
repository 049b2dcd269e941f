//! What is stored under an id: where it is, which version it has, and which one a caller means.

use axum::Json;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stream::Problem;

use super::problems;

/// The answer to who has made something or begun it, with where that is.
pub(super) fn located(mut response: Response, at: &str) -> Response {
    // Ids and names have only characters that a header may have.
    if let Ok(at) = HeaderValue::from_str(at) {
        response.headers_mut().insert(LOCATION, at);
    }
    response
}

/// The tag of a version.
pub(super) fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// What is shown of something, with the tag of its version.
pub(super) fn tagged(status: StatusCode, version: u64, shown: impl Serialize) -> Response {
    (status, [(ETAG, tag(version))], Json(shown)).into_response()
}

/// What is to be changed.
#[derive(Clone, Copy)]
pub(super) enum Meant {
    /// Whatever version there is.
    Any,
    /// That one.
    Version(u64),
}

impl Meant {
    pub(super) fn version(self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Version(version) => Some(version),
        }
    }
}

/// What `If-Match` says, if there is one.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Meant>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map_err(|_| problems::bad_if_match())?.trim();
    if text == "*" {
        return Ok(Some(Meant::Any));
    }
    let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let version = version.and_then(|text| text.parse().ok()).ok_or_else(problems::bad_if_match)?;
    Ok(Some(Meant::Version(version)))
}

/// Whether a header names a tag, or any. Whether somebody has it already is compared weakly, since whoever
/// packs an answer on its way weakens its tag (RFC 9110, 13.1.2).
pub(super) fn matches_tag(headers: &HeaderMap, name: &HeaderName, tag: &str) -> bool {
    let is_same = |one: &str| match one.strip_prefix("W/") {
        Some(weak) => *name == IF_NONE_MATCH && weak == tag,
        None => one == tag || one == "*",
    };
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').map(str::trim).any(is_same))
}
