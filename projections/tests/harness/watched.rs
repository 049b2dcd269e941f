//! A partition under observation: what it is given, what it gives out, and what it then holds.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use projections::events::EventTypes;
use projections::{DefineError, Input, Tenant, TenantDelta, Tick, ViewDefinition, ViewSnapshot};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::checkpointed::Checkpointed;
use super::generated::{History, histories, kinds_of};
use super::history::{Fact, Step, event_batches};
use super::oracle::{Answer, Oracle, rows};

/// A tenant that no history gives an event.
pub(crate) const NOBODY: Tenant = Tenant(1_000_000);

/// A partition with all it was given, and the sum of all it gave out.
pub(crate) struct Watched {
    checkpointed: Checkpointed,
    facts: HashMap<Tenant, Vec<Fact>>,
    today: HashMap<Tenant, NaiveDate>,
    sequences: HashMap<Tenant, u64>,
    sums: HashMap<(Tenant, String), HashMap<String, i64>>,
    offset: u64,
}

impl Watched {
    /// Maintains `views` over the built-in events.
    pub(crate) fn new(views: Vec<ViewDefinition>) -> Self {
        Self::over(&EventTypes::builtin(), views).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Maintains `views` over events of `types`, unless one is refused.
    pub(crate) fn over(
        types: &EventTypes,
        views: Vec<ViewDefinition>,
    ) -> Result<Self, DefineError> {
        Self::restored(types, views, 0)
    }

    /// The same; so many times the partition is put together again from its checkpoints.
    pub(crate) fn restored(
        types: &EventTypes,
        views: Vec<ViewDefinition>,
        restores: usize,
    ) -> Result<Self, DefineError> {
        Ok(Self {
            checkpointed: Checkpointed::new(types, views, restores)?,
            facts: HashMap::new(),
            today: HashMap::new(),
            sequences: HashMap::new(),
            sums: HashMap::new(),
            offset: 0,
        })
    }

    /// Applies the steps in one input and checks the deltas against each other and the snapshots.
    pub(crate) fn apply(&mut self, steps: &[Step]) -> Result<BTreeSet<Tenant>, TestCaseError> {
        let (mut facts, mut ticks): (Vec<&Fact>, Vec<Tick>) = (Vec::new(), Vec::new());
        let mut touched = BTreeSet::new();
        let before = self.sequences.clone();
        for step in steps {
            let tenant = match step {
                Step::Fact(fact) => {
                    facts.push(fact);
                    self.facts.entry(fact.tenant).or_default().push(fact.clone());
                    fact.tenant
                }
                Step::Tick(tick) => {
                    ticks.push(*tick);
                    self.today.insert(tick.tenant, tick.today);
                    tick.tenant
                }
            };
            touched.insert(tenant);
            *self.sequences.entry(tenant).or_default() += 1;
        }
        self.offset += 1;
        let input = Input { events: event_batches(&facts), ticks, offset: self.offset };
        let deltas = self.checkpointed.apply(input);
        let told: BTreeSet<Tenant> = deltas.iter().map(|d| d.snapshot.tenant()).collect();
        prop_assert_eq!(told.len(), deltas.len(), "one delta for a tenant");
        prop_assert_eq!(&told, &touched, "a delta for every touched tenant and no other");
        for delta in &deltas {
            self.add(delta, before.get(&delta.snapshot.tenant()).copied().unwrap_or_default())?;
        }
        Ok(touched)
    }

    fn add(&mut self, delta: &TenantDelta, before: u64) -> Result<(), TestCaseError> {
        let tenant = delta.snapshot.tenant();
        prop_assert_eq!(delta.from, before);
        prop_assert_eq!(delta.snapshot.position().sequence, self.sequences[&tenant]);
        prop_assert_eq!(delta.snapshot.offset(), self.offset);
        prop_assert_eq!(delta.snapshot.today(), self.today.get(&tenant).copied());
        for change in &delta.changes {
            let name = change.view.name().to_owned();
            let weights = change.weights.values();
            prop_assert_eq!(weights.len(), change.rows.num_rows());
            prop_assert!(weights.is_sorted_by_key(|w| *w > 0), "{}: rows that go come first", name);
            let rows = rows(&change.rows);
            let distinct: HashSet<&String> = rows.iter().collect();
            prop_assert_eq!(distinct.len(), rows.len(), "{}: not consolidated: {:?}", name, rows);
            let sums = self.sums.entry((tenant, name)).or_default();
            for (row, weight) in rows.into_iter().zip(weights) {
                prop_assert_ne!(*weight, 0);
                *sums.entry(row).or_default() += weight;
            }
        }
        Ok(())
    }

    /// How many rows ticks have evaluated again so far.
    pub(crate) fn rows_reevaluated(&self) -> u64 {
        self.checkpointed.partition.rows_reevaluated()
    }

    /// Makes the partition forget a tenant, as if nothing had been of it.
    pub(crate) fn forget(&mut self, tenant: Tenant) {
        self.checkpointed.forget(tenant);
        self.facts.remove(&tenant);
        self.today.remove(&tenant);
        self.sequences.remove(&tenant);
        self.sums.retain(|(of, _), _| *of != tenant);
    }

    /// Compares the tenant's views of these names with DataFusion's answers and with the deltas.
    pub(crate) fn check(
        &self,
        oracle: &Oracle,
        tenant: Tenant,
        names: &[String],
    ) -> Result<(), TestCaseError> {
        let answers = oracle.answers(&self.facts(tenant), self.today(tenant));
        names.iter().try_for_each(|name| self.check_view(tenant, name, &answers[name.as_str()]))
    }

    /// Compares one view of a tenant with the answer expected and with the deltas.
    pub(crate) fn check_view(
        &self,
        tenant: Tenant,
        name: &str,
        expected: &Answer,
    ) -> Result<(), TestCaseError> {
        let place = || format!("{name} of tenant {} on {:?}", tenant.0, self.today(tenant));
        let snapshot = self.checkpointed.partition.readers().snapshot(tenant);
        let Some(view) = snapshot.view(name) else {
            prop_assert!(false, "{} is missing", place());
            return Ok(());
        };
        prop_assert_eq!(view.failure(), None, "{}", place());
        let held = held(view);
        prop_assert_eq!(view.row_count(), held.len(), "{}: rows counted", place());
        let expected = expected.rows();
        prop_assert!(
            held == expected,
            "{}:\n  holds    {:#?}\n  expected {:#?}",
            place(),
            held,
            expected
        );
        prop_assert_eq!(self.summed(tenant, name), held, "{}: the sum of all changes", place());
        unique_key(view)
    }

    /// All events of a tenant so far.
    pub(crate) fn facts(&self, tenant: Tenant) -> Vec<&Fact> {
        self.facts.get(&tenant).into_iter().flatten().collect()
    }

    /// The tenant's date.
    pub(crate) fn today(&self, tenant: Tenant) -> Option<NaiveDate> {
        self.today.get(&tenant).copied()
    }

    /// What the changes of a view add up to, on top of what a tenant without events sees.
    fn summed(&self, tenant: Tenant, name: &str) -> Vec<String> {
        let mut sums = self.sums.get(&(tenant, name.to_owned())).cloned().unwrap_or_default();
        for row in held(&self.snapshot_view(NOBODY, name)) {
            *sums.entry(row).or_default() += 1;
        }
        sums.retain(|_, weight| *weight != 0);
        let repeat = |(row, weight): (&String, &i64)| {
            // A negative sum must not pass for an absent row.
            let row = if *weight < 0 { format!("{weight} times {row}") } else { row.clone() };
            std::iter::repeat_n(row, weight.unsigned_abs() as usize)
        };
        let mut rows: Vec<String> = sums.iter().flat_map(repeat).collect();
        rows.sort_unstable();
        rows
    }

    pub(crate) fn snapshot_view(&self, tenant: Tenant, name: &str) -> ViewSnapshot {
        self.checkpointed.partition.readers().snapshot(tenant).view(name).unwrap().clone()
    }
}

fn held(view: &ViewSnapshot) -> Vec<String> {
    let mut held: Vec<String> = view.batches().unwrap().iter().flat_map(rows).collect();
    held.sort_unstable();
    held
}

/// No two rows of a view with a key have the same one.
fn unique_key(view: &ViewSnapshot) -> Result<(), TestCaseError> {
    let key = view.view().key();
    if key.is_empty() || key.len() == view.view().schema().fields().len() {
        return Ok(());
    }
    let mut seen = HashSet::new();
    for batch in view.batches().unwrap() {
        for row in rows(&batch.project(key).unwrap()) {
            prop_assert!(!seen.contains(&row), "{}: the key ({}) twice", view.view().name(), row);
            seen.insert(row);
        }
    }
    Ok(())
}

/// The views of these names and those they read, in the order of definition.
pub(crate) fn needed(views: &[ViewDefinition], names: &[String]) -> Vec<ViewDefinition> {
    let mut wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    for view in views.iter().rev() {
        if wanted.contains(view.name.as_str()) {
            wanted.extend(
                views.iter().map(|v| v.name.as_str()).filter(|name| view.sql.contains(name)),
            );
        }
    }
    views.iter().filter(|v| wanted.contains(v.name.as_str())).cloned().collect()
}

/// Runs generated histories through `views` and checks those of `names` after every batch.
pub(crate) fn incremental_equals_batch(
    views: &[ViewDefinition],
    names: &[String],
    longest: usize,
    share: u32,
) {
    let checked: Vec<ViewDefinition> =
        views.iter().filter(|v| names.contains(&v.name)).cloned().collect();
    let histories = histories(kinds_of(&checked, views), longest);
    let needed = needed(views, names);
    holds_over(histories, &Oracle::new(needed.clone()), &needed, names, share);
}

/// Runs such histories through `views` and checks those of `names` after every batch.
pub(crate) fn holds_over(
    histories: impl Strategy<Value = History>,
    oracle: &Oracle,
    views: &[ViewDefinition],
    names: &[String],
    share: u32,
) {
    let cases = (Config::default().cases / share).max(1);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 4_096, ..Config::default() };
    let outcome = TestRunner::new(config).run(&histories, |history| {
        // Every second history goes through checkpoints.
        let restores = history.batches().len() % 2 * 2;
        let mut watched =
            Watched::restored(&EventTypes::builtin(), views.to_vec(), restores).unwrap();
        watched.check(oracle, NOBODY, names)?;
        let mut seen = BTreeSet::new();
        for batch in history.batches() {
            let touched = watched.apply(batch)?;
            for tenant in &touched {
                watched.check(oracle, *tenant, names)?;
            }
            seen.extend(touched);
        }
        seen.iter().try_for_each(|tenant| watched.check(oracle, *tenant, names))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
