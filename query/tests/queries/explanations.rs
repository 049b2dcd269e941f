//! Drill-down over generated histories: what is listed behind every cell of every built-in view are
//! events of the tenant, each once, and they come to the cell, at the position of the snapshot and
//! whatever came after it.

use std::cell::Cell as Counter;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use futures::{StreamExt, stream};
use projections::encode::RowEncoder;
use projections::events::{Field, FieldType};
use projections::{
    EventRegistry, EventType, EventTypes, Hidden, Input, Partition, Tenant, TenantSnapshot,
    ViewDefinition, ViewSnapshot,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use query::{Cell, ExplainError, Explanation, Queries, QueryLimits};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::generated::{History, histories, kinds_of};
use crate::history::{self, Fact, Step, event_batches, relation};
use crate::support::{self, ACME, MemoryHistory, balances, snapshot, view};

/// Half of the events of a generated history are this tenant's.
const FIRM: Tenant = Tenant(1);

/// A history that was applied, and the tenant's snapshots in the middle of it and at its end.
struct World {
    queries: Queries,
    facts: Vec<Fact>,
    snapshots: [Arc<TenantSnapshot>; 2],
}

impl World {
    fn new(history: &History, views: &[ViewDefinition]) -> Self {
        let types = EventTypes::builtin();
        let mut partition = Partition::new(&types, views.to_vec()).unwrap();
        let (mut kept, mut facts) = (MemoryHistory::default(), Vec::new());
        let batches = history.batches();
        let middle = batches.len() / 2;
        let mut early = partition.readers().snapshot(FIRM);
        for (i, batch) in batches.iter().enumerate() {
            if i == middle {
                early = partition.readers().snapshot(FIRM);
            }
            let offset = i as u64 + 1;
            let mut input = Input { offset, ..Input::default() };
            let mut new: Vec<&Fact> = Vec::new();
            for step in *batch {
                match step {
                    Step::Fact(fact) => new.push(fact),
                    Step::Tick(tick) => input.ticks.push(*tick),
                }
            }
            for fact in &new {
                kept.add(fact.tenant, &fact.kind, offset, relation(&fact.kind, &[*fact]));
            }
            input.events = event_batches(&new);
            partition.apply(input);
            facts.extend(new.into_iter().filter(|fact| fact.tenant == FIRM).cloned());
        }
        let late = partition.readers().snapshot(FIRM);
        let registry = EventRegistry::from(types.clone());
        registry.declare(FIRM, declared(&types));
        let queries = Queries::new(registry, Arc::new(kept), QueryLimits::default()).unwrap();
        Self { queries, facts, snapshots: [early, late] }
    }

    /// The events behind a cell, page by page.
    async fn explain(&self, at: usize, cell: &Cell, limit: usize) -> (Explanation, Vec<Line>) {
        let snapshot = &self.snapshots[at];
        let (mut lines, mut first) = (Vec::new(), None);
        let mut after: Option<String> = None;
        loop {
            let asked = self.queries.explain(snapshot, cell.clone(), after.as_deref(), limit);
            let page = asked.await.unwrap_or_else(|error| panic!("{cell:?}: {error}"));
            assert!(page.lines.num_rows() <= limit);
            lines.extend(Line::of(&page.lines));
            after.clone_from(&page.next);
            first.get_or_insert(page);
            if after.is_none() {
                return (first.unwrap(), lines);
            }
        }
    }
}

/// Fields that a tenant may declare of each type: named as the columns that the SQL of explanations makes.
fn declared(types: &EventTypes) -> BTreeMap<String, Vec<Field>> {
    const NAMES: [&str; 16] = [
        "age",
        "part",
        "day",
        "reason",
        "voided",
        "first_day",
        "last_day",
        "period",
        "run",
        "place",
        "rank",
        "balance",
        "type",
        "amount",
        "reference",
        "currency",
    ];
    let field =
        |name: &&str| Field { name: (*name).to_owned(), kind: FieldType::Text, optional: true };
    let of_type = |kind: &Arc<EventType>| {
        let is_new = |name: &&&str| kind.fields().iter().all(|field| field.name != **name);
        (kind.name().to_owned(), NAMES.iter().filter(is_new).map(field).collect())
    };
    types.iter().map(of_type).collect()
}

/// A listed event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    occurred_at: i64,
    kind: String,
    event_id: String,
    part: String,
    /// In units of 10^-8; an event may contribute nothing that is counted.
    amount: Option<i128>,
}

impl Line {
    fn of(rows: &RecordBatch) -> Vec<Self> {
        let column = |name: &str| rows.schema().index_of(name).unwrap();
        let text = |name: &str, row: usize| {
            rows.column(column(name)).as_string::<i32>().value(row).to_owned()
        };
        let at = rows
            .column_by_name("occurred_at")
            .unwrap()
            .as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        let line = |row: usize| Self {
            occurred_at: at.value(row),
            kind: text("type", row),
            event_id: text("event_id", row),
            part: text("part", row),
            amount: units(&value(rows, column("amount"), row)),
        };
        (0..rows.num_rows()).map(line).collect()
    }
}

fn value(rows: &RecordBatch, column: usize, row: usize) -> Value {
    let mut out = Vec::new();
    RowEncoder::new(rows).write_value(&mut out, column, row);
    serde_json::from_slice(&out).unwrap()
}

/// A number in units of 10^-8.
fn units(value: &Value) -> Option<i128> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (whole, places) = text.split_once('.').unwrap_or((&text, ""));
    Some(format!("{whole}{places:0<8}").parse().unwrap())
}

/// Rounded to four places, half away from zero.
fn rounded(units: i128) -> i128 {
    (units + units.signum() * 5_000) / 10_000 * 10_000
}

/// The cells of a view that are no part of its key.
fn cells(view: &ViewSnapshot) -> Vec<(Cell, Value)> {
    let (schema, key) = (view.view().schema(), view.view().key());
    let mut cells = Vec::new();
    for rows in view.batches().unwrap() {
        for row in 0..rows.num_rows() {
            let named =
                |place: &usize| (schema.field(*place).name().clone(), value(&rows, *place, row));
            let of_row: Map<String, Value> = key.iter().map(named).collect();
            for place in (0..schema.fields().len()).filter(|place| !key.contains(place)) {
                let cell = Cell {
                    view: view.view().name().to_owned(),
                    key: of_row.clone(),
                    column: Some(schema.field(place).name().clone()),
                };
                cells.push((cell, value(&rows, place, row)));
            }
        }
    }
    cells
}

/// A cell of every column: in each history those of other rows.
fn one_of_each(view: &ViewSnapshot, case: usize) -> Vec<(Cell, Value)> {
    let rows = view.row_count();
    let mut cells = cells(view);
    if rows == 0 {
        return cells;
    }
    let (columns, mut place) = (cells.len() / rows, 0);
    cells.retain(|_| {
        let (row, column) = (place / columns, place % columns);
        place += 1;
        row == (case + column) % rows
    });
    cells
}

/// What must hold of what is listed behind a cell.
fn check(
    world: &World,
    cell: &Cell,
    held: &Value,
    (explanation, lines): &(Explanation, Vec<Line>),
) -> Result<(), TestCaseError> {
    let place = format!("{cell:?} = {held}: {lines:#?}");
    prop_assert_eq!(explanation.value(), held, "{}", place);
    prop_assert_eq!(&explanation.sum, held, "{}", place);

    let known: HashMap<(&str, &str), i64> =
        world.facts.iter().map(|f| ((f.kind.name(), f.id.as_str()), f.occurred_at)).collect();
    for line in lines {
        let fact = known.get(&(line.kind.as_str(), line.event_id.as_str()));
        prop_assert_eq!(fact, Some(&line.occurred_at), "{:?} in {}", line, place);
    }
    let ids: BTreeSet<_> = lines.iter().map(|l| (&l.part, &l.kind, &l.event_id)).collect();
    prop_assert_eq!(ids.len(), lines.len(), "{}", place);
    prop_assert!(lines.is_sorted(), "{}", place);

    let mut total = 0;
    for part in &explanation.parts {
        let of_part = || lines.iter().filter(|line| line.part == part.part);
        let sum = rounded(of_part().filter_map(|line| line.amount).sum());
        prop_assert_eq!(Some(sum), units(&part.sum), "{} of {}", part.part, place);
        prop_assert_eq!(json!(of_part().count()), part.events.clone(), "{}", place);
        total += sum;
    }
    let is_part = |word: &str| explanation.parts.iter().any(|part| part.part == word);
    let rule = &explanation.rule;
    if rule.split(' ').all(|word| matches!(word, "+" | "-") || is_part(word)) {
        prop_assert_eq!(Some(total), units(held), "{}", place);
    }
    Ok(())
}

#[test]
fn the_events_behind_every_cell_come_to_it() {
    let runtime = Runtime::new().unwrap();
    let views = ViewDefinition::builtin();
    let config = Config {
        cases: (Config::default().cases / 64).max(2),
        failure_persistence: None,
        max_shrink_iters: 16,
        ..Config::default()
    };
    let (cases, explained) = (Counter::new(0_usize), Counter::new(0_usize));
    let outcome =
        TestRunner::new(config).run(&histories(kinds_of(&views, &views), 120), |history| {
            let case = cases.replace(cases.get() + 1);
            let world = World::new(&history, &views);
            let at = usize::from(case % 3 != 2);
            let held = world.snapshots[at].views();
            let asked: Vec<(Cell, Value)> =
                held.iter().flat_map(|view| one_of_each(view, case)).collect();
            let found = asked.iter().enumerate().map(|(i, (cell, _))| {
                let limit = if i % 4 == 0 { 2 } else { 1_000 };
                world.explain(at, cell, limit)
            });
            let found: Vec<_> = runtime.block_on(stream::iter(found).buffered(4).collect());
            for ((cell, held), found) in asked.iter().zip(&found) {
                check(&world, cell, held, found)?;
            }
            explained.set(explained.get() + asked.len());
            Ok(())
        });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    println!("{} cells of {} histories", explained.get(), cases.get());
    assert!(explained.get() > 20, "{} cells are too few", explained.get());
}

/// A number of a fact's field, in units of 10^-8.
fn field(fact: &Fact, name: &str) -> Option<i128> {
    let place = fact.kind.fields().iter().position(|field| field.name == name)?;
    match &fact.values[place] {
        history::Value::Decimal(units) => Some(units * 10_000),
        _ => None,
    }
}

fn text<'a>(fact: &'a Fact, name: &str) -> Option<&'a str> {
    let place = fact.kind.fields().iter().position(|field| field.name == name)?;
    match &fact.values[place] {
        history::Value::Text(text) => Some(text),
        _ => None,
    }
}

/// What moved stock or cash, picked out of the facts by hand.
fn picked(world: &World, cell: &Cell) -> BTreeMap<(String, String), i128> {
    let is_of_key = |fact: &Fact| {
        cell.key.iter().all(|(name, value)| text(fact, name).is_some_and(|text| value == text))
    };
    let amount = |fact: &Fact| match (cell.view.as_str(), fact.kind.name()) {
        ("cash_position", "invoicing.payment_received") => field(fact, "amount"),
        ("cash_position", "purchasing.bill_paid" | "hr.payroll_paid") => {
            field(fact, "amount").map(|units| -units)
        }
        ("inventory_levels", "inventory.stock_received" | "inventory.stock_adjusted") => {
            field(fact, "quantity")
        }
        ("inventory_levels", "inventory.stock_issued" | "inventory.stock_shipped") => {
            field(fact, "quantity").map(|units| -units)
        }
        _ => None,
    };
    let facts = world.facts.iter().filter(|fact| is_of_key(fact));
    facts
        .filter_map(|fact| Some(((fact.kind.name().to_owned(), fact.id.clone()), amount(fact)?)))
        .collect()
}

#[test]
fn the_events_listed_are_those_that_are_picked_out_by_hand() {
    let runtime = Runtime::new().unwrap();
    let views: Vec<ViewDefinition> = ViewDefinition::builtin()
        .into_iter()
        .filter(|view| ["cash_position", "inventory_levels"].contains(&view.name.as_str()))
        .collect();
    let config = Config {
        cases: (Config::default().cases / 64).max(5),
        failure_persistence: None,
        max_shrink_iters: 16,
        ..Config::default()
    };
    let seen = Counter::new(0);
    let outcome =
        TestRunner::new(config).run(&histories(kinds_of(&views, &views), 60), |history| {
            let world = World::new(&history, &views);
            for view in &views {
                let view = world.snapshots[1].view(&view.name).unwrap();
                for (cell, _) in cells(view) {
                    if !["net", "on_hand"].contains(&cell.column.as_deref().unwrap()) {
                        continue;
                    }
                    let (_, lines) = runtime.block_on(world.explain(1, &cell, 1_000));
                    let listed: BTreeMap<_, _> = lines
                        .into_iter()
                        .map(|line| ((line.kind, line.event_id), line.amount.unwrap()))
                        .collect();
                    seen.set(seen.get() + listed.len());
                    prop_assert_eq!(listed, picked(&world, &cell), "{:?}", cell);
                }
            }
            Ok(())
        });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(seen.get() > 20, "{} events are too few", seen.get());
}

fn cell(view: &str, key: &Value, column: Option<&str>) -> Cell {
    let key = key.as_object().unwrap().clone();
    Cell { view: view.to_owned(), key, column: column.map(str::to_owned) }
}

/// A history of a few payments by hand: `p0`, `p1`, … of 10.5000 each, one of them of a payroll.
fn paid() -> (Queries, Arc<TenantSnapshot>) {
    let types = EventTypes::builtin();
    let needed = ["cash_position", "standing_employees", "time_entries", "utilization"];
    let mut views = ViewDefinition::builtin();
    views.retain(|view| needed.contains(&view.name.as_str()));
    let mut partition = Partition::new(&types, views).unwrap();
    let mut kept = MemoryHistory::default();
    let kinds = ["invoicing.payment_received", "hr.payroll_paid"];
    let mut facts = Vec::new();
    for (i, kind) in [0, 0, 1, 0].into_iter().enumerate() {
        let kind = types.get(kinds[kind]).unwrap().clone();
        let value = |field: &projections::events::Field| match field.name.as_str() {
            "amount" => history::Value::Decimal(105_000),
            "currency" => history::Value::Text("EUR".into()),
            "paid_on" => history::Value::Date(20_000),
            _ => history::Value::Text(format!("p{i}")),
        };
        let values = kind.fields().iter().map(value).collect();
        let occurred_at = 1_740_000_000_000_000;
        facts.push(Fact { tenant: FIRM, kind, id: format!("e{i}"), occurred_at, values });
    }
    for fact in &facts {
        kept.add(FIRM, &fact.kind, 1, relation(&fact.kind, &[fact]));
    }
    let events = event_batches(&facts.iter().collect::<Vec<_>>());
    partition.apply(Input { events, offset: 1, ..Input::default() });
    let queries = Queries::new(types, Arc::new(kept), QueryLimits::default()).unwrap();
    (queries, partition.readers().snapshot(FIRM))
}

#[tokio::test]
async fn an_explanation_says_all_of_it() {
    let (queries, snapshot) = paid();
    let asked = cell("cash_position", &json!({ "currency": "EUR" }), None);
    let explanation = queries.explain(&snapshot, asked.clone(), None, 3).await.unwrap();
    let body: Value = serde_json::from_slice(&explanation.json()).unwrap();
    assert_eq!(body["column"], "net");
    assert_eq!((&body["value"], &body["sum"]), (&json!("21.0000"), &json!("21.0000")));
    assert_eq!(body["rule"], "received - paid_out");
    assert_eq!(
        body["parts"],
        json!([
            { "part": "received", "sum": "31.5000", "events": 3 },
            { "part": "paid_out", "sum": "-10.5000", "events": 1 },
        ])
    );
    let row = json!({ "currency": "EUR", "received": "31.5000", "paid_out": "10.5000", "net": "21.0000" });
    assert_eq!(body["row"], row);
    assert_eq!(body["key"], json!({ "currency": "EUR" }));
    assert_eq!(body["position"], snapshot.position().to_string());
    let names: Vec<&Value> =
        body["columns"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(names[..6], ["part", "type", "event_id", "occurred_at", "subject", "amount"]);
    assert_eq!(body["rows"].as_array().unwrap().len(), 3);
    assert_eq!(body["rows"][0][2], "e2", "of one moment, types stand in the order of their names");
    assert_eq!(body["rows"][0][5], "-10.5000");

    let next = body["next"].as_str().unwrap();
    let last = queries.explain(&snapshot, asked.clone(), Some(next), 3).await.unwrap();
    assert_eq!((last.lines.num_rows(), &last.next), (1, &None));
    assert_eq!(last.sum, explanation.sum, "what they come to is of all pages");
    let whole = queries.explain_whole(&snapshot, &asked).await.unwrap();
    let whole = support::json(whole).await.unwrap();
    assert_eq!(whole["rows"].as_array().unwrap().len(), 4);
    assert_eq!(whole["columns"], body["columns"]);
}

#[tokio::test]
async fn what_is_switched_off_counts_and_is_not_listed() {
    let (queries, snapshot) = paid();
    let hidden = Hidden::modules(["hr".to_owned()]);
    let snapshot = Arc::new(snapshot.hiding(Arc::new(hidden)));
    let asked = cell("cash_position", &json!({ "currency": "EUR" }), None);
    let explanation = queries.explain(&snapshot, asked.clone(), None, 10).await.unwrap();
    let body: Value = serde_json::from_slice(&explanation.json()).unwrap();
    assert_eq!((&body["value"], &body["sum"]), (&json!("21.0000"), &json!("21.0000")));
    let withheld = json!([{ "module": "hr", "sum": "-10.5000", "events": 1 }]);
    assert_eq!(body["withheld"], withheld);
    assert_eq!(body["rows"].as_array().unwrap().len(), 3);
    assert!(!body["rows"].to_string().contains("hr."), "{body}");
    let whole = queries.explain_whole(&snapshot, &asked).await.unwrap();
    assert_eq!(support::json(whole).await.unwrap()["rows"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_explained_is_said() {
    let (queries, snapshot) = paid();
    let euros = json!({ "currency": "EUR" });
    let fails = async |cell: Cell, after: Option<&str>| {
        queries.explain(&snapshot, cell, after, 1).await.expect_err("an error")
    };
    let column = fails(cell("cash_position", &euros, Some("nett")), None).await;
    assert!(column.to_string().contains("received, paid_out, net"), "{column}");
    let key = fails(cell("cash_position", &euros, Some("currency")), None).await;
    assert!(matches!(key, ExplainError::UnknownColumn { .. }), "{key:?}");
    let missing = fails(cell("cash_position", &json!({}), None), None).await;
    assert!(matches!(&missing, ExplainError::Key(m) if m.contains("'currency'")), "{missing:?}");
    let more = json!({ "currency": "EUR", "stage": "new" });
    let more = fails(cell("cash_position", &more, None), None).await;
    assert!(matches!(&more, ExplainError::Key(m) if m.contains("'stage'")), "{more:?}");
    let list = fails(cell("cash_position", &json!({ "currency": [1] }), None), None).await;
    assert!(matches!(list, ExplainError::Key(_)), "{list:?}");
    let day = json!({ "employee_id": "e", "week": "soon" });
    let day = fails(cell("utilization", &day, None), None).await;
    assert!(matches!(&day, ExplainError::Key(m) if m.contains("soon")), "{day:?}");
    for none in [json!("USD"), json!(null), json!("EUR' OR 'a' = 'a")] {
        let row = fails(cell("cash_position", &json!({ "currency": none }), None), None).await;
        assert!(matches!(row, ExplainError::NoRow { .. }), "{row:?}");
    }
    let view = fails(cell("cash", &euros, None), None).await;
    assert!(view.to_string().contains("there is no view 'cash'"), "{view}");

    let of_net = cell("cash_position", &euros, Some("net"));
    let next = queries.explain(&snapshot, of_net, None, 1).await.unwrap().next.unwrap();
    for cursor in [next.as_str(), "x", "", "AAAAAAAA"] {
        let foreign = fails(cell("cash_position", &euros, Some("received")), Some(cursor)).await;
        assert_eq!(foreign, ExplainError::Cursor);
    }

    let own = snapshot_of_own();
    let own =
        queries.explain(&own, cell("balances", &json!({ "customer_id": "A00000" }), None), None, 1);
    assert!(matches!(own.await, Err(ExplainError::OwnView(name)) if name == "balances"));
}

fn snapshot_of_own() -> Arc<TenantSnapshot> {
    snapshot(ACME, vec![view("balances", &balances("A", 1))])
}
