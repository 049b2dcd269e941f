//! A partition that this node holds: put together from its checkpoint, its engine at work, its
//! checkpoints made; and how it is let go of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use ingest::Known;
use ingest::checkpoint::Source;
use ingest::history::Recent;
use projections::{Input, OwnLimits, Position, Tenant};
use stream::Hub;
use tenancy::audit::Trail;
use tenancy::{Directory, Fence, TenantRecord};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::checkpointer::{CheckpointFailure, Checkpointer, Erasure, Reading, Rhythm};
use super::engine::Engine;
use super::slots::Slots;
use super::{Cuts, EventHistory, Intake, Orders, ServeError, clock, restore};
use crate::event_types::TypeDirectory;
use crate::exports::Exports;
use crate::own_views::{OwnViews, STEP_TIME};
use crate::reports::Reports;

/// Inputs between the source and the engine; each is one group of submissions, or one poll of
/// Kafka, which is bounded too.
const INPUTS: usize = 16;
/// How often it is looked whether the engine has taken what was sent to it.
const LOOK: Duration = Duration::from_millis(2);
/// After how long a position is waited for again.
const AGAIN: Duration = Duration::from_millis(500);

/// What all partitions of a node have in common.
pub(super) struct Host {
    pub(super) place: restore::Place,
    pub(super) directory: Directory,
    pub(super) hub: Hub,
    pub(super) trail: Trail,
    pub(super) own_views: OwnViews,
    pub(super) exports: Exports,
    pub(super) reports: Reports,
    pub(super) history: EventHistory,
    pub(super) orders: Orders,
    /// By which right this node decides upon alerts of each partition's tenants.
    pub(super) fences: Slots<Fence>,
    pub(super) types: TypeDirectory,
    /// To the writers of checkpoints, who erase tenants.
    pub(super) erasures: Slots<mpsc::Sender<Erasure>>,
    /// When checkpoints are made.
    pub(super) rhythm: Rhythm,
    /// The bounds of a tenant's own views, and the bytes of all its views.
    pub(super) views: OwnLimits,
    pub(super) tenant_bytes: usize,
    /// Where checkpoints are written.
    pub(super) background: Handle,
}

/// From where the source of a partition is to be read.
pub(super) struct From {
    /// What the intake must know of what came before.
    pub(super) known: Known,
    /// Where its source stood; none: at its beginning.
    pub(super) source: Option<Source>,
    /// What came up to here is in the partition.
    pub(super) offset: u64,
}

/// A partition that is held.
pub(super) struct Held {
    pub(super) number: u32,
    /// The epoch under which it is held.
    pub(super) epoch: u64,
    /// To the engine. As long as it is here the engine is at work, also if its source has stopped.
    pub(super) forward: mpsc::Sender<Input>,
    engine: Engine,
    /// Who makes its checkpoints; comes back when told to stop.
    checkpoints: JoinHandle<Result<Checkpointer, CheckpointFailure>>,
    stop: CancellationToken,
    reading: Reading,
}

/// A partition whose source is not read yet.
pub(super) struct Opened {
    held: (u32, u64, Engine),
    checkpointer: Checkpointer,
    erasures: mpsc::Receiver<Erasure>,
    /// To the engine.
    pub(super) forward: mpsc::Sender<Input>,
}

impl Host {
    /// The tenants that live in a partition.
    pub(super) fn tenants(&self, number: u32) -> Vec<Arc<TenantRecord>> {
        let here =
            |tenant: &Arc<TenantRecord>| self.orders.home(Tenant(tenant.number)) == number as usize;
        self.directory.all().into_iter().filter(here).collect()
    }

    /// Takes a partition over and starts its engine. `from` is the epoch that it must have, 0 if
    /// nobody ever had it; none: whatever it has.
    pub(super) async fn open(
        &self,
        number: u32,
        from: Option<u64>,
        recent: Recent,
    ) -> Result<(Opened, From), ServeError> {
        let (cuts, requests) = Cuts::channel();
        let tenants: BTreeSet<Tenant> =
            self.tenants(number).iter().map(|tenant| Tenant(tenant.number)).collect();
        let wanted = restore::Wanted { number, from, tenants, recent, cuts };
        let restored = restore::open(&self.place, wanted).await?;
        let restore::Opened { mut partition, accepted, checkpointer, epoch, .. } = restored;
        partition.limit_own_views(self.views.clone());
        partition.time_own_views(STEP_TIME);
        partition.limit_tenants(self.tenant_bytes);
        let slot = number as usize;
        let partition = self.own_views.load(slot, partition, accepted.clone()).await?;
        self.history.set(slot, Some(accepted));
        let (forward, inputs) = mpsc::channel(INPUTS);
        let (offset, received) = (restored.offset, self.orders.open(slot));
        let hub = self.hub.clone();
        let engine = Engine::start(partition, offset, inputs, received, requests, hub)?;
        let from = From { known: restored.known, source: restored.source, offset };
        // One at a time is asked for.
        let (erase, erasures) = mpsc::channel(1);
        self.erasures.set(slot, Some(erase));
        self.fences.set(slot, Some(Fence { partition: number, epoch }));
        let held = (number, epoch, engine);
        Ok((Opened { held, checkpointer, erasures, forward }, from))
    }

    /// Records today's dates of the tenants of a partition, and waits until all that has been taken
    /// of them is in the views.
    pub(super) async fn settle(&self, number: u32, intake: &Intake) -> Result<(), ServeError> {
        let tenants = self.tenants(number);
        clock::tick_all(&tenants, intake, Utc::now()).await?;
        for tenant in tenants {
            let number = Tenant(tenant.number);
            let position = Position::new(number, intake.sequence(number));
            // For as long as it takes: the engine's end is watched elsewhere.
            while let Err(not_yet) = self.hub.wait_for(position, Duration::from_mins(1)).await {
                tracing::info!(%not_yet, "the events are read, the views are being computed");
                // Where too many wait already the answer comes at once.
                tokio::time::sleep(AGAIN).await;
            }
        }
        Ok(self.own_views.settle(number as usize).await?)
    }
}

impl Opened {
    /// The partition with its checkpoints being made of what is read in that way.
    pub(super) fn keep(self, reading: Reading, host: &Host) -> Held {
        let Self { held: (number, epoch, engine), checkpointer, erasures, forward } = self;
        let stop = CancellationToken::new();
        let run = checkpointer.run(reading.clone(), host.rhythm.clone(), erasures, stop.clone());
        let checkpoints = host.background.spawn(run);
        Held { number, epoch, forward, engine, checkpoints, stop, reading }
    }
}

impl Held {
    /// Returns when a part has ended that the partition rests on: with an error, or because another
    /// owner has it.
    pub(super) async fn ended(&mut self) -> ServeError {
        tokio::select! {
            () = self.engine.ended() => ServeError::Ended("the engine"),
            ended = &mut self.checkpoints => match ended {
                Ok(Err(error)) => error.into(),
                Ok(Ok(_)) | Err(_) => ServeError::Ended("the writer of checkpoints"),
            },
        }
    }

    /// Makes a last checkpoint of what the source has sent, which sends nothing any more.
    pub(super) async fn conclude(&mut self) -> Result<(), ServeError> {
        self.stop.cancel();
        let checkpointer = (&mut self.checkpoints).await;
        let mut checkpointer =
            checkpointer.map_err(|_| ServeError::Ended("the writer of checkpoints"))??;
        while self.forward.capacity() < self.forward.max_capacity() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(checkpointer.conclude(&self.reading).await?)
    }

    /// Ends the engine, after what was sent to it.
    pub(super) async fn end(self) -> Result<(), ServeError> {
        self.stop.cancel();
        self.checkpoints.abort();
        drop(self.forward);
        self.engine.ended().await;
        self.engine.join()
    }
}
