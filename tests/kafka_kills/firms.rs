//! The tenants and what happens to them: generated histories, each cut into its tenants.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use projections::{EventTypes, Tenant, ViewDefinition};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::generated::{histories, kinds_of};
use crate::history::{Fact, Step};

/// The date of all tenants at first, and the one that every tenth has later.
const FIRST: &str = "2025-03-01";
const LATER: &str = "2025-03-20";

/// Steps of one history, at most.
const LONGEST: usize = 120;

/// A tenant, its facts and its date.
pub(crate) struct Firm {
    pub(crate) id: String,
    /// Each once; their tenant is the firm's place among all.
    pub(crate) facts: Vec<Fact>,
    pub(crate) first_day: NaiveDate,
    pub(crate) last_day: NaiveDate,
}

/// So many tenants, each with at least one event.
pub(crate) fn firms(seed: u64, count: usize) -> Vec<Firm> {
    let views = ViewDefinition::builtin();
    let strategy = histories(kinds_of(&views, &views), LONGEST);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let mut firms = Vec::with_capacity(count);
    while firms.len() < count {
        let history = strategy.new_tree(&mut runner).unwrap().current();
        let mut of_tenants: BTreeMap<Tenant, Vec<Fact>> = BTreeMap::new();
        for step in history.steps {
            if let Step::Fact(fact) = step {
                of_tenants.entry(fact.tenant).or_default().push(fact);
            }
        }
        for facts in of_tenants.into_values() {
            if firms.len() < count {
                firms.push(firm(firms.len(), facts));
            }
        }
    }
    firms
}

fn firm(place: usize, mut facts: Vec<Fact>) -> Firm {
    for fact in &mut facts {
        fact.tenant = Tenant(place as u32);
    }
    let last_day = if place.is_multiple_of(10) { LATER } else { FIRST };
    Firm {
        id: format!("t{place:05}"),
        facts,
        first_day: FIRST.parse().unwrap(),
        last_day: last_day.parse().unwrap(),
    }
}

/// The names of all event types.
pub(crate) fn types() -> Vec<String> {
    EventTypes::builtin().iter().map(|kind| kind.name().to_owned()).collect()
}
