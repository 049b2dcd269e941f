//! `GET /v1/exports/{run}`: the file of a run, whole, in part, or packed.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use ::stream::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::http::audit::Trace;
use crate::http::caller::Caller;
use crate::http::params::{Name, Params};
use crate::http::stored::matches_tag;
use crate::http::{App, answers, problems};
use crate::reports::{Outcome, Run};

const DIGEST: HeaderName = HeaderName::from_static("digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const ROWS: HeaderName = HeaderName::from_static("tidemark-rows");
const AS_OF: HeaderName = HeaderName::from_static("tidemark-as-of");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// The file of a run, or some of its bytes.
pub(in crate::http) async fn download(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    Name(id): Name,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let gzip: bool = params.parsed("gzip", "true or false")?.unwrap_or(false);
    params.finish("gzip")?;
    let run = app.reports.run_of(caller.tenant.number, &id).await;
    let run = run.map_err(|error| problems::report(&error))?;
    let is_there = run.stored.state == tenancy::RunState::Done;
    let Some(outcome) = run.outcome.as_ref().filter(|_| is_there) else {
        return Err(problems::no_file(&run));
    };
    trace.note("rows", outcome.rows);
    let tag =
        if gzip { format!("\"{}-gz\"", outcome.sha256) } else { format!("\"{}\"", outcome.sha256) };
    if matches_tag(&headers, &IF_NONE_MATCH, &tag) {
        return Ok(described_file(StatusCode::NOT_MODIFIED.into_response(), &run, outcome, &tag));
    }
    let mut response = if gzip {
        let file = app.reports.file(outcome, None).await;
        let parts = file.map_err(|error| problems::report(&error))?.into_stream();
        zipped(parts, outcome)
    } else {
        let wanted = wanted(&headers, outcome.bytes, &tag);
        if wanted == Wanted::Nothing {
            let mut response = problems::range(outcome.bytes).into_response();
            if let Ok(all) = HeaderValue::from_str(&format!("bytes */{}", outcome.bytes)) {
                response.headers_mut().insert(CONTENT_RANGE, all);
            }
            return Ok(response);
        }
        part(&app, outcome, wanted).await?
    };
    response = described_file(response, &run, outcome, &tag);
    Ok(answers::at_position(response, &outcome.position))
}

/// Which bytes of a file are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Some(Range<u64>),
    Nothing,
}

/// What `Range` says (RFC 9110, section 14.2): one range; of several, and of what cannot be read, all
/// is given. With `If-Range` it counts for the same file only.
fn wanted(headers: &HeaderMap, bytes: u64, tag: &str) -> Wanted {
    let Some(text) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::All;
    };
    if headers.contains_key(IF_RANGE) && !matches_tag(headers, &IF_RANGE, tag) {
        return Wanted::All;
    }
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'))
    else {
        return Wanted::All;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Wanted::All;
    }
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(bytes),
        (Ok(first), Err(_)) if last.is_empty() => first..bytes,
        (Err(_), Ok(last)) if first.is_empty() => bytes.saturating_sub(last)..bytes,
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Some(range) }
}

async fn part(app: &App, outcome: &Outcome, wanted: Wanted) -> Result<Response, Problem> {
    let range = match wanted {
        Wanted::Some(range) => Some(range),
        Wanted::All | Wanted::Nothing => None,
    };
    let file = app.reports.file(outcome, range.clone()).await;
    let parts = file.map_err(|error| problems::report(&error))?.into_stream();
    let mut response = Body::from_stream(parts).into_response();
    let headers = response.headers_mut();
    let length = range.as_ref().map_or(outcome.bytes, |range| range.end - range.start);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(outcome.format.content_type()));
    attachment(headers, &outcome.name);
    if let Some(Range { start, end }) = range {
        let text = format!("bytes {start}-{}/{}", end - 1, outcome.bytes);
        if let Ok(range) = HeaderValue::from_str(&text) {
            headers.insert(CONTENT_RANGE, range);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// The whole file, packed as it leaves.
fn zipped(parts: BoxStream<'static, object_store::Result<Bytes>>, outcome: &Outcome) -> Response {
    let packer = GzEncoder::new(Vec::new(), Compression::fast());
    let failed = std::io::Error::other::<object_store::Error>;
    let packed = stream::try_unfold((parts, Some(packer)), move |(mut parts, packer)| async move {
        let Some(mut packer) = packer else { return Ok::<_, std::io::Error>(None) };
        match parts.try_next().await.map_err(failed)? {
            Some(part) => {
                packer.write_all(&part)?;
                let ready = std::mem::take(packer.get_mut());
                Ok(Some((Bytes::from(ready), (parts, Some(packer)))))
            }
            None => Ok(Some((Bytes::from(packer.finish()?), (parts, None)))),
        }
    });
    // What was packed of a small part may have no bytes yet.
    let packed = packed.filter(|part: &Result<Bytes, std::io::Error>| {
        std::future::ready(!part.as_ref().is_ok_and(Bytes::is_empty))
    });
    let mut response = Body::from_stream(packed).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    attachment(headers, &format!("{}.gz", outcome.name));
    response
}

/// What stands with a file whatever part of it is given.
fn described_file(mut response: Response, run: &Run, outcome: &Outcome, tag: &str) -> Response {
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    put(ETAG, tag.to_owned());
    put(ROWS, outcome.rows.to_string());
    put(AS_OF, outcome.as_of.to_string());
    if let Some(at) = run.stored.expires_at {
        put(SUNSET, at.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }
    // Of the whole file, also where a part of it is given (RFC 3230, RFC 9530); packed it is another.
    let is_packed = tag.ends_with("-gz\"");
    if is_packed {
        return response;
    }
    if let Some(digest) = unhexed(&outcome.sha256).map(|bytes| STANDARD.encode(bytes)) {
        put(DIGEST, format!("sha-256={digest}"));
        put(REPR_DIGEST, format!("sha-256=:{digest}:"));
    }
    response
}

fn unhexed(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// A file's name has only characters that stand there as they are.
fn attachment(headers: &mut HeaderMap, name: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_meant() {
        let asked = |range: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static(range));
            wanted(&headers, 100, "\"a\"")
        };
        for (range, expected) in [
            ("bytes=0-9", Wanted::Some(0..10)),
            ("bytes=90-", Wanted::Some(90..100)),
            ("bytes=90-1000", Wanted::Some(90..100)),
            ("bytes=-10", Wanted::Some(90..100)),
            ("bytes=-1000", Wanted::Some(0..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-0", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("rows=0-9", Wanted::All),
        ] {
            assert_eq!(asked(range), expected, "{range}");
        }
        let mut weak = HeaderMap::new();
        weak.insert(RANGE, HeaderValue::from_static("bytes=0-9"));
        weak.insert(IF_RANGE, HeaderValue::from_static("W/\"a\""));
        assert_eq!(wanted(&weak, 100, "\"a\""), Wanted::All);
        weak.insert(IF_NONE_MATCH, HeaderValue::from_static("\"c\", W/\"a\""));
        assert!(matches_tag(&weak, &IF_NONE_MATCH, "\"a\""));
        assert!(!matches_tag(&weak, &IF_NONE_MATCH, "\"b\""));
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-9"));
        headers.insert(IF_RANGE, HeaderValue::from_static("\"b\""));
        assert_eq!(wanted(&headers, 100, "\"a\""), Wanted::All);
        assert_eq!(wanted(&headers, 100, "\"b\""), Wanted::Some(0..10));
    }
}
