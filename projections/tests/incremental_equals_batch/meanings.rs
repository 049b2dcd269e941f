//! What the built-in views say, on small histories written by hand.
//!
//! A file of `tests/meanings` holds scenarios: a line `== title`, then lines in order, each of them
//! - `today 2025-03-31`: the tenant's date changes;
//! - `type @2025-01-02T10:00:00Z {"field": …}`: an event; without `@…` it is a minute later than
//!   the one before;
//! - `show view: column, column` and the expected rows, `a | b`, up to an empty line.
//!
//! At each `show` the history so far is asked of DataFusion, of a partition that took it in one
//! batch, and of one that took it backwards, event by event.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveDate};
use projections::events::{EventTypes, FieldType};
use projections::{EventType, Tenant, Tick, ViewDefinition, clock};
use serde_json::{Map, Value as Json};

use crate::history::{Fact, Step, Value};
use crate::oracle::{Oracle, rows};
use crate::watched::{Watched, needed};

struct Scenario {
    title: String,
    lines: Vec<Line>,
}

enum Line {
    Today(NaiveDate),
    Event { kind: Arc<EventType>, occurred_at: i64, values: Vec<Value> },
    Show { view: String, columns: Vec<String>, rows: Vec<String> },
}

fn scenarios(text: &str) -> Vec<Scenario> {
    let types = EventTypes::builtin();
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut lines = text.lines();
    let mut occurred_at = 0;
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            scenarios.push(Scenario { title: title.to_owned(), lines: Vec::new() });
            occurred_at = 1_735_689_600_000_000;
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap();
        let parsed = match word {
            "today" => Line::Today(rest.parse().unwrap()),
            "show" => {
                let (view, columns) = rest.split_once(':').unwrap();
                let mut rows: Vec<String> = lines
                    .by_ref()
                    .map(str::trim)
                    .take_while(|l| !l.is_empty())
                    .map(str::to_owned)
                    .collect();
                rows.sort_unstable();
                let columns = columns.split(',').map(|c| c.trim().to_owned()).collect();
                Line::Show { view: view.to_owned(), columns, rows }
            }
            name => {
                let kind =
                    types.get(name).unwrap_or_else(|| panic!("no event type '{name}'")).clone();
                let data = if let Some(at) = rest.strip_prefix('@') {
                    let (at, data) = at.split_once(' ').unwrap();
                    occurred_at = DateTime::parse_from_rfc3339(at).unwrap().timestamp_micros();
                    data
                } else {
                    occurred_at += 60_000_000;
                    rest
                };
                let values = values(&kind, serde_json::from_str(data).unwrap());
                Line::Event { kind, occurred_at, values }
            }
        };
        scenarios.last_mut().unwrap().lines.push(parsed);
    }
    scenarios
}

fn values(kind: &EventType, mut data: Map<String, Json>) -> Vec<Value> {
    let value = |field: &projections::events::Field| {
        let Some(json) = data.remove(&field.name) else {
            // As intake does for a tenant whose currency is EUR.
            assert!(field.optional, "{}: '{}' is required", kind.name(), field.name);
            return if field.name == "currency" { Value::Text("EUR".into()) } else { Value::Null };
        };
        let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        match field.kind {
            FieldType::Text => Value::Text(text),
            FieldType::Decimal => Value::Decimal(ten_thousandths(&text)),
            FieldType::Date => Value::Date(clock::epoch_days(text.parse().unwrap())),
            FieldType::Timestamp => {
                Value::Instant(DateTime::parse_from_rfc3339(&text).unwrap().timestamp_micros())
            }
            FieldType::Int => Value::Int(text.parse().unwrap()),
            FieldType::Bool => Value::Bool(text.parse().unwrap()),
        }
    };
    let values = kind.fields().iter().map(value).collect();
    assert!(data.is_empty(), "{} has no fields {data:?}", kind.name());
    values
}

fn ten_thousandths(text: &str) -> i128 {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    assert!(places.len() <= 4);
    format!("{whole}{places:0<4}").parse().unwrap()
}

/// The steps of a scenario before one of its lines, for a tenant.
fn steps(lines: &[Line], tenant: Tenant) -> Vec<Step> {
    let step = |(i, line): (usize, &Line)| match line {
        Line::Today(today) => Some(Step::Tick(Tick { tenant, today: *today })),
        Line::Event { kind, occurred_at, values } => Some(Step::Fact(Fact {
            tenant,
            kind: kind.clone(),
            id: format!("e{i:03}"),
            occurred_at: *occurred_at,
            values: values.clone(),
        })),
        Line::Show { .. } => None,
    };
    lines.iter().enumerate().filter_map(step).collect()
}

fn shown(batches: &[RecordBatch], columns: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = batches
        .iter()
        .flat_map(|batch| {
            let chosen: Vec<usize> =
                columns.iter().map(|c| batch.schema().index_of(c).unwrap()).collect();
            rows(&batch.project(&chosen).unwrap())
        })
        .collect();
    shown.sort_unstable();
    shown
}

/// Runs the scenarios of one file; `maintained`: in partitions, otherwise in DataFusion alone.
fn says(file: &str, maintained: bool) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/meanings/{file}.txt"));
    let scenarios = scenarios(&std::fs::read_to_string(path).unwrap());
    assert!(!scenarios.is_empty());
    let views = ViewDefinition::builtin();
    let shown_views: Vec<String> = scenarios
        .iter()
        .flat_map(|s| &s.lines)
        .filter_map(|line| match line {
            Line::Show { view, .. } => Some(view.clone()),
            Line::Today(_) | Line::Event { .. } => None,
        })
        .collect();
    let views = needed(&views, &shown_views);
    let oracle = Oracle::new(views.clone());
    let mut watched = maintained.then(|| Watched::new(views));
    let mut tenants = (1..).map(Tenant);
    for scenario in &scenarios {
        for (i, line) in scenario.lines.iter().enumerate() {
            let Line::Show { view, columns, rows } = line else { continue };
            let (forward, backward) = (tenants.next().unwrap(), tenants.next().unwrap());
            let before = steps(&scenario.lines[..i], forward);
            let place =
                |how: &str| format!("{file}: {}: show {i} of {view}, {how}", scenario.title);
            let Some(watched) = &mut watched else {
                let facts: Vec<&Fact> = before.iter().filter_map(fact).collect();
                let today = before.iter().filter_map(tick).next_back().map(|t| t.today);
                let answers = oracle.answers(&facts, today);
                assert_eq!(
                    &shown(&answers[view].batches, columns),
                    rows,
                    "{}",
                    place("DataFusion")
                );
                continue;
            };
            watched.apply(&before).unwrap();
            let held = watched.snapshot_view(forward, view).batches().unwrap();
            assert_eq!(&shown(&held, columns), rows, "{}", place("in one batch"));
            let before = steps(&scenario.lines[..i], backward);
            // The events backwards; the dates as they came, for the last one counts.
            for step in before.iter().filter(|s| fact(s).is_some()).rev() {
                watched.apply(std::slice::from_ref(step)).unwrap();
            }
            for step in before.iter().filter(|s| tick(s).is_some()) {
                watched.apply(std::slice::from_ref(step)).unwrap();
            }
            let held = watched.snapshot_view(backward, view).batches().unwrap();
            assert_eq!(&shown(&held, columns), rows, "{}", place("backwards"));
        }
    }
}

fn fact(step: &Step) -> Option<&Fact> {
    match step {
        Step::Fact(fact) => Some(fact),
        Step::Tick(_) => None,
    }
}

fn tick(step: &Step) -> Option<&Tick> {
    match step {
        Step::Tick(tick) => Some(tick),
        Step::Fact(_) => None,
    }
}

macro_rules! files {
    ($($name:ident),* $(,)?) => {
        mod maintained {
            $(
                #[test]
                fn $name() {
                    super::says(stringify!($name), true);
                }
            )*
        }

        mod asked {
            $(
                #[test]
                fn $name() {
                    super::says(stringify!($name), false);
                }
            )*
        }
    };
}

files! {
    budget_variance,
    call_activity,
    cash_position,
    completion_streaks,
    compliance_failures,
    headcount,
    inventory_levels,
    labour_hours,
    maintenance_backlog,
    pipeline,
    project_profitability,
    receivables,
    unapplied_cash,
    utilization,
}
