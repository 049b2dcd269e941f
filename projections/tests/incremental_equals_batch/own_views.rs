//! A tenant's own views: filled in the middle of a history, replaced and removed, each equals
//! batch at every position at which it can be read, and its changes add up from the snapshot.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::UInt32Array;
use chrono::NaiveDate;
use projections::events::EventTypes;
use projections::{
    EventBatch, Fill, Input, OwnView, Partition, Tenant, TenantSnapshot, Tick, View,
    ViewDefinition, ViewSnapshot,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::generated::{History, histories, kinds_of};
use crate::history::{Fact, Step, event_batches, relation};
use crate::oracle::{Oracle, rows};
use crate::watched::needed;

/// The tenants that define views; others have none.
const OWNERS: [Tenant; 2] = [Tenant(1), Tenant(2)];
/// Facts that a fill is fed at a time.
const PIECE: usize = 3;

fn definitions(views: &[(&str, &str)]) -> Vec<ViewDefinition> {
    views.iter().map(|(name, sql)| ViewDefinition::parse(name, sql)).collect()
}

/// A view on a built-in view, one on events that reads the date, one on the first and on events,
/// one on that; and one that has a row also when nothing was ever sent, and one on that.
fn first(tenant: Tenant) -> Vec<ViewDefinition> {
    let debts = "SELECT customer_id, sum(balance) AS debt FROM open_invoices GROUP BY customer_id";
    let late = match tenant {
        Tenant(1) => {
            "SELECT invoice_id, due_date FROM events.\"invoicing.invoice_issued\" \
             WHERE due_date < current_date"
        }
        _ => {
            "SELECT customer_id, max(amount) AS most FROM events.\"invoicing.invoice_issued\" \
              GROUP BY customer_id"
        }
    };
    let debtors = "SELECT i.invoice_id, i.event_id, d.customer_id, d.debt \
                   FROM events.\"invoicing.invoice_issued\" i \
                   LEFT JOIN debts d ON i.customer_id = d.customer_id";
    let counts = "SELECT customer_id, count(*) AS invoices FROM debtors GROUP BY customer_id";
    let totals = "SELECT count(*) AS customers, sum(debt) AS debt FROM debts";
    let more = "SELECT customers + 1 AS more FROM totals";
    definitions(&[
        ("debts", debts),
        ("late", late),
        ("debtors", debtors),
        ("counts", counts),
        ("totals", totals),
        ("more", more),
    ])
}

/// `debts` defined anew over other columns, and what reads it.
fn second(tenant: Tenant) -> Vec<ViewDefinition> {
    let debts = "SELECT customer_id, count(*) AS debt, min(due_date) AS since FROM open_invoices \
                 WHERE balance > 0 GROUP BY customer_id";
    let mut views = definitions(&[("debts", debts)]);
    let readers = ["debtors", "counts", "totals", "more"];
    views.extend(first(tenant).into_iter().filter(|view| readers.contains(&&*view.name)));
    views
}

/// What a tenant's own views are after the replacement, in an order in which they can be asked.
fn replaced(tenant: Tenant) -> Vec<ViewDefinition> {
    let mut views = second(tenant);
    views.extend(first(tenant).into_iter().filter(|view| view.name == "late"));
    views
}

/// A partition and all it was given.
struct Running {
    partition: Partition,
    facts: HashMap<Tenant, Vec<Fact>>,
    today: HashMap<Tenant, NaiveDate>,
    /// What the own views held when they were attached, and the changes since.
    sums: HashMap<(Tenant, String), HashMap<String, i64>>,
    offset: u64,
}

/// A fill and the facts it is still to be fed.
struct Filling {
    fill: Fill,
    facts: Vec<Fact>,
}

impl Running {
    fn new(builtin: &[ViewDefinition]) -> Self {
        Self {
            partition: Partition::new(&EventTypes::builtin(), builtin.to_vec()).unwrap(),
            facts: HashMap::new(),
            today: HashMap::new(),
            sums: HashMap::new(),
            offset: 0,
        }
    }

    fn apply(&mut self, steps: &[Step]) -> BTreeSet<Tenant> {
        let (mut facts, mut ticks): (Vec<&Fact>, Vec<Tick>) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Fact(fact) => {
                    facts.push(fact);
                    self.facts.entry(fact.tenant).or_default().push(fact.clone());
                }
                Step::Tick(tick) => {
                    ticks.push(*tick);
                    self.today.insert(tick.tenant, tick.today);
                }
            }
        }
        self.offset += 1;
        let input = Input { events: event_batches(&facts), ticks, offset: self.offset };
        let deltas = self.partition.apply(input);
        for delta in &deltas {
            let tenant = delta.snapshot.tenant();
            for change in &delta.changes {
                let name = change.view.name().to_owned();
                let Some(sums) = self.sums.get_mut(&(tenant, name)) else { continue };
                for (row, weight) in rows(&change.rows).into_iter().zip(change.weights.values()) {
                    *sums.entry(row).or_default() += weight;
                }
            }
        }
        deltas.iter().map(|delta| delta.snapshot.tenant()).collect()
    }

    fn begin(&mut self, tenant: Tenant, definitions: &[ViewDefinition]) -> Filling {
        let snapshot = self.partition.readers().snapshot(tenant);
        let replaced = |view: &View| definitions.iter().any(|d| d.name == view.name());
        let mut readable: Vec<Arc<View>> =
            snapshot.views().iter().map(|v| v.view().clone()).collect();
        readable.retain(|view| !replaced(view));
        let mut views = Vec::new();
        for definition in definitions {
            let own = OwnView::compile(&EventTypes::builtin(), &readable, definition).unwrap();
            readable.push(own.view().clone());
            views.push(own);
        }
        let mut fill = self.partition.begin(tenant, views).unwrap();
        fill.start().unwrap();
        let mut facts = self.facts.get(&tenant).cloned().unwrap_or_default();
        let read: BTreeSet<&str> = fill.event_types().collect();
        facts.retain(|fact| read.contains(fact.kind.name()));
        facts.sort_by_key(|fact| fact.kind.name().to_owned());
        Filling { fill, facts }
    }

    fn attach(&mut self, mut filling: Filling) {
        while filling.feed() {}
        let tenant = filling.fill.base().tenant();
        let names: Vec<String> = filling.fill.views().map(|v| v.name().to_owned()).collect();
        let before = self.partition.readers().snapshot(tenant);
        let snapshot = self.partition.attach(filling.fill).unwrap();
        assert_eq!(snapshot.position(), before.position());
        assert_eq!(snapshot.offset(), before.offset());
        for name in names {
            let view = snapshot.view(&name).unwrap();
            assert_eq!(view.since(), Some(snapshot.position().sequence));
            let mut sums = HashMap::new();
            for row in held(view) {
                *sums.entry(row).or_default() += 1;
            }
            self.sums.insert((tenant, name), sums);
        }
    }

    /// Compares the tenant's own views with batch, and with the sum of their changes.
    fn check(
        &self,
        oracle: &Oracle,
        tenant: Tenant,
        names: &[ViewDefinition],
    ) -> Result<(), TestCaseError> {
        let snapshot: Arc<TenantSnapshot> = self.partition.readers().snapshot(tenant);
        let facts: Vec<&Fact> = self.facts.get(&tenant).into_iter().flatten().collect();
        let answers = oracle.answers(&facts, self.today.get(&tenant).copied());
        for definition in names {
            let name = &definition.name;
            let view = snapshot.view(name).unwrap();
            prop_assert_eq!(view.failure(), None);
            prop_assert_eq!(view.view().sql(), &definition.sql);
            let held = held(view);
            prop_assert_eq!(&held, &answers[name].rows(), "{} of tenant {}", name, tenant.0);
            let mut summed = Vec::new();
            for (row, weight) in &self.sums[&(tenant, name.clone())] {
                prop_assert!(*weight >= 0, "{name}: {weight} times {row}");
                summed.extend(std::iter::repeat_n(row.clone(), *weight as usize));
            }
            summed.sort_unstable();
            prop_assert_eq!(summed, held, "the changes of {}", name);
        }
        Ok(())
    }
}

impl Filling {
    /// Feeds a few facts and what has arrived; false when all facts are fed.
    fn feed(&mut self) -> bool {
        let Some(first) = self.facts.first() else { return false };
        let kind = first.kind.clone();
        let same = self.facts.iter().take_while(|fact| fact.kind.name() == kind.name()).count();
        let piece: Vec<Fact> = self.facts.drain(..same.min(PIECE)).collect();
        let piece: Vec<&Fact> = piece.iter().collect();
        let rows = relation(&kind, &piece);
        let tenants = UInt32Array::from(vec![self.fill.base().tenant().0; piece.len()]);
        self.fill.feed(EventBatch { event_type: kind, tenants, rows, extra: None }).unwrap();
        if self.facts.len().is_multiple_of(2) {
            self.fill.catch_up().unwrap();
        }
        true
    }
}

fn held(view: &ViewSnapshot) -> Vec<String> {
    let mut held: Vec<String> = view.batches().unwrap().iter().flat_map(rows).collect();
    held.sort_unstable();
    held
}

/// For each tenant: the batch before which its views are begun, and how many batches each stage
/// lasts: the fill, the time until they are replaced, that fill, the time until one is removed.
type Plan = [[usize; 5]; 2];

/// What a tenant is at.
enum Stage {
    Before,
    Filling(Filling),
    Live,
    Replacing(Filling),
    Replaced,
    Removed,
}

struct Owner {
    tenant: Tenant,
    waits: [usize; 5],
    stage: Stage,
}

impl Owner {
    /// Goes on to the next stage when its time has come; otherwise feeds a little.
    fn turn(&mut self, running: &mut Running) {
        let at = match &self.stage {
            Stage::Before => 0,
            Stage::Filling(_) => 1,
            Stage::Live => 2,
            Stage::Replacing(_) => 3,
            Stage::Replaced => 4,
            Stage::Removed => return,
        };
        if self.waits[at] > 0 {
            self.waits[at] -= 1;
            if let Stage::Filling(filling) | Stage::Replacing(filling) = &mut self.stage {
                filling.feed();
            }
            return;
        }
        let tenant = self.tenant;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Removed) {
            Stage::Before => Stage::Filling(running.begin(tenant, &first(tenant))),
            Stage::Filling(filling) => {
                running.attach(filling);
                Stage::Live
            }
            Stage::Live => Stage::Replacing(running.begin(tenant, &second(tenant))),
            Stage::Replacing(filling) => {
                running.attach(filling);
                Stage::Replaced
            }
            Stage::Replaced | Stage::Removed => {
                let snapshot = running.partition.remove(tenant, &["counts"]);
                assert!(snapshot.view("counts").is_none());
                Stage::Removed
            }
        };
    }

    fn views(&self) -> Vec<ViewDefinition> {
        match self.stage {
            Stage::Before | Stage::Filling(_) => Vec::new(),
            Stage::Live | Stage::Replacing(_) => first(self.tenant),
            Stage::Replaced => replaced(self.tenant),
            Stage::Removed => {
                let mut views = replaced(self.tenant);
                views.retain(|view| view.name != "counts");
                views
            }
        }
    }
}

struct Oracles {
    first: [Oracle; 2],
    second: [Oracle; 2],
}

impl Oracles {
    fn new(builtin: &[ViewDefinition]) -> Self {
        let over = |own: Vec<ViewDefinition>| Oracle::new([builtin.to_vec(), own].concat());
        Self {
            first: OWNERS.map(|tenant| over(first(tenant))),
            second: OWNERS.map(|tenant| over(replaced(tenant))),
        }
    }

    fn of(&self, owner: &Owner) -> &Oracle {
        let place = usize::from(owner.tenant != OWNERS[0]);
        match owner.stage {
            Stage::Replaced | Stage::Removed => &self.second[place],
            _ => &self.first[place],
        }
    }
}

fn holds(
    builtin: &[ViewDefinition],
    oracles: &Oracles,
    history: &History,
    plan: Plan,
) -> Result<(), TestCaseError> {
    let mut running = Running::new(builtin);
    let owner = |(tenant, waits)| Owner { tenant, waits, stage: Stage::Before };
    let mut owners: Vec<Owner> = OWNERS.into_iter().zip(plan).map(owner).collect();
    for batch in history.batches() {
        for owner in &mut owners {
            owner.turn(&mut running);
        }
        let touched = running.apply(batch);
        for owner in &owners {
            if touched.contains(&owner.tenant) {
                running.check(oracles.of(owner), owner.tenant, &owner.views())?;
            }
        }
        let other = running.partition.readers().snapshot(Tenant(7));
        prop_assert!(other.view("debts").is_none());
    }
    // Whatever stage the history ended in, the rest follows without another event.
    for owner in &mut owners {
        while !matches!(owner.stage, Stage::Removed) {
            owner.turn(&mut running);
            running.check(oracles.of(owner), owner.tenant, &owner.views())?;
        }
    }
    Ok(())
}

#[test]
fn own_views_equal_batch_from_the_moment_they_are_attached() {
    let all = ViewDefinition::builtin();
    let builtin = needed(&all, &["open_invoices".to_owned()]);
    let checked: Vec<ViewDefinition> = OWNERS.into_iter().flat_map(first).collect();
    let kinds = kinds_of(&checked, &all);
    let oracles = Oracles::new(&builtin);
    let cases = (Config::default().cases / 4).max(1);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 1_024, ..Config::default() };
    let plan = prop::array::uniform2(prop::array::uniform5(0..5_usize));
    let outcome = TestRunner::new(config).run(&(histories(kinds, 50), plan), |(history, plan)| {
        holds(&builtin, &oracles, &history, plan)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
