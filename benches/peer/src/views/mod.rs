//! `open_invoices`, `ar_aging`, `project_profitability` and `completion_streaks` as one static
//! circuit, with the meanings of the SQL in `projections/models`.
//!
//! Written as a user of the crate would: rows are tuples, ids are strings, money is an integer of
//! ten-thousandths; of the crate's operators the one made for the purpose is taken (`aggregate`
//! with `Max` for the latest statement, `asof_join` for rates in force, linear sums).

mod profitability;
mod receivables;
mod streaks;

use std::io::Result;
use std::path::{Path, PathBuf};

use dbsp::operator::Max;
use dbsp::utils::{Tup2, Tup3};
use dbsp::{DBData, DBSPHandle, IndexedZSetHandle, RootCircuit, Runtime};

use crate::circuit::{Feed, Sink, Stated, Steps};
use crate::rows::{Row, each};

/// A tenant and the id of something of it.
type Key = Tup2<u32, String>;
/// Tenant, id, and a currency or a user.
type Key3 = Tup3<u32, String, String>;

/// The circuit with its inputs and outputs.
pub(crate) struct Views {
    pub(crate) handle: DBSPHandle,
    pub(crate) feeds: Vec<Box<dyn Feed>>,
    pub(crate) sinks: Vec<(&'static str, Box<dyn Sink>)>,
    pub(crate) steps: usize,
    pub(crate) events: usize,
}

/// Builds the circuit with one worker, for the inputs in `dir`.
///
/// # Errors
/// The files cannot be read.
pub(crate) fn build(dir: &Path) -> Result<Views> {
    let source = Source { dir: dir.to_owned() };
    let (handle, (receivables, profitability, streaks, dates)) =
        Runtime::init_circuit(1, |circuit| {
            let (dates, dates_handle) = circuit.add_input_indexed_zset::<u32, i32>();
            let (standing, receivables) = receivables::build(circuit, &dates);
            let profitability = profitability::build(circuit, &standing);
            let streaks = streaks::build(circuit, &dates);
            Ok((receivables, profitability, streaks, dates_handle))
        })
        .map_err(std::io::Error::other)?;
    let mut feeds: Vec<Box<dyn Feed>> = Vec::new();
    let mut sinks = Vec::new();
    let mut ticks: Steps<u32, i32> = vec![Vec::new()];
    each(&dir.join("ticks.tsv"), |row| {
        ticks[0].push(Tup2(row.number("tenant"), Tup2(row.number("today"), 1)));
    })?;
    feeds.push(Box::new((dates, ticks)));
    receivables.connect(&source, &mut feeds, &mut sinks)?;
    profitability.connect(&source, &mut feeds, &mut sinks)?;
    streaks.connect(&source, &mut feeds, &mut sinks)?;
    let (mut steps, mut events) = (0, 0);
    for file in std::fs::read_dir(dir.join("events"))? {
        each(&file?.path(), |row| {
            steps = steps.max(row.number::<usize>("input") + 1);
            events += 1;
        })?;
    }
    Ok(Views { handle, feeds, sinks, steps, events })
}

/// Where the events are.
struct Source {
    dir: PathBuf,
}

impl Source {
    /// The events of a type as rows of the circuit, by step; those that `row` leaves out are of no
    /// use to it.
    fn steps<K: DBData, V: DBData>(
        &self,
        kind: &str,
        row: impl Fn(&Row<'_>) -> Option<(K, V)>,
    ) -> Result<Steps<K, V>> {
        let mut steps: Steps<K, V> = Vec::new();
        self.append(kind, &mut steps, row)?;
        Ok(steps)
    }

    /// Adds the events of a type to those of others.
    fn append<K: DBData, V: DBData>(
        &self,
        kind: &str,
        steps: &mut Steps<K, V>,
        row: impl Fn(&Row<'_>) -> Option<(K, V)>,
    ) -> Result<()> {
        each(&self.dir.join("events").join(format!("{kind}.tsv")), |read| {
            let step: usize = read.number("input");
            if steps.len() <= step {
                steps.resize_with(step + 1, Vec::new);
            }
            if let Some((key, value)) = row(read) {
                steps[step].push(Tup2(key, Tup2(value, 1)));
            }
        })
    }
}

/// When something was stated: its time and the event's id.
type Moment = Tup2<i64, String>;

fn moment(row: &Row<'_>) -> Moment {
    Tup2(row.number("occurred_at"), row.text("event_id"))
}

fn key(row: &Row<'_>, id: &str) -> Key {
    Tup2(row.number("tenant"), row.text(id))
}

/// An input of statements, of which the latest of each key stands.
fn statements<K: DBData, V: DBData>(
    circuit: &mut RootCircuit,
) -> (Stated<K, V>, IndexedZSetHandle<K, Tup2<Moment, V>>) {
    let (all, handle) = circuit.add_input_indexed_zset::<K, Tup2<Moment, V>>();
    let latest = all.aggregate(Max).map_index(|(key, Tup2(_, value))| (key.clone(), value.clone()));
    (latest, handle)
}
