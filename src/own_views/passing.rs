//! SQL that is followed, maintained by the engine as a passing view for as long as somebody holds it.
//!
//! **In:** texts of SQL that were answered. **Out:** what they have over later snapshots, to whoever
//! holds them.
//!
//! Invariants:
//! - A passing view has no name: it is stored nowhere and listed nowhere, nobody reads it but who holds
//!   it, and it comes back neither after a restart nor on another node.
//! - Their number is bounded, of a tenant and in all, and so is what one of them holds, apart from what
//!   own views may have.
//! - It is given out only as long as each name in the SQL means what it meant when it was compiled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use projections::{
    EventType, EventTypes, Fill, OwnView, Partition, PassingId, Reads, Tenant, TenantSnapshot,
    View, ViewDefinition,
};
use stream::Rows;
use tokio::runtime::Handle;

use super::compile::unpanicked;
use super::filler::{Filler, Stop};
use super::queue::Queue;
use super::{OwnViewError, OwnViews, Shared};

/// For how long one is kept that nobody holds: a page that is loaded anew finds it.
const GRACE: Duration = Duration::from_secs(10);

/// The name under which they are compiled.
const NAME: &str = "@followed";

/// The passing views of all tenants.
pub(super) struct Passing {
    queue: Queue,
    runtime: Handle,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    views: HashMap<PassingId, Entry>,
}

struct Entry {
    tenant: Tenant,
    text: Arc<Text>,
    holders: usize,
    /// Taken by who fills it.
    alive: Option<Arc<()>>,
}

/// A text, and how far it has come.
struct Text {
    sql: String,
    /// As long as it waits, is filled or is maintained.
    alive: Weak<()>,
    /// Once it is compiled.
    ground: OnceLock<Ground>,
}

/// What the names in a text meant when it was compiled.
struct Ground {
    types: Vec<Arc<EventType>>,
    views: Vec<Arc<View>>,
}

/// A passing view, as long as this is held.
pub(crate) struct PassingView {
    shared: Arc<Shared>,
    tenant: Tenant,
    id: PassingId,
    text: Arc<Text>,
}

impl OwnViews {
    /// Has SQL of the tenant, which was answered, maintained from now on. None if there is no room for
    /// it now.
    pub(crate) fn follow(&self, tenant: Tenant, sql: &str) -> Option<PassingView> {
        let (id, text) = self.shared.passing.hold(&self.shared, tenant, sql)?;
        Some(PassingView { shared: Arc::clone(&self.shared), tenant, id, text })
    }
}

impl PassingView {
    /// Its rows over a snapshot of its tenant.
    pub(crate) fn over(&self, snapshot: &TenantSnapshot) -> Rows {
        let types = self.shared.types.visible(self.tenant);
        if !self.text.stands(&types, snapshot) {
            return Rows::Anew;
        }
        match snapshot.passing(self.id) {
            Some(rows) => Rows::At(rows.clone()),
            None if self.text.is_alive() => Rows::NotYet,
            None => Rows::Never,
        }
    }
}

impl Drop for PassingView {
    fn drop(&mut self) {
        if !self.shared.passing.leave(self.id) {
            return;
        }
        let (shared, tenant, id) = (Arc::clone(&self.shared), self.tenant, self.id);
        self.shared.passing.runtime.spawn(async move {
            tokio::time::sleep(GRACE).await;
            shared.let_go(tenant, id).await;
        });
    }
}

impl Shared {
    /// Lets a passing view go that nobody holds.
    async fn let_go(&self, tenant: Tenant, id: PassingId) {
        if self.passing.give_up(id) {
            self.passing.queue.cancel(tenant, id.0);
            self.take_out(tenant, id).await;
        }
    }

    /// Has the engine let a passing view go.
    async fn take_out(&self, tenant: Tenant, id: PassingId) {
        let order = move |partition: &mut Partition| partition.remove_passing(tenant, id);
        // Where the engine has ended there is none any more.
        let _ = self.orders.run(tenant, order).await;
    }
}

impl Text {
    fn is_alive(&self) -> bool {
        self.alive.strong_count() > 0
    }

    /// Whether each name means what it meant when it was compiled, if it is.
    fn stands(&self, types: &EventTypes, snapshot: &TenantSnapshot) -> bool {
        self.ground.get().is_none_or(|ground| ground.stands(types, snapshot))
    }
}

impl Ground {
    /// What a view reads of these.
    fn of(reads: &Reads, types: &EventTypes, views: &[Arc<View>]) -> Self {
        let types = reads.events.iter().filter_map(|name| types.get(name)).cloned();
        let is_read = |view: &&Arc<View>| reads.views.contains(view.name());
        Self { types: types.collect(), views: views.iter().filter(is_read).cloned().collect() }
    }

    fn stands(&self, types: &EventTypes, snapshot: &TenantSnapshot) -> bool {
        let is_type = |then: &Arc<EventType>| {
            types.get(then.name()).is_some_and(|now| Arc::ptr_eq(now, then))
        };
        let is_view = |then: &Arc<View>| {
            snapshot.view(then.name()).is_some_and(|now| Arc::ptr_eq(now.view(), then))
        };
        self.types.iter().all(is_type) && self.views.iter().all(is_view)
    }
}

impl Passing {
    /// None yet. Must be called within a tokio runtime.
    pub(super) fn new() -> Self {
        Self { queue: Queue::default(), runtime: Handle::current(), kept: Mutex::default() }
    }

    /// Those that are to be filled, by their numbers.
    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// One holder more of the view of a text; it is begun if there is none. None if no more may be.
    fn hold(&self, shared: &Shared, tenant: Tenant, sql: &str) -> Option<(PassingId, Arc<Text>)> {
        let (types, snapshot) = (shared.types.visible(tenant), shared.readers.snapshot(tenant));
        let limits = &shared.limits.passing;
        let mut kept = self.lock();
        let is_it = |entry: &Entry| {
            let text = &entry.text;
            entry.tenant == tenant
                && text.sql == sql
                && text.is_alive()
                && text.stands(&types, &snapshot)
        };
        if let Some((id, entry)) = kept.views.iter_mut().find(|(_, entry)| is_it(entry)) {
            entry.holders += 1;
            return Some((*id, Arc::clone(&entry.text)));
        }
        let of_tenant = kept.views.values().filter(|entry| entry.tenant == tenant).count();
        if of_tenant >= limits.tenant || kept.views.len() >= limits.all {
            return None;
        }
        kept.last += 1;
        let id = PassingId(kept.last);
        let alive = Arc::new(());
        let text =
            Text { sql: sql.to_owned(), alive: Arc::downgrade(&alive), ground: OnceLock::new() };
        let text = Arc::new(text);
        let entry = Entry { tenant, text: Arc::clone(&text), holders: 1, alive: Some(alive) };
        kept.views.insert(id, entry);
        drop(kept);
        self.queue.push(tenant, id.0);
        Some((id, text))
    }

    /// One holder less; whether it is kept for nobody now.
    fn leave(&self, id: PassingId) -> bool {
        let mut kept = self.lock();
        let Some(entry) = kept.views.get_mut(&id) else { return false };
        entry.holders -= 1;
        entry.holders == 0
    }

    /// Takes it out unless somebody holds it; whether it was there.
    fn give_up(&self, id: PassingId) -> bool {
        let mut kept = self.lock();
        let is_held = kept.views.get(&id).is_some_and(|entry| entry.holders > 0);
        !is_held && kept.views.remove(&id).is_some()
    }

    /// What is to be filled, and what is to be kept as long as it is; none if nobody wants it any more.
    fn begin(&self, id: PassingId) -> Option<(Arc<Text>, Arc<()>)> {
        let mut kept = self.lock();
        let entry = kept.views.get_mut(&id)?;
        Some((Arc::clone(&entry.text), entry.alive.take()?))
    }

    fn is_kept(&self, id: PassingId) -> bool {
        self.lock().views.contains_key(&id)
    }

    fn remove(&self, id: PassingId) {
        self.lock().views.remove(&id);
    }

    /// Lets those of some tenants go, of which the engine has none any more.
    pub(super) fn forget(&self, is_gone: impl Fn(Tenant) -> bool) {
        let mut kept = self.lock();
        let gone = kept.views.extract_if(|_, entry| is_gone(entry.tenant));
        let gone: Vec<(Tenant, PassingId)> = gone.map(|(id, entry)| (entry.tenant, id)).collect();
        drop(kept);
        for (tenant, id) in gone {
            self.queue.cancel(tenant, id.0);
        }
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filler<'_> {
    /// Fills a passing view and puts it in. What cannot be maintained is evaluated, so nobody is told.
    pub(super) fn pass(&self) {
        let (tenant, id) = (self.job.tenant, PassingId(self.job.group));
        let Some((text, alive)) = self.shared.passing.begin(id) else { return };
        let begun = Instant::now();
        let filled = unpanicked(Stop::Failed, || self.fill_passing(&text));
        match filled.and_then(|fill| self.attach_passing(id, fill, alive)) {
            Ok(()) => {
                let seconds = begun.elapsed().as_secs_f64();
                tracing::debug!(tenant = tenant.0, seconds, "SQL that is followed is maintained");
            }
            Err(Stop::Cancelled) => self.shared.passing.remove(id),
            Err(Stop::Again(reason) | Stop::Failed(reason)) => {
                tracing::debug!(tenant = tenant.0, reason, "SQL that is followed is evaluated");
                self.shared.passing.remove(id);
            }
        }
    }

    /// Compiles a text over what the tenant has now, and brings it almost to the present.
    fn fill_passing(&self, text: &Text) -> Result<Fill, Stop> {
        if !query::is_plain(&text.sql) {
            return Err(Stop::Failed("it has an order, or words that views have not".to_owned()));
        }
        let tenant = self.job.tenant;
        let snapshot = self.shared.readers.snapshot(tenant);
        let types = self.shared.types.visible(tenant);
        let readable: Vec<Arc<View>> = snapshot.views().iter().map(|v| v.view().clone()).collect();
        let (name, sql) = (NAME.to_owned(), text.sql.clone());
        let definition = ViewDefinition { name, sql, key: Vec::new(), internal: false };
        let view = OwnView::compile(&types, &readable, &definition).map_err(OwnViewError::from)?;
        view.may_pass().map_err(|reason| Stop::Failed(reason.to_owned()))?;
        let ground = Ground::of(view.reads(), &types, &readable);
        let over = ground.views.clone();
        // There is none yet: a text is compiled once.
        drop(text.ground.set(ground));
        let begin = move |partition: &mut Partition| partition.begin_passing(tenant, view, &over);
        let fill = self.runtime.block_on(self.shared.orders.run(tenant, begin))??;
        self.fed(fill)
    }

    /// Puts it in, unless nobody wants it any more.
    fn attach_passing(&self, id: PassingId, fill: Fill, alive: Arc<()>) -> Result<(), Stop> {
        if self.job.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let tenant = self.job.tenant;
        let attach = move |partition: &mut Partition| partition.attach_passing(id, fill, &alive);
        self.runtime.block_on(self.shared.orders.run(tenant, attach))??;
        // Who left in the meantime may have had it taken out before it was there.
        if !self.shared.passing.is_kept(id) {
            self.runtime.block_on(self.shared.take_out(tenant, id));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "passing_tests.rs"]
mod tests;
