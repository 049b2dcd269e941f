//! Random SQL over random event types and histories: incremental equals batch, after every batch.
//!
//! A seed makes a case ([`case`]): event types, a few views from the grammar ([`grammar`]) that
//! may read each other, and histories for several tenants. A view that `DataFusion` cannot plan
//! or the engine refuses is counted and left out; the rest is compared. A failing case is shrunk
//! ([`shrink`]) and printed with its seed. `docs/testing.md` says how to run it for long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod dice;
mod forms;
mod grammar;
#[path = "../harness/mod.rs"]
mod harness;
mod patterns;
mod shrink;
mod syntax;
mod tally;
mod tenants;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use case::{Case, Fate, Only, check};
use tally::Tally;

/// How many failures end a run.
const ENOUGH: usize = 5;

/// How many cases, from which seed on, and for how long at most.
struct Budget {
    seed: u64,
    cases: u64,
    seconds: Option<u64>,
}

impl Budget {
    /// `RANDOM_SQL_SEED`, `RANDOM_SQL_CASES` and `RANDOM_SQL_SECONDS`, or what `PROPTEST_CASES`
    /// says.
    fn from_environment() -> Self {
        let number =
            |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
        let seconds = number("RANDOM_SQL_SECONDS");
        let usual = seconds.map_or(u64::from(Config::default().cases), |_| u64::MAX);
        Self {
            seed: number("RANDOM_SQL_SEED").unwrap_or(1),
            cases: number("RANDOM_SQL_CASES").unwrap_or(usual),
            seconds,
        }
    }
}

thread_local! {
    /// Whether a panic is a finding, to be told once it has been made small.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The last panic that was not told.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

#[test]
fn incremental_equals_batch() {
    let budget = Budget::from_environment();
    #[expect(clippy::disallowed_methods, reason = "how long to go on is told by the wall's clock")]
    let start = Instant::now();
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if QUIET.get() {
            PANIC.set(panic.to_string());
        } else {
            loud(panic);
        }
    }));
    QUIET.set(true);
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    for i in 0..budget.cases {
        if budget.seconds.is_some_and(|s| start.elapsed() >= Duration::from_secs(s)) {
            break;
        }
        let seed = budget.seed.wrapping_add(i);
        let case = Case::new(seed);
        if budget.cases == 1 {
            println!("{case:?}");
        }
        match outcome(&case) {
            Ok(fates) => tally.add(&case, &fates),
            Err(reason) if is_known(&reason) => tally.known += 1,
            Err(reason) => {
                println!("seed {seed} fails: {reason}");
                failures.push(seed);
                println!("{}", shrunk(seed, case));
            }
        }
        if failures.len() == ENOUGH {
            break;
        }
    }
    QUIET.set(false);
    println!("{tally}");
    assert!(failures.is_empty(), "seeds {failures:?} failed; RANDOM_SQL_SEED=… repeats one");
    if tally.views() >= 200 {
        tally.is_not_blind();
    }
}

/// What became of the case's views; a panic is a failure.
fn outcome(case: &Case) -> Result<Vec<Fate>, String> {
    match catch_unwind(AssertUnwindSafe(|| check(case))) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(PANIC.take()),
    }
}

/// Failures that are `DataFusion`'s own, by what their message says.
const KNOWN: &[&str] = &[
    // first_value and last_value panic on some orders by constants, and on empty batches where
    // overflow is checked.
    "first_last.rs",
    "it could not be computed: attempt to subtract with overflow",
];

fn is_known(reason: &str) -> bool {
    KNOWN.iter().any(|known| reason.contains(known))
}

/// The report of a failing case, made as small as it gets.
fn shrunk(seed: u64, case: Case) -> String {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 3_000,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let tree = Only(case).new_tree(&mut runner).unwrap();
    let fails = |case: Case| match outcome(&case) {
        Err(reason) if !is_known(&reason) => Err(TestCaseError::fail(reason)),
        _ => Ok(()),
    };
    match runner.run_one(tree, fails) {
        Err(TestError::Fail(reason, case)) => {
            format!("\n==== seed {seed}\n{reason}\n{case:?}\n====")
        }
        outcome => format!("\n==== seed {seed} failed once and then not: {outcome:?}"),
    }
}
