//! The views that tenants define for themselves: kept in the control store, filled from history
//! beside live traffic, and put into the partition at one position.
//!
//! **In:** definitions and deletions, from analysts. **Out:** orders to the engine, and for readers
//! what is defined and how far it has come.
//!
//! Invariants:
//! - A definition is on disk before its call is answered, and comes back after a restart.
//! - Changes of definitions take turns, and the filler puts views in within such a turn: what is
//!   defined and what the partition maintains never contradict each other.
//! - A view that is replaced serves until its successor is filled. Views that read it are filled
//!   and swapped together with it. If that fails, all stays as it was.
//! - A view that makes too much or computes for too long fails, and one with which the engine gives up in a
//!   panic; neither takes others with it, nor the start.
//! - One thread fills, one group of views at a time, tenants in turn; it steps back while the
//!   engine is busy. SQL that is followed is filled by another, so that no view waits for it.

mod changes;
mod compile;
mod definitions;
mod error;
mod filler;
mod names;
mod passing;
mod queue;
mod start;
mod time;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use ingest::history::Accepted;
use projections::{
    EventRegistry, Hidden, OwnLimits, Partition, Readers, Tenant, Unready, View, ViewDefinition,
};
use tenancy::{Store, StoredView};
use tokio::sync::{Mutex, MutexGuard, watch};

use self::definitions::{Definition, Definitions, State};
pub(crate) use self::error::OwnViewError;
use self::passing::Passing;
pub(crate) use self::passing::PassingView;
use self::queue::Queue;
pub(crate) use self::time::STEP_TIME;
use crate::serve::{EventHistory, Orders};

/// The own views of all tenants. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct OwnViews {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    history: EventHistory,
    types: EventRegistry,
    readers: Readers,
    orders: Orders,
    limits: OwnLimits,
    /// The number of the last group; held for as long as definitions are changed.
    turn: Mutex<u64>,
    /// Held for a look-up or a change in memory only.
    tenants: RwLock<HashMap<Tenant, Definitions>>,
    queue: Queue,
    /// SQL that is followed.
    passing: Passing,
    /// Told whenever a view has come further than being filled.
    settled: watch::Sender<()>,
}

/// What is said of an own view.
#[derive(Clone, Debug)]
pub(crate) struct OwnView {
    /// Its name, text and key.
    pub(crate) definition: ViewDefinition,
    /// Its columns; none if it does not compile.
    pub(crate) view: Option<Arc<View>>,
    /// `filling`, `live` or `failed`.
    pub(crate) state: &'static str,
    /// How much of it is filled, from 0 to 1.
    pub(crate) filled: f64,
    /// Why it failed, or why its last replacement was not taken.
    pub(crate) error: Option<String>,
    /// Whether a view of its name can be read meanwhile.
    pub(crate) is_served: bool,
}

impl OwnViews {
    /// Begins to fill what is defined from here on. Must be called within a tokio runtime.
    pub(crate) fn start(
        store: Store,
        history: EventHistory,
        types: EventRegistry,
        readers: Readers,
        orders: Orders,
        limits: OwnLimits,
    ) -> Result<Self, OwnViewError> {
        let shared = Shared {
            store,
            history,
            types,
            readers,
            orders,
            limits,
            turn: Mutex::new(0),
            tenants: RwLock::default(),
            queue: Queue::default(),
            passing: Passing::new(),
            settled: watch::Sender::new(()),
        };
        let this = Self { shared: Arc::new(shared) };
        filler::start(&this.shared)?;
        Ok(this)
    }

    /// Puts the stored views of all tenants that live in a partition into it, before it runs.
    /// `accepted` has the events that it holds already. One that does not compile is a failed view,
    /// not a failed start.
    pub(crate) async fn load(
        &self,
        number: usize,
        partition: Partition,
        accepted: Accepted,
    ) -> Result<Partition, OwnViewError> {
        let lives_here = |tenant: &u32| self.shared.orders.home(Tenant(*tenant)) == number;
        let mut stored = self.shared.store.own_views().await?;
        stored.retain(|(tenant, _)| lives_here(tenant));
        let types = self.shared.types.clone();
        let (loaded, partition) = start::load(stored, accepted, types, partition).await?;
        self.shared.write().extend(loaded);
        Ok(partition)
    }

    /// Says that what a partition did not hold at its start has been replayed.
    pub(crate) async fn settle(&self, number: usize) -> Result<(), OwnViewError> {
        let tenants: Vec<Tenant> = self.shared.read().keys().copied().collect();
        let first = tenants.into_iter().find(|of| self.shared.orders.home(*of) == number);
        // Any of them: it settles all of the partition.
        if let Some(tenant) = first {
            self.shared.orders.run(tenant, Partition::settle).await?;
        }
        Ok(())
    }

    /// Lets the views of all tenants go that live in a partition: another node has them now.
    pub(crate) fn unload(&self, number: usize) {
        let mut tenants = self.shared.write();
        let gone = tenants.extract_if(|tenant, _| self.shared.orders.home(*tenant) == number);
        for (tenant, definitions) in gone {
            for view in definitions.all().iter().filter(|view| view.state == State::Filling) {
                self.shared.queue.cancel(tenant, view.group);
            }
        }
        drop(tenants);
        self.shared.passing.forget(|tenant| self.shared.orders.home(tenant) == number);
        self.shared.settled.send_replace(());
    }

    /// Lets all views of a deleted tenant go; what is stored of them is for others to remove.
    pub(crate) async fn forget(&self, tenant: Tenant) {
        let _turn = self.shared.turn.lock().await;
        let gone = self.shared.write().remove(&tenant).unwrap_or_default();
        for view in gone.all().iter().filter(|view| view.state == State::Filling) {
            self.shared.queue.cancel(tenant, view.group);
        }
        self.shared.passing.forget(|other| other == tenant);
        self.shared.settled.send_replace(());
    }

    /// Fills nothing any more.
    pub(crate) fn close(&self) {
        self.shared.queue.close();
        self.shared.passing.queue().close();
    }

    /// Defines a view of the tenant, or another under the name of one it has; it reads nothing of
    /// what is `hidden`. The second value says whether there was none.
    ///
    /// On a task of its own: a caller that goes away must not leave store and memory in discord.
    pub(crate) async fn define(
        &self,
        tenant: Tenant,
        definition: ViewDefinition,
        hidden: Arc<Hidden>,
    ) -> Result<(OwnView, bool), OwnViewError> {
        // PostgreSQL keeps no text with NUL in it.
        if definition.sql.contains('\0') {
            let message = "the SQL has the character NUL in it; take it out";
            return Err(OwnViewError::Invalid(message.to_owned()));
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let mut turn = shared.turn.lock().await;
            let name = definition.name.clone();
            let is_new = shared.take(&mut turn, tenant, definition, &hidden).await?;
            let view = shared.describe(tenant, &name);
            view.map(|view| (view, is_new)).ok_or(OwnViewError::Unknown(name))
        })
        .await?
    }

    /// Deletes a view of the tenant, unless others read it.
    pub(crate) async fn delete(&self, tenant: Tenant, name: String) -> Result<(), OwnViewError> {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _turn = shared.turn.lock().await;
            shared.remove(tenant, name).await
        })
        .await?
    }

    /// What is said of the tenant's own view of that name.
    pub(crate) fn get(&self, tenant: Tenant, name: &str) -> Option<OwnView> {
        self.shared.describe(tenant, name)
    }

    /// All own views of the tenant.
    pub(crate) fn all(&self, tenant: Tenant) -> Vec<OwnView> {
        let tenants = self.shared.read();
        let views = tenants.get(&tenant).map_or(&[][..], Definitions::all);
        views.iter().map(|view| self.shared.said(tenant, view)).collect()
    }

    /// Hides the tenant's own views that read what is hidden.
    pub(crate) fn hide(&self, tenant: Tenant, hidden: &mut Hidden) {
        let tenants = self.shared.read();
        // Each reads only those before it.
        for view in tenants.get(&tenant).map_or(&[][..], Definitions::all) {
            if let Some(module) = view.hidden_by(hidden).map(str::to_owned) {
                hidden.add_view(view.name(), module);
            }
        }
    }

    /// Keeps all definitions as they are for as long as it is held.
    pub(crate) async fn hold(&self) -> MutexGuard<'_, u64> {
        self.shared.turn.lock().await
    }

    /// The tenant's own views that read a field which it has declared beside those of an event type, or
    /// are to be served until others of their names are filled and read it.
    pub(crate) fn reading(&self, tenant: Tenant, event_type: &str, field: &str) -> Vec<String> {
        let tenants = self.shared.read();
        let views = tenants.get(&tenant).map_or(&[][..], Definitions::all);
        let reading = views.iter().filter(|view| view.reads_declared(event_type, field));
        reading.map(|view| view.name().to_owned()).collect()
    }

    /// Waits until the view can be read or has failed, at most for `patience`. False if it is still
    /// being filled then.
    pub(crate) async fn wait(&self, tenant: Tenant, name: &str, patience: Duration) -> bool {
        let mut settled = self.shared.settled.subscribe();
        let is_filling = || {
            let tenants = self.shared.read();
            let Some(view) = tenants.get(&tenant).and_then(|views| views.get(name)) else {
                return false;
            };
            // Readers are told a moment after what is defined has changed.
            let snapshot = self.shared.readers.snapshot(tenant);
            let is_told = snapshot.unready(name).is_none_or(|told| told.failure.is_some());
            view.state == State::Filling && !view.is_served() || !is_told
        };
        let done = async {
            while is_filling() {
                if settled.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, done).await.is_ok()
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Tenant, Definitions>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Tenant, Definitions>> {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn definitions(&self, tenant: Tenant) -> Definitions {
        self.read().get(&tenant).cloned().unwrap_or_default()
    }

    fn describe(&self, tenant: Tenant, name: &str) -> Option<OwnView> {
        let tenants = self.read();
        let view = tenants.get(&tenant)?.get(name)?;
        Some(self.said(tenant, view))
    }

    fn said(&self, tenant: Tenant, view: &Definition) -> OwnView {
        let snapshot = self.readers.snapshot(tenant);
        let failed_since = snapshot.view(view.name()).and_then(|v| v.failure()).cloned();
        let (state, filled, error) = match &view.state {
            State::Filling => ("filling", self.queue.filled(tenant, view.group), None),
            State::Failed(error) => ("failed", 0.0, Some(error.clone())),
            State::Live => match failed_since {
                Some(failure) => ("failed", 1.0, Some(failure.to_string())),
                None => ("live", 1.0, view.refused.clone()),
            },
        };
        let definition = view.stated.clone();
        let is_served = view.is_served();
        OwnView { definition, view: view.view.clone(), state, filled, error, is_served }
    }

    /// Has the engine take out what is not defined any more, and say what cannot be read.
    async fn announce(&self, tenant: Tenant) -> Result<(), OwnViewError> {
        let definitions = self.definitions(tenant);
        let unready = definitions.all().iter().filter(|view| !view.is_served()).map(|view| {
            let failure = match &view.state {
                State::Failed(message) => {
                    Some(projections::RuntimeError { message: message.clone() })
                }
                State::Filling | State::Live => None,
            };
            Unready { name: view.name().to_owned(), failure }
        });
        let unready: Vec<Unready> = unready.collect();
        let served = definitions.all().iter().filter(|view| view.is_served());
        let served: Vec<String> = served.map(|view| view.name().to_owned()).collect();
        let builtin = self.readers.views().len();
        let order = move |partition: &mut Partition| {
            let snapshot = partition.readers().snapshot(tenant);
            let own = snapshot.views().iter().skip(builtin).map(|view| view.view().name());
            let gone: Vec<&str> =
                own.filter(|name| !served.iter().any(|served| served == name)).collect();
            partition.remove(tenant, &gone);
            partition.announce(tenant, unready);
        };
        Ok(self.orders.run(tenant, order).await?)
    }
}

fn stored(view: &Definition) -> StoredView {
    let ViewDefinition { name, sql, key, .. } = &view.stated;
    StoredView { name: name.clone(), sql: sql.clone(), key: key.clone() }
}

#[cfg(test)]
mod tests;
