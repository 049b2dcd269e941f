//! SQL that is followed: put in in the middle of a history, its rows equal batch at every position from
//! there on, and what leads from one snapshot of it to the next adds up to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::UInt32Array;
use chrono::NaiveDate;
use projections::events::EventTypes;
use projections::{
    EventBatch, Fill, Input, OwnView, Partition, PassingId, Tenant, Tick, View, ViewDefinition,
    ViewSnapshot,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::generated::{History, histories, kinds_of};
use crate::history::{Fact, Step, event_batches, relation};
use crate::oracle::{Oracle, rows};
use crate::watched::needed;

const TENANT: Tenant = Tenant(1);

/// Over a view, over events, over both, over the date, of one row; with rows that repeat.
fn followed() -> Vec<ViewDefinition> {
    let issued = "events.\"invoicing.invoice_issued\"";
    [
        ("debts", "SELECT customer_id, sum(balance) AS debt FROM open_invoices GROUP BY customer_id".to_owned()),
        ("currencies", "SELECT currency FROM open_invoices".to_owned()),
        ("late", format!("SELECT invoice_id, due_date FROM {issued} WHERE due_date < current_date")),
        ("totals", format!("SELECT count(*) AS n, sum(amount) AS a, max(amount) AS most FROM {issued}")),
        (
            "beside",
            format!(
                "SELECT i.event_id, o.balance FROM {issued} i \
                 LEFT JOIN open_invoices o ON i.invoice_id = o.invoice_id"
            ),
        ),
        (
            "largest",
            format!(
                "SELECT amount FROM (SELECT amount FROM {issued} ORDER BY amount DESC, event_id LIMIT 2)"
            ),
        ),
    ]
    .map(|(name, sql)| ViewDefinition::parse(name, &sql))
    .to_vec()
}

/// One that is followed, from when it is there.
struct Kept {
    definition: ViewDefinition,
    id: PassingId,
    /// Its last snapshot, and the sum of what led there.
    before: ViewSnapshot,
    sum: BTreeMap<String, i64>,
}

/// A partition, and what it was given for the tenant.
struct Running {
    partition: Partition,
    facts: Vec<Fact>,
    today: Option<NaiveDate>,
    offset: u64,
    kept: Vec<Kept>,
}

fn summed(rows: &ViewSnapshot) -> BTreeMap<String, i64> {
    let mut sum = BTreeMap::new();
    for row in held(rows) {
        *sum.entry(row).or_default() += 1;
    }
    sum
}

fn held(view: &ViewSnapshot) -> Vec<String> {
    let mut held: Vec<String> = view.batches().unwrap().iter().flat_map(rows).collect();
    held.sort_unstable();
    held
}

impl Running {
    fn new(builtin: &[ViewDefinition]) -> Self {
        let partition = Partition::new(&EventTypes::builtin(), builtin.to_vec()).unwrap();
        Self { partition, facts: Vec::new(), today: None, offset: 0, kept: Vec::new() }
    }

    fn apply(&mut self, steps: &[Step]) {
        let (mut facts, mut ticks): (Vec<&Fact>, Vec<Tick>) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Fact(fact) => {
                    facts.push(fact);
                    if fact.tenant == TENANT {
                        self.facts.push(fact.clone());
                    }
                }
                Step::Tick(tick) => {
                    ticks.push(*tick);
                    if tick.tenant == TENANT {
                        self.today = Some(tick.today);
                    }
                }
            }
        }
        self.offset += 1;
        let input = Input { events: event_batches(&facts), ticks, offset: self.offset };
        self.partition.apply(input);
    }

    /// Begins the fill of a text, and feeds it what there is.
    fn begin(&mut self, definition: &ViewDefinition) -> Fill {
        let snapshot = self.partition.readers().snapshot(TENANT);
        let readable: Vec<Arc<View>> =
            snapshot.views().iter().map(|view| view.view().clone()).collect();
        let own = OwnView::compile(&EventTypes::builtin(), &readable, definition).unwrap();
        assert_eq!(own.may_pass(), Ok(()), "{}", definition.name);
        let mut fill = self.partition.begin_passing(TENANT, own, &readable).unwrap();
        fill.start().unwrap();
        let mut by_kind: HashMap<&str, Vec<&Fact>> = HashMap::new();
        for fact in &self.facts {
            by_kind.entry(fact.kind.name()).or_default().push(fact);
        }
        let read: Vec<String> = fill.event_types().map(str::to_owned).collect();
        for facts in read.iter().filter_map(|name| by_kind.get(name.as_str())) {
            let event_type = facts[0].kind.clone();
            let tenants = UInt32Array::from(vec![TENANT.0; facts.len()]);
            let rows = relation(&event_type, facts);
            fill.feed(EventBatch { event_type, tenants, rows, extra: None }).unwrap();
        }
        fill
    }

    fn attach(&mut self, definition: ViewDefinition, fill: Fill) {
        let id = PassingId(self.kept.len() as u64 + 1);
        let before = self.partition.readers().snapshot(TENANT);
        self.partition.attach_passing(id, fill, &Arc::new(())).unwrap();
        let snapshot = self.partition.readers().snapshot(TENANT);
        assert_eq!(snapshot.position(), before.position());
        let rows = snapshot.passing(id).unwrap().clone();
        self.kept.push(Kept { definition, id, sum: summed(&rows), before: rows });
    }

    fn check(&mut self, oracle: &Oracle) -> Result<(), TestCaseError> {
        let snapshot = self.partition.readers().snapshot(TENANT);
        let answers = oracle.answers(&self.facts.iter().collect::<Vec<_>>(), self.today);
        for kept in &mut self.kept {
            let name = &kept.definition.name;
            let now = snapshot.passing(kept.id).unwrap();
            prop_assert_eq!(held(now), answers[name].rows(), "{}", name);
            let (changed, weights) = now.difference(&kept.before).unwrap();
            for (row, weight) in rows(&changed).into_iter().zip(weights) {
                *kept.sum.entry(row).or_default() += weight;
            }
            kept.sum.retain(|_, times| *times != 0);
            prop_assert_eq!(&kept.sum, &summed(now), "what changed in {}", name);
            kept.before = now.clone();
        }
        Ok(())
    }
}

fn holds(
    builtin: &[ViewDefinition],
    oracle: &Oracle,
    history: &History,
    (begun, lasts): (usize, usize),
) -> Result<(), TestCaseError> {
    let mut running = Running::new(builtin);
    let mut fills = Vec::new();
    for (at, batch) in history.batches().into_iter().enumerate() {
        if at == begun {
            for definition in followed() {
                let fill = running.begin(&definition);
                fills.push((definition, fill));
            }
        }
        if at >= begun + lasts {
            for (definition, fill) in fills.drain(..) {
                running.attach(definition, fill);
            }
        }
        running.apply(batch);
        running.check(oracle)?;
    }
    for (definition, fill) in fills {
        running.attach(definition, fill);
    }
    running.check(oracle)?;
    for kept in &running.kept {
        running.partition.remove_passing(TENANT, kept.id);
        prop_assert!(running.partition.readers().snapshot(TENANT).passing(kept.id).is_none());
    }
    Ok(())
}

#[test]
fn sql_that_is_followed_equals_batch_from_the_moment_it_is_put_in() {
    let all = ViewDefinition::builtin();
    let builtin = needed(&all, &["open_invoices".to_owned()]);
    let kinds = kinds_of(&followed(), &all);
    let oracle = Oracle::new([builtin.clone(), followed()].concat());
    let cases = (Config::default().cases / 4).max(1);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 1_024, ..Config::default() };
    let outcome = TestRunner::new(config)
        .run(&(histories(kinds, 50), (0..5_usize, 0..5_usize)), |(history, plan)| {
            holds(&builtin, &oracle, &history, plan)
        });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
