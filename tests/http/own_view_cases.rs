//! Every construct of SQL that the engine is tested with, defined as a view while the service runs: it holds what
//! a query of the same text answers, as events come and after a crash. The engine's own tests run it alone;
//! here it stands where it stands in service, on its thread and between checkpoints.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::generated::generated;
use crate::own_views::defined;
use crate::service::Service;

/// Events that come before the crash, and as many after it.
const EVENTS: usize = 400;

/// The views of one file of `projections/tests/cases`: their names and texts, each reading those before it.
struct Case {
    file: String,
    views: Vec<(String, String)>,
}

impl Case {
    fn read(path: &PathBuf) -> Self {
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let view = |part: &str| match part.split_once(":=") {
            Some((name, sql)) => (name.lines().last().unwrap().trim().to_owned(), sql.to_owned()),
            None => (file.clone(), part.to_owned()),
        };
        let parts = text.split_inclusive(";\n").map(|part| part.trim().trim_end_matches(';'));
        let views = parts.filter(|part| !part.is_empty()).map(view).collect();
        Self { file, views }
    }

    fn all() -> Vec<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("projections/tests/cases");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut cases: Vec<Self> = files.map(|path| Self::read(&path)).collect();
        cases.sort_by(|a, b| a.file.cmp(&b.file));
        cases
    }

    /// Whose views they are: names that several files may use are in a tenant for each.
    fn tenant(&self) -> String {
        if self.views.len() == 1 { "all".to_owned() } else { self.file.replace('_', "-") }
    }
}

/// The rows as a set. Floats are added up in any order, so their last digits are left out.
fn rows(rows: &Value) -> Vec<String> {
    fn cell(value: &Value) -> String {
        match value {
            Value::Number(number) if number.is_f64() => format!("{:.9e}", number.as_f64().unwrap()),
            Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" | "),
            other => other.to_string(),
        }
    }
    let mut rows: Vec<String> = rows.as_array().unwrap().iter().map(cell).collect();
    rows.sort_unstable();
    rows
}

/// The files whose views differ from their queries, and how.
async fn differences(
    service: &Service,
    cases: &[(Case, String)],
    positions: &[Value],
) -> Vec<String> {
    let mut found = Vec::new();
    for ((case, admin), position) in cases.iter().zip(positions) {
        let position = position.as_str().unwrap();
        for (name, sql) in &case.views {
            let path = format!("/v1/views/{name}?wait_for={position}&wait_ms=60000&limit=100000");
            let view: Value = service.get(&path, admin).send().await.unwrap().json().await.unwrap();
            if view["rows"].is_null() {
                found.push(format!("{}: {view}", case.file));
                continue;
            }
            let (view, query) = (rows(&view["rows"]), rows(&service.ask(admin, sql).await));
            let beyond = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|row| !those.contains(row)).take(3).cloned().collect()
            };
            if view != query {
                let (more, less) = (beyond(&view, &query), beyond(&query, &view));
                found.push(format!("{}: view has {more:?}, query has {less:?}", case.file));
            }
        }
    }
    found
}

/// Sends a part of the events to all; the position of each case's tenant.
async fn send(service: &Service, cases: &[(Case, String)], events: &[Value]) -> Vec<Value> {
    let mut positions: Vec<Value> = Vec::new();
    for (place, (_, admin)) in cases.iter().enumerate() {
        let same = cases[..place].iter().position(|(_, other)| other == admin);
        positions.push(match same {
            Some(same) => positions[same].clone(),
            None => service.send(admin, events).await["position"].clone(),
        });
    }
    positions
}

#[tokio::test]
async fn every_construct_as_a_view_holds_what_its_query_answers() {
    let room = [("TIDEMARK_LIMITS_VIEWS_COUNT", "400")];
    let mut service = Service::start_with(Arc::new(tempfile::tempdir().unwrap()), &room).await;
    let mut cases: Vec<(Case, String)> = Vec::new();
    for case in Case::all() {
        let tenant = case.tenant();
        let known = cases.iter().find(|(other, _)| other.tenant() == tenant);
        let admin = match known {
            Some((_, admin)) => admin.clone(),
            None => service.tenant(&tenant).await,
        };
        for (name, sql) in &case.views {
            defined(&service, &admin, name, sql).await;
        }
        cases.push((case, admin));
    }
    let events = generated(2 * EVENTS, None);
    let positions = send(&service, &cases, &events[..EVENTS]).await;
    assert_eq!(differences(&service, &cases, &positions).await, [""; 0]);

    service.process.kill().unwrap();
    service.process.wait().unwrap();
    let again = Service::start_with(Arc::clone(&service.data), &room).await;
    let positions = send(&again, &cases, &events[EVENTS..]).await;
    assert_eq!(differences(&again, &cases, &positions).await, [""; 0]);
}
