//! A fill: own views on their way from nothing to the present, beside the running ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, Int64Array, RecordBatch};

use super::Reads;
use super::chain::{Chain, Feed, Outcome, owners};
use crate::functions::made::Limit;
use crate::{Change, EventBatch, RuntimeError, Tenant, TenantSnapshot, Tick, View, ViewSnapshot};

/// Rows of a view that are fed in one step.
const STEP_ROWS: usize = 1 << 16;

/// Why a fill cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// More arrived meanwhile than may be kept for it: begin it anew.
    #[error(
        "more than {0} bytes arrived while the view was being filled; define it again when less \
         is coming in"
    )]
    Overrun(usize),
    /// A view it reads is gone, was replaced or has failed since it was compiled: compile it anew.
    #[error("the view '{0}', which it reads, is not there any more")]
    Changed(String),
    /// One of the views cannot be computed, or holds too much.
    #[error("{error}")]
    Failed {
        /// The view.
        view: String,
        /// Why.
        error: RuntimeError,
    },
}

/// Own views of one tenant that are being filled together, in an order in which each reads only
/// those before it. Made by [`Partition::begin`](crate::Partition::begin); to be fed by one thread,
/// beside the partition's: [`start`](Self::start), then [`feed`](Self::feed) with all events of
/// [`event_types`](Self::event_types) up to [`offset`](Self::offset), then
/// [`catch_up`](Self::catch_up) until little is left, then
/// [`Partition::attach`](crate::Partition::attach).
pub struct Fill {
    tenant: Tenant,
    base: Arc<TenantSnapshot>,
    chain: Chain,
    snapshots: Vec<ViewSnapshot>,
    tap: Arc<Tap>,
    /// The bytes that the views may come to hold, and why they cannot hold more.
    room: usize,
    over: RuntimeError,
    /// The time of a step.
    limit: Option<Limit>,
}

/// What a tenant's partition was given since a fill began, as far as the fill reads it.
pub(crate) struct Tap {
    reads: Reads,
    bound: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    feeds: Vec<Feed>,
    bytes: usize,
    is_overrun: bool,
}

impl Tap {
    /// What the fill reads of what is outside of it.
    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Keeps what of `feed` the fill reads. False when there is no room: nothing is kept any more.
    pub(super) fn keep(&self, feed: &Feed) -> bool {
        let mut mine = Feed::empty(feed.tenant());
        let reads = &self.reads;
        let events = feed.events.iter().filter(|b| reads.events.contains(b.event_type.name()));
        mine.events.extend(events.cloned());
        let changes = feed.changes.iter().filter(|(view, _)| reads.views.contains(view.name()));
        mine.changes.extend(changes.cloned());
        let failures = feed.failures.iter().filter(|(view, _)| reads.views.contains(view.name()));
        mine.failures.extend(failures.cloned());
        mine.ticks.clone_from(&feed.ticks);
        let mut kept = self.lock();
        if kept.is_overrun {
            return false;
        }
        kept.bytes += bytes(&mine);
        if kept.bytes > self.bound {
            *kept = Kept { is_overrun: true, ..Kept::default() };
            return false;
        }
        kept.feeds.push(mine);
        true
    }

    /// Takes what is kept, or says that it was too much.
    fn take(&self) -> Result<Vec<Feed>, FillError> {
        let mut kept = self.lock();
        if kept.is_overrun {
            return Err(FillError::Overrun(self.bound));
        }
        kept.bytes = 0;
        Ok(std::mem::take(&mut kept.feeds))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a feed takes beside its rows.
const FEED_BYTES: usize = 256;

fn bytes(feed: &Feed) -> usize {
    let events = feed.events.iter().map(|batch| {
        let extra = batch.extra.as_ref().map_or(0, Array::get_array_memory_size);
        batch.rows.get_array_memory_size() + extra
    });
    let changes = feed.changes.iter().map(|(_, change)| change.rows.get_array_memory_size());
    FEED_BYTES + events.chain(changes).sum::<usize>()
}

impl Fill {
    /// A fill of `chain` that begins at `base`; the views may hold `room`, and `over` says why not
    /// more. So many bytes are kept for it of what arrives meanwhile.
    pub(super) fn new(
        base: Arc<TenantSnapshot>,
        chain: Chain,
        (room, over): (usize, RuntimeError),
        bound: usize,
    ) -> Result<Self, RuntimeError> {
        let reads = chain.outside();
        let snapshots = chain
            .links()
            .iter()
            .map(|link| ViewSnapshot::empty(link.view.clone()))
            .collect::<Result<_, _>>()?;
        let tap = Arc::new(Tap { reads, bound, kept: Mutex::default() });
        let (tenant, limit) = (base.tenant(), None);
        Ok(Self { tenant, base, chain, snapshots, tap, room, over, limit })
    }

    /// Sets the time that each step of it may take from here on.
    pub(super) fn limit(&mut self, limit: Option<Limit>) {
        self.limit = limit;
    }

    pub(super) fn tap(&self) -> &Arc<Tap> {
        &self.tap
    }

    /// The snapshot at which it began.
    pub fn base(&self) -> &Arc<TenantSnapshot> {
        &self.base
    }

    /// The event types whose history it is to be fed.
    pub fn event_types(&self) -> impl Iterator<Item = &str> {
        self.tap.reads.events.iter().map(String::as_str)
    }

    /// The source's offset up to and with which events are to be fed.
    pub fn offset(&self) -> u64 {
        self.base.offset()
    }

    /// The views.
    pub fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.chain.links().iter().map(|link| &link.view)
    }

    /// Feeds the tenant's date, and the rows of the views that are read.
    pub fn start(&mut self) -> Result<(), FillError> {
        let mut first = Feed::empty(self.tenant);
        let born = self.chain.unborn(&mut first);
        self.take(born)?;
        first.ticks.extend(self.base.today().map(|today| Tick { tenant: self.tenant, today }));
        self.step(first)?;
        for name in self.tap.reads.views.clone() {
            let base = self.base.clone();
            let view = base.view(&name).ok_or(FillError::Changed(name.clone()))?;
            let failed = |error| FillError::Failed { view: name.clone(), error };
            let batches = view.batches().map_err(failed)?;
            let mut waiting = Feed::empty(self.tenant);
            let mut rows = 0;
            for batch in batches {
                rows += batch.num_rows();
                waiting.changes.push((view.view().clone(), self.come(batch)));
                if rows >= STEP_ROWS {
                    self.step(std::mem::replace(&mut waiting, Feed::empty(self.tenant)))?;
                    rows = 0;
                }
            }
            self.step(waiting)?;
        }
        Ok(())
    }

    /// Feeds events of one type of the tenant's history.
    pub fn feed(&mut self, events: EventBatch) -> Result<(), FillError> {
        let mut feed = Feed::empty(self.tenant);
        feed.events.push(events);
        self.step(feed)
    }

    /// Feeds what the partition was given since the last call, and says how many rows it was.
    pub fn catch_up(&mut self) -> Result<usize, FillError> {
        let mut rows = 0;
        for feed in self.tap.take()? {
            rows += feed.events.iter().map(|batch| batch.rows.num_rows()).sum::<usize>();
            rows += feed.changes.iter().map(|(_, change)| change.len()).sum::<usize>();
            rows += feed.ticks.len();
            self.step(feed)?;
        }
        Ok(rows)
    }

    pub(super) fn into_parts(self) -> (Chain, Vec<ViewSnapshot>) {
        (self.chain, self.snapshots)
    }

    fn come(&self, rows: RecordBatch) -> Change {
        let weights = Int64Array::from(vec![1; rows.num_rows()]);
        Change::new(owners(self.tenant, weights.len()), rows, weights)
    }

    fn step(&mut self, mut feed: Feed) -> Result<(), FillError> {
        if let Some((view, _)) = feed.failures.first() {
            return Err(FillError::Changed(view.name().to_owned()));
        }
        let outcomes = self.chain.step(&mut feed, self.limit);
        self.take(outcomes)?;
        for (view, state) in self.snapshots.iter_mut().zip(self.chain.state(self.tenant)) {
            view.hold(state);
        }
        let held: Vec<usize> = self.snapshots.iter().map(ViewSnapshot::bytes).collect();
        if held.iter().sum::<usize>() > self.room {
            let largest = held.iter().enumerate().max_by_key(|(_, bytes)| **bytes);
            return Err(self.failed(largest.map_or(0, |(i, _)| i), self.over.clone()));
        }
        Ok(())
    }

    fn take(&mut self, outcomes: Vec<(usize, Outcome)>) -> Result<(), FillError> {
        for (index, outcome) in outcomes {
            match outcome {
                Outcome::Changed(part) => self.snapshots[index].apply(&part.delta),
                Outcome::Failed(error) => return Err(self.failed(index, error)),
            }
        }
        Ok(())
    }

    fn failed(&self, index: usize, error: RuntimeError) -> FillError {
        FillError::Failed { view: self.chain.links()[index].view.name().to_owned(), error }
    }
}
