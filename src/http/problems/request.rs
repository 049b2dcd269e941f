//! The request as such.

use std::time::Duration;

use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use ingest::BodyError;
use stream::Problem;
use tenancy::limits::Exceeded;

use super::{internal, shown};

pub(in crate::http) fn not_found(path: &str) -> Problem {
    Problem::new(
        "not-found",
        StatusCode::NOT_FOUND,
        "There is nothing at this address",
        format!(
            "'{}' is no address of this service; see /v1/views for what can be read",
            shown(path)
        ),
    )
}

pub(in crate::http) fn method_not_allowed(method: &Method, path: &str, allow: &str) -> Response {
    let mut response = Problem::new(
        "method-not-allowed",
        StatusCode::METHOD_NOT_ALLOWED,
        "This address has no such method",
        format!("{} does not take {}; it takes {allow}", shown(path), shown(method.as_str())),
    )
    .into_response();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

pub(in crate::http) fn bad_request(detail: &str) -> Problem {
    Problem::new("bad-request", StatusCode::BAD_REQUEST, "The request cannot be read", detail)
}

pub(in crate::http) fn parameter(name: &str, detail: &str) -> Problem {
    Problem::new(
        "invalid-parameter",
        StatusCode::BAD_REQUEST,
        "A parameter of the address is not right",
        format!("'{name}': {detail}"),
    )
}

pub(in crate::http) fn address_too_long(limit: usize) -> Problem {
    Problem::new(
        "address-too-long",
        StatusCode::URI_TOO_LONG,
        "The address is too long",
        format!("an address has at most {limit} bytes; use fewer or shorter parameters"),
    )
}

pub(in crate::http) fn invalid_body(detail: &str) -> Problem {
    Problem::new("invalid-body", StatusCode::BAD_REQUEST, "The body cannot be read", detail)
}

pub(in crate::http) fn body_too_large(limit: usize) -> Problem {
    Problem::new(
        "body-too-large",
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is too large",
        format!("a body of this call has at most {limit} bytes; send it in several"),
    )
}

/// Of a body of events.
pub(in crate::http) fn events_body(error: &BodyError) -> Problem {
    match error {
        BodyError::TooLarge { limit, .. } => body_too_large(*limit),
        BodyError::Malformed(_) | BodyError::TooManyRejected { .. } => {
            invalid_body(&error.to_string())
        }
    }
}

/// Of an allowance that is used up.
pub(in crate::http) fn exhausted(exceeded: &Exceeded) -> Problem {
    let Exceeded { quota, whose, retry_after } = exceeded;
    let seconds = wait_s(*retry_after);
    Problem::new(
        "too-many-requests",
        StatusCode::TOO_MANY_REQUESTS,
        "An allowance is used up",
        format!(
            "{exceeded}: nothing was done, try again in {seconds} s; what the service allows is in \
             its configuration, limits.{}",
            whose.as_str()
        ),
    )
    .with("limit", quota.as_str())
    .with("of", whose.as_str())
    .with("retry_after_s", seconds)
}

/// The same with the header that says when to try again.
pub(in crate::http) fn exceeded(exceeded: &Exceeded) -> Response {
    let mut response = exhausted(exceeded).into_response();
    let seconds = HeaderValue::from(wait_s(exceeded.retry_after));
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

/// Whole seconds, rounded up.
fn wait_s(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

pub(in crate::http) fn body_too_slow() -> Problem {
    Problem::new(
        "body-too-slow",
        StatusCode::REQUEST_TIMEOUT,
        "The body did not arrive in time",
        "the rest of the body did not come; nothing of it was taken, send it again",
    )
}

pub(in crate::http) fn unsupported_media_type(given: &str, expected: &str) -> Problem {
    let given = if given.is_empty() { "no Content-Type".to_owned() } else { shown(given) };
    Problem::new(
        "unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body is of a type that this call does not take",
        format!("{given} was given; set Content-Type to {expected}"),
    )
}

pub(in crate::http) fn unsupported_content_encoding(given: &str) -> Problem {
    Problem::new(
        "unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body is in a coding that this call does not take",
        format!("Content-Encoding is {}; send the body as it is, without one", shown(given)),
    )
}

pub(in crate::http) fn not_acceptable(detail: &str) -> Problem {
    Problem::new(
        "not-acceptable",
        StatusCode::NOT_ACCEPTABLE,
        "The answer has no such format",
        detail,
    )
}

/// An error of a part that knows no problems, as one.
pub(in crate::http) fn plain(status: StatusCode, text: &str) -> Problem {
    let title = status.canonical_reason().unwrap_or("The request failed");
    let detail = if text.is_empty() { title } else { text };
    if status.is_server_error() {
        return internal();
    }
    Problem::new("bad-request", status, title, detail)
}
