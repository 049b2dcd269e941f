//! What views are said to hold: against the allocator, when a tenant is forgotten, and at a limit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocator;
#[path = "../harness/mod.rs"]
mod harness;
mod limit;

use std::sync::Mutex;

use chrono::NaiveDate;
use projections::{EventTypes, Input, Partition, Tenant, Tick, ViewDefinition};
use proptest::test_runner::{Config, TestRunner};

use harness::generated::{histories, kinds_of, wide};
use harness::history::{Fact, Step, event_batches};
use harness::oracle::Oracle;
use harness::watched::Watched;

/// The allocator counts for all threads, so what is measured by it runs alone.
static ALONE: Mutex<()> = Mutex::new(());

const TENANTS: [Tenant; 2] = [Tenant(0), Tenant(1)];

/// The bytes that the views of both tenants are said to hold.
fn accounted(partition: &Partition) -> usize {
    TENANTS.iter().map(|tenant| partition.readers().snapshot(*tenant).bytes()).sum()
}

fn fill(partition: &mut Partition, views: &[ViewDefinition], events: usize) {
    let today = NaiveDate::from_ymd_opt(2025, 3, 1).unwrap();
    let ticks = TENANTS.map(|tenant| Tick { tenant, today }).to_vec();
    partition.apply(Input { ticks, ..Input::default() });
    let steps = wide(&kinds_of(views, views), events, events as u64 / 12);
    for steps in steps.chunks(1_000) {
        let facts: Vec<&Fact> = steps.iter().map(fact).collect();
        partition.apply(Input { events: event_batches(&facts), ..Input::default() });
    }
}

fn fact(step: &Step) -> &Fact {
    match step {
        Step::Fact(fact) => fact,
        Step::Tick(tick) => panic!("{tick:?} is no event"),
    }
}

#[test]
fn what_views_are_said_to_hold_is_what_the_allocator_gave() {
    let _alone = ALONE.lock();
    let views = ViewDefinition::builtin();
    let mut partition = Partition::new(&EventTypes::builtin(), views.clone()).unwrap();
    // What is made once, whatever the events, is not the tenants'.
    fill(&mut partition, &views, 100);
    let before = (allocator::held(), accounted(&partition));
    fill(&mut partition, &views, 20_000);
    let after = (allocator::held(), accounted(&partition));
    let (given, said) = (after.0 - before.0, after.1 - before.1);
    let what = format!("given {given} bytes, said to be {said}");
    assert!(said <= 2 * given && given <= 2 * said, "{what}");
    println!("{what}");

    let sum = |tenant: Tenant| {
        let snapshot = partition.readers().snapshot(tenant);
        snapshot.views().iter().map(projections::ViewSnapshot::bytes).sum::<usize>()
    };
    assert!(TENANTS.iter().all(|tenant| sum(*tenant) > 0));
    for tenant in TENANTS {
        partition.forget(tenant);
        assert_eq!(partition.state_bytes(tenant), 0);
    }
    assert_eq!(accounted(&partition), 0);
    let left = allocator::held();
    assert!(left < before.0 + given, "{left} bytes after all is forgotten, {} before", after.0);
}

#[test]
fn to_forget_a_tenant_leaves_the_others_and_it_starts_anew() {
    let _alone = ALONE.lock();
    let views = ViewDefinition::builtin();
    let names: Vec<String> = views.iter().filter(|v| !v.internal).map(|v| v.name.clone()).collect();
    let oracle = Oracle::new(views.clone());
    let histories = histories(kinds_of(&views, &views), 96);
    let cases = (Config::default().cases / 32).max(1);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(histories, 0..96_usize), |(history, at)| {
        let mut watched = Watched::new(views.clone());
        let (first, then) = history.steps.split_at(at.min(history.steps.len()));
        watched.apply(first)?;
        // Of the three tenants of a history it has half of the events.
        watched.forget(Tenant(1));
        watched.check(&oracle, Tenant(1), &names)?;
        for steps in then.chunks(9) {
            for tenant in watched.apply(steps)? {
                watched.check(&oracle, tenant, &names)?;
            }
        }
        [1, 2, 7].into_iter().try_for_each(|tenant| watched.check(&oracle, Tenant(tenant), &names))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn every_operator_forgets_all() {
    let _alone = ALONE.lock();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let mut operators = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let sql = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let views = vec![ViewDefinition::parse("view", &sql)];
        let Ok(mut partition) = Partition::new(&EventTypes::builtin(), views.clone()) else {
            continue;
        };
        fill(&mut partition, &views, 300);
        let held = TENANTS.map(|tenant| partition.state_bytes(tenant));
        operators += usize::from(held[0] > 0);
        partition.forget(TENANTS[0]);
        assert_eq!(TENANTS.map(|tenant| partition.state_bytes(tenant)), [0, held[1]], "{sql}");
        fill(&mut partition, &views, 300);
        partition.forget(TENANTS[0]);
        partition.forget(TENANTS[1]);
        assert_eq!(TENANTS.map(|tenant| partition.state_bytes(tenant)), [0, 0], "{sql}");
    }
    assert!(operators > 20, "{operators} views with state");
}
