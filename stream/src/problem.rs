//! Problem documents, RFC 9457: how every error looks outside.

use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// What stands before the slug in a problem's `type`.
const TYPE_PREFIX: &str = "urn:tidemark:problem:";

/// The member that says in how many seconds it may be tried again; answers say so in a header too.
const RETRY_AFTER: &str = "retry_after_s";

/// A problem document: as an HTTP answer, and inside `error` messages of a stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// A stable URI of the kind of problem, `urn:tidemark:problem:<slug>`.
    pub r#type: String,
    /// The kind of problem in a few words, the same for every problem of the type.
    pub title: String,
    /// The HTTP status.
    #[serde(serialize_with = "status_number")]
    pub status: StatusCode,
    /// What is wrong here, where, and what to do.
    pub detail: String,
    /// Further members of the document.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// A problem of the type `urn:tidemark:problem:<slug>`.
    pub fn new(
        slug: &str,
        status: StatusCode,
        title: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            r#type: format!("{TYPE_PREFIX}{slug}"),
            title: title.into(),
            status,
            detail: detail.into(),
            members: Map::new(),
        }
    }

    /// Of `what` belongs to a module that its tenant has switched off.
    pub fn switched_off(what: &str, module: &str) -> Self {
        let detail = format!(
            "{what} belongs to the module `{module}`, which is switched off; nothing is lost, and an \
             admin switches it on again with PATCH /v1/tenant"
        );
        Self::new("module-off", StatusCode::CONFLICT, "The module is switched off", detail)
            .with("module", module)
    }

    /// The same with one more member. The five members of the standard cannot be replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        const STANDARD: [&str; 5] = ["type", "title", "status", "detail", "instance"];
        if !STANDARD.contains(&name) {
            self.members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The document as one line of JSON.
    pub fn to_json(&self) -> String {
        // A map of strings and JSON values always serializes; the fallback still says what it was.
        serde_json::to_string(self).unwrap_or_else(|_| {
            format!(r#"{{"type":"{TYPE_PREFIX}internal","status":{}}}"#, self.status.as_u16())
        })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's shape of such a function
fn status_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

/// The `type` of the problem that an answer states: an extension of the answer, for those it passes
/// by on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemType(pub String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static("application/problem+json");
        let headers = [(header::CONTENT_TYPE, content_type)];
        let mut response = (self.status, headers, self.to_json()).into_response();
        if let Some(seconds) = self.members.get(RETRY_AFTER).and_then(Value::as_u64) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(ProblemType(self.r#type));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_beside_the_standard_ones() {
        let problem = Problem::new("unknown-view", StatusCode::NOT_FOUND, "Unknown view", "Look.")
            .with("retry_after_s", 3)
            .with("views", vec!["a"])
            .with("status", 200);
        assert_eq!(
            problem.to_json(),
            r#"{"type":"urn:tidemark:problem:unknown-view","title":"Unknown view","status":404,"detail":"Look.","retry_after_s":3,"views":["a"]}"#
        );
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
    }
}
