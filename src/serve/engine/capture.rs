//! Cuts of the engine's state, taken bit by bit between two inputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use projections::{CutSnapshots, Partition, StatePart, Tenant};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::EngineEnded;

/// Requests for a cut that wait; there is one writer of checkpoints.
const REQUESTS: usize = 1;
/// Portions between the engine and the writer.
const PORTIONS: usize = 16;
/// Bytes of a portion, about.
const PORTION: usize = 1 << 18;
/// How often it is looked how far the engine has come.
const LOOK: Duration = Duration::from_millis(2);
/// How long the engine takes portions between two inputs.
const AT_ONCE: Duration = Duration::from_millis(3);

/// The way by which the writer of checkpoints has the engine make a cut.
#[derive(Clone)]
pub(crate) struct Cuts {
    queue: mpsc::Sender<Request>,
    applied: Arc<AtomicU64>,
}

/// The engine's end of [`Cuts`].
pub(crate) struct Requests {
    queue: mpsc::Receiver<Request>,
    under_way: Option<mpsc::Sender<Portion>>,
    /// The offset of the last input that was applied.
    applied: Arc<AtomicU64>,
}

pub(super) struct Request {
    whole: bool,
    /// A tenant that is to be forgotten before.
    without: Option<Tenant>,
    reply: oneshot::Sender<Begun>,
}

/// A cut that has been made.
pub(crate) struct Begun {
    /// The views as they stood.
    pub(crate) snapshots: CutSnapshots,
    /// The offset of the last input that is in it.
    pub(crate) offset: u64,
    /// The state, bit by bit.
    pub(crate) portions: mpsc::Receiver<Portion>,
}

/// Some of the state of a cut.
pub(crate) struct Portion {
    pub(crate) parts: Vec<StatePart>,
    /// Whether there is no more.
    pub(crate) is_last: bool,
}

impl Cuts {
    /// The way to an engine that is started with what comes second.
    pub(crate) fn channel() -> (Self, Requests) {
        let (queue, requests) = mpsc::channel(REQUESTS);
        let applied = Arc::<AtomicU64>::default();
        let requests = Requests { queue: requests, under_way: None, applied: applied.clone() };
        (Self { queue, applied }, requests)
    }

    /// Has the engine make a cut before its next input. The one before must have been taken to its
    /// end, or this one be `whole`.
    pub(crate) async fn begin(&self, whole: bool) -> Result<Begun, EngineEnded> {
        self.ask(whole, None).await
    }

    /// Has the engine forget a tenant, and make a whole cut right after it.
    pub(crate) async fn without(&self, tenant: Tenant) -> Result<Begun, EngineEnded> {
        self.ask(true, Some(tenant)).await
    }

    async fn ask(&self, whole: bool, without: Option<Tenant>) -> Result<Begun, EngineEnded> {
        let (reply, begun) = oneshot::channel();
        let request = Request { whole, without, reply };
        self.queue.send(request).await.map_err(|_| EngineEnded)?;
        begun.await.map_err(|_| EngineEnded)
    }

    /// Waits until the engine has applied everything up to an offset.
    pub(crate) async fn reached(&self, offset: u64) -> Result<(), EngineEnded> {
        while self.applied.load(Ordering::Acquire) < offset {
            if self.queue.is_closed() {
                return Err(EngineEnded);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Requests {
    /// Says how far the engine has come.
    pub(super) fn applied(&self, offset: u64) {
        self.applied.store(offset, Ordering::Release);
    }

    /// Waits until a cut is asked for, or until there is room for a portion of the one under way,
    /// and does it.
    pub(super) async fn turn(&mut self) -> Turn {
        match &self.under_way {
            // A writer that has gone away does not want the rest.
            Some(portions) => match portions.clone().reserve_owned().await {
                Ok(room) => Turn::Take(room),
                Err(_) => Turn::GivenUp,
            },
            None => match self.queue.recv().await {
                Some(request) => Turn::Cut(request),
                None => std::future::pending().await,
            },
        }
    }

    /// Does what a turn says.
    pub(super) fn act(&mut self, turn: Turn, partition: &mut Partition, offset: u64) {
        match turn {
            Turn::Cut(Request { whole, without, reply }) => {
                if let Some(tenant) = without {
                    partition.forget(tenant);
                }
                let begun = Instant::now();
                let (portions, receiver) = mpsc::channel(PORTIONS);
                let snapshots = partition.cut(whole);
                metrics::histogram!("tidemark_checkpoint_pause_seconds").record(begun.elapsed());
                let begun = Begun { snapshots, offset, portions: receiver };
                if reply.send(begun).is_ok() {
                    self.under_way = Some(portions);
                }
            }
            Turn::Take(room) => self.take(room, partition),
            Turn::GivenUp => self.under_way = None,
        }
    }

    /// What is done between two inputs that are waiting: makes a cut that is asked for, and takes
    /// portions for a few milliseconds, as long as there is room for them.
    pub(super) fn between(&mut self, partition: &mut Partition, offset: u64) {
        let begun = Instant::now();
        while let Some(portions) = &self.under_way
            && begun.elapsed() < AT_ONCE
        {
            match portions.clone().try_reserve_owned() {
                Ok(room) => self.take(room, partition),
                Err(TrySendError::Full(_)) => break,
                Err(TrySendError::Closed(_)) => self.act(Turn::GivenUp, partition, offset),
            }
        }
        if self.under_way.is_none()
            && let Ok(request) = self.queue.try_recv()
        {
            self.act(Turn::Cut(request), partition, offset);
        }
        if self.under_way.is_some() {
            metrics::histogram!("tidemark_checkpoint_pause_seconds").record(begun.elapsed());
        }
    }

    fn take(&mut self, room: mpsc::OwnedPermit<Portion>, partition: &mut Partition) {
        let (parts, is_last) = partition.capture(PORTION);
        room.send(Portion { parts, is_last });
        if is_last {
            self.under_way = None;
        }
    }
}

/// What there is to do for checkpoints.
pub(super) enum Turn {
    Cut(Request),
    Take(mpsc::OwnedPermit<Portion>),
    GivenUp,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use projections::EventTypes;

    use super::*;

    #[tokio::test]
    async fn in_a_backlog_too_a_cut_is_made_after_one_that_was_given_up() {
        let mut partition = Partition::new(&EventTypes::builtin(), Vec::new()).unwrap();
        let (cuts, mut requests) = Cuts::channel();
        let begin = || {
            tokio::spawn({
                let cuts = cuts.clone();
                async move { cuts.begin(true).await }
            })
        };
        let first = begin();
        let request = requests.queue.recv().await.unwrap();
        requests.act(Turn::Cut(request), &mut partition, 1);
        // Its writer has failed.
        drop(first.await.unwrap().unwrap());
        let second = begin();
        while requests.queue.is_empty() {
            tokio::task::yield_now().await;
        }
        requests.between(&mut partition, 2);
        assert_eq!(second.await.unwrap().unwrap().offset, 2);
    }
}
