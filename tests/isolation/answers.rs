//! Answers, without what may differ between any two.

use reqwest::Response;
use serde_json::Value;

use crate::firms::{FIRM, MARK, NO_FIRM, NOBODYS, THEIRS};

/// Members whose values are of a moment, or made anew each time.
const FLEETING: [&str; 16] = [
    "at",
    "as_of",
    "created_at",
    "changed_at",
    "received_at",
    "expires_at",
    "deleted_at",
    "ended_at",
    "ticket",
    "position",
    "id",
    "run_id",
    "token",
    "secret",
    "ms",
    "memory_bytes",
];

/// Members of an own view that change while it is filled.
const PROGRESS: [&str; 3] = ["filled", "row_count", "state"];

/// What an answer says, comparable with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Said {
    /// Reads an answer to its end, and puts one name for what is another's and what is nobody's.
    pub(crate) async fn of(answer: Response) -> Self {
        let status = answer.status().as_u16();
        let mut headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .filter(|(name, _)| !["date", "tidemark-position", "etag"].contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), plain(value.to_str().unwrap_or("?"))))
            .map(
                |(name, value)| {
                    if name == "location" { (name, folder(&value)) } else { (name, value) }
                },
            )
            .collect();
        headers.sort();
        let text = answer.text().await.unwrap();
        if serde_json::from_str::<Value>(&text).is_ok() {
            // Of what is made anew the length may differ too.
            headers.retain(|(name, _)| status >= 400 || name != "content-length");
        }
        Self { status, headers, body: plain(&settled(&text)) }
    }

    /// Fails if there is something of the other firm in it.
    pub(crate) fn keeps_secret(&self, what: &str) {
        let all = format!("{:?} {}", self.headers, self.body);
        // What the caller itself has asked for by name is echoed, and stands there as NAME.
        assert!(!all.to_lowercase().contains(MARK), "a leak by {what}: {all}");
    }
}

/// An address without its last part, which may be an id that was given out.
fn folder(address: &str) -> String {
    address.rsplit_once('/').map_or(address, |(folder, _)| folder).to_owned()
}

fn plain(text: &str) -> String {
    let text = text.replace(THEIRS, "NAME").replace(NOBODYS, "NAME");
    text.replace(FIRM, "FIRM").replace(NO_FIRM, "FIRM")
}

/// The text with what is fleeting taken out, if it is JSON.
fn settled(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => settle(value).to_string(),
        Err(_) => text.to_owned(),
    }
}

fn settle(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            // How far a view is that has just been defined.
            let is_new = members.get("own") == Some(&Value::Bool(true));
            members
                .into_iter()
                .map(|(name, value)| {
                    let is_progress = is_new && PROGRESS.contains(&name.as_str());
                    let is_fleeting =
                        is_progress || FLEETING.contains(&name.as_str()) && !value.is_null();
                    let settled = if is_fleeting { Value::from("*") } else { settle(value) };
                    (name, settled)
                })
                .collect()
        }
        Value::Array(items) => items.into_iter().map(settle).collect(),
        other => other,
    }
}
