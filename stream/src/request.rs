//! What a WebSocket client may say.

use axum::http::StatusCode;
use serde::Deserialize;

use crate::problem::Problem;
use crate::subscription::Subscription;

/// A message of a client.
#[derive(Debug)]
pub(crate) enum Request {
    Auth { token: String },
    Subscribe(Subscription),
    Unsubscribe { id: String },
    Ping,
}

/// A message that cannot be followed: the subscription it speaks of, where that is known, and why.
#[derive(Debug)]
pub(crate) struct BadRequest {
    pub(crate) id: Option<String>,
    pub(crate) problem: Box<Problem>,
}

/// What every message has. The rest is read again by its type, because raw values cannot be
/// read through a tagged enum.
#[derive(Deserialize)]
#[serde(expecting = "a message, a JSON object")]
struct Envelope {
    r#type: String,
    #[serde(default)]
    id: Option<serde_json::Value>,
    #[serde(default)]
    token: Option<String>,
}

impl BadRequest {
    fn new(id: Option<String>, problem: Problem) -> Self {
        Self { id, problem: Box::new(problem) }
    }
}

impl Request {
    pub(crate) fn parse(text: &str) -> Result<Self, BadRequest> {
        let envelope: Envelope = serde_json::from_str(text)
            .map_err(|e| BadRequest::new(None, invalid(e.to_string())))?;
        let id = match envelope.id {
            Some(serde_json::Value::String(id)) => Some(id),
            _ => None,
        };
        match (envelope.r#type.as_str(), id, envelope.token) {
            ("auth", _, Some(token)) => Ok(Self::Auth { token }),
            ("auth", id, None) => Err(BadRequest::new(id, invalid("auth has no 'token'".into()))),
            ("subscribe", id, _) => Subscription::parse(text)
                .map(Self::Subscribe)
                .map_err(|problem| BadRequest::new(id, problem)),
            ("unsubscribe", Some(id), _) => Ok(Self::Unsubscribe { id }),
            ("unsubscribe", None, _) => {
                let detail = "unsubscribe has no 'id', a string".to_owned();
                Err(BadRequest::new(None, invalid(detail)))
            }
            ("ping", ..) => Ok(Self::Ping),
            (other, id, _) => {
                let other: String = other.chars().take(40).collect();
                let detail = format!(
                    "'{other}' is no type of message: send auth, subscribe, unsubscribe or ping"
                );
                Err(BadRequest::new(id, invalid(detail)))
            }
        }
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new("invalid-message", StatusCode::BAD_REQUEST, "Invalid message", detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn reads_every_type() {
        let auth = Request::parse(r#"{"type":"auth","token":"t"}"#);
        assert!(matches!(auth, Ok(Request::Auth { token }) if token == "t"));
        assert!(matches!(Request::parse(r#"{"type":"ping"}"#), Ok(Request::Ping)));
        let unsubscribe = Request::parse(r#"{"type":"unsubscribe","id":"a"}"#);
        assert!(matches!(unsubscribe, Ok(Request::Unsubscribe { id }) if id == "a"));
        let text = r#"{"type":"subscribe","id":"a","view":"v","where":{"amount":12.10}}"#;
        let Ok(Request::Subscribe(sub)) = Request::parse(text) else { panic!("not read") };
        assert_eq!(sub.filter["amount"].get(), "12.10");
    }

    #[test]
    fn a_bad_one_bears_the_id_it_speaks_of() {
        let bad = Request::parse(r#"{"type":"subscribe","id":"a"}"#).unwrap_err();
        assert_eq!(bad.id.as_deref(), Some("a"));
        let bad = Request::parse(r#"{"type":"nonsense"}"#).unwrap_err();
        assert!(bad.problem.detail.contains("'nonsense' is no type of message"));
        assert!(Request::parse("nonsense").is_err());
        assert!(Request::parse(&"[".repeat(60_000)).is_err());
        assert!(Request::parse(r#"{"type":"unsubscribe","id":7}"#).is_err());
        assert!(Request::parse(r#"{"type":"auth"}"#).is_err());
    }
}
