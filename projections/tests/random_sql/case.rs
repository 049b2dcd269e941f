//! A case: event types, views over them, and what happens; and its check.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use projections::events::{Field, FieldType};
use projections::{DefineError, EventType, EventTypes, Tenant, ViewDefinition};
use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::dice::Dice;
use super::forms::RISK;
use super::grammar::{Grammar, Named};
use super::harness::generated::{History, histories};
use super::harness::history::{Fact, Step};
use super::harness::oracle::Oracle;
use super::harness::watched::Watched;
use super::shrink;
use super::syntax::{Query, Ty};

/// What a seed makes.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) types: Vec<Arc<EventType>>,
    pub(crate) views: Vec<(String, Query)>,
    /// One after the other through one partition, each with tenants of its own.
    pub(crate) histories: Vec<History>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in &self.types {
            write!(f, "\n{}:", kind.name())?;
            for field in kind.fields() {
                write!(
                    f,
                    " {} {:?}{}",
                    field.name,
                    field.kind,
                    if field.optional { "?" } else { "" }
                )?;
            }
        }
        for (name, query) in &self.views {
            write!(f, "\n{name}: {}", query.sql())?;
        }
        for history in &self.histories {
            write!(f, "\nhistory:{history:?}")?;
        }
        Ok(())
    }
}

impl Case {
    /// The case of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let types = types(&mut dice);
        let views = views(&mut dice, &types);
        let histories = (0..2).map(|_| history(&mut dice, &types)).collect();
        Self { types, views, histories }
    }

    fn event_types(&self) -> EventTypes {
        self.types.iter().fold(EventTypes::default(), |types, kind| {
            types.with(EventType::new(kind.name(), kind.fields().to_vec()))
        })
    }
}

/// A few event types over few names of fields, of all types.
fn types(dice: &mut Dice) -> Vec<Arc<EventType>> {
    const KINDS: [FieldType; 6] = [
        FieldType::Text,
        FieldType::Decimal,
        FieldType::Date,
        FieldType::Timestamp,
        FieldType::Int,
        FieldType::Bool,
    ];
    (0..2 + dice.below(2))
        .map(|i| {
            // Something to join and to group by is always there.
            let mut fields =
                vec![Field { name: "k".into(), kind: FieldType::Text, optional: dice.chance(50) }];
            for at in 0..=dice.below(5) {
                let kind = *dice.pick(&KINDS);
                fields.push(Field { name: format!("f{at}"), kind, optional: dice.chance(50) });
            }
            Arc::new(EventType::new(format!("random.type_{i}"), fields))
        })
        .collect()
}

fn ty(kind: FieldType) -> Ty {
    match kind {
        FieldType::Text => Ty::Text,
        FieldType::Decimal => Ty::Decimal,
        FieldType::Date => Ty::Date,
        FieldType::Timestamp => Ty::Instant,
        FieldType::Int => Ty::Int,
        FieldType::Bool => Ty::Bool,
    }
}

fn relation(kind: &EventType) -> Named {
    let envelope = [("event_id", Ty::Text), ("occurred_at", Ty::Instant), ("subject", Ty::Text)];
    let mut columns: Vec<(String, Ty)> =
        envelope.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
    columns.extend(kind.fields().iter().map(|f| (f.name.clone(), ty(f.kind))));
    // Nobody fills it in here.
    columns.retain(|(name, _)| name != "subject");
    let sql = format!("events.\"{}\"", kind.name());
    Named { sql, construct: "events", columns, events: true }
}

pub(crate) fn views(dice: &mut Dice, types: &[Arc<EventType>]) -> Vec<(String, Query)> {
    let mut relations: Vec<Named> = types.iter().map(|kind| relation(kind)).collect();
    let mut views = Vec::new();
    let risky = dice.chance(8);
    for i in 0..dice.weighted(&[(3, 2), (3, 3), (1, 4)]) {
        let query = Grammar::new(dice, relations.clone(), risky).view();
        let name = format!("view_{i}");
        relations.push(Named {
            sql: name.clone(),
            construct: "a view on a view",
            columns: query.columns(),
            events: false,
        });
        views.push((name, query));
    }
    views
}

pub(crate) fn history(dice: &mut Dice, types: &[Arc<EventType>]) -> History {
    let seed: Vec<u8> = (0..4).flat_map(|_| dice.roll().to_le_bytes()).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // Two sizes: a few events, and enough for groups of several.
    let longest = if dice.chance(25) { 8 } else { 60 };
    histories(types.to_vec(), longest).new_tree(&mut runner).unwrap().current()
}

/// What became of a view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// `DataFusion` cannot plan it.
    NoSql(String),
    /// The engine does not maintain it.
    Refused(String),
    /// It was compared; whether it ever had rows, and why it had no answer at some time.
    Compared { rows: bool, failed: Option<String> },
}

/// Runs a case; what became of each of its views.
pub(crate) fn check(case: &Case) -> Result<Vec<Fate>, TestCaseError> {
    let types = case.event_types();
    let mut definitions: Vec<ViewDefinition> =
        case.views.iter().map(|(name, query)| ViewDefinition::parse(name, &query.sql())).collect();
    let mut fates = vec![None; definitions.len()];
    let place = |name: &str| case.views.iter().position(|(n, _)| n == name).unwrap();
    // Without rows nothing can go wrong but the SQL.
    let planned = Oracle::over(&types, definitions.clone()).outcomes(&[], None);
    for (name, outcome) in &planned {
        if let Err(reason) = outcome {
            fates[place(name)] = Some(Fate::NoSql(reason.clone()));
        }
    }
    definitions.retain(|view| planned[&view.name].is_ok());
    let (mut watched, refused) = maintained(&types, &mut definitions)?;
    for (name, construct) in refused {
        fates[place(&name)] = Some(Fate::Refused(construct));
    }
    if !definitions.is_empty() {
        let oracle = Oracle::over(&types, definitions.clone());
        let mut constructs = BTreeSet::new();
        case.views.iter().for_each(|(_, query)| query.constructs(&mut constructs));
        let may_fail = constructs.contains(RISK);
        let mut checked = Checked {
            oracle,
            may_fail,
            failed: HashMap::new(),
            rows: HashSet::new(),
            contradictions: HashSet::new(),
        };
        for (i, history) in case.histories.iter().enumerate() {
            checked.run(&types, &definitions, &mut watched, history, i as u32 * 10)?;
        }
        for view in &definitions {
            fates[place(&view.name)] = Some(Fate::Compared {
                rows: checked.rows.contains(&view.name),
                failed: checked
                    .failed
                    .iter()
                    .find(|((_, name), _)| *name == view.name)
                    .map(|(_, reason)| reason.clone())
                    .or_else(|| {
                        let contradicts = checked.contradictions.contains(&view.name);
                        contradicts.then(|| "DataFusion contradicts itself".to_owned())
                    }),
            });
        }
    }
    Ok(fates.into_iter().flatten().collect())
}

/// Leaves the views that the engine maintains; says of the others what they are refused for.
pub(crate) fn maintained(
    types: &EventTypes,
    definitions: &mut Vec<ViewDefinition>,
) -> Result<(Watched, Vec<(String, String)>), TestCaseError> {
    let mut refused = Vec::new();
    loop {
        // Every second case goes through checkpoints.
        let restores = definitions.len() % 2;
        let (view, construct) = match Watched::restored(types, definitions.clone(), restores) {
            Ok(watched) => return Ok((watched, refused)),
            Err(DefineError::Unsupported { view, construct, .. }) => (view, construct),
            Err(DefineError::Invalid { view, message }) => {
                return Err(TestCaseError::fail(format!("{view} is SQL to DataFusion: {message}")));
            }
        };
        let gone = dropped(definitions, &view);
        refused.extend(gone.into_iter().map(|name| (name, construct.clone())));
    }
}

/// Takes a view out, and those that read it.
fn dropped(definitions: &mut Vec<ViewDefinition>, name: &str) -> Vec<String> {
    let mut gone = vec![name.to_owned()];
    for view in definitions.iter() {
        if view.name != name && gone.iter().any(|gone| view.sql.contains(gone.as_str())) {
            gone.push(view.name.clone());
        }
    }
    definitions.retain(|view| !gone.contains(&view.name));
    gone
}

struct Checked {
    oracle: Oracle,
    /// Whether some rows have no value. The engine may ask for one that `DataFusion` passes over,
    /// as a join does whose other side is empty.
    may_fail: bool,
    /// Views that had no answer for a tenant at some point: they stay failed.
    failed: HashMap<(Tenant, String), String>,
    rows: HashSet<String>,
    /// Views of which `DataFusion` says one thing, and as the engine does when it rewrites less.
    contradictions: HashSet<String>,
}

impl Checked {
    fn run(
        &mut self,
        types: &EventTypes,
        views: &[ViewDefinition],
        watched: &mut Watched,
        history: &History,
        first: u32,
    ) -> Result<(), TestCaseError> {
        for batch in history.batches() {
            let steps: Vec<Step> = batch.iter().map(|step| moved(step, first)).collect();
            let touched: BTreeSet<Tenant> = watched.apply(&steps)?;
            for tenant in touched {
                self.compare(types, views, watched, tenant)?;
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        types: &EventTypes,
        views: &[ViewDefinition],
        watched: &Watched,
        tenant: Tenant,
    ) -> Result<(), TestCaseError> {
        let (facts, today) = (watched.facts(tenant), watched.today(tenant));
        let outcomes = self.oracle.outcomes(&facts, today);
        for view in views {
            let name = &view.name;
            let at = (tenant, name.clone());
            let failure = watched.snapshot_view(tenant, name).failure().cloned();
            let answer = match &outcomes[name] {
                Err(reason) => {
                    self.failed.insert(at, reason.clone());
                    continue;
                }
                Ok(answer) => answer,
            };
            if failure.is_some() && (self.may_fail || self.failed.contains_key(&at)) {
                continue;
            }
            if answer.batches.iter().any(|batch| batch.num_rows() > 0) {
                self.rows.insert(name.clone());
            }
            if let Err(difference) = watched.check_view(tenant, name, answer) {
                let second = Oracle::plain(types, views.to_vec()).outcomes(&facts, today);
                let differs = match &second[name] {
                    // Its plan with fewer rewrites agrees with the engine.
                    Ok(second) if watched.check_view(tenant, name, second).is_ok() => {
                        self.contradictions.insert(name.clone());
                        continue;
                    }
                    Ok(second) => format!("\n  plainly {:#?}", second.rows()),
                    Err(error) => format!("\n  (no second opinion: {error})"),
                };
                return Err(TestCaseError::fail(format!("{difference}{differs}")));
            }
        }
        Ok(())
    }
}

/// The step for a tenant whose number is so much higher.
fn moved(step: &Step, by: u32) -> Step {
    let mut step = step.clone();
    match &mut step {
        Step::Fact(Fact { tenant, .. }) => tenant.0 += by,
        Step::Tick(tick) => tick.tenant.0 += by,
    }
    step
}

/// Cases as proptest shrinks them.
pub(crate) struct Shrinking {
    failing: Case,
    current: Case,
    candidates: std::vec::IntoIter<Case>,
    /// How many candidates were tried before the last that failed: the next search starts there,
    /// for what comes before it did not fail with little more.
    tried: usize,
}

/// The one case, for proptest.
#[derive(Clone, Debug)]
pub(crate) struct Only(pub(crate) Case);

impl Strategy for Only {
    type Tree = Shrinking;
    type Value = Case;

    fn new_tree(&self, _: &mut TestRunner) -> NewTree<Self> {
        let case = self.0.clone();
        let candidates = Vec::new().into_iter();
        Ok(Shrinking { failing: case.clone(), current: case, candidates, tried: 0 })
    }
}

impl ValueTree for Shrinking {
    type Value = Case;

    fn current(&self) -> Case {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        self.failing = self.current.clone();
        let mut candidates = smaller(&self.failing);
        self.tried = self.tried.saturating_sub(1) % candidates.len().max(1);
        candidates.rotate_left(self.tried);
        self.candidates = candidates.into_iter();
        self.next()
    }

    fn complicate(&mut self) -> bool {
        self.next()
    }
}

impl Shrinking {
    fn next(&mut self) -> bool {
        let Some(case) = self.candidates.next() else {
            self.current = self.failing.clone();
            return false;
        };
        self.current = case;
        self.tried += 1;
        true
    }
}

/// The cases one step smaller, the boldest steps first.
fn smaller(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        cases.push(changed);
    };
    for i in 0..case.histories.len() {
        if case.histories.len() > 1 {
            push(&|c| {
                c.histories.remove(i);
            });
        }
    }
    for i in (0..case.views.len()).rev() {
        if case.views.len() > 1 {
            push(&|c| {
                c.views.remove(i);
            });
        }
    }
    for (i, history) in case.histories.iter().enumerate() {
        let steps = history.steps.len();
        let mut size = steps / 2;
        while size > 0 {
            for start in (0..steps).step_by(size) {
                push(&|c| {
                    c.histories[i].steps.drain(start..(start + size).min(steps));
                });
            }
            size /= 2;
        }
        for cut in [1, usize::MAX] {
            if history.cuts != [cut] {
                push(&|c| c.histories[i].cuts = vec![cut]);
            }
        }
    }
    for (i, (_, query)) in case.views.iter().enumerate() {
        for query in shrink::queries(query) {
            push(&|c| c.views[i].1 = query.clone());
        }
    }
    cases
}
