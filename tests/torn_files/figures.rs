//! What a service answers: every view and every event of some tenants, or why not.

use std::collections::BTreeMap;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tenancy::Role;

use crate::process::{Process, token};

/// An answer: rows in the order of their text, or the problem.
pub(crate) type Answer = Result<Vec<String>, Value>;

/// The answer to each question, of each tenant.
pub(crate) type Figures = BTreeMap<String, Answer>;

/// Asks for every view, and for the events of every type.
pub(crate) async fn figures(process: &Process, tenants: &[String]) -> Figures {
    let mut figures = Figures::new();
    let views = projections::ViewDefinition::builtin();
    let types = projections::EventTypes::builtin();
    let client = Client::new();
    for tenant in tenants {
        for view in views.iter().filter(|view| !view.internal) {
            let path = format!("/v1/views/{}?limit=100000", view.name);
            let request = client.get(process.url(&path));
            figures.insert(format!("{tenant} {}", view.name), rows(request, tenant).await);
        }
        for kind in types.iter() {
            let sql = format!("SELECT * FROM events.\"{}\"", kind.name());
            let request = client.post(process.url("/v1/query")).json(&json!({ "sql": sql }));
            figures.insert(format!("{tenant} {}", kind.name()), rows(request, tenant).await);
        }
    }
    figures
}

async fn rows(request: reqwest::RequestBuilder, tenant: &str) -> Answer {
    let request = request.bearer_auth(token(Some(tenant), Role::Admin));
    let answer = request.send().await.unwrap();
    let (status, answer): (StatusCode, Value) = (answer.status(), answer.json().await.unwrap());
    if status != StatusCode::OK {
        return Err(answer);
    }
    let mut rows: Vec<String> =
        answer["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// The questions that are answered otherwise; a refusal is no other answer.
pub(crate) fn different(before: &Figures, now: &Figures) -> Vec<String> {
    let is_other = |(question, before): &(&String, &Answer)| match (before, &now[*question]) {
        (Ok(before), Ok(now)) => before != now,
        (Err(_), _) => true,
        (Ok(_), Err(_)) => false,
    };
    before.iter().filter(is_other).map(|(question, _)| question.clone()).collect()
}

/// The questions that are refused, each with the problem.
pub(crate) fn refused(figures: &Figures) -> BTreeMap<&str, &Value> {
    let refused = figures.iter().filter_map(|(question, answer)| match answer {
        Ok(_) => None,
        Err(problem) => Some((question.as_str(), problem)),
    });
    refused.collect()
}
