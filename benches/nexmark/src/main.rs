//! `nexmark-views`: each query of Nexmark as a view, checked against DataFusion's batch answer on
//! the same events, then timed.

#![allow(clippy::print_stdout)]

mod batch;
mod queries;
mod relations;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use clap::Parser;
use engine::Digest;
use measure::clock::rate;
use measure::memory::{mib, resident};
use measure::{Measured, measure};
use projections::{EventTypes, Input, Partition, Tenant, ViewDefinition};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Nexmark as views: each query checked, then timed")]
struct Arguments {
    /// How many events are timed.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// How many events are checked beforehand, in batches of many sizes.
    #[arg(long, default_value_t = 50_000)]
    checked: usize,
    /// Rows of a batch.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 65_536])]
    batch: Vec<usize>,
    /// Only these queries.
    #[arg(long, value_delimiter = ',')]
    query: Vec<String>,
    /// Writes the rows of each view after the last run, for peers to compare with.
    #[arg(long)]
    export: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let types = relations::types();
    println!("{} events, {} checked beforehand\n", arguments.events, arguments.checked);
    println!(
        "| query | batch | events/s wall | events/s CPU | ns CPU/event | rows | deltas | grown MiB |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut right = true;
    for query in queries::queries(&arguments.query) {
        match report(&arguments, &types, &query) {
            Ok(()) => {}
            Err(reason) => {
                println!("| {} | {reason} |", query.name);
                right = false;
            }
        }
    }
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks and times a query.
fn report(arguments: &Arguments, types: &EventTypes, query: &ViewDefinition) -> Result<(), String> {
    let side = relations::side_input(types);
    check(types, query, &side, arguments.checked)?;
    for size in &arguments.batch {
        let inputs = relations::inputs(types, arguments.events, *size);
        let export = arguments.export.as_deref();
        let timed = run(types, query, &side, &inputs, export)?;
        let Timed { time, deltas, rows, grown } = timed;
        println!(
            "| {} | {size} | {:.0} | {:.0} | {:.0} | {rows} | {deltas} | {:.0} |",
            query.name,
            rate(arguments.events, time.wall),
            rate(arguments.events, time.cpu),
            time.cpu.as_nanos() as f64 / arguments.events as f64,
            mib(grown),
        );
    }
    Ok(())
}

struct Timed {
    time: Measured,
    deltas: usize,
    rows: usize,
    grown: u64,
}

fn run(
    types: &EventTypes,
    query: &ViewDefinition,
    side: &Input,
    inputs: &[Input],
    export: Option<&Path>,
) -> Result<Timed, String> {
    let mut partition = partition(types, query)?;
    partition.apply(again(side));
    let before = resident();
    let (mut time, mut deltas) = (Measured::default(), 0);
    for input in inputs {
        let input = again(input);
        let (rows, taken) = measure(|| {
            let deltas = partition.apply(input);
            deltas.iter().flat_map(|d| &d.changes).map(|c| c.rows.num_rows()).sum::<usize>()
        });
        time.add(taken);
        deltas += rows;
    }
    let grown = resident().saturating_sub(before);
    let rows = compare(types, query, &partition, side, inputs)?;
    if let Some(dir) = export {
        engine::export::views(&partition, 1, dir).map_err(|error| error.to_string())?;
    }
    Ok(Timed { time, deltas, rows, grown })
}

/// Applies the first events in batches of many sizes and compares after each few of them.
fn check(
    types: &EventTypes,
    query: &ViewDefinition,
    side: &Input,
    count: usize,
) -> Result<(), String> {
    let mut partition = partition(types, query)?;
    partition.apply(again(side));
    let inputs = relations::inputs(types, count, 100);
    let (mut at, mut size) = (0, 1);
    while at < inputs.len() {
        let next = (at + size).min(inputs.len());
        let events = inputs[at..next].iter().flat_map(|input| input.events.clone()).collect();
        partition.apply(Input { events, ..Input::default() });
        (at, size) = (next, size * 3 % 97 + 1);
    }
    compare(types, query, &partition, side, &inputs)?;
    Ok(())
}

fn partition(types: &EventTypes, query: &ViewDefinition) -> Result<Partition, String> {
    Partition::new(types, vec![query.clone()]).map_err(|error| format!("refused: {error}"))
}

fn again(input: &Input) -> Input {
    Input { events: input.events.clone(), ticks: input.ticks.clone(), offset: input.offset }
}

/// The number of the view's rows, which must be those of the batch answer.
fn compare(
    types: &EventTypes,
    query: &ViewDefinition,
    partition: &Partition,
    side: &Input,
    inputs: &[Input],
) -> Result<usize, String> {
    let snapshot = partition.readers().snapshot(Tenant(0));
    let view = &snapshot.views()[0];
    if let Some(failure) = view.failure() {
        return Err(format!("failed: {failure}"));
    }
    let kept = view.batches().map_err(|error| error.to_string())?;
    let inputs: Vec<&Input> = std::iter::once(side).chain(inputs).collect();
    let answer = batch::answer(types, &inputs, &query.sql, view.view().schema())
        .map_err(|error| format!("DataFusion: {error}"))?;
    let (mine, other) = (digest(&kept), digest(&answer));
    if mine == other { Ok(mine.rows) } else { Err(difference(&kept, &answer)) }
}

fn digest(batches: &[RecordBatch]) -> Digest {
    let mut digest = Digest::default();
    for batch in batches {
        digest.add(0, batch);
    }
    digest
}

/// Some rows that stand on one side only.
fn difference(kept: &[RecordBatch], answer: &[RecordBatch]) -> String {
    let lines = |batches: &[RecordBatch]| -> Vec<String> {
        let text = pretty_format_batches(batches).map(|t| t.to_string()).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let (kept, answer) = (lines(kept), lines(answer));
    let only = |some: &[String], others: &[String]| -> String {
        let missing = some.iter().filter(|line| others.binary_search(line).is_err());
        missing.take(3).cloned().collect::<Vec<_>>().join("\n")
    };
    format!(
        "differs:\nin the view only\n{}\nin the batch answer only\n{}\n",
        only(&kept, &answer),
        only(&answer, &kept)
    )
}
