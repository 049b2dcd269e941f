//! An analyst of one firm as a database that sqllogictest asks.

use async_trait::async_trait;
use reqwest::Client;
use serde_json::{Value, json};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tenancy::Role;

use crate::process::token;

/// Asks the service over HTTP.
#[derive(Clone)]
pub(crate) struct Analyst {
    client: Client,
    url: String,
    token: String,
}

/// What the service says in place of an answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(String);

impl Analyst {
    pub(crate) fn new(url: String, firm: &str) -> Self {
        Self { client: Client::new(), url, token: token(Some(firm), Role::Analyst) }
    }
}

#[async_trait]
impl AsyncDB for Analyst {
    type Error = Refusal;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refusal> {
        let question = self.client.post(&self.url).bearer_auth(&self.token);
        let answer = question.json(&json!({ "sql": sql })).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        if status != 200 {
            return Err(Refusal(body));
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        let columns = body["columns"].as_array().unwrap();
        let kinds: Vec<&str> = columns.iter().map(|c| c["type"].as_str().unwrap()).collect();
        let row = |row: &Value| {
            let values = row.as_array().unwrap().iter().zip(&kinds);
            values.map(|(value, kind)| text(value, kind)).collect()
        };
        let rows = body["rows"].as_array().unwrap().iter().map(row).collect();
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; kinds.len()], rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "tidemark"
    }
}

/// A value as the case files have it: four places at most, without zeros at the end.
fn text(value: &Value, kind: &str) -> String {
    match (value, kind) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::String(text), "decimal") => four_places(text),
        (Value::Number(number), "float") => {
            four_places(&format!("{:.9}", number.as_f64().unwrap()))
        }
        (Value::String(text), _) if text.is_empty() => "(empty)".to_owned(),
        (Value::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    }
}

/// A number rounded to four places, half away from zero.
fn four_places(number: &str) -> String {
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let places = format!("{places:0<5}");
    let kept = format!("{}{}", whole.trim_start_matches('-'), &places[..4]);
    let units = kept.parse::<i128>().unwrap() + i128::from(places.as_bytes()[4] >= b'5');
    if units == 0 {
        return "0".to_owned();
    }
    let text = format!("{sign}{}.{:04}", units / 10_000, units % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
