//! A tenant's own views: defined while the partition runs, for that tenant alone.
//!
//! The built-in views of all tenants share one circuit. Each own view is a small circuit beside
//! it, whose sources are event types and *other views*: built-in ones, and own ones before it. A
//! step takes a tenant's events and the changes of the views they read through its own views in
//! order ([`Chain`]), so that all views of the tenant change together.
//!
//! A new view is filled from history beside the running ones ([`Fill`]): it begins with a snapshot
//! and what the log held then; what comes after is kept for it in a bounded buffer ([`Tap`]);
//! [`Partition::attach`](crate::Partition::attach) feeds the rest and puts it into the tenant's
//! snapshots in one go. SQL that is followed is maintained in the same way, without a name
//! ([`PassingId`]).
//!
//! Invariants:
//! - Own views are kept by tenant: nothing of one tenant is ever fed to another's.
//! - They are ordered so that each reads only those before it.
//! - A view that fails takes those that read it with it, and nothing else.
//! - What a tenant's own views hold is bounded ([`OwnLimits`]), and so is what a step of one makes, and how
//!   long it takes ([`StepTime`]).

mod chain;
mod fill;
mod passing;
mod swap;
mod time;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use crate::circuit::Circuit;
use crate::snapshot::TenantPart;
use crate::sql::Compiler;
use crate::{DefineError, EventTypes, Input, RuntimeError, Tenant, View, ViewDefinition};

use chain::Chain;
pub(crate) use chain::{Feed, Outcome};
use fill::Tap;
pub use fill::{Fill, FillError};
use passing::Passing;
pub use passing::{PassingId, PassingLimits};
pub use time::StepTime;

/// Columns that a view may have.
const MOST_COLUMNS: usize = 512;

/// What one tenant's own views may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLimits {
    /// Own views of a tenant.
    pub views: usize,
    /// The bytes of state of a tenant's own views together, their rows included.
    pub state_bytes: usize,
    /// The bytes of what arrives while a view is being filled.
    pub buffer_bytes: usize,
    /// What SQL that is followed may have beside them.
    pub passing: PassingLimits,
}

impl Default for OwnLimits {
    fn default() -> Self {
        let (state_bytes, buffer_bytes) = (256 << 20, 64 << 20);
        Self { views: 50, state_bytes, buffer_bytes, passing: PassingLimits::default() }
    }
}

/// What a view reads, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The event types.
    pub events: BTreeSet<String>,
    /// The views.
    pub views: BTreeSet<String>,
    /// The fields that the tenant has declared, each with its event type before it.
    pub declared: BTreeSet<(String, String)>,
}

/// An own view, compiled and without rows.
pub struct OwnView {
    view: Arc<View>,
    reads: Reads,
    circuit: Circuit,
}

impl OwnView {
    /// Compiles `definition` over events of `types` and over the views of `readable`. A view
    /// without a key is identified by all of its columns.
    ///
    /// Planning recurses as deep as the SQL is nested: to be called with a large stack.
    pub fn compile(
        types: &EventTypes,
        readable: &[Arc<View>],
        definition: &ViewDefinition,
    ) -> Result<Self, DefineError> {
        let mut compiler = Compiler::new(types);
        for view in readable {
            compiler.read(view)?;
        }
        let view = identified(compiler.define(definition)?)?;
        let circuit = compiler.finish();
        let reads = Reads {
            events: circuit.events_read().map(str::to_owned).collect(),
            views: circuit.views_read().map(str::to_owned).collect(),
            declared: circuit.declared_read().clone(),
        };
        Ok(Self { view: Arc::new(view), reads, circuit })
    }

    /// The view.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// What it reads.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }
}

/// The view with all of its columns as its key if it has none. Its columns are few and differ in
/// name, so that other views and queries can read them.
fn identified(view: View) -> Result<View, DefineError> {
    let refuse = |message: String| DefineError::Invalid { view: view.name().to_owned(), message };
    let schema = view.schema();
    if schema.fields().len() > MOST_COLUMNS {
        let columns = schema.fields().len();
        return Err(refuse(format!(
            "it has {columns} columns, and a view can have {MOST_COLUMNS}; select those you need"
        )));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
        let twice = twice.name();
        return Err(refuse(format!(
            "two columns are named '{twice}'; give one another name with AS"
        )));
    }
    if !view.key().is_empty() {
        return Ok(view);
    }
    let all = (0..schema.fields().len()).collect();
    Ok(View::new(view.name(), view.sql(), schema.clone(), all))
}

/// What a step came to for one tenant's own views, by their place, and for its passing ones.
pub(crate) struct Stepped {
    pub(crate) own: Vec<(usize, Outcome)>,
    pub(crate) passing: Vec<(PassingId, TenantPart)>,
}

/// The own views of all tenants of a partition, the passing ones, and the buffers of those being
/// filled.
#[derive(Default)]
pub(crate) struct OwnViews {
    limits: OwnLimits,
    time: Option<StepTime>,
    chains: HashMap<Tenant, Chain>,
    passing: HashMap<Tenant, Vec<Passing>>,
    taps: HashMap<Tenant, Vec<Weak<Tap>>>,
}

impl OwnViews {
    /// What the own views of the tenants that `input` touches are to be fed of it. Nothing but a
    /// look-up for tenants without own views.
    pub(crate) fn feeds(&self, tenants: impl Iterator<Item = Tenant>, input: &Input) -> Vec<Feed> {
        if self.chains.is_empty() && self.passing.is_empty() && self.taps.is_empty() {
            return Vec::new();
        }
        let is_fed = |tenant: &Tenant| {
            self.chains.contains_key(tenant)
                || self.passing.contains_key(tenant)
                || self.taps.contains_key(tenant)
        };
        let mut feeds: HashMap<Tenant, Feed> =
            tenants.filter(is_fed).map(|tenant| (tenant, Feed::empty(tenant))).collect();
        if feeds.is_empty() {
            return Vec::new();
        }
        for batch in &input.events {
            let mut rows: HashMap<Tenant, Vec<u32>> = HashMap::new();
            for (row, tenant) in batch.tenants.values().iter().enumerate() {
                if feeds.contains_key(&Tenant(*tenant)) {
                    rows.entry(Tenant(*tenant)).or_default().push(row as u32);
                }
            }
            rows.retain(|tenant, _| self.reads(*tenant, batch.event_type.name()));
            for (tenant, rows) in rows {
                if let Some(feed) = feeds.get_mut(&tenant) {
                    feed.add_events(batch, rows);
                }
            }
        }
        for tick in &input.ticks {
            if let Some(feed) = feeds.get_mut(&tick.tenant) {
                feed.ticks.push(*tick);
            }
        }
        feeds.into_values().collect()
    }

    fn reads(&self, tenant: Tenant, event_type: &str) -> bool {
        let taps = self.taps.get(&tenant).into_iter().flatten().filter_map(Weak::upgrade);
        let mut passing = self.passing.get(&tenant).into_iter().flatten();
        self.chains.get(&tenant).is_some_and(|chain| chain.reads(event_type))
            || passing.any(|view| view.reads(event_type))
            || taps.into_iter().any(|tap| tap.reads().events.contains(event_type))
    }

    /// Takes a feed through the tenant's own views, then through its passing ones, and keeps it for
    /// those being filled.
    pub(crate) fn step(&mut self, mut feed: Feed) -> Stepped {
        let tenant = feed.tenant();
        let chain = self.chains.get_mut(&tenant);
        let limit = self.time.map(StepTime::of_step);
        let own = chain.map_or_else(Vec::new, |chain| chain.step(&mut feed, limit));
        let passing = self.step_passing(&feed);
        if let Some(taps) = self.taps.get_mut(&tenant) {
            taps.retain(|tap| tap.upgrade().is_some_and(|tap| tap.keep(&feed)));
            if taps.is_empty() {
                self.taps.remove(&tenant);
            }
        }
        Stepped { own, passing }
    }

    /// Lets a tenant's own and passing views go, and what is kept for those being filled.
    pub(crate) fn forget(&mut self, tenant: Tenant) {
        self.chains.remove(&tenant);
        self.passing.remove(&tenant);
        self.taps.remove(&tenant);
    }

    /// The bytes of the state of a tenant's own views, in their order.
    pub(crate) fn state(&self, tenant: Tenant) -> Vec<usize> {
        self.chains.get(&tenant).map_or_else(Vec::new, |chain| chain.state(tenant))
    }

    /// The views of a tenant that must fail for its own views to fit into their share again, and
    /// into the `room` that the built-in ones leave, when `bytes` are those that each holds: the
    /// largest, and those that read it.
    pub(crate) fn over_limit(
        &mut self,
        tenant: Tenant,
        bytes: &[usize],
        room: Room,
    ) -> Vec<(usize, RuntimeError)> {
        let limit = self.limits.state_bytes.min(room.left);
        let error =
            if limit == self.limits.state_bytes { over(limit) } else { over_all(room.limit) };
        let Some(chain) = self.chains.get_mut(&tenant) else { return Vec::new() };
        let mut failed = Vec::new();
        loop {
            let held = chain.held(bytes);
            let total: usize = held.iter().sum();
            let largest = held.iter().enumerate().max_by_key(|(_, bytes)| **bytes);
            let Some((index, _)) = largest.filter(|_| total > limit) else { return failed };
            failed.extend(chain.fail(index, &error));
        }
    }
}

/// What a tenant's views may hold together, and what of that is left for its own.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) limit: usize,
    pub(crate) left: usize,
}

/// Why an own view failed when all views of its tenant held too much.
fn over_all(limit: usize) -> RuntimeError {
    RuntimeError {
        message: format!(
            "all views of the tenant together hold more than {limit} bytes, the most they may \
             (limits.views.tenant_bytes), and of its own views this one held the most: define it \
             over fewer rows or columns, or have the limit raised"
        ),
    }
}

/// Why a view failed that made its tenant's own views hold too much.
fn over(limit: usize) -> RuntimeError {
    RuntimeError {
        message: format!(
            "the tenant's own views hold more than {limit} bytes together, and this one held the \
             most: define it over fewer rows or columns, or delete another"
        ),
    }
}

#[cfg(test)]
mod tests;
