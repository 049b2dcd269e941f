//! The service with Kafka as its source: partitions that come to this node and leave it.
//!
//! A round, four times a second: this node says that it lives, reads who owns what, and does what
//! its [`assignment`] is. To give a partition up is to read its source no more, make a last
//! checkpoint, and release it; whoever takes it begins from that. The epoch that every new owner
//! raises is the fence: who has lost a partition without knowing can commit nothing.

mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use ingest::checkpoint::CheckpointError;
use ingest::{KafkaIntake, KafkaSource};
use tenancy::{Directory, Ownership, StoredPartition};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use self::moves::{Left, Seat, Taken};
use super::assignment::{self, Plan};
use super::checkpointer::CheckpointFailure;
use super::held::Host;
use super::registry::Registry;
use super::{Intake, ServeError, clock, eraser};
use crate::changes::Changes;
use crate::event_types::RefreshError;
use crate::http::App;
use crate::onboarding;

/// Between two looks at who owns what.
const ROUND: Duration = Duration::from_millis(250);
/// Between two times that this node says that it lives, …
const BEAT: Duration = Duration::from_secs(1);
/// … and how long that holds. A node that is killed is missed for so long.
const LEASE: Duration = Duration::from_secs(5);
/// By how much sooner this node takes itself for dead than others do.
const MARGIN: Duration = Duration::from_millis(500);
/// How long it takes itself for alive by what it said.
const ALIVE: Duration = LEASE.saturating_sub(MARGIN);
/// How long a partition that could not be taken is left alone.
const TAKE_AGAIN: Duration = Duration::from_secs(5);
/// For all partitions to be given up at shutdown.
const LEAVE_TIME: Duration = Duration::from_secs(12);

/// What this node has to do with the others.
pub(super) struct Cluster {
    pub(super) host: Arc<Host>,
    pub(super) app: Arc<App>,
    pub(super) source: Arc<KafkaSource>,
    pub(super) intake: KafkaIntake,
    pub(super) directory: Directory,
    /// What other nodes change.
    pub(super) changes: Arc<Changes>,
    pub(super) registry: Registry,
    /// `host:port` at which other nodes reach this one.
    pub(super) address: String,
}

/// What this node does with the partitions it has.
struct Keeper {
    cluster: Arc<Cluster>,
    seats: BTreeMap<u32, State>,
    /// What is under way.
    moves: JoinSet<Move>,
    beaten: Option<Instant>,
    /// Whether the last look at the others failed.
    is_blind: bool,
    /// The partitions that could not be taken when that was tried last.
    untaken: BTreeSet<u32>,
    is_open: bool,
    begun: Instant,
}

enum State {
    /// It is being taken, or given up.
    Moving,
    Held(Seat),
    /// It could not be taken then.
    Failed(Instant),
}

enum Move {
    Taken(u32, Result<Taken, ServeError>),
    Left(u32, Result<Left, ServeError>),
}

impl Cluster {
    /// Shares the partitions with the other nodes until `ending`, and gives all up then. The
    /// interface opens as soon as the first ones are served here, or others have them all.
    pub(super) async fn run(self, ending: CancellationToken) -> Result<(), ServeError> {
        let intake = Intake::Kafka(self.intake.clone(), self.directory.clone());
        let (directory, source) = (self.directory.clone(), Arc::clone(&self.source));
        let changes = Arc::clone(&self.changes);
        let (kafka, host) = (self.intake.clone(), Arc::clone(&self.host));
        let (types, app) = (&host.types, Arc::clone(&self.app));
        let mut keeper = Keeper {
            cluster: Arc::new(self),
            seats: BTreeMap::new(),
            moves: JoinSet::new(),
            beaten: None,
            is_blind: false,
            untaken: BTreeSet::new(),
            is_open: false,
            begun: Instant::now(),
        };
        let outcome = tokio::select! {
            () = ending.cancelled() => Ok(()),
            () = clock::keep(&directory, &intake, Some(&changes), &ending) => Ok(()),
            () = eraser::keep(&host, &intake) => Ok(()),
            () = onboarding::keep(&directory, types, &intake, &host.hub, &app.alerts) => Ok(()),
            () = source.follow(&kafka) => Ok(()),
            () = changes.follow() => Ok(()),
            ended = keeper.keep() => ended,
        };
        // Also those that are being taken: they wait for no more then.
        kafka.stop();
        let left = timeout(LEAVE_TIME, keeper.leave_all()).await;
        kafka.close().await;
        outcome?;
        left.map_err(|_| ServeError::Slow("the hand-over of the partitions"))?
    }
}

impl Keeper {
    /// Rounds for ever; ends by itself only when a part fails that the service rests on.
    async fn keep(&mut self) -> Result<(), ServeError> {
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(done) = self.moves.join_next() => {
                    self.settle(done.map_err(|_| ServeError::Ended("the taking of a partition"))?)?;
                }
                (number, error) = ended(&mut self.seats) => self.lost(number, error)?,
                _ = rounds.tick() => self.round().await,
            }
        }
    }

    /// One look, and what follows from it. A store that does not answer is asked again; what this
    /// node serves then ends with its lease.
    async fn round(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        let (registry, store) = (&cluster.registry, &cluster.host.place.store);
        let told = async {
            if self.beaten.is_none_or(|beaten| beaten.elapsed() >= BEAT) {
                let (said, now) = (Instant::now(), Utc::now());
                store.beat(registry.node(), &cluster.address, now + LEASE).await?;
                self.beaten = Some(said);
            }
            store.ownership().await
        };
        match told.await {
            Ok(ownership) => {
                registry.learn(ownership);
                self.is_blind = false;
            }
            Err(error) => {
                let was_blind = std::mem::replace(&mut self.is_blind, true);
                // A node that was halted, and is late by that, sees them with the next look.
                if !was_blind || self.beaten.is_some_and(|beaten| beaten.elapsed() < ALIVE) {
                    tracing::warn!(%error, "the other nodes cannot be seen; trying again");
                } else {
                    tracing::error!(%error, "the other nodes cannot be seen, and this one serves \
                        nothing until they can; trying again");
                }
                return;
            }
        }
        let ownership = registry.ownership();
        self.fence(&ownership);
        if let Some(said) = self.beaten {
            registry.lives(said, ALIVE);
        }
        let Plan { release, take } =
            assignment::plan(&ownership, registry.node(), registry.count(), Utc::now());
        for number in release {
            self.leave(number, true);
        }
        for (number, epoch) in take.into_iter().chain(self.unheld(&ownership)) {
            self.take(number, epoch);
        }
        self.open();
    }

    /// Lets go of what others have taken while this node counted as dead.
    fn fence(&mut self, ownership: &Ownership) {
        let is_lost = |held: &StoredPartition| match self.seats.get(&held.partition) {
            Some(State::Held(seat)) => seat.epoch() != held.epoch,
            Some(State::Moving | State::Failed(_)) | None => false,
        };
        let lost: Vec<u32> = ownership
            .partitions
            .iter()
            .filter(|held| is_lost(held))
            .map(|held| held.partition)
            .collect();
        for number in lost {
            self.let_go(number);
        }
    }

    /// The partitions that are this node's and that it does not hold: it was started anew.
    fn unheld(&self, ownership: &Ownership) -> Vec<(u32, u64)> {
        let registry = &self.cluster.registry;
        let mine = |number: u32| {
            let (owner, epoch) = assignment::owner(ownership, number, Utc::now());
            (owner == Some(registry.node())).then_some((number, epoch))
        };
        (0..registry.count()).filter_map(mine).collect()
    }

    /// Opens the interface once nothing is being taken that was to be taken first.
    fn open(&mut self) {
        let is_moving = self.seats.values().any(|state| matches!(state, State::Moving));
        if self.is_open || is_moving {
            return;
        }
        self.is_open = true;
        let intake = Intake::Kafka(self.cluster.intake.clone(), self.cluster.directory.clone());
        self.cluster.app.open(intake);
        tracing::info!(
            seconds = self.begun.elapsed().as_secs_f64(),
            partitions = self.seats.len(),
            "ready"
        );
    }

    fn take(&mut self, number: u32, epoch: u64) {
        match self.seats.get(&number) {
            None => {}
            Some(State::Failed(at)) if at.elapsed() >= TAKE_AGAIN => {}
            Some(State::Failed(_) | State::Moving | State::Held(_)) => return,
        }
        self.seats.insert(number, State::Moving);
        let cluster = Arc::clone(&self.cluster);
        self.moves.spawn(async move { Move::Taken(number, cluster.take(number, epoch).await) });
    }

    /// Gives a partition up; `is_owner` if nobody else has it yet.
    fn leave(&mut self, number: u32, is_owner: bool) {
        let held = |state: &mut State| matches!(state, State::Held(_));
        if !self.seats.get_mut(&number).is_some_and(held) {
            return;
        }
        let Some(State::Held(seat)) = self.seats.insert(number, State::Moving) else { return };
        let cluster = Arc::clone(&self.cluster);
        self.moves.spawn(async move { Move::Left(number, cluster.leave(seat, is_owner).await) });
    }

    /// What came of taking or giving up a partition.
    fn settle(&mut self, done: Move) -> Result<(), ServeError> {
        match done {
            Move::Taken(number, Ok(Taken::Seat(seat))) => {
                self.untaken.remove(&number);
                self.seats.insert(number, State::Held(seat));
            }
            Move::Taken(number, Ok(Taken::ByOther)) | Move::Left(number, Ok(Left)) => {
                self.untaken.remove(&number);
                self.seats.remove(&number);
            }
            Move::Taken(number, Err(error)) if self.is_open => {
                let is_first = self.untaken.insert(number);
                if is_first && is_of_control(&error) {
                    tracing::warn!(%error, partition = number, "a partition is not taken yet; trying again");
                } else {
                    tracing::error!(%error, partition = number, "a partition cannot be taken; trying again");
                }
                self.seats.insert(number, State::Failed(Instant::now()));
            }
            // At the start somebody looks, and the process says by its end that it is not well. Of one
            // that is left, the engine has ended without being told to.
            Move::Taken(_, Err(error)) | Move::Left(_, Err(error)) => return Err(error),
        }
        Ok(())
    }

    /// A part of a held partition has ended by itself.
    fn lost(&mut self, number: u32, error: ServeError) -> Result<(), ServeError> {
        if !matches!(
            error,
            ServeError::Checkpointer(CheckpointFailure::Checkpoint(CheckpointError::Fenced { .. }))
        ) {
            return Err(error);
        }
        self.let_go(number);
        Ok(())
    }

    /// Lets go of a partition that another node has taken.
    fn let_go(&mut self, number: u32) {
        tracing::warn!(partition = number, "another node has taken the partition");
        self.cluster.registry.serve(number, false);
        self.leave(number, false);
    }

    /// Gives all partitions up, and is no node any more.
    async fn leave_all(&mut self) -> Result<(), ServeError> {
        loop {
            let held: Vec<u32> = self.seats.keys().copied().collect();
            for number in held {
                self.leave(number, true);
            }
            match self.moves.join_next().await {
                Some(Ok(done)) => self.settle(done)?,
                Some(Err(_)) => return Err(ServeError::Ended("the hand-over of a partition")),
                None => break,
            }
        }
        let registry = &self.cluster.registry;
        Ok(self.cluster.host.place.store.retire(registry.node()).await?)
    }
}

/// Whether it was the control store that failed, which may be well the next time.
fn is_of_control(error: &ServeError) -> bool {
    matches!(
        error,
        ServeError::Control(_)
            | ServeError::Changes(RefreshError::Store(_))
            | ServeError::Checkpoint(CheckpointError::Commits(_))
    )
}

/// Waits until a part of one of the held partitions has ended.
async fn ended(seats: &mut BTreeMap<u32, State>) -> (u32, ServeError) {
    let held = seats.iter_mut().filter_map(|(number, state)| match state {
        State::Held(seat) => Some(Box::pin(async move { (*number, seat.ended().await) })),
        State::Moving | State::Failed(_) => None,
    });
    let held: Vec<_> = held.collect();
    if held.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(held).await.0
}
