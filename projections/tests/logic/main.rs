//! What views answer, case by case: every `.slt` file of this folder defines event types and
//! views, feeds events, and states the rows expected, written by hand. A new case is a new file.
//!
//! The files are in sqllogictest's format (<https://sqlite.org/sqllogictest/>); what its
//! statements mean here is told in [`database`]. Each file is run in several ways ([`How`]), all
//! against the same rows; one of them asks `DataFusion` itself, so that the rows are not only
//! what the engine says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)] // Nothing is forgotten here.
#[path = "../harness/checkpointed.rs"]
mod checkpointed;
mod database;

use std::path::{Path, PathBuf};

use database::{Database, How};
use sqllogictest::Runner;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logic");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn holds(how: How) {
    let only = std::env::var("LOGIC_FILE").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut failures = String::new();
    for file in files().iter().filter(|f| f.to_string_lossy().contains(&only)) {
        let mut runner = Runner::new(|| async move { Ok(Database::new(how)) });
        if let Err(failure) = runtime.block_on(runner.run_file_async(file)) {
            failures.extend([failure.display(false).to_string(), "\n\n".to_owned()]);
        }
    }
    assert!(failures.is_empty(), "{how:?}:\n{failures}");
}

#[test]
fn step_by_step() {
    holds(How::StepByStep);
}

#[test]
fn in_one_batch() {
    holds(How::InOneBatch);
}

#[test]
fn backwards() {
    holds(How::Backwards);
}

#[test]
fn among_other_tenants() {
    holds(How::AmongOthers);
}

#[test]
fn restored_from_checkpoints() {
    holds(How::Restored);
}

#[test]
fn asked_of_datafusion() {
    holds(How::AskedOfDataFusion);
}
