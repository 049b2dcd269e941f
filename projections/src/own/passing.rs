//! Passing views: SQL that somebody follows, maintained like an own view for as long as it is followed.
//!
//! A passing view is a small circuit like that of an own view. It is fed behind those in the same step,
//! and its rows are in the same snapshot. It has a number in the place of a name: it is none of the
//! snapshot's views and in no delta, no other view reads it, no checkpoint has it, and who has not its
//! number finds nothing.
//!
//! Invariants:
//! - Its rows in a snapshot are the answer to its SQL over the views and events of that snapshot.
//! - It goes when what it reads fails, is replaced or is removed, when it cannot be computed, and when it
//!   holds more than it may. Nothing else notices any of that.

use std::sync::Arc;

use super::chain::{Chain, Feed, Link, Outcome};
use super::fill::{Fill, FillError};
use super::swap::check_read;
use super::{OwnView, OwnViews, StepTime};
use crate::snapshot::{PassingRows, TenantPart};
use crate::{Partition, RuntimeError, Tenant, TenantSnapshot, View};

/// The number of a passing view: to be given out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PassingId(pub u64);

/// What SQL that is followed may have for being maintained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassingLimits {
    /// Passing views of a tenant.
    pub tenant: usize,
    /// Passing views in all.
    pub all: usize,
    /// The bytes of one, its rows included.
    pub bytes: usize,
}

impl Default for PassingLimits {
    fn default() -> Self {
        Self { tenant: 16, all: 128, bytes: 16 << 20 }
    }
}

/// A passing view that is maintained.
pub(super) struct Passing {
    id: PassingId,
    link: Link,
    /// Dropped with it, by which its holder tells that it is gone.
    _alive: Arc<()>,
}

impl Passing {
    /// Whether it reads events of that type.
    pub(super) fn reads(&self, event_type: &str) -> bool {
        self.link.reads.events.contains(event_type)
    }
}

impl OwnView {
    /// Whether it may be maintained for a query of the same text, or why not.
    pub fn may_pass(&self) -> Result<(), &'static str> {
        if self.circuit.has_floats() {
            return Err("it computes with floats, whose last digits follow the order of the steps");
        }
        if self.circuit.recomputes() {
            return Err(
                "a change has it compute whole groups anew, which costs what the query does",
            );
        }
        Ok(())
    }
}

impl OwnViews {
    /// Takes a feed, in which the changes of the own views are, through the tenant's passing views.
    pub(super) fn step_passing(&mut self, feed: &Feed) -> Vec<(PassingId, TenantPart)> {
        let mut changed = Vec::new();
        let limit = self.time.map(StepTime::of_step);
        let Some(views) = self.passing.get_mut(&feed.tenant()) else { return changed };
        views.retain_mut(|view| match view.link.step(feed, limit) {
            Some(Outcome::Changed(part)) => {
                changed.push((view.id, part));
                true
            }
            Some(Outcome::Failed(_)) => false,
            None => true,
        });
        changed
    }

    /// Lets the tenant's passing views go that read what has failed, or hold more than they may; and out
    /// of the snapshot all that are gone.
    pub(crate) fn bound_passing(&mut self, snapshot: &mut TenantSnapshot) {
        let (tenant, most) = (snapshot.tenant(), self.limits.passing.bytes);
        let Some(views) = self.passing.get_mut(&tenant) else {
            return snapshot.retain_passing(|_| false);
        };
        views.retain(|view| {
            snapshot.hold_passing(view.id, view.link.bytes(tenant));
            let is_whole =
                |name: &String| snapshot.view(name).is_some_and(|view| view.failure().is_none());
            view.link.reads.views.iter().all(is_whole)
                && snapshot.passing(view.id).is_some_and(|rows| rows.bytes() <= most)
        });
        snapshot.retain_passing(|kept| views.iter().any(|view| view.id == kept.id));
        if views.is_empty() {
            self.passing.remove(&tenant);
        }
    }

    /// Lets the passing views go that read a view of one of these names.
    pub(super) fn unread(&mut self, snapshot: &mut TenantSnapshot, names: &[&str]) {
        if let Some(views) = self.passing.get_mut(&snapshot.tenant()) {
            let reads = |view: &Passing, name: &str| view.link.reads.views.contains(name);
            views.retain(|view| !names.iter().any(|name| reads(view, name)));
        }
        self.bound_passing(snapshot);
    }
}

impl Partition {
    /// Begins to fill a passing view, compiled over views among which are those of `compiled_over`; they
    /// must be those that the tenant has now. What the tenant is given is kept for it from now on, until
    /// it is attached or dropped.
    pub fn begin_passing(
        &mut self,
        tenant: Tenant,
        view: OwnView,
        compiled_over: &[Arc<View>],
    ) -> Result<Fill, FillError> {
        let base = self.readers().snapshot(tenant);
        for name in &view.reads.views {
            let then = compiled_over.iter().find(|view| view.name() == name);
            let now = base.view(name).filter(|now| now.failure().is_none());
            match (then, now) {
                (Some(then), Some(now)) if Arc::ptr_eq(then, now.view()) => {}
                _ => return Err(FillError::Changed(name.clone())),
            }
        }
        let most = self.own.limits.passing.bytes;
        self.tapped(base, Chain::new(vec![view]), (most, over(most)))
    }

    /// Feeds what is left and puts the view of the fill into the tenant's snapshots under this number.
    /// `alive` is kept for as long as the view is maintained.
    pub fn attach_passing(
        &mut self,
        id: PassingId,
        mut fill: Fill,
        alive: &Arc<()>,
    ) -> Result<(), FillError> {
        fill.limit(self.own.time.map(StepTime::of_step));
        fill.catch_up()?;
        let (base, tap) = (fill.base().clone(), Arc::downgrade(fill.tap()));
        let (chain, snapshots) = fill.into_parts();
        let tenant = base.tenant();
        let before = self.readers().snapshot(tenant);
        check_read(&chain, &base, &before)?;
        self.untap(tenant, &tap);
        let mut after = TenantSnapshot::clone(&before);
        for (link, rows) in chain.into_links().into_iter().zip(snapshots) {
            let reads = Arc::new(link.reads.clone());
            after.put_passing(PassingRows { id, reads, rows });
            let passing = Passing { id, link, _alive: Arc::clone(alive) };
            self.own.passing.entry(tenant).or_default().push(passing);
        }
        self.publish(after);
        Ok(())
    }

    /// Lets a passing view go.
    pub fn remove_passing(&mut self, tenant: Tenant, id: PassingId) {
        if let Some(views) = self.own.passing.get_mut(&tenant) {
            views.retain(|view| view.id != id);
            let mut snapshot = TenantSnapshot::clone(&self.readers().snapshot(tenant));
            self.own.bound_passing(&mut snapshot);
            self.publish(snapshot);
        }
    }
}

/// Why a passing view is not filled that comes to hold too much.
fn over(most: usize) -> RuntimeError {
    let message = format!("it holds more than the {most} bytes that SQL which is followed may");
    RuntimeError { message }
}
