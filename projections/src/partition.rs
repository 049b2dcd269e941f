//! A partition: the circuit of its tenants, and their snapshots.

mod saving;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{Int64Array, RecordBatch};
use chrono::NaiveDate;

use crate::change::runs;
use crate::circuit::{Circuit, ViewOutput};
pub use saving::CutSnapshots;
use saving::Saving;

use crate::own::{Feed, Outcome, OwnViews, PassingId, Room, Stepped};
use crate::snapshot::TenantPart;
use crate::{
    DefineError, EventBatch, EventTypes, RuntimeError, Tenant, TenantSnapshot, Tick, View,
    ViewDefinition, ViewSnapshot,
};

/// What is applied in one step: events, and tenants whose date changes after them.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The events, deduplicated; the order does not matter.
    pub events: Vec<EventBatch>,
    /// New dates; of several for one tenant the last counts.
    pub ticks: Vec<Tick>,
    /// The source's offset up to and with which this input goes.
    pub offset: u64,
}

/// What one step changed for one tenant.
#[derive(Debug, Clone)]
pub struct TenantDelta {
    /// The tenant's sequence before the step.
    pub from: u64,
    /// Its views after the step.
    pub snapshot: Arc<TenantSnapshot>,
    /// The changes of its views; views without a change are left out.
    pub changes: Vec<ViewChange>,
}

/// The change of one view for one tenant: no row stands on both sides.
#[derive(Debug, Clone)]
pub struct ViewChange {
    /// The view.
    pub view: Arc<View>,
    /// The rows: those that go first, then those that come.
    pub rows: RecordBatch,
    /// How many times each row comes (+) or goes (−).
    pub weights: Int64Array,
}

/// The one who changes: owns the circuit; to be driven by one thread.
pub struct Partition {
    circuit: Circuit,
    pub(crate) own: OwnViews,
    /// The bytes that all views of a tenant may hold together.
    limit: usize,
    published: Arc<Published>,
    saving: Saving,
}

/// The ones who read: snapshots that never wait for the writer's work.
#[derive(Clone)]
pub struct Readers {
    published: Arc<Published>,
}

struct Published {
    views: Vec<Arc<View>>,
    empty: Vec<ViewSnapshot>,
    /// Held for a look-up or an insertion only, never while a change is computed.
    tenants: RwLock<HashMap<Tenant, Arc<TenantSnapshot>>>,
}

impl Published {
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).cloned().unwrap_or_else(|| {
            Arc::new(TenantSnapshot::with_views(tenant, 0, None, self.empty.clone()))
        })
    }
}

impl Readers {
    /// The tenant's newest snapshot; for one that has had no event, what follows from none.
    pub fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        self.published.snapshot(tenant)
    }

    /// Lets the snapshots of all other tenants go: the partition that had them is no more, and who
    /// reads has nothing of them until another one has.
    pub fn retain(&self, stays: impl Fn(Tenant) -> bool) {
        let mut published = self.published.tenants.write().unwrap_or_else(PoisonError::into_inner);
        published.retain(|tenant, _| stays(*tenant));
    }

    /// The bytes that the views of all tenants hold.
    pub fn bytes(&self) -> usize {
        let tenants = self.published.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let snapshots: Vec<Arc<TenantSnapshot>> = tenants.values().cloned().collect();
        drop(tenants);
        snapshots.iter().map(|snapshot| snapshot.bytes()).sum()
    }

    /// The built-in views, in the order of their definition.
    pub fn views(&self) -> &[Arc<View>] {
        &self.published.views
    }
}

/// What a step brings for one tenant.
#[derive(Default)]
struct Touched {
    changes: u64,
    today: Option<NaiveDate>,
    views: Vec<(usize, TenantPart)>,
    failures: Vec<(usize, RuntimeError)>,
    passing: Vec<(PassingId, TenantPart)>,
}

impl Partition {
    /// A partition without events that maintains `views` over events of `types`.
    pub fn new(types: &EventTypes, views: Vec<ViewDefinition>) -> Result<Self, DefineError> {
        let (mut circuit, views) = Circuit::compile(types, views)?;
        let mut empty: Vec<ViewSnapshot> = views
            .iter()
            .map(|view| {
                ViewSnapshot::empty(view.clone()).map_err(|e| DefineError::Unsupported {
                    view: view.name().to_owned(),
                    construct: format!("a column of a type without an order ({e})"),
                    way_out: "cast the column to text, a number or a date".into(),
                })
            })
            .collect::<Result<_, _>>()?;
        for output in circuit.unborn() {
            for part in output.parts {
                empty[output.view].apply(&part.delta);
            }
            for (_, error) in output.failures {
                empty[output.view].fail(error);
            }
        }
        let published = Arc::new(Published { views, empty, tenants: RwLock::default() });
        let (own, saving) = Default::default();
        Ok(Self { circuit, own, limit: usize::MAX, published, saving })
    }

    /// Sets the bytes that all views of a tenant may hold together; without it there is no limit.
    pub fn limit_tenants(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// The bytes of the state of a tenant's views, their rows not among them.
    pub fn state_bytes(&self, tenant: Tenant) -> usize {
        self.circuit.bytes(tenant) + self.own.state(tenant).iter().sum::<usize>()
    }

    /// Lets all of a tenant go: its views, its own ones and the fills of such too, and its position.
    /// What comes next for it is its first.
    pub fn forget(&mut self, tenant: Tenant) {
        self.circuit.forget(tenant);
        self.own.forget(tenant);
        self.saving.touch(tenant);
        let mut published = self.published.tenants.write().unwrap_or_else(PoisonError::into_inner);
        published.remove(&tenant);
    }

    /// The number of built-in views: in a snapshot they stand before the tenant's own.
    pub(crate) fn builtin(&self) -> usize {
        self.published.views.len()
    }

    /// Makes a snapshot the tenant's newest.
    pub(crate) fn publish(&self, snapshot: TenantSnapshot) -> Arc<TenantSnapshot> {
        let snapshot = Arc::new(snapshot);
        let mut published = self.published.tenants.write().unwrap_or_else(PoisonError::into_inner);
        published.insert(snapshot.tenant(), snapshot.clone());
        snapshot
    }

    /// The partition with its snapshots among those of others: one side for the readers of several
    /// partitions. To be called before anything is applied; their views must be the same, and no
    /// tenant may live in two of them.
    #[must_use]
    pub fn beside(mut self, readers: &Readers) -> Self {
        self.published = readers.published.clone();
        self
    }

    /// The readers' side.
    pub fn readers(&self) -> Readers {
        Readers { published: self.published.clone() }
    }

    /// How many rows the views of all tenants have evaluated again because a date changed, in each
    /// operator that reads it: what ticks have cost so far. A tick that changes nothing for a row
    /// leaves it alone, unless the row shows the date or a number of days from it.
    pub fn rows_reevaluated(&self) -> u64 {
        self.circuit.rows_reevaluated()
    }

    /// Applies one input; all views of a tenant change together. One delta for each tenant that
    /// the input touches, ordered by tenant.
    pub fn apply(&mut self, input: Input) -> Vec<TenantDelta> {
        let mut touched: HashMap<Tenant, Touched> = HashMap::new();
        for batch in &input.events {
            for (tenant, events) in runs(&batch.tenants) {
                touched.entry(tenant).or_default().changes += events as u64;
            }
        }
        for tick in &input.ticks {
            let entry = touched.entry(tick.tenant).or_default();
            entry.changes += 1;
            entry.today = Some(tick.today);
        }
        let offset = input.offset;
        let feeds = self.own.feeds(touched.keys().copied(), &input);
        for output in self.circuit.step(input.events, &input.ticks) {
            distribute(output, &mut touched);
        }
        for feed in feeds {
            if let Some(touched) = touched.get_mut(&feed.tenant()) {
                self.step_own(feed, touched);
            }
        }
        let mut tenants: Vec<_> = touched.into_iter().collect();
        tenants.sort_unstable_by_key(|(tenant, _)| *tenant);
        let deltas: Vec<TenantDelta> = tenants
            .into_iter()
            .map(|(tenant, touched)| self.advance(tenant, touched, offset))
            .collect();
        let mut published = self.published.tenants.write().unwrap_or_else(PoisonError::into_inner);
        for delta in &deltas {
            self.saving.touch(delta.snapshot.tenant());
            published.insert(delta.snapshot.tenant(), delta.snapshot.clone());
        }
        deltas
    }

    /// Takes the tenant's events and what changed in its views through its own and passing views.
    fn step_own(&mut self, mut feed: Feed, touched: &mut Touched) {
        for (index, part) in &touched.views {
            feed.add_change(&self.published.views[*index], part);
        }
        for (index, error) in &touched.failures {
            feed.add_failure(&self.published.views[*index], error);
        }
        let builtin = self.builtin();
        let Stepped { own, passing } = self.own.step(feed);
        touched.passing = passing;
        for (index, outcome) in own {
            match outcome {
                Outcome::Changed(part) => touched.views.push((builtin + index, part)),
                Outcome::Failed(error) => touched.failures.push((builtin + index, error)),
            }
        }
    }

    /// Gives up own views of a tenant that hold more than they may, and their changes.
    fn bound_own(&mut self, snapshot: &mut TenantSnapshot, changes: &mut Vec<ViewChange>) {
        let own = self.builtin();
        for (place, state) in self.own.state(snapshot.tenant()).into_iter().enumerate() {
            if let Some(view) = snapshot.view_mut(own + place) {
                view.hold(state);
            }
        }
        let bytes: Vec<usize> =
            snapshot.views().iter().skip(own).map(ViewSnapshot::bytes).collect();
        if bytes.is_empty() {
            return;
        }
        let builtin: usize = snapshot.views().iter().take(own).map(ViewSnapshot::bytes).sum();
        let room = Room { limit: self.limit, left: self.limit.saturating_sub(builtin) };
        for (index, error) in self.own.over_limit(snapshot.tenant(), &bytes, room) {
            fail(snapshot, changes, own + index, error);
        }
    }

    /// Gives up built-in views of a tenant, the largest first, while they alone hold more than all
    /// its views may; and with each the own views that read it.
    fn bound_builtin(&mut self, snapshot: &mut TenantSnapshot, changes: &mut Vec<ViewChange>) {
        let (tenant, builtin) = (snapshot.tenant(), self.builtin());
        loop {
            self.measure(snapshot);
            let views = &snapshot.views()[..builtin];
            let live = views.iter().enumerate().filter(|(_, view)| view.failure().is_none());
            let total: usize = live.clone().map(|(_, view)| view.bytes()).sum();
            let largest = live.max_by_key(|(_, view)| view.bytes());
            let Some((index, view)) = largest.filter(|_| total > self.limit) else { return };
            let error = over(self.limit, total, view);
            let mut feed = Feed::empty(tenant);
            for (index, error) in self.circuit.fail(tenant, index, &error) {
                feed.add_failure(&self.published.views[index], &error);
                fail(snapshot, changes, index, error);
            }
            for (index, outcome) in self.own.step(feed).own {
                if let Outcome::Failed(error) = outcome {
                    fail(snapshot, changes, builtin + index, error);
                }
            }
        }
    }

    /// Notes what the built-in views of a tenant hold.
    fn measure(&self, snapshot: &mut TenantSnapshot) {
        let state = self.circuit.bytes_by_view(snapshot.tenant());
        for (index, state) in state.into_iter().enumerate() {
            if let Some(view) = snapshot.view_mut(index).filter(|view| view.failure().is_none()) {
                view.hold(state);
            }
        }
    }

    fn advance(&mut self, tenant: Tenant, touched: Touched, offset: u64) -> TenantDelta {
        let mut snapshot = TenantSnapshot::clone(&self.published.snapshot(tenant));
        let from = snapshot.position().sequence;
        snapshot.advance(touched.changes, offset, touched.today);
        for (index, error) in touched.failures {
            if let Some(view) = snapshot.view_mut(index) {
                view.fail(error);
            }
        }
        let mut changes = Vec::with_capacity(touched.views.len());
        for (index, part) in touched.views {
            let Some(view) = snapshot.view_mut(index).filter(|v| v.failure().is_none()) else {
                continue;
            };
            view.apply(&part.delta);
            let view = view.view().clone();
            let weights = Int64Array::from(part.weights);
            changes.push(ViewChange { view, rows: part.rows, weights });
        }
        for (id, part) in touched.passing {
            snapshot.change_passing(id, &part.delta);
        }
        if snapshot.is_due() {
            self.measure(&mut snapshot);
            self.bound_own(&mut snapshot, &mut changes);
            self.bound_builtin(&mut snapshot, &mut changes);
        } else {
            self.bound_own(&mut snapshot, &mut changes);
        }
        self.own.bound_passing(&mut snapshot);
        TenantDelta { from, snapshot: Arc::new(snapshot), changes }
    }
}

/// Marks a view as failed, and takes its change back.
fn fail(
    snapshot: &mut TenantSnapshot,
    changes: &mut Vec<ViewChange>,
    index: usize,
    error: RuntimeError,
) {
    if let Some(view) = snapshot.view_mut(index) {
        view.fail(error);
        changes.retain(|change| !Arc::ptr_eq(&change.view, view.view()));
    }
}

/// Why a built-in view failed when those of its tenant held too much.
fn over(limit: usize, total: usize, view: &ViewSnapshot) -> RuntimeError {
    let (name, bytes) = (view.view().name(), view.bytes());
    RuntimeError {
        message: format!(
            "the built-in views of the tenant hold {total} bytes, more than the {limit} that all of \
             its views may (limits.views.tenant_bytes), and '{name}' held the most, {bytes} bytes: \
             have the limit raised and the service restarted"
        ),
    }
}

/// Gives each tenant its part of a view's change.
fn distribute(output: ViewOutput, touched: &mut HashMap<Tenant, Touched>) {
    let ViewOutput { view, parts, failures } = output;
    for part in parts {
        touched.entry(part.tenant).or_default().views.push((view, part));
    }
    for (tenant, error) in failures {
        touched.entry(tenant).or_default().failures.push((view, error));
    }
}
