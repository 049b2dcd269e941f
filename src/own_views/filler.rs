//! The threads that fill views from history: one of them own views, one group at a time, the other SQL
//! that is followed.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use futures::TryStreamExt;
use ingest::history::HistoryError;
use projections::{Fill, FillError, OwnView, Tenant, View};
use tokio::runtime::Handle;

use super::compile::{STACK_BYTES, unpanicked};
use super::queue::Job;
use super::{Definitions, OwnViewError, Shared, stored};

/// How often a fill begins anew when more arrives than may be kept for it.
const ATTEMPTS: usize = 4;
/// Rows that the engine may be left to feed when a view is put in.
const LEFT_ROWS: usize = 2_048;
/// Rounds of catching up after which a view is put in with whatever is left.
const ROUNDS: usize = 64;

/// Why a group is not filled.
pub(super) enum Stop {
    /// Nobody wants it any more, or the service is stopping.
    Cancelled,
    /// More arrived than may be kept, or what it reads has changed: it may begin anew.
    Again(String),
    /// It cannot be filled.
    Failed(String),
}

impl From<OwnViewError> for Stop {
    fn from(error: OwnViewError) -> Self {
        match error {
            OwnViewError::Ended(_) => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<crate::serve::EngineEnded> for Stop {
    fn from(_: crate::serve::EngineEnded) -> Self {
        Self::Cancelled
    }
}

impl From<FillError> for Stop {
    fn from(error: FillError) -> Self {
        match error {
            FillError::Overrun(_) | FillError::Changed(_) => Self::Again(error.to_string()),
            FillError::Failed { view, error } => Self::Failed(format!("'{view}': {error}")),
        }
    }
}

/// Starts the threads. Each ends when its queue is closed.
pub(super) fn start(shared: &Arc<Shared>) -> Result<(), OwnViewError> {
    let (views, runtime) = (Arc::clone(shared), Handle::current());
    spawn("filler", move || {
        while let Some(job) = views.queue.next() {
            Filler { shared: &views, runtime: &runtime, job: &job }.run();
        }
    })?;
    let (followed, runtime) = (Arc::clone(shared), Handle::current());
    spawn("circuits", move || {
        while let Some(job) = followed.passing.queue().next() {
            Filler { shared: &followed, runtime: &runtime, job: &job }.pass();
        }
    })
}

/// Starts a thread that may compile.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OwnViewError> {
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).map(drop).map_err(OwnViewError::Thread)
}

/// Who does one job.
pub(super) struct Filler<'a> {
    pub(super) shared: &'a Shared,
    pub(super) runtime: &'a Handle,
    pub(super) job: &'a Job,
}

impl Filler<'_> {
    fn run(&self) {
        let begun = Instant::now();
        let mut outcome = Ok(());
        for attempt in 1..=ATTEMPTS {
            outcome = unpanicked(Stop::Failed, || self.fill()).and_then(|fill| self.attach(fill));
            let Err(Stop::Again(reason)) = &outcome else { break };
            tracing::info!(tenant = self.job.tenant.0, attempt, reason, "a fill begins anew");
        }
        match outcome {
            Ok(()) => {
                let seconds = begun.elapsed().as_secs_f64();
                tracing::info!(tenant = self.job.tenant.0, seconds, "views are filled");
            }
            Err(Stop::Cancelled) => {}
            Err(Stop::Again(reason) | Stop::Failed(reason)) => {
                tracing::warn!(tenant = self.job.tenant.0, reason, "views cannot be filled");
                self.give_up(&reason);
            }
        }
        self.shared.settled.send_replace(());
    }

    /// Brings the group's views from nothing to almost the present.
    fn fill(&self) -> Result<Fill, Stop> {
        let tenant = self.job.tenant;
        let views = self.compiled()?;
        let begin = self.shared.orders.run(tenant, move |partition| partition.begin(tenant, views));
        let fill = self.runtime.block_on(begin)??;
        self.fed(fill)
    }

    /// Brings a fill from its beginning to almost the present.
    pub(super) fn fed(&self, mut fill: Fill) -> Result<Fill, Stop> {
        let tenant = self.job.tenant;
        let types: Vec<_> = {
            let names = fill.event_types();
            let visible = self.shared.types.visible(tenant);
            names.filter_map(|name| visible.get(name).cloned()).collect()
        };
        let failed = |error: HistoryError| Stop::Failed(error.to_string());
        let mut readings = Vec::with_capacity(types.len());
        let mut whole = 0;
        for event_type in types {
            let Some(accepted) = self.shared.history.of(tenant) else { continue };
            let reading = accepted.read_events(tenant, &event_type, fill.offset());
            let share = self.runtime.block_on(reading.whole()).map_err(failed)?;
            whole += share;
            readings.push((reading, share));
        }
        self.job.begin(whole);
        self.pause(|| fill.start())?;
        let mut before = 0;
        for (reading, share) in readings {
            let mut batches = std::pin::pin!(reading.events());
            while let Some((read, events)) =
                self.runtime.block_on(batches.try_next()).map_err(failed)?
            {
                self.pause(|| fill.feed(events))?;
                self.job.advance(before + read);
            }
            before += share;
        }
        for _ in 0..ROUNDS {
            if self.pause(|| fill.catch_up())? <= LEFT_ROWS {
                break;
            }
        }
        Ok(fill)
    }

    /// The group's views, compiled over what the tenant has now.
    fn compiled(&self) -> Result<Vec<OwnView>, Stop> {
        let tenant = self.job.tenant;
        let group = self.shared.definitions(tenant).group(self.job.group);
        if group.is_empty() {
            return Err(Stop::Cancelled);
        }
        let snapshot = self.shared.readers.snapshot(tenant);
        let types = self.shared.types.visible(tenant);
        let is_own = |name: &str| group.iter().any(|view| view.name() == name);
        let mut readable: Vec<Arc<View>> = snapshot
            .views()
            .iter()
            .map(|view| view.view().clone())
            .filter(|view| !is_own(view.name()))
            .collect();
        let mut compiled = Vec::with_capacity(group.len());
        for view in &group {
            let missing = view.reads.iter().find(|name| readable.iter().all(|v| v.name() != *name));
            if let Some(missing) = missing {
                return Err(Stop::Failed(format!("it reads '{missing}', which cannot be read")));
            }
            let own =
                OwnView::compile(&types, &readable, &view.stated).map_err(OwnViewError::from)?;
            readable.push(own.view().clone());
            compiled.push(own);
        }
        Ok(compiled)
    }

    /// Does a piece of work, then steps back for as long as it took if the engine is busy.
    fn pause<T>(&self, work: impl FnOnce() -> Result<T, FillError>) -> Result<T, Stop> {
        if self.job.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let begun = Instant::now();
        let outcome = work()?;
        if self.shared.orders.is_busy() {
            thread::sleep(begun.elapsed());
        }
        Ok(outcome)
    }

    /// Puts the views in, unless they were defined anew meanwhile.
    fn attach(&self, fill: Fill) -> Result<(), Stop> {
        self.runtime.block_on(async {
            let _turn = self.shared.turn.lock().await;
            if self.job.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let tenant = self.job.tenant;
            let attach =
                move |partition: &mut projections::Partition| partition.attach(fill).map(drop);
            self.shared.orders.run(tenant, attach).await??;
            self.settle(tenant, |views| views.filled(self.job.group));
            self.shared.announce(tenant).await?;
            Ok(())
        })
    }

    /// The group cannot be filled: what was served before stays, what is new has failed.
    fn give_up(&self, reason: &str) {
        let outcome = self.runtime.block_on(async {
            let _turn = self.shared.turn.lock().await;
            if self.job.is_cancelled() {
                return Ok(());
            }
            let tenant = self.job.tenant;
            let restored = self.settle(tenant, |views| views.give_up(self.job.group, reason));
            if !restored.is_empty() {
                let stored: Vec<_> = restored.iter().map(stored).collect();
                self.shared.store.put_own_views(tenant.0, &stored).await?;
            }
            self.shared.announce(tenant).await
        });
        if let Err(error) = outcome {
            tracing::error!(%error, "a view that cannot be filled could not be given up in order");
        }
    }

    fn settle<T: Default>(&self, tenant: Tenant, change: impl FnOnce(&mut Definitions) -> T) -> T {
        self.shared.write().get_mut(&tenant).map(change).unwrap_or_default()
    }
}
