//! The dashboards of templates over events of firms of their kind, as `tidemark generate` makes them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use serde_json::{Value, json};
use tenancy::Role;
use tenancy::dashboards::document::{Document, Param, Source};
use tenancy::templates;

use crate::service::{Service, token};

/// About two years of a small firm.
const EVENTS: usize = 1_500;

/// So many events of one firm, of all modules or of its kind.
pub(crate) fn generated(count: usize, vertical: Option<&str>) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    let events = count.to_string();
    command.args(["generate", "--tenants", "1", "--events", &events, "--seed", "7"]);
    if let Some(vertical) = vertical {
        command.args(["--vertical", vertical]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{vertical:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let event = |line: &str| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        // Whose they are the token says.
        event.as_object_mut().unwrap().remove("tenantid");
        event
    };
    lines.lines().map(event).collect()
}

/// Whether a widget is about what goes wrong: a firm may be without any of it on a day.
fn is_of_trouble(source: &Source) -> bool {
    let over = source
        .view
        .as_ref()
        .is_some_and(|view| ["unapplied_cash", "compliance_failures"].contains(&view.as_str()));
    let only = |column: &str, value: Value| source.compared.get(column) == Some(&value);
    over || only("below_reorder", json!(true))
        || only("exceeded", json!(true))
        || only("priority", json!("urgent"))
}

/// What is asked for the number of a widget's rows, with the filters of its dashboard as they are at
/// first.
fn question(document: &Document, source: &Source) -> Value {
    if let Some(sql) = &source.sql {
        let value = |param: &Param| match param {
            Param::Value(value) => value.clone(),
            Param::Filter(id) => {
                let filter = document.filters.iter().find(|filter| filter.id == *id);
                filter.and_then(|filter| filter.default.clone()).unwrap_or_default()
            }
        };
        let params: Vec<Value> = source.params.iter().map(value).collect();
        return json!({ "sql": format!("SELECT count(*) FROM ({sql}) AS asked"), "params": params });
    }
    let view = source.view.as_ref().unwrap();
    let equal =
        source.compared.keys().zip(1..).map(|(column, n)| format!(" AND \"{column}\" = ${n}"));
    let params: Vec<&Value> = source.compared.values().collect();
    let sql = format!("SELECT count(*) FROM {view} WHERE true{}", equal.collect::<String>());
    json!({ "sql": sql, "params": params })
}

/// What a firm's people see on the dashboards that it began with.
struct Seen<'a> {
    service: &'a Service,
    admin: String,
    /// All events that were sent are in what is read.
    position: String,
    /// The numbers of rows, by what was asked.
    known: BTreeMap<String, u64>,
}

impl Seen<'_> {
    async fn rows(&mut self, document: &Document, source: &Source) -> u64 {
        let question = question(document, source);
        if let Some(rows) = self.known.get(&question.to_string()) {
            return *rows;
        }
        let path = format!("/v1/query?wait_for={}&wait_ms=60000", self.position);
        let answer = self.service.post(&path, &self.admin).json(&question).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{question}: {answer}");
        let rows = answer["rows"][0][0].as_u64().unwrap();
        self.known.insert(question.to_string(), rows);
        rows
    }
}

/// A firm of that kind with its events, as its admin sees it.
async fn firm<'a>(service: &'a Service, vertical: &str) -> Seen<'a> {
    let body = json!({
        "id": vertical, "name": vertical, "timezone": "Europe/Berlin", "currency": "EUR",
        "vertical": vertical, "clock": "events",
    });
    let platform = token(None, &[Role::Platform]);
    let made = service.post("/v1/platform/tenants", &platform).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let admin = token(Some(vertical), &[Role::Admin]);
    let receipt = service.send(&admin, &generated(EVENTS, Some(vertical))).await;
    assert_eq!(receipt["rejected"], json!([]), "{vertical}");
    let taken = receipt["accepted"].as_u64().unwrap() + receipt["duplicates"].as_u64().unwrap();
    assert_eq!(taken, EVENTS as u64, "{vertical}");
    let position = receipt["position"].as_str().unwrap().to_owned();
    Seen { service, admin, position, known: BTreeMap::new() }
}

#[tokio::test]
async fn every_board_of_every_line_of_business_has_something_to_show() {
    let service = Service::start().await;
    let mut table =
        format!("{:<14} {:<16} {:>7} {:>5}  empty\n", "vertical", "board", "widgets", "rows");
    let mut faults = Vec::new();
    for template in templates::all() {
        let vertical = template.vertical.as_str();
        let mut seen = firm(&service, vertical).await;
        assert!(!template.dashboards.is_empty(), "{vertical}");
        for board in &template.dashboards {
            let (mut shown, mut empty) = (0, Vec::new());
            for widget in &board.document.widgets {
                let Some(source) = &widget.source else { continue };
                if seen.rows(&board.document, source).await > 0 {
                    shown += 1;
                    continue;
                }
                let is_right = is_of_trouble(source);
                empty.push(if is_right {
                    widget.id.to_string()
                } else {
                    format!("{}!", widget.id)
                });
                if !is_right {
                    faults.push(format!("{vertical}/{}: {} has no rows", board.id, widget.id));
                }
            }
            if shown < empty.len() || shown == 0 {
                faults.push(format!("{vertical}/{} is mostly empty", board.id));
            }
            let (all, empty) = (shown + empty.len(), empty.join(", "));
            writeln!(table, "{vertical:<14} {:<16} {all:>7} {shown:>5}  {empty}", board.id)
                .unwrap();
        }
    }
    assert!(faults.is_empty(), "{}\n\n{table}", faults.join("\n"));
}
