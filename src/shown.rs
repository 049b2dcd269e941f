//! What a tenant's people are shown: all that there is, but for what belongs to modules that are
//! switched off.
//!
//! **In:** the snapshots of the partitions, the event types, the tenants' modules. **Out:** the same
//! without what is hidden, for every reader: lists, views, SQL, live streams, intake.
//!
//! Invariants:
//! - Nothing is computed or stored otherwise because it is hidden, so it is there, whole and up to
//!   date, in the moment in which its module is switched on again.
//! - An own view that reads something hidden, itself or through other own views, is hidden too.
//! - Whoever answers a tenant's call reads snapshots and event types here, and nowhere else.

use std::sync::{Arc, LazyLock};

use projections::{EventRegistry, EventTypes, Hidden, Readers, Tenant, TenantSnapshot};
use stream::{Hub, Snapshots};
use tenancy::{Directory, MODULES, modules};

use crate::own_views::OwnViews;

static NOTHING: LazyLock<Arc<Hidden>> = LazyLock::new(Arc::default);

/// What tenants are shown. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shown {
    readers: Readers,
    directory: Directory,
    types: EventRegistry,
    own_views: OwnViews,
}

impl Shown {
    /// What `readers` and `types` have, as far as the tenants of `directory` are shown it.
    pub(crate) fn new(
        readers: Readers,
        directory: Directory,
        types: EventRegistry,
        own_views: OwnViews,
    ) -> Self {
        Self { readers, directory, types, own_views }
    }

    /// What the tenant is not shown at this moment.
    pub(crate) fn hidden(&self, tenant: Tenant) -> Arc<Hidden> {
        let record = self.directory.by_number(tenant.0);
        let Some(record) = record.filter(|record| record.modules.len() < MODULES.len()) else {
            return Arc::clone(&NOTHING);
        };
        let off = modules::switched_off(&record.modules);
        let mut hidden = Hidden::modules(off.into_iter().map(str::to_owned));
        for (view, module) in modules::hidden_views(&record.modules) {
            hidden.add_view(view, module);
        }
        self.own_views.hide(tenant, &mut hidden);
        Arc::new(hidden)
    }

    /// The tenant's newest snapshot.
    pub(crate) fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        // First, so that a view that comes in between is not shown for once.
        let snapshot = self.readers.snapshot(tenant);
        let hidden = self.hidden(tenant);
        if hidden.is_empty() { snapshot } else { Arc::new(snapshot.hiding(hidden)) }
    }

    /// The event types that the tenant has.
    pub(crate) fn types(&self, tenant: Tenant) -> EventTypes {
        self.types.visible(tenant).hiding(self.hidden(tenant))
    }

    /// Has those who watch a tenant's views look again, whenever modules of it were switched, for as
    /// long as it is polled.
    pub(crate) async fn follow(&self, hub: &Hub) {
        loop {
            for number in self.directory.switched().await {
                hub.redefined(Tenant(number));
            }
        }
    }
}

impl Snapshots for Shown {
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        Self::snapshot(self, tenant)
    }
}
