//! Around every request: a panic becomes a problem, errors are problem documents, and headers and
//! figures that all answers share.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::to_bytes;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::problems;

/// The longest address; a live subscription has its conditions in it.
const ADDRESS_BYTES: usize = 32 * 1024;
/// What of a foreign error's text goes into a problem.
const DETAIL_BYTES: usize = 4 * 1024;

/// Runs a request within its envelope.
pub(super) async fn wrap(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = answer(request, next).await;
    if is_bare_error(&response) {
        response = as_problem(response).await;
    }
    let status = response.status();
    complete(status, response.headers_mut());

    let route = route.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    let method = known(method.as_str());
    tracing::debug!(method, route, status = status.as_u16(), "answered");
    metrics::counter!("tidemark_http_requests_total", "method" => method,
        "route" => route.clone(), "status" => status.as_u16().to_string())
    .increment(1);
    metrics::histogram!("tidemark_http_request_seconds", "method" => method, "route" => route)
        .record(begun.elapsed());
    response
}

async fn answer(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if length > ADDRESS_BYTES {
        return problems::address_too_long(ADDRESS_BYTES).into_response();
    }
    if let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await {
        return response;
    }
    // The panic hook has written what and where.
    tracing::error!("a request ended in a panic");
    problems::internal().into_response()
}

/// An error that did not come as a problem: from a part that knows nothing of them.
fn is_bare_error(response: &Response) -> bool {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return false;
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_none_or(|kind| kind.starts_with("text/plain"))
}

async fn as_problem(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, DETAIL_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut response = problems::plain(parts.status, text.trim()).into_response();
    for (name, value) in &parts.headers {
        if !response.headers().contains_key(name) && name != axum::http::header::CONTENT_LENGTH {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Headers of every answer, and those that go with a status.
fn complete(status: StatusCode, headers: &mut HeaderMap) {
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, REFERRER_POLICY, "no-referrer");
    set(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    // The page's files say what they need themselves; nothing else is ever shown as a page.
    set(headers, CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    // Answers are one caller's figures at one moment; the page's files say otherwise themselves.
    set(headers, axum::http::header::CACHE_CONTROL, "no-store");
    match status {
        StatusCode::UNAUTHORIZED => set(headers, WWW_AUTHENTICATE, "Bearer"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            set(headers, RETRY_AFTER, "1");
        }
        _ => {}
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

/// The method as a label: those that nobody has are one.
fn known(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
