//! SQL as an analyst asks it, of the whole process: every `.slt` file of `cases` is in the format of
//! sqllogictest and is asked of the firm whose folder it stands in, over `POST /v1/query`. The answers
//! in the files are DuckDB's: `scripts/sql-cases` writes them, and nobody else. A new case is a new
//! query in a file.
//!
//! The trading firm and AdventureWorks are in the project; the events of the others lie outside it, at
//! `TIDEMARK_SAMPLE_DATA`, or else at `../shared/data`. Without that folder they are left out, which is
//! said on standard error, and is a failure where `CI` is set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod analyst;
#[allow(dead_code)]
#[path = "../real_data/process.rs"]
mod process;

use std::path::{Path, PathBuf};

use reqwest::Client;
use serde_json::{Map, Value, json};
use sqllogictest::{Record, Runner};
use tempfile::TempDir;
use tenancy::Role;

use analyst::Analyst;
use process::{Process, token};

/// A firm, its clock, and whether its events are in the project.
const FIRMS: [(&str, &str, Option<&str>); 5] = [
    ("trade", "fixed:1998-12-31", Some("tests/sql/trade.ndjson.gz")),
    ("adventureworks", "fixed:2014-06-30", Some("benches/data/adventureworks.ndjson.gz")),
    ("maven-crm", "events", None),
    ("sip", "fixed:2014-12-31", None),
    ("habits", "fixed:2025-04-18", None),
];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The file with a firm's events, if it is there.
fn events(firm: &str, inside: Option<&str>) -> Option<PathBuf> {
    if let Some(path) = inside {
        return Some(here(path));
    }
    let named = std::env::var_os("TIDEMARK_SAMPLE_DATA").map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| here("../shared/data"));
    let file = folder.join(format!("{firm}.ndjson.gz"));
    if file.is_file() {
        return Some(file);
    }
    let wanted = named.is_some() || std::env::var_os("CI").is_some();
    assert!(!wanted, "there is no {}", file.display());
    eprintln!("there is no {}: {firm} is left out", file.display());
    None
}

fn cases(firm: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(here("tests/sql/cases").join(firm)).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{firm}");
    files
}

/// Registers the types of the trading firm, which are none of the built-in ones.
async fn register(process: &Process) {
    let types = std::fs::read_to_string(here("tests/sql/trade.types.json")).unwrap();
    let types: Map<String, Value> = serde_json::from_str(&types).unwrap();
    for (name, fields) in types {
        let fields: Vec<Value> = fields.as_array().unwrap().iter().map(avro_field).collect();
        let record = name.split('.').next_back().unwrap();
        let schema = json!({ "type": "record", "name": record, "fields": fields });
        let answer = Client::new()
            .post(process.url("/v1/event-types"))
            .bearer_auth(token(Some("trade"), Role::Admin))
            .json(&json!({ "type": name, "schema": schema }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }
}

/// The field that is written `name type`, with a `?` behind it where it may be missing.
fn avro_field(field: &Value) -> Value {
    let (name, kind) = field.as_str().unwrap().split_once(' ').unwrap();
    let (kind, is_optional) = match kind.strip_suffix('?') {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let kind = match kind {
        "decimal" => {
            json!({ "type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 4 })
        }
        "date" => json!({ "type": "int", "logicalType": "date" }),
        other => json!(other),
    };
    if is_optional {
        return json!({ "name": name, "type": ["null", kind], "default": null });
    }
    json!({ "name": name, "type": kind })
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_answered_as_duckdb_answers_them() {
    let folder = TempDir::new().unwrap();
    let process = Process::start(folder.path()).await;
    let (mut failures, mut queries) = (String::new(), 0);
    for (firm, clock, inside) in FIRMS {
        let Some(file) = events(firm, inside) else { continue };
        process.create(firm, clock, "USD").await;
        if firm == "trade" {
            register(&process).await;
        }
        Process::loaded(process.loading(firm, &file));
        for file in cases(firm) {
            let parsed: Vec<Record<_>> =
                sqllogictest::parse_file::<sqllogictest::DefaultColumnType>(&file).unwrap();
            queries += parsed.iter().filter(|r| matches!(r, Record::Query { .. })).count();
            for record in parsed {
                let analyst = Analyst::new(process.url("/v1/query"), firm);
                let mut runner = Runner::new(|| {
                    let analyst = analyst.clone();
                    async move { Ok(analyst) }
                });
                if let Err(failure) = runner.run_async(record).await {
                    failures.push_str(&format!("{}\n\n", failure.display(false)));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    println!("{queries} queries");
    assert!(queries >= 60, "{queries} queries are too few");
}
