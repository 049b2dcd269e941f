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
    EventRegistry, Hidden, OwnLimits, Partition, Readers, Reads, Tenant, Unready, View,
    ViewDefinition,
};
use tenancy::{Store, StoredView};
use tokio::sync::{Mutex, MutexGuard, watch};

use self::compile::{Reading, compile};
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

    /// Takes a definition; false if it is that of a view there was.
    async fn take(
        &self,
        turn: &mut u64,
        tenant: Tenant,
        definition: ViewDefinition,
        hidden: &Hidden,
    ) -> Result<bool, OwnViewError> {
        names::check(&definition.name)?;
        check_shown(&definition.name, hidden.view(&definition.name))?;
        let name = definition.name.clone();
        let definitions = self.definitions(tenant);
        let before = definitions.get(&name);
        if let Some(before) = before.filter(|before| before.stated == definition)
            && !self.has_failed(tenant, before)
        {
            return Ok(false);
        }
        let is_new = before.is_none();
        self.check_room(tenant, &definitions, is_new)?;
        let changed = self.changed(tenant, &definitions, definition).await?;
        // The first is the new one; the others read it, and may well be hidden.
        if let Some(view) = changed.first() {
            check_shown(view.name(), view.hidden_by(hidden))?;
        }
        let stored: Vec<StoredView> = changed.iter().map(stored).collect();
        self.store.put_own_views(tenant.0, &stored).await?;
        *turn += 1;
        let group = *turn;
        let ended = self.write().entry(tenant).or_default().put(group, changed);
        self.queue.replace(tenant, &ended, group);
        self.announce(tenant).await?;
        Ok(is_new)
    }

    /// The definition, compiled, and behind it the views that read it.
    async fn changed(
        &self,
        tenant: Tenant,
        definitions: &Definitions,
        definition: ViewDefinition,
    ) -> Result<Vec<Definition>, OwnViewError> {
        let name = definition.name.clone();
        let dependants: Vec<Definition> =
            definitions.dependants(&name).into_iter().cloned().collect();
        let mut reading = Reading::new(self.readers.views(), definitions);
        let (own, reads) =
            compile(&self.types.visible(tenant), &reading, definition.clone()).await?;
        let circle = dependants.iter().map(Definition::name).chain([name.as_str()]);
        if let Some(through) = circle.into_iter().find(|other| reads.views.contains(*other)) {
            let mut path = vec![name.clone()];
            path.extend(definitions.path(through, &name));
            return Err(OwnViewError::Cycle(path));
        }
        let mut changed =
            vec![self.renewed(tenant, definitions.get(&name), definition, own, reads)];
        reading.replace(&changed[0]);
        for dependant in dependants {
            let definition = dependant.stated.clone();
            let compiled = compile(&self.types.visible(tenant), &reading, definition.clone()).await;
            let (own, reads) = compiled.map_err(|error| OwnViewError::Breaks {
                reader: definition.name.clone(),
                reason: error.to_string(),
            })?;
            let renewed = self.renewed(tenant, Some(&dependant), definition, own, reads);
            reading.replace(&renewed);
            changed.push(renewed);
        }
        Ok(changed)
    }

    /// A definition that is to be filled in the place of another.
    fn renewed(
        &self,
        tenant: Tenant,
        before: Option<&Definition>,
        definition: ViewDefinition,
        view: Arc<View>,
        reads: Reads,
    ) -> Definition {
        let former = before.and_then(|before| match before.state {
            State::Live if !self.has_failed(tenant, before) => {
                Some(Box::new(Definition { refused: None, ..before.clone() }))
            }
            _ => before.former.clone(),
        });
        let (view, state) = (Some(view), State::Filling);
        let Reads { views: reads, events, declared } = reads;
        let (stated, refused) = (definition, None);
        Definition { stated, view, reads, events, declared, group: 0, state, former, refused }
    }

    fn has_failed(&self, tenant: Tenant, view: &Definition) -> bool {
        let snapshot = self.readers.snapshot(tenant);
        let failed = |name| snapshot.view(name).is_some_and(|view| view.failure().is_some());
        matches!(view.state, State::Failed(_)) || view.state == State::Live && failed(view.name())
    }

    fn check_room(
        &self,
        tenant: Tenant,
        definitions: &Definitions,
        is_new: bool,
    ) -> Result<(), OwnViewError> {
        let OwnLimits { views, state_bytes, .. } = self.limits;
        if is_new && definitions.all().len() >= views {
            return Err(OwnViewError::Limit(format!(
                "there are {views} own views, and no more may be; delete one first"
            )));
        }
        let snapshot = self.readers.snapshot(tenant);
        let own = snapshot.views().iter().filter(|v| definitions.get(v.view().name()).is_some());
        let held: usize = own.map(projections::ViewSnapshot::bytes).sum();
        if is_new && held >= state_bytes {
            return Err(OwnViewError::Limit(format!(
                "the own views hold {held} bytes, and may hold {state_bytes}; delete one first"
            )));
        }
        Ok(())
    }

    async fn remove(&self, tenant: Tenant, name: String) -> Result<(), OwnViewError> {
        let definitions = self.definitions(tenant);
        let Some(view) = definitions.get(&name) else {
            let error = if names::is_builtin(&name) {
                OwnViewError::BuiltIn
            } else {
                OwnViewError::Unknown
            };
            return Err(error(name));
        };
        let readers: Vec<String> =
            definitions.readers(&name).into_iter().map(str::to_owned).collect();
        if !readers.is_empty() {
            return Err(OwnViewError::InUse { name, readers });
        }
        self.store.delete_own_view(tenant.0, &name).await?;
        let group = view.group;
        let rest = {
            let mut tenants = self.write();
            let definitions = tenants.entry(tenant).or_default();
            definitions.remove(&name);
            let rest = definitions.group(group);
            if definitions.all().is_empty() {
                tenants.remove(&tenant);
            }
            rest
        };
        if view.state == State::Filling {
            self.queue.cancel(tenant, group);
            if !rest.is_empty() {
                self.queue.push(tenant, group);
            }
        }
        self.settled.send_replace(());
        self.announce(tenant).await
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

fn check_shown(view: &str, hidden_by: Option<&str>) -> Result<(), OwnViewError> {
    match hidden_by {
        None => Ok(()),
        Some(module) => {
            Err(OwnViewError::SwitchedOff { view: view.to_owned(), module: module.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests;
