//! Each operator by size of batch: one small view, a history behind it, CPU time of the thread.
//!
//! `cargo bench -p engine -- [NAME]`. The history is 65,536 rows over 8,192 keys; every batch
//! brings new rows of the same keys, and the history is set up anew before it has tripled, so that
//! the state is of about one size for all.

#![allow(missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use chrono::{Days, NaiveDate};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use measure::measure;
use projections::events::{Field, FieldType};
use projections::{
    EventBatch, EventType, EventTypes, Input, Partition, Tenant, Tick, ViewDefinition,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HISTORY: usize = 65_536;
const KEYS: u64 = 8_192;
const SIZES: [usize; 5] = [1, 64, 1_024, 16_384, 65_536];

/// A view for each operator over `moves` (many rows a key) and `things` (a row for half the keys).
const OPERATORS: &[(&str, &str)] = &[
    (
        "filter and project",
        "SELECT key, amount + amount AS twice, note FROM events.\"bench.moves\" WHERE amount > 500",
    ),
    (
        "union",
        "SELECT key, amount FROM events.\"bench.moves\" WHERE amount > 500
         UNION ALL SELECT key, -amount FROM events.\"bench.moves\" WHERE amount <= 500",
    ),
    (
        "inner join",
        "SELECT m.event_id, m.amount, t.name FROM events.\"bench.moves\" AS m
         JOIN events.\"bench.things\" AS t ON t.key = m.key",
    ),
    (
        "left join",
        "SELECT m.event_id, m.amount, t.name FROM events.\"bench.moves\" AS m
         LEFT JOIN events.\"bench.things\" AS t ON t.key = m.key",
    ),
    (
        "semi join",
        "SELECT m.event_id, m.amount FROM events.\"bench.moves\" AS m
         WHERE EXISTS (SELECT 1 FROM events.\"bench.things\" AS t WHERE t.key = m.key)",
    ),
    (
        "anti join",
        "SELECT m.event_id, m.amount FROM events.\"bench.moves\" AS m
         WHERE NOT EXISTS (SELECT 1 FROM events.\"bench.things\" AS t WHERE t.key = m.key)",
    ),
    (
        "sum and count",
        "SELECT key, sum(amount) AS amount, count(*) AS moves FROM events.\"bench.moves\" GROUP BY key",
    ),
    (
        "first and last",
        "SELECT key, first_value(amount ORDER BY occurred_at, event_id) AS first,
                last_value(note ORDER BY occurred_at, event_id) AS last
         FROM events.\"bench.moves\" GROUP BY key",
    ),
    (
        "min and max",
        "SELECT key, min(amount) AS least, max(amount) AS most FROM events.\"bench.moves\" GROUP BY key",
    ),
    ("distinct", "SELECT DISTINCT key, day FROM events.\"bench.moves\""),
    (
        "count distinct",
        "SELECT key, count(DISTINCT day) AS days FROM events.\"bench.moves\" GROUP BY key",
    ),
    (
        "window",
        "SELECT event_id, amount - lag(amount) OVER (PARTITION BY key ORDER BY occurred_at, event_id)
                AS difference
         FROM events.\"bench.moves\"",
    ),
    (
        "median",
        "SELECT key, median(amount) AS median FROM events.\"bench.moves\" GROUP BY key",
    ),
    (
        "top 3",
        "SELECT key, amount, place FROM (
             SELECT key, amount, row_number() OVER (
                 PARTITION BY key ORDER BY amount DESC, event_id) AS place
             FROM events.\"bench.moves\") AS ranked
         WHERE place <= 3",
    ),
    (
        "current_date",
        "SELECT event_id, current_date - day AS age FROM events.\"bench.moves\" WHERE day <= current_date",
    ),
];

/// A view whose rows flip one by one as days pass.
const TEMPORAL: &str =
    "SELECT event_id, CASE WHEN current_date - day > 30 THEN 'old' ELSE 'new' END AS age
     FROM events.\"bench.moves\" WHERE day <= current_date";

fn types() -> EventTypes {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind, optional: false };
    let moves = vec![
        field("key", FieldType::Text),
        field("amount", FieldType::Decimal),
        field("day", FieldType::Date),
        field("note", FieldType::Text),
    ];
    let things = vec![field("key", FieldType::Text), field("name", FieldType::Text)];
    EventTypes::default()
        .with(EventType::new("bench.moves", moves))
        .with(EventType::new("bench.things", things))
}

/// Mixes the bits of a number (the finalizer of splitmix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn head(rows: std::ops::Range<u64>) -> Vec<ArrayRef> {
    let ids = rows.clone().map(|row| Some(format!("event-{row:010}")));
    let times = rows.clone().map(|row| row as i64 * 1_000_000);
    vec![
        Arc::new(ids.collect::<StringArray>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(StringArray::new_null((rows.end - rows.start) as usize)),
    ]
}

fn event_batch(types: &EventTypes, name: &str, columns: Vec<ArrayRef>) -> Input {
    let event_type = types.get(name).expect("a type of the bench").clone();
    let rows = RecordBatch::try_new(event_type.relation().clone(), columns)
        .expect("columns of the relation");
    let tenants = UInt32Array::from(vec![0; rows.num_rows()]);
    Input {
        events: vec![EventBatch { event_type, tenants, rows, extra: None }],
        ..Input::default()
    }
}

fn key(row: u64) -> String {
    format!("key-{:05}", mixed(row) % KEYS)
}

/// The moves of these numbers.
fn moves(types: &EventTypes, rows: std::ops::Range<u64>) -> Input {
    let mut columns = head(rows.clone());
    let amounts = rows.clone().map(|row| i128::from(mixed(row ^ 1) % 10_000_000));
    let amounts = Decimal128Array::from_iter_values(amounts).with_precision_and_scale(38, 4);
    let days = rows.clone().map(|row| (mixed(row ^ 2) % 365) as i32);
    columns.push(Arc::new(rows.clone().map(|row| Some(key(row))).collect::<StringArray>()));
    columns.push(Arc::new(amounts.expect("they fit")));
    columns.push(Arc::new(Date32Array::from_iter_values(days)));
    columns.push(Arc::new(rows.map(|row| Some(format!("note {row}"))).collect::<StringArray>()));
    event_batch(types, "bench.moves", columns)
}

/// One thing for every other key.
fn things(types: &EventTypes) -> Input {
    let rows = 0..KEYS / 2;
    let mut columns = head(rows.clone());
    let keys = rows.clone().map(|row| Some(format!("key-{:05}", row * 2)));
    columns.push(Arc::new(keys.collect::<StringArray>()));
    columns.push(Arc::new(rows.map(|row| Some(format!("thing {row}"))).collect::<StringArray>()));
    event_batch(types, "bench.things", columns)
}

fn date(day: u64) -> NaiveDate {
    NaiveDate::default() + Days::new(day)
}

fn tick(day: u64) -> Input {
    Input { ticks: vec![Tick { tenant: Tenant(0), today: date(day) }], ..Input::default() }
}

/// A partition with the view and its history.
fn partition(types: &EventTypes, sql: &str) -> Partition {
    let view = ViewDefinition::parse("view", sql);
    let mut partition = Partition::new(types, vec![view]).expect("the view can be defined");
    partition.apply(tick(180));
    partition.apply(things(types));
    partition.apply(moves(types, 0..HISTORY as u64));
    partition
}

fn by_size(criterion: &mut Criterion) {
    let types = types();
    for (name, sql) in OPERATORS {
        let mut group = criterion.benchmark_group(*name);
        for size in SIZES {
            group.throughput(Throughput::Elements(size as u64));
            let mut behind = None;
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                let behind = behind.get_or_insert_with(|| Behind::new(&types, sql));
                bencher.iter_custom(|iterations| {
                    (0..iterations).map(|_| behind.batch(&types, sql, size)).sum()
                });
            });
        }
        group.finish();
    }
}

/// A partition with a history, and the number of its next row.
struct Behind {
    partition: Partition,
    next: usize,
}

impl Behind {
    fn new(types: &EventTypes, sql: &str) -> Self {
        Self { partition: partition(types, sql), next: HISTORY }
    }

    /// The time for a batch of `size` rows.
    fn batch(&mut self, types: &EventTypes, sql: &str, size: usize) -> Duration {
        if self.next + size > HISTORY * 3 {
            *self = Self::new(types, sql);
        }
        let input = moves(types, self.next as u64..(self.next + size) as u64);
        self.next += size;
        measure(|| drop(self.partition.apply(input))).1.cpu
    }
}

/// A day passes, and then the next, over states of several sizes: about two rows in 365 change.
fn midnights(criterion: &mut Criterion) {
    let types = types();
    let mut group = criterion.benchmark_group("tick by rows of state");
    for size in [1_024, 16_384, 262_144] {
        let view = ViewDefinition::parse("view", TEMPORAL);
        let mut partition = Partition::new(&types, vec![view]).expect("the view can be defined");
        partition.apply(tick(0));
        partition.apply(moves(&types, 0..size));
        let mut day = 0;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|iterations| {
                let midnight = |_| {
                    day = day % 300 + 1;
                    measure(|| drop(partition.apply(tick(60 + day)))).1.cpu
                };
                (0..iterations).map(midnight).sum()
            });
        });
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
}

criterion_group! { name = operators; config = quick(); targets = by_size, midnights }
criterion_main!(operators);
