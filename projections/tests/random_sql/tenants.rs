//! Tenants apart: many tenants with the same ids, values and dates in the same batches of one
//! partition get byte for byte what each gets in a partition of its own, also beside tenants
//! whose views fail.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use projections::{
    EventType, EventTypes, Input, Partition, Tenant, TenantDelta, TenantSnapshot, Tick,
    ViewDefinition,
};
use proptest::test_runner::Config;

use super::case::{history, maintained, views};
use super::dice::Dice;
use super::harness::generated::History;
use super::harness::history::{Fact, Step, event_batches};
use super::harness::oracle::Oracle;

/// All built-in views, some that fail for tenants with certain events, and random ones.
fn definitions(
    dice: &mut Dice,
    types: &EventTypes,
    kinds: &[Arc<EventType>],
) -> Vec<ViewDefinition> {
    let mut random: Vec<ViewDefinition> = views(dice, &kinds[..3])
        .iter()
        .map(|(name, query)| ViewDefinition::parse(name, &query.sql()))
        .collect();
    let planned = Oracle::over(types, random.clone()).outcomes(&[], None);
    random.retain(|view| planned[&view.name].is_ok());
    maintained(types, &mut random).unwrap();
    let failing = [
        ("shares", "SELECT call_id, 100 / duration_s AS share FROM events.\"crm.call_logged\""),
        ("high_shares", "SELECT share, count(*) AS calls FROM shares GROUP BY share"),
        (
            "numbers",
            "SELECT CAST(opportunity_id AS BIGINT) AS n FROM events.\"crm.opportunity_closed\"",
        ),
    ];
    let failing = failing.map(|(name, sql)| ViewDefinition::parse(name, sql));
    ViewDefinition::builtin().into_iter().chain(failing).chain(random).collect()
}

/// A tenant's batches; the tenant's number is in every step.
fn batches(dice: &mut Dice, kinds: &[Arc<EventType>], tenant: Tenant) -> Vec<Vec<Step>> {
    let history: History = history(dice, kinds);
    let own = |step: &Step| match step.clone() {
        Step::Fact(fact) => Step::Fact(Fact { tenant, ..fact }),
        Step::Tick(tick) => Step::Tick(Tick { tenant, ..tick }),
    };
    history.batches().iter().map(|batch| batch.iter().map(own).collect()).collect()
}

fn input(steps: &[&Step], offset: u64) -> Input {
    let facts: Vec<&Fact> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Fact(fact) => Some(fact),
            Step::Tick(_) => None,
        })
        .collect();
    let ticks = steps
        .iter()
        .filter_map(|step| match step {
            Step::Tick(tick) => Some(*tick),
            Step::Fact(_) => None,
        })
        .collect();
    Input { events: event_batches(&facts), ticks, offset }
}

/// The tenants' batches of one turn, their steps taken in turn.
fn interleaved<'a>(of: &[&'a Vec<Step>]) -> Vec<&'a Step> {
    let longest = of.iter().map(|steps| steps.len()).max().unwrap_or_default();
    (0..longest).flat_map(|i| of.iter().filter_map(move |steps| steps.get(i))).collect()
}

fn assert_equal_snapshots(among: &TenantSnapshot, alone: &TenantSnapshot, place: &str) {
    assert_eq!(among.position(), alone.position(), "{place}");
    assert_eq!(among.position().to_string(), alone.position().to_string(), "{place}");
    assert_eq!(among.today(), alone.today(), "{place}");
    assert_eq!(among.offset(), alone.offset(), "{place}");
    assert_eq!(among.views().len(), alone.views().len(), "{place}");
    for (among, alone) in among.views().iter().zip(alone.views()) {
        let name = alone.view().name();
        assert_eq!(among.failure(), alone.failure(), "{place}: {name}");
        let schema = alone.view().schema();
        let all = |batches: Vec<RecordBatch>| concat_batches(schema, &batches).unwrap();
        let (among, alone) = (all(among.batches().unwrap()), all(alone.batches().unwrap()));
        assert_eq!(among, alone, "{place}: {name}");
    }
}

fn assert_equal_deltas(among: &TenantDelta, alone: &TenantDelta, place: &str) {
    assert_eq!(among.from, alone.from, "{place}");
    let names = |delta: &TenantDelta| -> Vec<String> {
        delta.changes.iter().map(|change| change.view.name().to_owned()).collect()
    };
    assert_eq!(names(among), names(alone), "{place}");
    for (among, alone) in among.changes.iter().zip(&alone.changes) {
        let name = alone.view.name();
        assert_eq!(among.rows, alone.rows, "{place}: the change of {name}");
        assert_eq!(among.weights, alone.weights, "{place}: the change of {name}");
    }
    assert_equal_snapshots(&among.snapshot, &alone.snapshot, place);
}

/// One seed; how many views of tenants failed.
fn apart(seed: u64) -> usize {
    let mut dice = Dice::new(seed);
    let types = EventTypes::builtin();
    // A third of all types, so that the events of each meet one another.
    let mut kinds: Vec<Arc<EventType>> = types.iter().cloned().collect();
    while kinds.len() > 10 {
        kinds.swap_remove(dice.below(kinds.len()));
    }
    kinds.extend(types.get("crm.call_logged").cloned());
    let definitions = definitions(&mut dice, &types, &kinds);
    let new = || Partition::new(&types, definitions.clone()).unwrap();
    let (mut shared, mut alone) = (new(), HashMap::new());
    let tenants: Vec<Tenant> = (0..2 + dice.below(4)).map(|i| Tenant(i as u32 * 3)).collect();
    let histories: Vec<Vec<Vec<Step>>> =
        tenants.iter().map(|tenant| batches(&mut dice, &kinds, *tenant)).collect();
    let turns = histories.iter().map(Vec::len).max().unwrap();
    for turn in 0..turns {
        let offset = turn as u64 + 1;
        let of: Vec<&Vec<Step>> = histories.iter().filter_map(|h| h.get(turn)).collect();
        let among = shared.apply(input(&interleaved(&of), offset));
        let mut told = among.iter();
        for (tenant, history) in tenants.iter().zip(&histories) {
            let Some(steps) = history.get(turn) else { continue };
            let place = format!("seed {seed}, tenant {}, batch {turn}", tenant.0);
            let partition = alone.entry(*tenant).or_insert_with(new);
            let steps: Vec<&Step> = steps.iter().collect();
            let own = partition.apply(input(&steps, offset));
            assert_eq!(own.len(), 1, "{place}");
            assert_equal_deltas(told.next().unwrap(), &own[0], &place);
        }
        assert!(told.next().is_none(), "seed {seed}: a delta for nobody");
        for tenant in &tenants {
            let Some(partition) = alone.get(tenant) else { continue };
            let snapshot = |partition: &Partition| partition.readers().snapshot(*tenant);
            let place = format!("seed {seed}, tenant {} after batch {turn}", tenant.0);
            assert_equal_snapshots(&snapshot(&shared), &snapshot(partition), &place);
        }
    }
    let failed = |tenant: &Tenant| {
        let snapshot = shared.readers().snapshot(*tenant);
        snapshot.views().iter().filter(|view| view.failure().is_some()).count()
    };
    tenants.iter().map(failed).sum()
}

#[test]
fn alone_and_among_others() {
    let first: u64 =
        std::env::var("RANDOM_SQL_SEED").map_or(1, |seed| seed.parse().expect("RANDOM_SQL_SEED"));
    let seeds = u64::from(Config::default().cases / 32).max(1);
    let failed: usize = (first..first + seeds).map(apart).sum();
    assert!(seeds < 4 || failed > 0, "no view failed beside the others");
}
