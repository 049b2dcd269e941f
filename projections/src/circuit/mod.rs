//! The circuit: operators joined by changes, all views of all tenants of a partition in one graph.
//!
//! A step takes the new events and ticks through the operators in the order of their dependence.
//! An operator sees every change of its inputs once and answers with its own. When rows of one
//! tenant cannot be evaluated (an overflow, a bad cast), the tenant's views that need them fail;
//! the other tenants do not notice.

mod aggregate;
mod arena;
mod calendar;
mod evaluate;
mod flips;
mod groups;
mod holding;
mod index;
mod join;
mod journal;
mod latest;
mod memory;
mod operator;
mod ordered;
mod packed;
mod passing;
mod recompute;
mod rowwise;
mod saving;
mod side;
mod single;
mod slots;
mod source;
pub(crate) mod state;
mod table;
mod temporal;
mod top;
mod window;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;

pub(crate) use aggregate::{LinearAggregate, LinearFunction, Measure};
pub(crate) use evaluate::{Expressions, Filter, Project, Union};
pub(crate) use flips::{Crossing, Flips};
pub(crate) use join::{Join, JoinKind, Residual};
pub(crate) use latest::{Latest, Pick};
pub(crate) use operator::{Operator, Step};
pub(crate) use recompute::{PlanRunner, Recompute, Slot};
pub(crate) use rowwise::RowWise;
use saving::Plans;
pub use saving::StateLoader;
pub(crate) use side::JoinSide;
pub(crate) use single::SingleRow;
use source::Source;
pub(crate) use temporal::Temporal;
pub(crate) use top::{Numbering, Top, TopRows};
pub(crate) use window::{Window, WindowValue};

use crate::change::{batch, runs};
use crate::events::{EventType, Field};
use crate::snapshot::{Layout, TenantPart};
use crate::sql::Compiler;
use crate::{
    Change, DefineError, EventBatch, EventTypes, RuntimeError, Tenant, Tick, View, ViewDefinition,
};

/// A node of the circuit, by its place in the order of evaluation.
pub(crate) type NodeId = usize;

struct Node {
    operator: Option<Box<dyn Operator>>,
    inputs: Vec<NodeId>,
    schema: SchemaRef,
    /// The views that read its output, directly or through other nodes, in ascending order.
    readers: Vec<usize>,
    /// No rows, made once.
    empty: Change,
    /// Whether no row of its output ever goes.
    append_only: bool,
    /// The tenants whose rows could not be evaluated here or before, and why.
    failed: HashMap<Tenant, RuntimeError>,
}

struct Output {
    node: NodeId,
    layout: Layout,
    /// The tenants whose failure has been told.
    told: HashSet<Tenant>,
}

/// The change of one view.
pub(crate) struct ViewOutput {
    /// The view's place among the definitions.
    pub(crate) view: usize,
    /// Its change, by tenant.
    pub(crate) parts: Vec<TenantPart>,
    /// Tenants for which the view has just failed.
    pub(crate) failures: Vec<(Tenant, RuntimeError)>,
}

/// All operators of a partition.
#[derive(Default)]
pub struct Circuit {
    nodes: Vec<Node>,
    /// The nodes of event types: of one type with the fields that its tenant has declared, without, or
    /// both.
    sources: BTreeMap<(Option<Tenant>, String), Vec<Source>>,
    /// The declared fields that are read, with their types.
    declared_read: BTreeSet<(String, String)>,
    /// The nodes of views of another circuit that are read.
    views: BTreeMap<String, NodeId>,
    outputs: Vec<Output>,
    /// The node that gives each tenant one row at its birth, if views need it.
    births: Option<NodeId>,
    /// The tenants that have had theirs.
    born: HashSet<Tenant>,
    /// What the views were compiled from.
    plans: Plans,
}

/// The tenant that only learns what the views of a tenant without events hold.
const UNBORN: Tenant = Tenant(u32::MAX);

impl Circuit {
    /// Compiles `views`, each of which may read those before it.
    pub fn compile(
        types: &EventTypes,
        views: Vec<ViewDefinition>,
    ) -> Result<(Self, Vec<Arc<View>>), DefineError> {
        let mut compiler = Compiler::new(types);
        let mut compiled = Vec::with_capacity(views.len());
        for view in views {
            let defined = Arc::new(compiler.define(&view)?);
            if !view.internal {
                compiled.push(defined);
            }
        }
        Ok((compiler.finish(), compiled))
    }

    /// The node of an event type's events, made when it is first read: with the columns of `schema`,
    /// which are those of the type and behind them those of `declared`.
    pub(crate) fn source(
        &mut self,
        event_type: &EventType,
        schema: &SchemaRef,
        declared: &[Field],
    ) -> NodeId {
        let key = (event_type.owner(), event_type.name().to_owned());
        let mut known = self.sources.get(&key).into_iter().flatten();
        if let Some(source) = known.find(|source| source.declared == declared) {
            return source.node;
        }
        let node = self.push(None, vec![], schema.clone());
        let source = Source { node, declared: declared.to_vec() };
        self.sources.entry(key).or_default().push(source);
        node
    }

    /// Notes that a declared field of an event type is read.
    pub(crate) fn note_declared(&mut self, event_type: &EventType, field: &Field) {
        self.declared_read.insert((event_type.name().to_owned(), field.name.clone()));
    }

    /// The declared fields that are read, each with its event type before it.
    pub(crate) fn declared_read(&self) -> &BTreeSet<(String, String)> {
        &self.declared_read
    }

    /// The node that has one row without columns for each tenant, from its first event or tick on.
    pub(crate) fn births(&mut self) -> NodeId {
        if let Some(node) = self.births {
            return node;
        }
        let node = self.push(None, vec![], Arc::new(arrow::datatypes::Schema::empty()));
        self.births = Some(node);
        node
    }

    /// The node of the changes of another circuit's view, made when it is first read.
    pub(crate) fn view_source(&mut self, view: &str, schema: &SchemaRef) -> NodeId {
        if let Some(node) = self.views.get(view) {
            return *node;
        }
        let node = self.push(None, vec![], schema.clone());
        // Unlike events, the rows of a view go too.
        self.nodes[node].append_only = false;
        self.views.insert(view.to_owned(), node);
        node
    }

    /// The views of another circuit that are read.
    pub(crate) fn views_read(&self) -> impl Iterator<Item = &str> {
        self.views.keys().map(String::as_str)
    }

    /// The event types that are read.
    pub(crate) fn events_read(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(|(_, name)| name.as_str())
    }

    /// Adds an operator behind `inputs`.
    pub(crate) fn add(
        &mut self,
        operator: Box<dyn Operator>,
        inputs: Vec<NodeId>,
        schema: SchemaRef,
    ) -> NodeId {
        self.push(Some(operator), inputs, schema)
    }

    /// Makes a node's output a view whose rows the columns `key` identify.
    pub(crate) fn output(&mut self, node: NodeId, key: &[usize]) -> Result<(), RuntimeError> {
        let layout = Layout::new(&self.nodes[node].schema, key)?;
        self.note_reader(node, self.outputs.len());
        self.outputs.push(Output { node, layout, told: HashSet::new() });
        Ok(())
    }

    /// The columns of a node's output.
    pub(crate) fn schema(&self, node: NodeId) -> &SchemaRef {
        &self.nodes[node].schema
    }

    fn push(
        &mut self,
        mut operator: Option<Box<dyn Operator>>,
        inputs: Vec<NodeId>,
        schema: SchemaRef,
    ) -> NodeId {
        let flags: Vec<bool> = inputs.iter().map(|input| self.nodes[*input].append_only).collect();
        // Events only come.
        let append_only = operator.as_mut().is_none_or(|operator| operator.append_only(&flags));
        let empty = Change::empty(schema.clone());
        let (readers, failed) = (Vec::new(), HashMap::new());
        self.nodes.push(Node { operator, inputs, schema, readers, empty, append_only, failed });
        self.nodes.len() - 1
    }

    /// What the views hold for a tenant without events: for most nothing.
    pub(crate) fn unborn(&mut self) -> Vec<ViewOutput> {
        if self.births.is_none() {
            return Vec::new();
        }
        let changes = self.bear([UNBORN].into());
        self.collect(&changes)
    }

    /// Gives new tenants the row they are born with. What follows from it is what readers of a
    /// tenant without events see already, so it is no change.
    fn bear(&mut self, tenants: HashSet<Tenant>) -> Vec<Option<Change>> {
        let mut new: Vec<u32> =
            tenants.into_iter().filter(|t| self.born.insert(*t)).map(|t| t.0).collect();
        new.sort_unstable();
        let rows = new.len();
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let change = batch(schema, vec![], rows)
            .map(|batch| Change::new(new.into(), batch, vec![1; rows].into()));
        let births = self.births.zip(change.ok().filter(|change| !change.is_empty()));
        match births {
            Some((node, change)) => self.pass([(node, vec![change])].into(), &[]),
            None => Vec::new(),
        }
    }

    /// Takes events and ticks through all operators; one output for each view that changed.
    pub(crate) fn step(&mut self, events: Vec<EventBatch>, ticks: &[Tick]) -> Vec<ViewOutput> {
        self.step_over(events, &[], ticks)
    }

    /// The same with changes of another circuit's views, by their names.
    pub(crate) fn step_over(
        &mut self,
        events: Vec<EventBatch>,
        views: &[(&str, Change)],
        ticks: &[Tick],
    ) -> Vec<ViewOutput> {
        if self.births.is_some() {
            let mut tenants: HashSet<Tenant> = ticks.iter().map(|tick| tick.tenant).collect();
            tenants.extend(events.iter().flat_map(|b| runs(&b.tenants)).map(|(tenant, _)| tenant));
            tenants.extend(views.iter().flat_map(|(_, c)| runs(&c.tenants)).map(|(t, _)| t));
            self.bear(tenants);
        }
        let given = events.clone();
        let mut arrived: HashMap<NodeId, Vec<Change>> = HashMap::new();
        for batch in events {
            let key = (batch.event_type.owner(), batch.event_type.name().to_owned());
            for source in self.sources.get(&key).into_iter().flatten() {
                let schema = &self.nodes[source.node].schema;
                let change = Change::from_events(source.fitted(&batch, schema));
                arrived.entry(source.node).or_default().push(change);
            }
        }
        for (view, change) in views {
            if let Some(node) = self.views.get(*view) {
                arrived.entry(*node).or_default().push(change.clone());
            }
        }
        let changes = self.pass(arrived, ticks);
        let mut outputs = self.collect(&changes);
        for (tenant, error) in outputs.iter_mut().flat_map(|output| &mut output.failures) {
            if let Some(event) = only_event(&given, *tenant) {
                error.message.push_str(&event);
            }
        }
        outputs
    }

    /// How many rows its operators have evaluated again because a date changed.
    pub(crate) fn rows_reevaluated(&self) -> u64 {
        self.nodes.iter().flat_map(|node| &node.operator).map(|o| o.rows_reevaluated()).sum()
    }

    /// Takes what arrived at the sources through all operators: the change of each node.
    fn pass(
        &mut self,
        mut arrived: HashMap<NodeId, Vec<Change>>,
        ticks: &[Tick],
    ) -> Vec<Option<Change>> {
        let mut changes: Vec<Option<Change>> = Vec::with_capacity(self.nodes.len());
        for id in 0..self.nodes.len() {
            let node = &self.nodes[id];
            let change = if node.operator.is_none() {
                let parts = arrived.remove(&id).unwrap_or_default();
                // Batches of one event type have one schema, so they always fit together.
                Change::concat(&node.schema, &parts).ok()
            } else {
                self.inherit_failures(id);
                self.run(id, &changes, ticks)
            };
            changes.push(change.filter(|change| !change.is_empty()));
        }
        changes
    }

    /// The change of a node's output, unless nothing reaches it.
    fn run(&mut self, id: NodeId, changes: &[Option<Change>], ticks: &[Tick]) -> Option<Change> {
        let node = &self.nodes[id];
        let reads_clock = node.operator.as_ref().is_some_and(|o| o.reads_clock());
        let idle = node.inputs.iter().all(|input| changes[*input].is_none());
        if idle && (ticks.is_empty() || !reads_clock) {
            return None;
        }
        let input = |input: &NodeId| match &changes[*input] {
            Some(change) => change.clone(),
            None => self.nodes[*input].empty.clone(),
        };
        let inputs = node.inputs.iter().map(input).collect();
        Some(self.nodes[id].run(inputs, ticks))
    }

    /// A tenant that failed before a node fails in it.
    fn inherit_failures(&mut self, id: NodeId) {
        for place in 0..self.nodes[id].inputs.len() {
            let input = self.nodes[id].inputs[place];
            if self.nodes[input].failed.is_empty() {
                continue;
            }
            for (tenant, error) in self.nodes[input].failed.clone() {
                self.nodes[id].failed.entry(tenant).or_insert(error);
            }
        }
    }

    fn collect(&mut self, changes: &[Option<Change>]) -> Vec<ViewOutput> {
        let mut outputs: Vec<ViewOutput> = Vec::new();
        for (view, output) in self.outputs.iter_mut().enumerate() {
            let node = &mut self.nodes[output.node];
            let parts = changes[output.node].as_ref().map_or_else(Vec::new, |change| {
                output.layout.part(change).unwrap_or_else(|error| {
                    for tenant in change.tenants() {
                        node.failed.entry(tenant).or_insert_with(|| error.clone());
                    }
                    Vec::new()
                })
            });
            let failures: Vec<_> = node
                .failed
                .iter()
                .filter(|(tenant, _)| output.told.insert(**tenant))
                .map(|(tenant, error)| (*tenant, error.clone()))
                .collect();
            if !parts.is_empty() || !failures.is_empty() {
                outputs.push(ViewOutput { view, parts, failures });
            }
        }
        for (tenant, error) in outputs.iter().flat_map(|output| &output.failures) {
            self.release(*tenant, error);
        }
        outputs
    }
}

/// The words that name a tenant's event, if `events` holds just one of it.
fn only_event(events: &[EventBatch], tenant: Tenant) -> Option<String> {
    let of_tenant = events.iter().flat_map(|batch| {
        let rows = batch.tenants.values().iter().enumerate();
        rows.filter(|(_, t)| **t == tenant.0).map(move |(row, _)| (batch, row))
    });
    let mut first = of_tenant.take(2);
    let (Some((batch, row)), None) = (first.next(), first.next()) else { return None };
    let id = array_value_to_string(batch.rows.column(0), row).ok()?;
    Some(format!("; with the event {} '{id}'", batch.event_type.name()))
}

impl Node {
    /// Runs the operator; when it fails, for each tenant alone.
    fn run(&mut self, mut inputs: Vec<Change>, ticks: &[Tick]) -> Change {
        let Some(operator) = self.operator.as_mut() else {
            return Change::empty(self.schema.clone());
        };
        let mut ticks = Cow::Borrowed(ticks);
        if !self.failed.is_empty() {
            let failed = &self.failed;
            ticks.to_mut().retain(|tick| !failed.contains_key(&tick.tenant));
            for input in &mut inputs {
                let keep = input
                    .tenants
                    .values()
                    .iter()
                    .map(|tenant| Some(!failed.contains_key(&Tenant(*tenant))))
                    .collect();
                if let Ok(kept) = input.filter(&keep) {
                    *input = kept;
                }
            }
        }
        if let Ok(change) = operator.step(&Step { inputs: &inputs, ticks: &ticks }) {
            return change;
        }
        self.run_apart(&inputs, &ticks)
    }

    fn run_apart(&mut self, inputs: &[Change], ticks: &[Tick]) -> Change {
        let empty = Change::empty(self.schema.clone());
        let Some(operator) = self.operator.as_mut() else {
            return empty;
        };
        let mut tenants: Vec<Tenant> = inputs.iter().flat_map(Change::tenants).collect();
        tenants.extend(ticks.iter().map(|tick| tick.tenant));
        tenants.sort_unstable();
        tenants.dedup();
        let mut parts = Vec::new();
        for tenant in tenants {
            let ticks: Vec<Tick> = ticks.iter().filter(|t| t.tenant == tenant).copied().collect();
            let step = inputs
                .iter()
                .map(|input| input.of_tenant(tenant))
                .collect::<Result<Vec<_>, _>>()
                .map_err(RuntimeError::from)
                .and_then(|inputs| operator.step(&Step { inputs: &inputs, ticks: &ticks }));
            match step {
                Ok(change) => parts.push(change),
                Err(error) => {
                    self.failed.insert(tenant, error);
                }
            }
        }
        Change::concat(&self.schema, &parts).unwrap_or(empty)
    }
}

#[cfg(test)]
mod tests;
