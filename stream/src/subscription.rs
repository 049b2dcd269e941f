//! What a client asks to watch.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::body::Format;
use crate::problem::Problem;

/// The longest id of a subscription, in bytes.
const ID_BYTES: usize = 128;

/// The longest interval between deltas: well under the time for which changes are kept.
const MAX_RATE_MS: u64 = 60_000;

/// What a client asks to watch, checked as far as it can be without the views.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub(crate) id: String,
    pub(crate) target: Target,
    pub(crate) filter: BTreeMap<String, Box<RawValue>>,
    pub(crate) resume: Option<String>,
    pub(crate) interval: Option<Duration>,
    pub(crate) format: Format,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    View(String),
    Sql(String),
    /// That there is something new about the tenant's alerts.
    Alerts,
}

/// The JSON of a subscription. Members that are not named here are ignored, so that a client
/// written for a later server still works.
#[derive(Deserialize)]
#[serde(expecting = "a subscription, a JSON object")]
struct Document {
    id: String,
    view: Option<String>,
    sql: Option<String>,
    alerts: Option<bool>,
    r#where: Option<BTreeMap<String, Box<RawValue>>>,
    resume: Option<String>,
    max_rate_ms: Option<u64>,
    format: Option<String>,
}

impl Subscription {
    /// Reads a subscription from its JSON, `{"id", "view", "where"?, "resume"?, "max_rate_ms"?,
    /// "format"?}`, `{"id", "sql", "resume"?, "max_rate_ms"?}` or `{"id", "alerts": true}`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let document: Document = serde_json::from_str(text).map_err(|e| {
            invalid(format!("{e}; send an object such as {{\"id\":\"a\",\"view\":\"ar_aging\"}}"))
        })?;
        document.check()
    }

    /// What it watches, for a record of it: `{"id", "view", "where"?}`, `{"id", "sql"}` or
    /// `{"id", "alerts"}`.
    pub fn described(&self) -> Value {
        let mut described = json!({ "id": self.id });
        match &self.target {
            Target::View(view) => described["view"] = json!(view),
            Target::Sql(sql) => described["sql"] = json!(sql),
            Target::Alerts => described["alerts"] = json!(true),
        }
        if !self.filter.is_empty() {
            described["where"] = json!(self.filter);
        }
        described
    }

    /// The id its client gave it, which every message of it bears.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Document {
    fn check(self) -> Result<Subscription, Problem> {
        if self.id.is_empty() || self.id.len() > ID_BYTES {
            return Err(invalid(format!("'id' must have 1 to {ID_BYTES} bytes")));
        }
        let has_alerts = self.alerts == Some(true);
        let has_more = self.view.is_some() || self.sql.is_some() || self.r#where.is_some();
        if has_alerts && has_more {
            let detail = "alerts are followed by a subscription of their own, all of them";
            return Err(invalid(detail.to_owned()));
        }
        let target = match (self.view, self.sql) {
            (None, None) if has_alerts => Target::Alerts,
            (Some(view), None) => Target::View(view),
            (None, Some(_)) if self.r#where.is_some() => {
                let detail = "'where' goes with a 'view': say it in the SQL".to_owned();
                return Err(invalid(detail));
            }
            (None, Some(_)) if self.format.as_deref() == Some("arrow") => {
                let detail =
                    "'format' \"arrow\" goes with a 'view': SQL is told as JSON".to_owned();
                return Err(invalid(detail));
            }
            (None, Some(sql)) => Target::Sql(sql),
            (Some(_), Some(_)) => {
                return Err(invalid("it has both 'view' and 'sql': name one of them".into()));
            }
            (None, None) => {
                let detail = "it names nothing to watch: give it a 'view', 'sql' or 'alerts'";
                return Err(invalid(detail.to_owned()));
            }
        };
        let interval = match self.max_rate_ms {
            None | Some(0) => None,
            Some(ms) if ms <= MAX_RATE_MS => Some(Duration::from_millis(ms)),
            Some(ms) => {
                return Err(invalid(format!(
                    "'max_rate_ms' is {ms}: it can be at most {MAX_RATE_MS}"
                )));
            }
        };
        let format = match self.format.as_deref() {
            None | Some("json") => Format::Json,
            Some("arrow") => Format::Arrow,
            Some(_) => return Err(invalid("'format' can be \"json\" or \"arrow\"".into())),
        };
        Ok(Subscription {
            id: self.id,
            target,
            filter: self.r#where.unwrap_or_default(),
            resume: self.resume,
            interval,
            format,
        })
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new("invalid-subscription", StatusCode::BAD_REQUEST, "Invalid subscription", detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_all_members_and_ignores_others() {
        let text = r#"{"id":"a","view":"v","where":{"c":"x","n":1.50},"resume":"p","max_rate_ms":250,"format":"arrow","later":1}"#;
        let sub = Subscription::parse(text).unwrap();
        assert_eq!(sub.id(), "a");
        assert_eq!(sub.target, Target::View("v".into()));
        assert_eq!(sub.filter["n"].get(), "1.50");
        assert_eq!(sub.resume.as_deref(), Some("p"));
        assert_eq!(sub.interval, Some(Duration::from_millis(250)));
        assert_eq!(sub.format, Format::Arrow);
        let plain = Subscription::parse(r#"{"id":"a","view":"v"}"#).unwrap();
        assert_eq!(plain.format, Format::Json);
    }

    #[test]
    fn what_is_recorded_of_it_says_what_it_watches() {
        for text in [
            r#"{"id":"a","view":"v","where":{"c":"x"}}"#,
            r#"{"id":"a","sql":"SELECT 1"}"#,
            r#"{"id":"a","alerts":true}"#,
        ] {
            let described = Subscription::parse(text).unwrap().described();
            assert_eq!(described, serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, said) in [
            ("", "EOF while parsing"),
            ("[]", "a subscription, a JSON object"),
            (r#"{"view":"v"}"#, "missing field `id`"),
            (r#"{"id":7,"view":"v"}"#, "integer `7`, expected a string at line 1 column 7"),
            (r#"{"id":"","view":"v"}"#, "'id' must have 1 to 128 bytes"),
            (r#"{"id":"a"}"#, "names nothing to watch"),
            (r#"{"id":"a","view":"v","sql":"SELECT 1"}"#, "both 'view' and 'sql'"),
            (r#"{"id":"a","sql":"SELECT 1","where":{}}"#, "say it in the SQL"),
            (r#"{"id":"a","alerts":false}"#, "names nothing to watch"),
            (r#"{"id":"a","view":"v","alerts":true}"#, "a subscription of their own"),
            (r#"{"id":"a","alerts":true,"where":{"c":"x"}}"#, "a subscription of their own"),
            (r#"{"id":"a","view":"v","max_rate_ms":60001}"#, "at most 60000"),
            (r#"{"id":"a","view":"v","max_rate_ms":-1}"#, "expected u64"),
            (r#"{"id":"a","sql":"SELECT 1","format":"arrow"}"#, "goes with a 'view'"),
            (r#"{"id":"a","view":"v","format":"csv"}"#, "can be \"json\" or \"arrow\""),
            (r#"{"id":"a","id":"b","view":"v"}"#, "duplicate field `id`"),
        ] {
            let problem = Subscription::parse(text).unwrap_err();
            assert_eq!(problem.status, StatusCode::BAD_REQUEST);
            assert!(problem.detail.contains(said), "{text}: {}", problem.detail);
        }
    }
}
