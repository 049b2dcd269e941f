//! Generated histories over few ids, dates and amounts, so that everything collides: payments
//! before and without their invoices, ids stated twice, currencies that differ, corrections of
//! corrections, equal instants, dates on both sides of every boundary, dates that go back.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use projections::events::{EventTypes, Field, FieldType};
use projections::{EventType, Tenant, Tick, ViewDefinition};
use proptest::prelude::*;

use super::history::{Fact, Step, Value};

/// What is applied, and how it is cut into batches.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) steps: Vec<Step>,
    /// The sizes of the batches, over and over.
    pub(crate) cuts: Vec<usize>,
}

impl History {
    /// The steps, batch by batch.
    pub(crate) fn batches(&self) -> Vec<&[Step]> {
        let (mut rest, mut batches) = (&self.steps[..], Vec::new());
        for cut in self.cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (batch, others) = rest.split_at((*cut).min(rest.len()));
            batches.push(batch);
            rest = others;
        }
        batches
    }
}

impl History {
    /// The same history with values and dates at and near the ends of what intake takes.
    pub(crate) fn at_the_ends(mut self) -> Self {
        for step in &mut self.steps {
            match step {
                Step::Fact(fact) => {
                    for value in &mut fact.values {
                        *value = at_the_ends(value);
                    }
                }
                Step::Tick(tick) => {
                    let days = day_at_the_ends(projections::clock::epoch_days(tick.today));
                    tick.today = NaiveDate::from_epoch_days(days).unwrap();
                }
            }
        }
        self
    }
}

/// Another value for each; equal ones stay equal, so that sums still cancel out.
fn at_the_ends(value: &Value) -> Value {
    const MOST: i128 = 10_i128.pow(38) - 1;
    const UNITS: [i128; 9] = [MOST, MOST - 1, -MOST, -MOST + 1, MOST / 2, 0, 1, -1, 10_000];
    const DAY: i64 = 86_400_000_000;
    match value {
        Value::Decimal(units) => {
            let at = AMOUNTS.iter().position(|a| a == units).unwrap_or_default();
            Value::Decimal(UNITS[at])
        }
        Value::Date(days) => Value::Date(day_at_the_ends(*days)),
        // A moment given with an offset may be a day beyond the calendar in UTC.
        Value::Instant(micros) => Value::Instant(match micros.rem_euclid(7) {
            0 => (FIRST_DAY - 1) * DAY,
            1 => (LAST_DAY + 2) * DAY - 1,
            2 => -1,
            _ => *micros,
        }),
        Value::Int(n) => Value::Int(match n.rem_euclid(5) {
            0 => i64::MAX,
            1 => i64::MIN,
            _ => *n,
        }),
        other => other.clone(),
    }
}

/// 0001-01-01 and 9999-12-31, in days since 1970-01-01.
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;

fn day_at_the_ends(days: i32) -> i32 {
    match days.rem_euclid(6) {
        0 => FIRST_DAY as i32,
        1 => LAST_DAY as i32,
        2 => FIRST_DAY as i32 + 1,
        3 => 0,
        _ => days,
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, batch) in self.batches().iter().enumerate() {
            writeln!(f, "\nbatch {i}:")?;
            for step in *batch {
                writeln!(f, "  {step:?}")?;
            }
        }
        Ok(())
    }
}

/// Histories of up to `longest` steps over events of `kinds`, a tenth of them new dates.
pub(crate) fn histories(
    kinds: Vec<Arc<EventType>>,
    longest: usize,
) -> impl Strategy<Value = History> {
    assert!(longest <= EVENT_IDS, "event ids would repeat");
    let count = kinds.len();
    let step = (
        prop_oneof![9 => (0..count).prop_map(Some), 1 => Just(None)],
        0..4_u8,
        any::<u8>(),
        prop::collection::vec(any::<u8>(), MOST_FIELDS),
    );
    let cuts = prop_oneof![
        1 => Just(vec![1]),
        4 => prop::collection::vec(1..16_usize, 1..6),
        1 => Just(vec![usize::MAX]),
    ];
    (prop::collection::vec(step, 1..=longest), cuts).prop_map(move |(steps, cuts)| {
        let steps = steps.into_iter().enumerate().map(|(i, (kind, tenant, at, picks))| {
            // Half of all is of the first tenant.
            let tenant = Tenant([1, 1, 2, 7][usize::from(tenant)]);
            match kind {
                Some(kind) => Step::Fact(fact(&kinds[kind], i, tenant, at, &picks)),
                None => Step::Tick(Tick { tenant, today: date(at) }),
            }
        });
        History { steps: steps.collect(), cuts }
    })
}

/// `count` events of `kinds` over `ids` ids of everything, for two tenants: enough rows to fill
/// more than one chunk of anything that comes in chunks.
pub(crate) fn wide(kinds: &[Arc<EventType>], count: usize, ids: u64) -> Vec<Step> {
    let mut random = 0_u64;
    // SplitMix64.
    let mut next = move || {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut step = |i: usize| {
        let kind = &kinds[(next() % kinds.len() as u64) as usize];
        let picks: Vec<u8> = (0..MOST_FIELDS).map(|_| next() as u8).collect();
        let tenant = Tenant((next() % 2) as u32);
        let mut fact = fact(kind, 0, tenant, next() as u8, &picks);
        fact.id = format!("{:07}", i * 61 % 1_000_003);
        for (field, value) in kind.fields().iter().zip(&mut fact.values) {
            if let (Value::Text(text), true) = (value, field.name.ends_with("_id")) {
                *text = (next() % ids).to_string();
            }
        }
        Step::Fact(fact)
    };
    (0..count).map(&mut step).collect()
}

/// The event types that views read, directly or through other views of `all`.
pub(crate) fn kinds_of(views: &[ViewDefinition], all: &[ViewDefinition]) -> Vec<Arc<EventType>> {
    let types = EventTypes::builtin();
    let mut texts: Vec<&str> = views.iter().map(|v| v.sql.as_str()).collect();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    while let Some(text) = texts.pop() {
        for view in all {
            if text.contains(view.name.as_str()) && names.insert(&view.name) {
                texts.push(&view.sql);
            }
        }
        names.extend(types.iter().map(|t| t.name()).filter(|t| text.contains(&format!("\"{t}\""))));
    }
    types.iter().filter(|t| names.contains(t.name())).cloned().collect()
}

const MOST_FIELDS: usize = 9;
const EVENT_IDS: usize = 128;

fn fact(kind: &Arc<EventType>, i: usize, tenant: Tenant, at: u8, picks: &[u8]) -> Fact {
    // Ids do not sort as the events arrive, so that ties are decided both ways.
    let id = format!("{:03}", (i * 61 + 17) % EVENT_IDS);
    let occurred_at = i64::from(at % 8) * 3_600_000_000 + 1_740_000_000_000_000;
    let values = kind.fields().iter().zip(picks).map(|(field, pick)| value(field, *pick)).collect();
    Fact { tenant, kind: kind.clone(), id, occurred_at, values }
}

fn value(field: &Field, pick: u8) -> Value {
    // Intake fills in a missing currency.
    if field.optional && field.name != "currency" && pick % 4 == 3 {
        return Value::Null;
    }
    let pick = pick / 4;
    let at = usize::from(pick);
    match field.kind {
        FieldType::Text => Value::Text(text(&field.name, at).to_owned()),
        FieldType::Decimal => Value::Decimal(AMOUNTS[at % AMOUNTS.len()]),
        FieldType::Date => Value::Date(projections::clock::epoch_days(date(pick))),
        // Every six hours and a second.
        FieldType::Timestamp => {
            Value::Instant(1_740_000_000_000_000 + i64::from(pick) * 21_601_000_000)
        }
        FieldType::Int => Value::Int(i64::from(pick) - 8),
        FieldType::Bool => Value::Bool(pick.is_multiple_of(2)),
    }
}

/// They cancel out, repeat, need all four places and make products that need rounding.
const AMOUNTS: [i128; 9] =
    [1_000_000, 500_000, -500_000, 333_333, 666_667, 0, 1, 12_345, 75_000_001];

fn text(field: &str, pick: usize) -> &'static str {
    let domain: &[&str] = match field {
        "currency" => &["EUR", "EUR", "USD"],
        "cadence" => &["daily", "weekdays", "weekly", "daily", "weekdays", "weekly", "yearly"],
        "stage" => &["new", "offer", "won"],
        "outcome" => &["won", "lost"],
        "task_id" | "user_id" | "warehouse" => &["a", "b"],
        _ => &["a", "b", "c"],
    };
    domain[pick % domain.len()]
}

/// Days around a Saturday, and around every boundary of 30 days before and after it.
fn date(pick: u8) -> NaiveDate {
    const AROUND: [i64; 32] = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, -7, -14, -28, -29, -30, -31, -59, -60,
        -61, -90, -91, -92, 14, 30, 31, 61, 92,
    ];
    let saturday = NaiveDate::from_ymd_opt(2025, 3, 1).unwrap();
    let days = AROUND[usize::from(pick) % AROUND.len()];
    if days < 0 {
        saturday - Days::new(days.unsigned_abs())
    } else {
        saturday + Days::new(days.unsigned_abs())
    }
}
