//! How own views come into a partition, and go out of it.

use std::sync::{Arc, Weak};

use super::chain::Chain;
use super::fill::{Fill, FillError, Tap};
use super::{OwnLimits, OwnView, StepTime, over};
use crate::snapshot::Unready;
use crate::{Partition, RuntimeError, Tenant, TenantSnapshot, ViewSnapshot};

impl Partition {
    /// Sets what a tenant's own views may hold.
    pub fn limit_own_views(&mut self, limits: OwnLimits) {
        self.own.limits = limits;
    }

    /// Begins to fill `views`, compiled over the views the tenant has now and over each other, in
    /// an order in which each reads only those before it. From now on what the tenant is given is
    /// kept for the fill, until it is attached or dropped.
    pub fn begin(&mut self, tenant: Tenant, views: Vec<OwnView>) -> Result<Fill, FillError> {
        let base = self.readers().snapshot(tenant);
        let chain = Chain::new(views);
        for name in chain.outside().views {
            if base.view(&name).is_none_or(|view| view.failure().is_some()) {
                return Err(FillError::Changed(name));
            }
        }
        let limits = &self.own.limits;
        let is_replaced = |view: &ViewSnapshot| {
            chain.links().iter().any(|link| link.view.name() == view.view().name())
        };
        let own = base.views().iter().skip(self.builtin());
        let rows: Vec<usize> =
            own.map(|view| if is_replaced(view) { 0 } else { view.bytes() }).collect();
        let held: usize = match self.own.chains.get(&tenant) {
            Some(running) => running.held(&rows).iter().sum(),
            None => 0,
        };
        let room = limits.state_bytes.saturating_sub(held);
        let over = over(limits.state_bytes);
        self.tapped(base, chain, (room, over))
    }

    /// A fill of `chain`, for which what the tenant is given is kept from now on. It may hold so many
    /// bytes, or fails for that reason.
    pub(super) fn tapped(
        &mut self,
        base: Arc<TenantSnapshot>,
        chain: Chain,
        room: (usize, RuntimeError),
    ) -> Result<Fill, FillError> {
        let tenant = base.tenant();
        let first = chain.links().first().map_or("", |link| link.view.name()).to_owned();
        let mut fill = Fill::new(base, chain, room, self.own.limits.buffer_bytes)
            .map_err(|error| FillError::Failed { view: first, error })?;
        fill.limit(self.own.time.map(StepTime::of_fill));
        self.own.taps.entry(tenant).or_default().push(Arc::downgrade(fill.tap()));
        Ok(fill)
    }

    /// Feeds what is left and puts the views of the fill into the tenant's snapshots, in place of
    /// those of the same names. Readers see all of them from one moment on.
    pub fn attach(&mut self, mut fill: Fill) -> Result<Arc<TenantSnapshot>, FillError> {
        fill.limit(self.own.time.map(StepTime::of_step));
        fill.catch_up()?;
        let (base, tap) = (fill.base().clone(), Arc::downgrade(fill.tap()));
        let (chain, snapshots) = fill.into_parts();
        let tenant = base.tenant();
        let before = self.readers().snapshot(tenant);
        check_read(&chain, &base, &before)?;
        self.untap(tenant, &tap);
        let names: Vec<String> =
            chain.links().iter().map(|link| link.view.name().to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let now = before.position().sequence;
        let snapshots = snapshots.into_iter().map(|view| view.live_since(now));
        self.own.chains.entry(tenant).or_default().swap(&names, chain);
        Ok(self.swap_snapshots(&before, &names, snapshots))
    }

    /// Keeps nothing any more for a fill.
    pub(super) fn untap(&mut self, tenant: Tenant, tap: &Weak<Tap>) {
        if let Some(taps) = self.own.taps.get_mut(&tenant) {
            taps.retain(|other| !Weak::ptr_eq(other, tap));
        }
    }

    /// Takes views out of the tenant's snapshots. Nothing may read them but each other, and passing
    /// views, which go with them.
    pub fn remove(&mut self, tenant: Tenant, names: &[&str]) -> Arc<TenantSnapshot> {
        let before = self.readers().snapshot(tenant);
        if let Some(chain) = self.own.chains.get_mut(&tenant) {
            chain.swap(names, Chain::default());
            if chain.links().is_empty() {
                self.own.chains.remove(&tenant);
            }
        }
        self.swap_snapshots(&before, names, std::iter::empty())
    }

    /// Says which views the tenant has defined that cannot be read, so that readers are told why.
    pub fn announce(&mut self, tenant: Tenant, unready: Vec<Unready>) -> Arc<TenantSnapshot> {
        let mut snapshot = TenantSnapshot::clone(&self.readers().snapshot(tenant));
        snapshot.announce(unready);
        self.publish(snapshot)
    }

    /// Marks every own view as new from here on. To be called when the log has been replayed:
    /// what was told of an own view before the restart cannot be resumed from.
    pub fn settle(&mut self) {
        for tenant in self.own.chains.keys().copied().collect::<Vec<_>>() {
            let before = self.readers().snapshot(tenant);
            let now = before.position().sequence;
            let own = before.views().iter().skip(self.builtin());
            let own = own.map(|view| view.clone().live_since(now)).collect::<Vec<_>>();
            let names: Vec<&str> = own.iter().map(|view| view.view().name()).collect();
            self.swap_snapshots(&before, &names, own.iter().cloned());
        }
    }

    /// Publishes `before` without its own views of these names, and with `others`. Passing views that
    /// read those of these names go.
    fn swap_snapshots(
        &mut self,
        before: &TenantSnapshot,
        names: &[&str],
        others: impl Iterator<Item = ViewSnapshot>,
    ) -> Arc<TenantSnapshot> {
        let own = before.views().iter().skip(self.builtin());
        let kept = own.filter(|view| !names.contains(&view.view().name())).cloned();
        let own = kept.chain(others).collect();
        let mut snapshot = before.clone();
        snapshot.set_views_from(self.builtin(), own);
        self.own.unread(&mut snapshot, names);
        self.publish(snapshot)
    }
}

/// An error unless what a fill reads is what it was when it began.
pub(super) fn check_read(
    chain: &Chain,
    base: &TenantSnapshot,
    now: &TenantSnapshot,
) -> Result<(), FillError> {
    for name in chain.outside().views {
        match (base.view(&name), now.view(&name)) {
            (Some(then), Some(now))
                if now.failure().is_none() && Arc::ptr_eq(then.view(), now.view()) => {}
            _ => return Err(FillError::Changed(name)),
        }
    }
    Ok(())
}
