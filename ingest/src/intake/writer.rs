//! The writer: gathers, prepares and commits groups, one commit at a time.
//!
//! While a group is being committed the next ones gather; when they are many, the next group is
//! prepared meanwhile. A failed commit takes the prepared group with it, because that was
//! deduplicated against what has now not been recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use projections::{Input, Tenant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::draft::Entered;
use super::group::{Group, Work};
use super::ledger::{Ledger, Marks};
use crate::{Log, LogError};

/// A group takes no more once it has so many rows …
const GROUP_ROWS: usize = 1 << 16;
/// … or works.
const GROUP_WORKS: usize = 1 << 10;
/// A group with so many rows is prepared while the one before is still being committed.
const AHEAD_ROWS: usize = 1 << 12;

/// The tenants' marks as they are on disk.
pub(super) type OnDisk = Arc<RwLock<HashMap<Tenant, Marks>>>;

pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) queue: mpsc::Receiver<Work>,
    pub(super) forward: mpsc::Sender<Input>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) on_disk: OnDisk,
    /// The commit under way.
    pub(super) flight: Option<JoinHandle<Result<(), Failure>>>,
    pub(super) open: bool,
    /// Dropped when the writer ends, however it ends.
    pub(super) _alive: watch::Sender<()>,
}

/// What became of a commit that did not succeed.
pub(super) enum Failure {
    /// It was not recorded.
    Log(LogError, Entered),
    /// The writer cannot go on.
    Broken(String),
}

/// The writer has nothing more to do, or cannot go on.
struct End;

#[derive(Default)]
struct Waiting {
    works: Vec<Work>,
    rows: usize,
}

impl Waiting {
    fn push(&mut self, work: Work) {
        if let Work::Submission(submission) = &work {
            self.rows +=
                submission.decoded.batches.iter().map(|b| b.rows.num_rows()).sum::<usize>();
        }
        self.works.push(work);
    }

    fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS || self.works.len() >= GROUP_WORKS
    }
}

impl Writer {
    pub(super) async fn run(mut self) {
        while self.turn().await.is_ok() {}
        // On an unexpected end the last commit is still awaited: its submitters get their answer.
        if self.flight.is_some() {
            // Its outcome is told to them and logged; there is nobody else to tell.
            drop(self.land(None).await);
        }
    }

    /// One group, from the queue to the beginning of its commit.
    async fn turn(&mut self) -> Result<(), End> {
        let works = self.gather().await?;
        let ledger = Arc::clone(&self.ledger);
        let prepared = tokio::task::spawn_blocking(move || {
            Group::prepare(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner), works)
        });
        let prepared = prepared.await.map_err(|error| {
            tracing::error!(%error, "the intake's writer broke while it prepared a group, and ends");
            End
        })?;
        let Some(group) = self.land(prepared).await? else {
            return Ok(());
        };
        let (log, on_disk, forward) =
            (self.log.clone(), Arc::clone(&self.on_disk), self.forward.clone());
        self.flight = Some(tokio::spawn(commit(log, on_disk, forward, group)));
        Ok(())
    }

    /// Waits for work. More joins it until the commit under way is done.
    async fn gather(&mut self) -> Result<Vec<Work>, End> {
        let mut waiting = Waiting::default();
        loop {
            while !waiting.is_full()
                && let Ok(work) = self.queue.try_recv()
            {
                self.accept(work, &mut waiting);
            }
            metrics::gauge!("tidemark_intake_queue_depth").set(self.queue.len() as f64);
            let ready = self.flight.is_none() || waiting.rows >= AHEAD_ROWS || waiting.is_full();
            if ready && !waiting.works.is_empty() {
                return Ok(waiting.works);
            }
            if !self.open && self.flight.is_none() {
                return Err(End);
            }
            tokio::select! {
                landed = landing(&mut self.flight), if self.flight.is_some() => {
                    self.flight = None;
                    self.landed(landed, None)?;
                }
                work = self.queue.recv(), if self.open => match work {
                    Some(work) => self.accept(work, &mut waiting),
                    None => self.open = false,
                },
            }
        }
    }

    fn accept(&mut self, work: Work, waiting: &mut Waiting) {
        match work {
            // What is queued already is still taken.
            Work::Close => self.queue.close(),
            work => waiting.push(work),
        }
    }

    /// Waits for the commit under way; `next`, prepared on top of it, is lost if it failed.
    async fn land(&mut self, next: Option<Group>) -> Result<Option<Group>, End> {
        let landed = if self.flight.is_some() { landing(&mut self.flight).await } else { Ok(()) };
        self.flight = None;
        self.landed(landed, next)
    }

    fn landed(
        &mut self,
        landed: Result<(), Failure>,
        next: Option<Group>,
    ) -> Result<Option<Group>, End> {
        match landed {
            Ok(()) => Ok(next),
            Err(Failure::Log(error, entered)) => {
                let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
                let on_disk = self.on_disk.read().unwrap_or_else(PoisonError::into_inner);
                entered.withdraw(&mut ledger, &on_disk);
                if let Some(next) = next {
                    next.fail(&error).withdraw(&mut ledger, &on_disk);
                }
                Ok(None)
            }
            Err(Failure::Broken(reason)) => {
                tracing::error!(reason, "the intake's writer ends");
                Err(End)
            }
        }
    }
}

/// The end of the commit under way; never, if there is none.
async fn landing(flight: &mut Option<JoinHandle<Result<(), Failure>>>) -> Result<(), Failure> {
    match flight {
        Some(commit) => {
            commit.await.unwrap_or_else(|error| Err(Failure::Broken(error.to_string())))
        }
        None => std::future::pending().await,
    }
}

/// Records the group, answers its submitters and sends its input on.
async fn commit(
    log: Log,
    on_disk: OnDisk,
    forward: mpsc::Sender<Input>,
    mut group: Group,
) -> Result<(), Failure> {
    let Some(payload) = group.payload.take() else {
        group.input.offset = log.last().await;
        settle(&on_disk, &mut group);
        group.succeed();
        return Ok(());
    };
    let started = Instant::now();
    match log.append(payload, std::mem::take(&mut group.parts)).await {
        Ok(offset) => group.input.offset = offset,
        Err(error) => {
            tracing::error!(%error, "a group of submissions was not recorded");
            metrics::counter!("tidemark_commits_failed_total").increment(1);
            let entered = group.fail(&error);
            return Err(Failure::Log(error, entered));
        }
    }
    metrics::histogram!("tidemark_commit_seconds").record(started.elapsed());
    settle(&on_disk, &mut group);
    let input = group.succeed();
    forward.send(input).await.map_err(|_| {
        Failure::Broken(
            "nobody takes its inputs any more; what is recorded is replayed at the next start"
                .to_owned(),
        )
    })
}

/// Takes over how far the tenants of a group have come, now that it is on disk.
fn settle(on_disk: &OnDisk, group: &mut Group) {
    let mut on_disk = on_disk.write().unwrap_or_else(PoisonError::into_inner);
    on_disk.extend(group.marks.drain(..));
    for tenant in &group.forgotten {
        on_disk.remove(tenant);
    }
}
