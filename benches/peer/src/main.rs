//! `peer`: the headline views and Nexmark on dbsp, one worker, over the same events.

#![allow(clippy::print_stdout)]

mod circuit;
mod nexmark;
mod rows;
mod views;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use measure::clock::{process_cpu, rate};
use measure::memory::{mib, resident};

#[global_allocator]
static ALLOCATOR: dbsp::mimalloc::MiMalloc = dbsp::mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "The headline views and Nexmark on dbsp, one worker")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The headline views over what `engine export` wrote; their rows must be those of the engine.
    Views {
        /// The folder.
        dir: PathBuf,
    },
    /// Queries of Nexmark.
    Nexmark {
        /// How many events.
        #[arg(long, default_value_t = 1_000_000)]
        events: usize,
        /// Events of a step.
        #[arg(long, value_delimiter = ',', default_values_t = [10_000, 65_536])]
        batch: Vec<usize>,
        /// Only these queries.
        #[arg(long, value_delimiter = ',')]
        query: Vec<String>,
        /// A folder that `nexmark-views --export` wrote for as many events: the rows must be those.
        #[arg(long)]
        check: Option<PathBuf>,
    },
}

fn main() {
    match Arguments::parse().what {
        What::Views { dir } => headline(&dir),
        What::Nexmark { events, batch, query, check } => {
            nexmark_queries(events, &batch, &query, check.as_deref());
        }
    }
}

fn headline(dir: &Path) {
    let mut views = views::build(dir).expect("the exported files can be read");
    let resident_before = resident();
    let (mut wall, mut cpu, mut deltas) = (Duration::ZERO, Duration::ZERO, 0);
    for step in 0..views.steps {
        let (began, used) = (Instant::now(), process_cpu());
        for feed in &mut views.feeds {
            feed.step(step);
        }
        views.handle.transaction().expect("the circuit runs");
        for (_, sink) in &mut views.sinks {
            deltas += sink.take();
        }
        wall += began.elapsed();
        cpu += process_cpu() - used;
    }
    let grown = resident().saturating_sub(resident_before);
    println!(
        "| events | steps | events/s wall | events/s CPU | ns CPU/event | deltas | grown MiB |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    println!(
        "| {} | {} | {:.0} | {:.0} | {:.0} | {deltas} | {:.0} |\n",
        views.events,
        views.steps,
        rate(views.events, wall),
        rate(views.events, cpu),
        cpu.as_nanos() as f64 / views.events as f64,
        mib(grown),
    );
    for (name, sink) in &views.sinks {
        let rows = sink.rows();
        compare(name, &rows, &dir.join("views").join(format!("{name}.tsv")));
        println!("{name}: {} rows, as the engine's", rows.len());
    }
}

fn nexmark_queries(events: usize, batch: &[usize], query: &[String], check: Option<&Path>) {
    println!("{events} events\n");
    println!("| query | batch | events/s wall | events/s CPU | ns CPU/event | deltas |");
    println!("|---|--:|--:|--:|--:|--:|");
    let wanted = |name: &str| query.is_empty() || query.iter().any(|query| query == name);
    for (name, run) in nexmark::QUERIES.iter().filter(|(name, _)| wanted(name)) {
        for size in batch {
            let nexmark::Run { wall, cpu, deltas, sink } = run(events, *size);
            println!(
                "| {name} | {size} | {:.0} | {:.0} | {:.0} | {deltas} |",
                rate(events, wall),
                rate(events, cpu),
                cpu.as_nanos() as f64 / events as f64,
            );
            if let Some(dir) = check {
                compare(name, &sink.rows(), &dir.join("views").join(format!("{name}.tsv")));
            }
        }
    }
}

/// Ends the run where the rows are not those of the file.
fn compare(name: &str, rows: &HashMap<String, i64>, file: &Path) {
    let text = fs::read_to_string(file).expect("the engine's rows can be read");
    let mut expected: HashMap<&str, i64> = HashMap::new();
    for line in text.lines().skip(1) {
        *expected.entry(line).or_default() += 1;
    }
    let missing = expected.iter().filter(|(row, times)| rows.get(**row) != Some(*times));
    let extra = rows.iter().filter(|(row, times)| expected.get(row.as_str()) != Some(*times));
    let (missing, extra): (Vec<_>, Vec<_>) = (missing.take(3).collect(), extra.take(3).collect());
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{name} differs\nin the engine only: {missing:#?}\nhere only: {extra:#?}"
    );
}
