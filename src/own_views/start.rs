//! Own views at the start: those in the store are put into the partition before the log is replayed.
//! What the partition has from a checkpoint they are given from history; the rest they get from the
//! log like all others.

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use ingest::history::{Accepted, HistoryError};
use projections::{
    EventRegistry, EventTypes, Fill, OwnView, Partition, Reads, RuntimeError, Tenant, Unready,
    View, ViewDefinition,
};
use tenancy::StoredView;
use tokio::runtime::Handle;

use super::compile::{on_large_stack, unpanicked};
use super::definitions::{Definition, Definitions, State};
use super::{OwnViewError, names};

/// Puts views as the store has them into a partition that does not run yet; `accepted` has what it
/// holds already. Where that cannot be read at this moment, none is: the partition is to be begun again,
/// rather than run with views that have failed for good.
pub(super) async fn load(
    stored: Vec<(u32, StoredView)>,
    accepted: Accepted,
    types: EventRegistry,
    mut partition: Partition,
) -> Result<(HashMap<Tenant, Definitions>, Partition), OwnViewError> {
    let mut by_tenant: Vec<(Tenant, Vec<StoredView>)> = Vec::new();
    for (tenant, view) in stored {
        match by_tenant.last_mut().filter(|(last, _)| last.0 == tenant) {
            Some((_, views)) => views.push(view),
            None => by_tenant.push((Tenant(tenant), vec![view])),
        }
    }
    if by_tenant.is_empty() {
        return Ok((HashMap::new(), partition));
    }
    let runtime = Handle::current();
    let attached = move || {
        let history = History { accepted: &accepted, runtime: &runtime };
        let mut tenants = HashMap::with_capacity(by_tenant.len());
        for (tenant, stored) in by_tenant {
            let types = types.visible(tenant);
            let put = |view| attach(&mut partition, &history, &types, tenant, view);
            let views =
                stored.into_iter().map(put).collect::<Result<Vec<Definition>, HistoryError>>()?;
            let mut definitions = Definitions::default();
            definitions.put(0, views);
            announce(&mut partition, tenant, &definitions);
            tenants.insert(tenant, definitions);
        }
        Ok::<_, HistoryError>((tenants, partition))
    };
    on_large_stack(attached).await?.map_err(OwnViewError::History)
}

/// Why a view is not in its partition.
enum Unattached {
    /// It may be the next time.
    Passing(HistoryError),
    /// It has failed, for this reason.
    Lasting(String),
}

impl From<String> for Unattached {
    fn from(reason: String) -> Self {
        Self::Lasting(reason)
    }
}

impl From<HistoryError> for Unattached {
    fn from(error: HistoryError) -> Self {
        if error.passes() { Self::Passing(error) } else { Self::Lasting(error.to_string()) }
    }
}

/// The events that a restored partition has had.
struct History<'a> {
    accepted: &'a Accepted,
    runtime: &'a Handle,
}

impl History<'_> {
    /// Feeds a tenant's events up to where its other views have come.
    fn feed(&self, types: &EventTypes, tenant: Tenant, fill: &mut Fill) -> Result<(), Unattached> {
        let names: Vec<String> = fill.event_types().map(str::to_owned).collect();
        for event_type in names.iter().filter_map(|name| types.get(name)) {
            let batches = self.accepted.events(tenant, event_type, fill.offset());
            let mut batches = std::pin::pin!(batches);
            while let Some(events) = self.runtime.block_on(batches.try_next())? {
                fill.feed(events).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

fn attach(
    partition: &mut Partition,
    history: &History<'_>,
    types: &EventTypes,
    tenant: Tenant,
    stored: StoredView,
) -> Result<Definition, HistoryError> {
    let StoredView { name, sql, key } = stored;
    let definition = ViewDefinition { name, sql, key, internal: false };
    let put = || attached(partition, history, types, tenant, &definition);
    let (view, reads, state) = match unpanicked(Unattached::Lasting, put) {
        Ok((view, reads)) => (Some(view), reads, State::Live),
        Err(Unattached::Passing(error)) => return Err(error),
        Err(Unattached::Lasting(reason)) => {
            tracing::warn!(tenant = tenant.0, view = definition.name, reason, "a view has failed");
            (None, Reads::default(), State::Failed(reason))
        }
    };
    let Reads { views: reads, events, declared } = reads;
    Ok(Definition {
        stated: definition,
        view,
        reads,
        events,
        declared,
        group: 0,
        state,
        former: None,
        refused: None,
    })
}

fn attached(
    partition: &mut Partition,
    history: &History<'_>,
    types: &EventTypes,
    tenant: Tenant,
    definition: &ViewDefinition,
) -> Result<(Arc<View>, Reads), Unattached> {
    if names::is_builtin(&definition.name) {
        let reason = "a built-in view has its name now; define it under another one";
        return Err(Unattached::Lasting(reason.to_owned()));
    }
    let snapshot = partition.readers().snapshot(tenant);
    let readable: Vec<Arc<View>> = snapshot.views().iter().map(|v| v.view().clone()).collect();
    let own = OwnView::compile(types, &readable, definition)
        .map_err(|e| OwnViewError::from(e).to_string())?;
    let (view, reads) = (own.view().clone(), own.reads().clone());
    let mut fill = partition.begin(tenant, vec![own]).map_err(|error| error.to_string())?;
    fill.start().map_err(|error| error.to_string())?;
    history.feed(types, tenant, &mut fill)?;
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
