//! The tenants and what happens to them: generated histories, each cut into its tenants, or several
//! of one tenant.

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
    /// Whether it sends them by HTTP, and not by the producer.
    pub(crate) posts: bool,
    pub(crate) first_day: NaiveDate,
    pub(crate) last_day: NaiveDate,
}

/// Histories of a tenant that is watched.
const MANY: usize = 6;

/// So many tenants, each with at least one event; the first ones, which are `watched`, with many.
pub(crate) fn firms(seed: u64, count: usize, watched: usize) -> Vec<Firm> {
    let views = ViewDefinition::builtin();
    let strategy = histories(kinds_of(&views, &views), LONGEST);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let mut facts = || {
        let history = strategy.new_tree(&mut runner).unwrap().current();
        history.steps.into_iter().filter_map(|step| match step {
            Step::Fact(fact) => Some(fact),
            Step::Tick(_) => None,
        })
    };
    let mut firms = Vec::with_capacity(count);
    while firms.len() < count.min(watched) {
        let numbered = |(number, mut fact): (usize, Fact)| {
            // The ids of a history are its own.
            fact.id = format!("{number}-{}", fact.id);
            fact
        };
        let all = (0..MANY).flat_map(|number| facts().map(move |fact| (number, fact)));
        firms.push(firm(firms.len(), all.map(numbered).collect()));
    }
    while firms.len() < count {
        let mut of_tenants: BTreeMap<Tenant, Vec<Fact>> = BTreeMap::new();
        for fact in facts() {
            of_tenants.entry(fact.tenant).or_default().push(fact);
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
        posts: place % 20 == 7,
        first_day: FIRST.parse().unwrap(),
        last_day: last_day.parse().unwrap(),
    }
}

/// The names of all event types.
pub(crate) fn types() -> Vec<String> {
    EventTypes::builtin().iter().map(|kind| kind.name().to_owned()).collect()
}
