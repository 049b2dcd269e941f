//! Fields that a tenant has declared beside those of a type: a view over them, begun in the middle of
//! a history, is what DataFusion answers where the type itself has these fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{StringArray, UInt32Array};
use projections::events::{Field, FieldType};
use projections::{
    EventBatch, EventRegistry, EventType, EventTypes, Fill, Input, OwnView, Partition, Tenant,
    View, ViewDefinition,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::history::{Fact, Value, relation};
use crate::oracle::{Oracle, rows};

const LOGGED: &str = "hr.time_logged";
/// Who has declared the fields, and who has not.
const OWNER: Tenant = Tenant(1);
const OTHER: Tenant = Tenant(2);
/// Events that come in one step.
const PIECE: usize = 3;

/// One that reads declared fields alone and beside others, one on that, one of all columns, and one
/// that reads none.
fn views() -> Vec<ViewDefinition> {
    let lots = "SELECT employee_id, lot, sum(hours) AS hours, sum(rate) AS rated, \
                count(*) FILTER (WHERE billed) AS billed, max(rate) AS most \
                FROM events.\"hr.time_logged\" WHERE lot IS NOT NULL OR rate > 0 \
                GROUP BY employee_id, lot";
    let pairs = "SELECT a.event_id, b.event_id AS other FROM events.\"hr.time_logged\" a \
                 JOIN events.\"hr.time_logged\" b ON a.lot = b.lot AND a.hours < b.hours";
    let definitions = [
        ("lots", lots),
        ("best", "SELECT lot, max(rated) AS rated FROM lots GROUP BY lot"),
        ("pairs", pairs),
        ("whole", "SELECT * FROM events.\"hr.time_logged\""),
        (
            "plain",
            "SELECT employee_id, count(*) AS n FROM events.\"hr.time_logged\" GROUP BY employee_id",
        ),
    ];
    definitions.iter().map(|(name, sql)| ViewDefinition::parse(name, sql)).collect()
}

fn declared() -> Vec<Field> {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind, optional: true };
    vec![
        field("lot", FieldType::Text),
        field("rate", FieldType::Decimal),
        field("billed", FieldType::Bool),
    ]
}

/// The type as if it had the fields itself.
fn wide() -> EventType {
    let types = EventTypes::builtin();
    let fields = types.get(LOGGED).unwrap().fields();
    EventType::new(LOGGED, [fields.to_vec(), declared()].concat())
}

/// What is sent: of which tenant, by whom, hours, and the declared fields.
type Entry = (u32, u8, i128, Option<u8>, Option<i128>, Option<bool>);

fn entry() -> impl Strategy<Value = Entry> {
    (
        1..3_u32,
        0..3_u8,
        0..80_000_i128,
        prop::option::of(0..3_u8),
        prop::option::of(-50_000..50_000_i128),
        prop::option::of(any::<bool>()),
    )
}

fn fact(kind: &Arc<EventType>, number: usize, entry: &Entry) -> Fact {
    let (tenant, employee, hours, lot, rate, billed) = *entry;
    let values = vec![
        Value::Text(format!("t{number}")),
        Value::Text(format!("e{employee}")),
        Value::Null,
        Value::Null,
        Value::Date(20_000),
        Value::Decimal(hours),
        Value::Bool(true),
        lot.map_or(Value::Null, |lot| Value::Text(format!("L-{lot}"))),
        rate.map_or(Value::Null, Value::Decimal),
        billed.map_or(Value::Null, Value::Bool),
    ];
    let (tenant, id) = (Tenant(tenant), format!("{number:03}"));
    Fact { tenant, kind: Arc::clone(kind), id, occurred_at: number as i64, values }
}

/// What the event carries beyond the type: the declared fields that it has.
fn extra(fact: &Fact) -> Option<String> {
    let values = fact.values.iter().rev().take(declared().len()).rev();
    let members = declared().into_iter().zip(values).filter_map(|(field, value)| {
        let value = match value {
            Value::Null => return None,
            Value::Bool(flag) => flag.to_string(),
            other => format!("\"{other:?}\""),
        };
        Some(format!("\"{}\":{value}", field.name))
    });
    let members: Vec<String> = members.collect();
    (!members.is_empty()).then(|| format!("{{\"data\":{{{}}}}}", members.join(",")))
}

/// Facts of the wide type as they come in, of the plain one.
fn batch(facts: &[&Fact]) -> EventBatch {
    let types = EventTypes::builtin();
    let event_type = Arc::clone(types.get(LOGGED).unwrap());
    let places: Vec<usize> = (0..event_type.relation().fields().len()).collect();
    let rows = relation(&wide(), facts).project(&places).unwrap();
    let rows = rows.with_schema(Arc::clone(event_type.relation())).unwrap();
    let tenants = facts.iter().map(|fact| Some(fact.tenant.0)).collect::<UInt32Array>();
    let extra = facts.iter().map(|fact| extra(fact)).collect::<StringArray>();
    EventBatch { event_type, tenants, rows, extra: Some(extra) }
}

fn apply(partition: &mut Partition, facts: &[Fact], offset: &mut u64) {
    for piece in facts.chunks(PIECE) {
        *offset += 1;
        let events = vec![batch(&piece.iter().collect::<Vec<_>>())];
        partition.apply(Input { events, ticks: Vec::new(), offset: *offset });
    }
}

/// Begins to fill the owner's views, and feeds them what there was before.
fn fill(partition: &mut Partition, registry: &EventRegistry, before: &[Fact]) -> Fill {
    let types = registry.visible(OWNER);
    let mut readable: Vec<Arc<View>> = Vec::new();
    let mut compiled = Vec::new();
    for definition in views() {
        let own = OwnView::compile(&types, &readable, &definition).unwrap();
        readable.push(own.view().clone());
        compiled.push(own);
    }
    let mut fill = partition.begin(OWNER, compiled).unwrap();
    fill.start().unwrap();
    let own: Vec<&Fact> = before.iter().filter(|fact| fact.tenant == OWNER).collect();
    for piece in own.chunks(PIECE) {
        fill.feed(batch(piece)).unwrap();
    }
    fill
}

fn holds(
    oracle: &Oracle,
    registry: &EventRegistry,
    entries: &[Entry],
    (begin, attach): (usize, usize),
) -> Result<(), TestCaseError> {
    let kind = Arc::new(wide());
    let facts: Vec<Fact> =
        entries.iter().enumerate().map(|(number, entry)| fact(&kind, number, entry)).collect();
    let (before, rest) = facts.split_at(begin.min(facts.len()));
    let (during, after) = rest.split_at(attach.min(rest.len()));
    let mut partition = Partition::new(&EventTypes::builtin(), Vec::new()).unwrap();
    let mut offset = 0;
    apply(&mut partition, before, &mut offset);
    let fill = fill(&mut partition, registry, before);
    apply(&mut partition, during, &mut offset);
    partition.attach(fill).unwrap();
    apply(&mut partition, after, &mut offset);
    let of_owner: Vec<&Fact> = facts.iter().filter(|fact| fact.tenant == OWNER).collect();
    let answers = oracle.answers(&of_owner, None);
    let snapshot = partition.readers().snapshot(OWNER);
    for definition in views() {
        let view = snapshot.view(&definition.name).unwrap();
        prop_assert_eq!(view.failure(), None);
        let mut held: Vec<String> = view.batches().unwrap().iter().flat_map(rows).collect();
        held.sort_unstable();
        prop_assert_eq!(held, answers[&definition.name].rows(), "{}", definition.name);
    }
    Ok(())
}

#[test]
fn views_over_declared_fields_equal_batch() {
    let registry = EventRegistry::builtin();
    registry.declare(OWNER, BTreeMap::from([(LOGGED.to_owned(), declared())]));
    let oracle = Oracle::over(&EventTypes::builtin().with(wide()), views());
    let cases = (Config::default().cases / 4).max(1);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let cuts = (0..30_usize, 0..15_usize);
    let entries = prop::collection::vec(entry(), 1..40);
    let outcome = TestRunner::new(config)
        .run(&(entries, cuts), |(entries, cuts)| holds(&oracle, &registry, &entries, cuts));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn what_a_view_reads_of_declared_fields_is_told_and_nobody_else_has_them() {
    let registry = EventRegistry::builtin();
    registry.declare(OWNER, BTreeMap::from([(LOGGED.to_owned(), declared())]));
    let compile = |tenant, sql: &str| {
        OwnView::compile(&registry.visible(tenant), &[], &ViewDefinition::parse("v", sql))
    };
    let read = |sql: &str| -> Vec<String> {
        let view = compile(OWNER, sql).unwrap();
        view.reads().declared.iter().map(|(on, name)| format!("{on} {name}")).collect()
    };
    let lot = "SELECT lot FROM events.\"hr.time_logged\" WHERE rate > 1";
    assert_eq!(read(lot), ["hr.time_logged lot", "hr.time_logged rate"]);
    assert_eq!(read("SELECT hours FROM events.\"hr.time_logged\""), [""; 0]);
    assert_eq!(read("SELECT * FROM events.\"hr.time_logged\"").len(), 3);
    let refused = compile(OTHER, lot).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("No field named"), "{refused}");
}
