//! Synthetic events in the batches that the intake makes of them: one for each type.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::concat_batches;
use chrono::{DateTime, NaiveDate, Utc};
use ingest::{Format, Limits, Sender};
use projections::{EventBatch, EventType, EventTypes, Input, Tenant, Tick};

use crate::generate;

/// Which events.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Plan {
    /// How many tenants; a few are much larger than the others.
    #[arg(long, default_value_t = 20)]
    pub tenants: u32,
    /// How many events.
    #[arg(long, default_value_t = 1_000_000)]
    pub events: usize,
    /// Another seed, another story.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// The events of a plan in the order of their arrival, each id once.
pub struct Feed {
    lines: generate::Events,
    tenants: u32,
    left: usize,
    seen: HashSet<(u32, u64)>,
    types: EventTypes,
    limits: Limits,
    newest: i64,
}

impl Feed {
    /// The events of `plan`.
    pub fn new(plan: Plan) -> Self {
        // Lines that repeat an id are left out, so more of them are needed.
        let lines = plan.events as u64 + plan.events as u64 / 50 + 100;
        let lines = generate::Plan { tenants: plan.tenants, events: lines, seed: plan.seed };
        Self {
            lines: generate::Events::new(lines),
            tenants: plan.tenants,
            left: plan.events,
            seen: HashSet::new(),
            types: EventTypes::builtin(),
            limits: Limits { max_body: 1 << 30, max_rejected: 0, ..Limits::default() },
            newest: 0,
        }
    }

    /// The next `count` events as one input, or those that are left.
    ///
    /// # Panics
    /// If the decoder does not take what the generator wrote.
    pub fn input(&mut self, count: usize) -> Input {
        let mut bodies: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut taken = 0;
        while taken < count.min(self.left) {
            let Some(generate::Generated { tenant, line }) = self.lines.next() else { break };
            if self.seen.insert((tenant, number(&line))) {
                bodies.entry(tenant).or_default().extend(line);
                taken += 1;
            }
        }
        self.left -= taken;
        let events = self.decode(bodies);
        Input { events, ticks: Vec::new(), offset: 0 }
    }

    /// All events that are left, in inputs of `count`.
    pub fn inputs(&mut self, count: usize) -> Vec<Input> {
        let mut inputs = Vec::with_capacity(self.left.div_ceil(count));
        while self.left > 0 {
            inputs.push(self.input(count));
        }
        inputs
    }

    /// A tick for each tenant to the date of the newest event so far.
    pub fn ticks(&self) -> Vec<Tick> {
        let today = DateTime::from_timestamp_micros(self.newest)
            .map_or(NaiveDate::default(), |time| time.date_naive());
        (0..self.tenants).map(|tenant| Tick { tenant: Tenant(tenant), today }).collect()
    }

    fn decode(&mut self, bodies: BTreeMap<u32, Vec<u8>>) -> Vec<EventBatch> {
        let mut by_type: Vec<(Arc<EventType>, Vec<RecordBatch>, Vec<u32>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (tenant, body) in bodies {
            let sender = Sender {
                tenant: Tenant(tenant),
                tenant_id: format!("t{:05}", tenant + 1),
                currency: "EUR".to_owned(),
                events_clock: None,
            };
            let (types, limits) = (&self.types, &self.limits);
            let decoded = ingest::decode(
                types,
                limits,
                &sender,
                Format::Ndjson,
                &body,
                DateTime::<Utc>::MAX_UTC,
            )
            .expect("generated events are taken");
            for batch in decoded.batches {
                self.newest = self.newest.max(newest(&batch.rows));
                let columns: Vec<usize> = (0..batch.event_type.relation().fields().len()).collect();
                let rows = batch.rows.project(&columns).expect("the relation's columns come first");
                let next = by_type.len();
                let place = *places.entry(batch.event_type.name().to_owned()).or_insert(next);
                if place == next {
                    by_type.push((batch.event_type, Vec::new(), Vec::new()));
                }
                let (_, batches, tenants) = &mut by_type[place];
                tenants.resize(tenants.len() + rows.num_rows(), tenant);
                batches.push(rows);
            }
        }
        by_type
            .into_iter()
            .map(|(event_type, batches, tenants)| {
                let rows = concat_batches(event_type.relation(), &batches)
                    .expect("batches of a type have one schema");
                EventBatch { event_type, tenants: UInt32Array::from(tenants), rows, extra: None }
            })
            .collect()
    }
}

/// How many events an input has.
pub fn count(input: &Input) -> usize {
    input.events.iter().map(|batch| batch.rows.num_rows()).sum()
}

/// The same input again; its columns are shared.
#[must_use]
pub fn again(input: &Input) -> Input {
    Input { events: input.events.clone(), ticks: input.ticks.clone(), offset: input.offset }
}

/// The event's number within its tenant: what follows the dash of its id.
fn number(line: &[u8]) -> u64 {
    let id = line.splitn(9, |byte| *byte == b'"').nth(7).unwrap_or_default();
    let digits = id.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .expect("a generated id ends in a number")
}

fn newest(rows: &RecordBatch) -> i64 {
    rows.column(1)
        .as_any()
        .downcast_ref::<TimestampMicrosecondArray>()
        .map_or(0, |times| times.values().iter().copied().max().unwrap_or(0))
}
