//! `engine`: what the built-in views cost, together, one by one, and for a lone event.

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use engine::digest::ViewDigest;
use engine::run::{Run, rows, run};
use engine::{Feed, Plan, digest, export, views};
use measure::clock::{percentile, rate};
use measure::measure;
use measure::memory::{mib, peak};
use projections::{EventTypes, Input, Partition};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The most rows of a batch, as at intake.
const FULL: usize = 65_536;

#[derive(Parser)]
#[command(about = "Measures the engine alone: decoded batches in, deltas out, one thread")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// All views together, by size of batch.
    All {
        #[command(flatten)]
        plan: Plan,
        /// Rows of a batch. Of small batches only as many are timed as take a few seconds, at the
        /// end of the history.
        #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1_000, 10_000, FULL])]
        batch: Vec<usize>,
        /// Only these views and what they need.
        #[arg(long, value_delimiter = ',')]
        views: Vec<String>,
        /// How often to run each.
        #[arg(long, default_value_t = 1)]
        repeat: usize,
    },
    /// Each view alone, with what it needs.
    Each {
        #[command(flatten)]
        plan: Plan,
        /// Rows of a batch.
        #[arg(long, default_value_t = FULL)]
        batch: usize,
    },
    /// Writes the inputs and the views that they give as text, for peers.
    Export {
        #[command(flatten)]
        plan: Plan,
        /// Rows of a batch.
        #[arg(long, default_value_t = FULL)]
        batch: usize,
        /// Only these views and what they need.
        #[arg(long, value_delimiter = ',')]
        views: Vec<String>,
        /// A folder for the files.
        dir: PathBuf,
    },
    /// One event at a time behind a history.
    Lone {
        #[command(flatten)]
        plan: Plan,
        /// How many lone events.
        #[arg(long, default_value_t = 10_000)]
        lone: usize,
    },
}

fn main() {
    let what = Arguments::parse().what;
    match what {
        What::All { plan, batch, views, repeat } => all(plan, &batch, &views, repeat),
        What::Each { plan, batch } => each(plan, batch),
        What::Export { plan, batch, views, dir } => export(plan, batch, &views, &dir),
        What::Lone { plan, lone } => self::lone(plan, lone),
    }
}

fn partition(names: &[String]) -> Partition {
    Partition::new(&EventTypes::builtin(), views::builtin(names)).expect("built-in views compile")
}

/// Runs `work` on a thread of its own, named `apply`, so that a profile can tell it apart.
fn apply<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("apply".to_owned())
            .stack_size(16 << 20)
            .spawn_scoped(scope, work)
            .expect("a thread can be started")
            .join()
            .expect("the run ends")
    })
}

/// The inputs of a plan of which the last are timed in batches of `batch`; the tenants get their
/// date first.
fn inputs(plan: Plan, batch: usize) -> (Vec<Input>, Vec<Input>) {
    let timed = plan.events.min(batch.saturating_mul(20_000));
    let mut feed = Feed::new(plan);
    let mut before = vec![Input::default()];
    let mut untimed = plan.events - timed;
    while untimed > 0 {
        before.push(feed.input(FULL.min(untimed)));
        untimed -= FULL.min(untimed);
    }
    let inputs = feed.inputs(batch);
    before[0].ticks = feed.ticks();
    (before, inputs)
}

fn all(plan: Plan, batches: &[usize], names: &[String], repeat: usize) {
    println!("{plan:?}");
    println!(
        "| batch | events timed | events/s wall | events/s CPU | ns CPU/event | deltas | grown MiB |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    let mut seen: Option<Vec<ViewDigest>> = None;
    for &batch in batches {
        let (before, inputs) = inputs(plan, batch);
        for _ in 0..repeat {
            let (run, digests) = apply(|| {
                let mut partition = partition(names);
                let run = run(&mut partition, &before, &inputs);
                (run, digest(&partition, plan.tenants))
            });
            print_run(&batch.to_string(), &run);
            let expected = seen.get_or_insert_with(|| digests.clone());
            assert_eq!(*expected, digests, "views differ by size of batch");
        }
    }
    println!("\npeak RSS {:.0} MiB\n", mib(peak()));
    println!("| view | rows |\n|---|--:|");
    for (view, digest) in seen.unwrap_or_default() {
        println!("| {view} | {} |", digest.rows);
    }
}

fn each(plan: Plan, batch: usize) {
    println!("{plan:?}, batches of {batch}");
    println!("| view with what it needs | events/s wall | events/s CPU | ns CPU/event | deltas |");
    println!("|---|--:|--:|--:|--:|");
    let (before, inputs) = inputs(plan, batch);
    let measured = |names: &[String]| apply(|| run(&mut partition(names), &before, &inputs));
    let print = |name: &str, run: &Run| {
        let Run { events, deltas, time, .. } = *run;
        let (wall, cpu) = (rate(events, time.wall), rate(events, time.cpu));
        let each = time.cpu.as_nanos() as f64 / events as f64;
        println!("| {name} | {wall:.0} | {cpu:.0} | {each:.0} | {deltas} |");
    };
    print("all", &measured(&[]));
    for view in views::builtin(&[]).into_iter().filter(|view| !view.internal) {
        print(&view.name, &measured(std::slice::from_ref(&view.name)));
    }
}

fn export(plan: Plan, batch: usize, names: &[String], dir: &Path) {
    let mut feed = Feed::new(plan);
    let mut inputs = feed.inputs(batch);
    let ticks = feed.ticks();
    inputs.insert(0, Input { ticks, ..Input::default() });
    let mut partition = partition(names);
    run(&mut partition, &inputs, &[]);
    export::inputs(&inputs, dir)
        .and_then(|()| export::views(&partition, plan.tenants, dir))
        .expect("the files can be written");
}

fn print_run(name: &str, run: &Run) {
    let Run { events, deltas, time, grown } = *run;
    println!(
        "| {name} | {events} | {:.0} | {:.0} | {:.0} | {deltas} | {:.0} |",
        rate(events, time.wall),
        rate(events, time.cpu),
        time.cpu.as_nanos() as f64 / events as f64,
        mib(grown),
    );
}

fn lone(plan: Plan, lone: usize) {
    let whole = Plan { events: plan.events + lone, ..plan };
    let mut feed = Feed::new(whole);
    let mut before = vec![Input::default()];
    let mut left = plan.events;
    while left > 0 {
        before.push(feed.input(FULL.min(left)));
        left -= FULL.min(left);
    }
    let events = feed.inputs(1);
    before[0].ticks = feed.ticks();
    let taken = apply(|| {
        let mut partition = partition(&[]);
        run(&mut partition, &before, &[]);
        let mut taken: Vec<(String, Duration, Duration)> = Vec::with_capacity(events.len());
        for event in events {
            let kind = event.events[0].event_type.name().to_owned();
            let (_, time) = measure(|| rows(&partition.apply(event)));
            taken.push((kind, time.wall, time.cpu));
        }
        taken
    });
    println!("{} lone events behind {} of {} tenants; µs", lone, plan.events, plan.tenants);
    println!("| type | events | p50 | p99 | max | p50 CPU | p99 CPU | max CPU |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut by_type: BTreeMap<&str, Vec<(Duration, Duration)>> = BTreeMap::new();
    for (kind, wall, cpu) in &taken {
        by_type.entry("all").or_default().push((*wall, *cpu));
        by_type.entry(kind).or_default().push((*wall, *cpu));
    }
    for (kind, times) in by_type {
        let (mut wall, mut cpu): (Vec<_>, Vec<_>) = times.into_iter().unzip();
        wall.sort_unstable();
        cpu.sort_unstable();
        print!("| {kind} | {} |", wall.len());
        for sorted in [&wall, &cpu] {
            for share in [0.5, 0.99, 1.0] {
                print!(" {:.0} |", percentile(sorted, share).as_nanos() as f64 / 1_000.0);
            }
        }
        println!();
    }
}
