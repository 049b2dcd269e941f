//! The own views of one tenant, in an order in which each reads only those before it.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Int64Array, StringArray, UInt32Array};
use arrow::compute::{take, take_record_batch};

use super::{OwnView, Reads};
use crate::circuit::Circuit;
use crate::functions::made::{self, Limit};
use crate::snapshot::TenantPart;
use crate::{Change, EventBatch, RuntimeError, Tenant, Tick, View};

/// One tenant's part of a step: its events, the changes of its views and its new date.
#[derive(Clone)]
pub(crate) struct Feed {
    tenant: Tenant,
    pub(super) events: Vec<EventBatch>,
    pub(super) changes: Vec<(Arc<View>, Change)>,
    /// The views that failed in this step.
    pub(super) failures: Vec<(Arc<View>, RuntimeError)>,
    pub(super) ticks: Vec<Tick>,
}

/// What a step came to for one own view.
pub(crate) enum Outcome {
    Changed(TenantPart),
    Failed(RuntimeError),
}

/// One tenant's own views.
#[derive(Default)]
pub(crate) struct Chain {
    links: Vec<Link>,
}

/// An own view that is maintained.
pub(super) struct Link {
    pub(super) view: Arc<View>,
    pub(super) reads: Reads,
    /// None once it has failed.
    circuit: Option<Circuit>,
}

impl Feed {
    /// Nothing of `tenant` yet.
    pub(crate) fn empty(tenant: Tenant) -> Self {
        Self {
            tenant,
            events: Vec::new(),
            changes: Vec::new(),
            failures: Vec::new(),
            ticks: Vec::new(),
        }
    }

    /// Adds the events at `rows` of a batch, which are the tenant's.
    pub(super) fn add_events(&mut self, batch: &EventBatch, rows: Vec<u32>) {
        if rows.len() == batch.rows.num_rows() {
            self.events.push(batch.clone());
            return;
        }
        let (event_type, tenants) = (batch.event_type.clone(), owners(self.tenant, rows.len()));
        let places = UInt32Array::from(rows);
        let extra = batch.extra.as_ref().and_then(|extra| taken(extra, &places));
        // The places are those of rows that are there, so they can be taken.
        if let Ok(rows) = take_record_batch(&batch.rows, &places) {
            self.events.push(EventBatch { event_type, tenants, rows, extra });
        }
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// Adds the change of a view.
    pub(crate) fn add_change(&mut self, view: &Arc<View>, part: &TenantPart) {
        let weights = Int64Array::from(part.weights.clone());
        let change = Change::new(owners(self.tenant, weights.len()), part.rows.clone(), weights);
        self.changes.push((view.clone(), change));
    }

    /// Adds the failure of a view.
    pub(crate) fn add_failure(&mut self, view: &Arc<View>, error: &RuntimeError) {
        self.failures.push((view.clone(), error.clone()));
    }
}

/// The texts at these places, which are there.
fn taken(texts: &StringArray, places: &UInt32Array) -> Option<StringArray> {
    let taken = take(texts, places, None).ok()?;
    taken.as_string_opt::<i32>().cloned()
}

/// The tenant of each of so many rows.
pub(super) fn owners(tenant: Tenant, rows: usize) -> UInt32Array {
    UInt32Array::from(vec![tenant.0; rows])
}

impl Chain {
    /// Views without rows, each of which reads only those before it.
    pub(super) fn new(views: Vec<OwnView>) -> Self {
        let link =
            |own: OwnView| Link { view: own.view, reads: own.reads, circuit: Some(own.circuit) };
        Self { links: views.into_iter().map(link).collect() }
    }

    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    pub(super) fn into_links(self) -> Vec<Link> {
        self.links
    }

    /// Whether one of the views reads events of that type.
    pub(super) fn reads(&self, event_type: &str) -> bool {
        self.links.iter().any(|link| link.reads.events.contains(event_type))
    }

    /// What the views read that is not among them.
    pub(super) fn outside(&self) -> Reads {
        let mut reads = Reads::default();
        for link in &self.links {
            reads.events.extend(link.reads.events.iter().cloned());
            reads.views.extend(link.reads.views.iter().cloned());
        }
        for link in &self.links {
            reads.views.remove(link.view.name());
        }
        reads
    }

    /// What each view holds before anything is fed: for most nothing. It is added to `feed`, which is
    /// to be the first one, for the views that read it.
    pub(super) fn unborn(&mut self, feed: &mut Feed) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::new();
        for (index, link) in self.links.iter_mut().enumerate() {
            let born = link.circuit.as_mut().map_or_else(Vec::new, Circuit::unborn);
            for output in born {
                if let Some((_, error)) = output.failures.into_iter().next() {
                    link.circuit = None;
                    feed.add_failure(&link.view, &error);
                    outcomes.push((index, Outcome::Failed(error)));
                }
                for part in output.parts {
                    feed.add_change(&link.view, &part);
                    outcomes.push((index, Outcome::Changed(part)));
                }
            }
        }
        outcomes
    }

    /// Takes a feed through all views; what each changes is added to the feed. Each has the time of
    /// `limit` for it.
    pub(super) fn step(&mut self, feed: &mut Feed, limit: Option<Limit>) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::new();
        for (index, link) in self.links.iter_mut().enumerate() {
            match link.step(feed, limit) {
                Some(Outcome::Changed(part)) => {
                    feed.add_change(&link.view, &part);
                    outcomes.push((index, Outcome::Changed(part)));
                }
                Some(Outcome::Failed(error)) => {
                    feed.add_failure(&link.view, &error);
                    outcomes.push((index, Outcome::Failed(error)));
                }
                None => {}
            }
        }
        outcomes
    }

    /// Gives up a view and those that read it: their state is dropped.
    pub(super) fn fail(
        &mut self,
        index: usize,
        error: &RuntimeError,
    ) -> Vec<(usize, RuntimeError)> {
        let mut failed = Vec::new();
        for (i, link) in self.links.iter_mut().enumerate().skip(index) {
            let error = if i == index { Some(error.clone()) } else { link.broken_by(&failed) };
            if let Some(error) = error.filter(|_| link.circuit.take().is_some()) {
                failed.push((link.view.clone(), i, error));
            }
        }
        failed.into_iter().map(|(_, i, error)| (i, error)).collect()
    }

    /// The bytes of the state of each view's operators.
    pub(super) fn state(&self, tenant: Tenant) -> Vec<usize> {
        self.links.iter().map(|link| link.bytes(tenant)).collect()
    }

    /// The bytes that views hold, without those of views that have failed.
    pub(super) fn held(&self, bytes: &[usize]) -> Vec<usize> {
        let held = |(link, bytes): (&Link, &usize)| link.circuit.as_ref().map_or(0, |_| *bytes);
        self.links.iter().zip(bytes).map(held).collect()
    }

    /// The views except those of these names, then `others`.
    pub(super) fn swap(&mut self, names: &[&str], others: Self) {
        self.links.retain(|link| !names.contains(&link.view.name()));
        self.links.extend(others.links);
    }
}

impl Link {
    /// The bytes of the state of its operators.
    pub(super) fn bytes(&self, tenant: Tenant) -> usize {
        self.circuit.as_ref().map_or(0, |circuit| circuit.bytes(tenant))
    }

    /// Takes a feed through it, in the time of `limit`.
    pub(super) fn step(&mut self, feed: &Feed, limit: Option<Limit>) -> Option<Outcome> {
        let circuit = self.circuit.as_mut()?;
        let failures = &feed.failures;
        let broken = failures.iter().find(|(view, _)| self.reads.views.contains(view.name()));
        if let Some((view, error)) = broken {
            self.circuit = None;
            return Some(Outcome::Failed(reads_failed(view, error)));
        }
        let reads = &self.reads;
        let events = feed.events.iter().filter(|b| reads.events.contains(b.event_type.name()));
        let changes = feed.changes.iter().filter(|(view, _)| reads.views.contains(view.name()));
        let changes: Vec<(&str, Change)> =
            changes.map(|(view, change)| (view.name(), change.clone())).collect();
        let events = events.cloned().collect();
        let (outputs, in_time) =
            made::step(limit, || circuit.step_over(events, &changes, &feed.ticks));
        if let Err(error) = in_time {
            self.circuit = None;
            return Some(Outcome::Failed(error.into()));
        }
        let output = outputs.into_iter().next_back()?;
        if let Some((_, error)) = output.failures.into_iter().next() {
            self.circuit = None;
            return Some(Outcome::Failed(error));
        }
        output.parts.into_iter().next().map(Outcome::Changed)
    }

    /// Why it fails, if it reads one of the views that failed.
    fn broken_by(&self, failed: &[(Arc<View>, usize, RuntimeError)]) -> Option<RuntimeError> {
        let (view, _, error) = failed.iter().find(|f| self.reads.views.contains(f.0.name()))?;
        Some(reads_failed(view, error))
    }
}

/// Why a view fails that reads one that failed.
fn reads_failed(view: &View, error: &RuntimeError) -> RuntimeError {
    RuntimeError { message: format!("it reads '{}', which failed: {error}", view.name()) }
}
