//! Generated histories through the whole process: sent over HTTP in any order, in bodies of any
//! size, with repeats, the date changing in between, while checkpoints are made all the time and the
//! process is killed and started again between two of them. Every built-in view must then read as
//! DataFusion's answer to its SQL over all events, and as `POST /v1/query` answers that SQL over
//! the recorded history.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cloud_events;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/generated.rs"]
mod generated;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/history.rs"]
mod history;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../real_data/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../../projections/tests/harness/unordered.rs"]
mod unordered;

use std::cell::{Cell, RefCell};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use projections::{Tenant, ViewDefinition};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use cloud_events::{body, in_order};
use generated::{History, histories, kinds_of};
use history::{Fact, Step};
use oracle::Oracle;
use process::{Process, token};

/// After so many histories the process is killed before it is asked.
const KILLED: usize = 3;

/// The date of a tenant before its first change.
const FIRST_DAY: &str = "2025-03-01";

/// A tenant of one history: what it has sent, and its date.
struct Firm {
    id: String,
    sent: Vec<Fact>,
    today: NaiveDate,
    position: Value,
}

impl Firm {
    async fn create(process: &Process, id: String) -> Self {
        process.create(&id, &format!("fixed:{FIRST_DAY}"), "EUR").await;
        Self { id, sent: Vec::new(), today: FIRST_DAY.parse().unwrap(), position: Value::Null }
    }

    /// Sends some facts among repeats of earlier ones.
    async fn send(
        &mut self,
        process: &Process,
        facts: &[Fact],
        turn: usize,
    ) -> Result<(), TestCaseError> {
        let repeats: Vec<&Fact> = self.sent.iter().skip(turn % 3).step_by(3).collect();
        let mut all = repeats.clone();
        all.extend(facts);
        // The first of this body's facts once more at its end.
        all.extend(facts.first());
        let (kind, body) = body(&all, turn);
        let receipt = process.post(&self.id, kind, body).await;
        prop_assert_eq!(&receipt["accepted"], facts.len());
        prop_assert_eq!(&receipt["duplicates"], repeats.len() + usize::from(!facts.is_empty()));
        self.position = receipt["position"].clone();
        self.sent.extend_from_slice(facts);
        Ok(())
    }

    async fn set_today(&mut self, process: &Process, today: NaiveDate) {
        let answer = reqwest::Client::new()
            .patch(process.url(&format!("/v1/platform/tenants/{}", self.id)))
            .bearer_auth(token(None, tenancy::Role::Platform))
            .json(&json!({ "clock": format!("fixed:{today}") }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        self.today = today;
    }

    /// Compares every view with the oracle, and with its SQL asked over the history.
    async fn check(
        &self,
        process: &Process,
        views: &[ViewDefinition],
        expected: &HashMap<String, oracle::Answer>,
    ) -> Result<(), TestCaseError> {
        let mut wait = String::new();
        if let Some(position) = self.position.as_str() {
            wait = format!("?wait_for={position}&wait_ms=60000");
        }
        let listed: Value =
            process.get(&self.id, &format!("/v1/views{wait}")).await.json().await.unwrap();
        let names: Vec<&str> = listed["views"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["name"].as_str().unwrap())
            .collect();
        for view in views.iter().filter(|view| !view.internal) {
            let name = view.name.as_str();
            prop_assert!(names.contains(&name), "{} is not listed", name);
            let expected = expected[name].rows();
            let read: Value =
                process.get(&self.id, &format!("/v1/views/{name}")).await.json().await.unwrap();
            let held = in_order(&read);
            let place = format!("{name} of {} on {}", self.id, self.today);
            prop_assert!(
                held == expected,
                "{}:\n  reads    {:#?}\n  expected {:#?}",
                place,
                held,
                expected
            );
            // What reads a helper view cannot be asked: helper views are not in the catalog.
            if views.iter().any(|v| v.internal && view.sql.contains(&v.name)) {
                continue;
            }
            let asked = in_order(&ask(process, &self.id, &view.sql).await);
            prop_assert!(
                asked == expected,
                "{}:\n  answers  {:#?}\n  expected {:#?}",
                place,
                asked,
                expected
            );
        }
        Ok(())
    }
}

async fn ask(process: &Process, tenant: &str, sql: &str) -> Value {
    let answer = reqwest::Client::new()
        .post(process.url("/v1/query"))
        .bearer_auth(token(Some(tenant), tenancy::Role::Analyst))
        .json(&json!({ "sql": sql }))
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Sends a history batch by batch, each tenant's part of a batch as one body.
async fn play(
    process: &Process,
    history: &History,
    name: &str,
) -> Result<Vec<Firm>, TestCaseError> {
    let mut firms: BTreeMap<Tenant, Firm> = BTreeMap::new();
    for (turn, batch) in history.batches().into_iter().enumerate() {
        let mut facts: BTreeMap<Tenant, (Vec<Fact>, Option<NaiveDate>)> = BTreeMap::new();
        for step in batch {
            match step {
                Step::Fact(fact) => facts.entry(fact.tenant).or_default().0.push(fact.clone()),
                Step::Tick(tick) => facts.entry(tick.tenant).or_default().1 = Some(tick.today),
            }
        }
        for (tenant, (facts, today)) in facts {
            let firm = match firms.entry(tenant) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(Firm::create(process, format!("{name}-{}", tenant.0)).await)
                }
            };
            firm.send(process, &facts, turn).await?;
            if let Some(today) = today {
                firm.set_today(process, today).await;
            }
        }
    }
    Ok(firms.into_values().collect())
}

#[test]
fn every_view_reads_as_datafusion_answers() {
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let process = RefCell::new(Some(runtime.block_on(Process::start(folder.path()))));
    let views = ViewDefinition::builtin();
    let oracle = Oracle::new(views.clone());
    let config = Config {
        cases: (Config::default().cases / 16).max(1),
        failure_persistence: None,
        max_shrink_iters: 512,
        ..Config::default()
    };
    let (cases, kept) = (Cell::new(0), RefCell::new(Vec::new()));
    let strategy = histories(kinds_of(&views, &views), 120);
    let outcome = TestRunner::new(config).run(&strategy, |history| {
        cases.set(cases.get() + 1);
        let name = format!("case{}", cases.get());
        let mut process = process.borrow_mut();
        let firms = runtime.block_on(play(process.as_ref().unwrap(), &history, &name))?;
        if cases.get() % KILLED == 0 {
            let killed = process.take().unwrap();
            *process = Some(runtime.block_on(killed.kill_and_restart(folder.path())));
        }
        for firm in &firms {
            let facts: Vec<&Fact> = firm.sent.iter().collect();
            let expected = oracle.answers(&facts, Some(firm.today));
            runtime.block_on(firm.check(process.as_ref().unwrap(), &views, &expected))?;
        }
        kept.borrow_mut().extend(firms);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }

    // Killed and started again, the process says the same.
    process.into_inner().unwrap().kill();
    let manifests = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().path().extension().is_some_and(|kind| kind == "manifest")
    };
    let mut checkpoints = std::fs::read_dir(folder.path().join("objects/checkpoints/0")).unwrap();
    assert!(checkpoints.any(manifests), "checkpoints were made");
    let process = runtime.block_on(Process::start(folder.path()));
    for firm in kept.into_inner() {
        let facts: Vec<&Fact> = firm.sent.iter().collect();
        let expected = oracle.answers(&facts, Some(firm.today));
        runtime.block_on(firm.check(&process, &views, &expected)).unwrap();
    }
}
