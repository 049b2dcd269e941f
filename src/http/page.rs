//! The page: static files embedded in the binary.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use stream::Problem;

use super::problems;

/// What `npm run build` made.
#[derive(RustEmbed)]
#[folder = "dashboards/web/dist"]
struct Page;

/// Scripts, styles, pictures, data and live streams from here alone, none of them inline.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

/// Windows of others that opened the page, or that it opens, cannot reach into it.
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// What of the device the page may use: nothing.
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const NO_DEVICES: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Tidemark</title>\
    <p>This binary was built without the page. Build it with \
    <code>npm ci &amp;&amp; npm run build</code> in <code>dashboards/web</code>, then build the \
    binary again; <code>make demo</code> does both. The interface under <code>/v1</code> works.";

/// Answers every path that no route has: a file of the page, the page itself for a path that a
/// person may have typed, else a problem.
pub(super) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if path == "/v1" || path.starts_with("/v1/") {
        return problems::not_found(path).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return problems::method_not_allowed(&method, path, "GET, HEAD");
    }
    match find(path, &headers) {
        Ok((name, file)) => answer(&name, file, &headers),
        Err(Missing::Page) => {
            let headers = [(CONTENT_TYPE, "text/html; charset=utf-8")];
            (StatusCode::SERVICE_UNAVAILABLE, headers, NOT_BUILT).into_response()
        }
        Err(Missing::File(problem)) => problem.into_response(),
    }
}

enum Missing {
    /// The binary has no page.
    Page,
    /// The page has no such file.
    File(Problem),
}

fn find(path: &str, headers: &HeaderMap) -> Result<(String, EmbeddedFile), Missing> {
    let name = path.trim_start_matches('/');
    if !name.is_empty()
        && let Some(file) = Page::get(name)
    {
        return Ok((name.to_owned(), file));
    }
    if !name.is_empty() && !is_page(name, headers) {
        return Err(Missing::File(problems::not_found(path)));
    }
    let index = Page::get("index.html").ok_or(Missing::Page)?;
    Ok(("index.html".to_owned(), index))
}

/// Whether a path without a file is a place within the page: its last part has no extension, and
/// the client would take HTML.
fn is_page(name: &str, headers: &HeaderMap) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    let accepts = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    !last.contains('.') && (accepts.contains("text/html") || accepts.contains("*/*"))
}

fn answer(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = tag(&file);
    let unchanged = headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match file.data {
            Cow::Borrowed(bytes) => Body::from(bytes).into_response(),
            Cow::Owned(bytes) => Body::from(bytes).into_response(),
        }
    };
    let own = response.headers_mut();
    own.insert(CACHE_CONTROL, HeaderValue::from_static(caching(name)));
    own.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    own.insert(OPENER, HeaderValue::from_static("same-origin"));
    own.insert(PERMISSIONS, HeaderValue::from_static(NO_DEVICES));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        own.insert(ETAG, tag);
    }
    if let Ok(kind) = HeaderValue::from_str(&content_type(file.metadata.mimetype())) {
        own.insert(CONTENT_TYPE, kind);
    }
    response
}

fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let (head, _) = hash.split_at(16);
    format!("\"{:032x}\"", head.iter().fold(0_u128, |tag, byte| tag << 8 | u128::from(*byte)))
}

/// Vite puts a hash of the content into the names under `assets/`: those never change.
fn caching(name: &str) -> &'static str {
    if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn content_type(kind: &str) -> String {
    let text = kind.starts_with("text/") || kind == "application/javascript";
    if text { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_within_the_page_are_told_from_files() {
        let accepting = |kind: &str| HeaderMap::from_iter([(ACCEPT, kind.parse().unwrap())]);
        let html = accepting("text/html,application/xhtml+xml;q=0.9");
        assert!(is_page("invoices/open", &html));
        assert!(is_page("invoices/", &HeaderMap::new()));
        // A point of an id comes encoded.
        assert!(is_page("projects/A%2F7%20v1%2E2", &html));
        assert!(!is_page("assets/index.js", &html));
        assert!(!is_page("invoices/open", &accepting("application/json")));
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        assert!(caching("assets/index-Cf1.js").contains("immutable"));
        assert_eq!(caching("index.html"), "no-cache");
        assert_eq!(content_type("text/css"), "text/css; charset=utf-8");
        assert_eq!(content_type("image/png"), "image/png");
    }
}
