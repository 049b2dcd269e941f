//! Answers: their statuses, media types, schemas and headers; and refusals, which are problems.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use query::Format;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::schemas::{self, Shape};

/// What a call gives when it is done.
pub(super) struct Answer {
    pub(super) status: u16,
    about: &'static str,
    /// Media types, without their parameters; a binary one has no schema.
    pub(super) content: Vec<(&'static str, Option<Shape>)>,
    headers: Vec<&'static str>,
}

/// JSON of a type.
pub(super) fn json<T: ToSchema>(status: u16, about: &'static str) -> Answer {
    shaped(status, about, schemas::of::<T>())
}

/// JSON of a schema.
pub(super) fn shaped(status: u16, about: &'static str, shape: Shape) -> Answer {
    of(status, about, vec![("application/json", Some(shape))])
}

/// Text of some kind.
pub(super) fn text(kind: &'static str, about: &'static str) -> Answer {
    let text = schemas::plain(json!({ "type": "string" }));
    of(200, about, vec![(kind, Some(text))])
}

/// Rows in the format that is asked for, in JSON of this schema.
pub(super) fn rows(about: &'static str, shape: Shape) -> Answer {
    let text = schemas::plain(json!({ "type": "string" }));
    let content = vec![
        (essence(Format::Json), Some(shape)),
        (essence(Format::Csv), Some(text)),
        (essence(Format::ArrowStream), None),
        (essence(Format::Parquet), None),
    ];
    of(200, about, content)
}

/// Bytes.
pub(super) fn bytes(status: u16, about: &'static str, kinds: &[&'static str]) -> Answer {
    of(status, about, kinds.iter().map(|kind| (*kind, None)).collect())
}

/// No content.
pub(super) fn nothing(status: u16, about: &'static str) -> Answer {
    of(status, about, Vec::new())
}

fn of(status: u16, about: &'static str, content: Vec<(&'static str, Option<Shape>)>) -> Answer {
    Answer { status, about, content, headers: Vec::new() }
}

/// A media type without its parameters.
pub(super) fn kind(full: &'static str) -> &'static str {
    full.split(';').next().unwrap_or(full)
}

fn essence(format: Format) -> &'static str {
    kind(format.content_type())
}

impl Answer {
    /// The same with headers of [`headers`].
    pub(super) fn with(mut self, headers: &[&'static str]) -> Self {
        self.headers.extend(headers);
        self
    }

    /// As the document has it.
    pub(super) fn described(&self) -> Value {
        let mut answer = json!({ "description": self.about });
        if !self.content.is_empty() {
            let content = self.content.iter().map(|(kind, shape)| {
                let shape = shape.as_ref().map(|shape| json!({ "schema": shape.schema }));
                ((*kind).to_owned(), shape.unwrap_or_else(|| json!({})))
            });
            let content: Map<String, Value> = content.collect();
            answer["content"] = Value::Object(content);
        }
        if !self.headers.is_empty() {
            answer["headers"] = referred(&self.headers);
        }
        answer
    }
}

fn referred(headers: &[&str]) -> Value {
    let headers = headers.iter();
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    headers.map(|name| ((*name).to_owned(), reference(name))).collect::<Map<_, _>>().into()
}

/// Headers of answers: whether they are always there, and what they say.
const HEADERS: [(&str, bool, &str); 14] = [
    ("Location", true, "where what was made is"),
    ("Tidemark-Position", true, "the position of the answer, for wait_for"),
    ("ETag", true, "the version of what is given"),
    ("Retry-After", true, "in how many seconds it may be tried again"),
    ("WWW-Authenticate", true, "Bearer"),
    ("Content-Disposition", false, "the name of the file"),
    ("Content-Length", false, "the bytes of the answer"),
    ("Content-Range", true, "which bytes these are, of how many"),
    ("Accept-Ranges", false, "bytes"),
    ("Digest", false, "SHA-256 of the whole file, in base64 (RFC 3230)"),
    ("Repr-Digest", false, "SHA-256 of the whole file, in base64 (RFC 9530)"),
    ("Tidemark-Rows", true, "the rows of the file"),
    ("Tidemark-As-Of", true, "the date that was today"),
    ("Sunset", false, "when the file goes"),
];

/// Headers by name.
pub(super) fn headers() -> Map<String, Value> {
    let described = |(name, required, about): (&str, bool, &str)| {
        let schema = json!({ "type": "string" });
        let header = json!({ "description": about, "required": required, "schema": schema });
        (name.to_owned(), header)
    };
    HEADERS.into_iter().map(described).collect()
}

/// The answer of a status that is a refusal.
pub(super) fn problem(status: u16) -> Value {
    json!({ "$ref": format!("#/components/responses/{}", title(status)) })
}

/// Refusals by the name of their status.
pub(super) fn problems(statuses: &BTreeSet<u16>) -> Map<String, Value> {
    let described = |status: &u16| {
        let mut answer = json!({
            "description": why(*status),
            "content": { "application/problem+json": { "schema": schemas::named("Problem").schema } },
        });
        let headers: &[&str] = match status {
            401 => &["WWW-Authenticate"],
            416 => &["Content-Range"],
            429 | 503 => &["Retry-After"],
            _ => &[],
        };
        if !headers.is_empty() {
            answer["headers"] = referred(headers);
        }
        (title(*status), answer)
    };
    statuses.iter().map(described).collect()
}

/// `NotFound`.
fn title(status: u16) -> String {
    let known = StatusCode::from_u16(status).ok();
    let reason = known.and_then(|status| status.canonical_reason()).unwrap_or("Refused");
    reason.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn why(status: u16) -> &'static str {
    match status {
        400 => "the request, a parameter or the body is wrong",
        401 => "there is no token or ticket, or one that does not hold",
        403 => "the roles of the token do not allow the call, or its tenant is not here",
        404 => "there is no such thing",
        406 => "no format of `Accept` can be given",
        408 => "the rest of the body did not come in time",
        409 => "it does not go with what is there",
        410 => "it was there, and is not any more",
        412 => "it was changed meanwhile",
        413 => "the body is too large",
        414 => "the address is too long",
        415 => "the body is of a type, or in a coding, that the call does not take",
        416 => "the file has no such bytes",
        422 => "it cannot be done, or goes over a limit",
        426 => "this address takes a WebSocket's handshake alone",
        428 => "what is to be replaced is not said",
        429 => "an allowance is used up, or too much is under way; nothing was done",
        500 => "a fault of the service",
        503 => "the service cannot do it at the moment; it may be tried again",
        504 => "what it waits for did not come in time",
        _ => "it cannot be done",
    }
}
