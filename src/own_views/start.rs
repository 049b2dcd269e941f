//! Own views at the start: those in the store are put into the partition before the log is replayed,
//! and so are filled by it like all others.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use projections::{
    EventRegistry, EventTypes, OwnView, Partition, RuntimeError, Tenant, Unready, View,
    ViewDefinition,
};
use tenancy::{Store, StoredView};

use super::compile::on_large_stack;
use super::definitions::{Definition, Definitions, State};
use super::{OwnViewError, is_builtin};

/// What the store holds, and how it is defined.
pub(crate) struct Loaded {
    pub(super) store: Store,
    pub(super) tenants: HashMap<Tenant, Definitions>,
}

/// Puts all stored views into `partition`, which has been given nothing yet. One that does not
/// compile is a failed view, not a failed start.
pub(crate) async fn load(
    store: Store,
    types: EventRegistry,
    mut partition: Partition,
) -> Result<(Loaded, Partition), OwnViewError> {
    let mut by_tenant: Vec<(Tenant, Vec<StoredView>)> = Vec::new();
    for (tenant, view) in store.own_views().await? {
        match by_tenant.last_mut().filter(|(last, _)| last.0 == tenant) {
            Some((_, views)) => views.push(view),
            None => by_tenant.push((Tenant(tenant), vec![view])),
        }
    }
    let attached = move || {
        let mut tenants = HashMap::with_capacity(by_tenant.len());
        for (tenant, stored) in by_tenant {
            let types = types.visible(tenant);
            let views = stored.into_iter().map(|view| attach(&mut partition, &types, tenant, view));
            let mut definitions = Definitions::default();
            definitions.put(0, views.collect());
            announce(&mut partition, tenant, &definitions);
            tenants.insert(tenant, definitions);
        }
        (tenants, partition)
    };
    let (tenants, partition) = on_large_stack(attached).await?;
    Ok((Loaded { store, tenants }, partition))
}

fn attach(
    partition: &mut Partition,
    types: &EventTypes,
    tenant: Tenant,
    stored: StoredView,
) -> Definition {
    let StoredView { name, sql, key } = stored;
    let definition = ViewDefinition { name, sql, key, internal: false };
    let (view, reads, state) = match attached(partition, types, tenant, &definition) {
        Ok((view, reads)) => (Some(view), reads, State::Live),
        Err(reason) => {
            tracing::warn!(tenant = tenant.0, view = definition.name, reason, "a view has failed");
            (None, BTreeSet::new(), State::Failed(reason))
        }
    };
    Definition { stated: definition, view, reads, group: 0, state, former: None, refused: None }
}

fn attached(
    partition: &mut Partition,
    types: &EventTypes,
    tenant: Tenant,
    definition: &ViewDefinition,
) -> Result<(Arc<View>, BTreeSet<String>), String> {
    if is_builtin(&definition.name) {
        return Err("a built-in view has its name now; define it under another one".to_owned());
    }
    let snapshot = partition.readers().snapshot(tenant);
    let readable: Vec<Arc<View>> = snapshot.views().iter().map(|v| v.view().clone()).collect();
    let own = OwnView::compile(types, &readable, definition)
        .map_err(|e| OwnViewError::from(e).to_string())?;
    let (view, reads) = (own.view().clone(), own.reads().views.clone());
    let mut fill = partition.begin(tenant, vec![own]).map_err(|error| error.to_string())?;
    fill.start().map_err(|error| error.to_string())?;
    partition.attach(fill).map_err(|error| error.to_string())?;
    Ok((view, reads))
}

fn announce(partition: &mut Partition, tenant: Tenant, definitions: &Definitions) {
    let unready = definitions.all().iter().filter_map(|view| match &view.state {
        State::Failed(message) => {
            let failure = Some(RuntimeError { message: message.clone() });
            Some(Unready { name: view.name().to_owned(), failure })
        }
        State::Filling | State::Live => None,
    });
    partition.announce(tenant, unready.collect());
}
