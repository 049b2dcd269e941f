//! How a partition is taken, and how it is given up.

use chrono::Utc;
use ingest::checkpoint::{CheckpointError, Source};
use ingest::history::{Recent, Tail};
use ingest::{Begin, KafkaPartition, Outlet};
use projections::Tenant;

use super::{Cluster, assignment};
use crate::serve::checkpointer::Reading;
use crate::serve::held::{From, Held};
use crate::serve::{Intake, ServeError};

/// Bytes of events of one partition that wait in memory to become history.
const TAIL_BYTES: usize = 1 << 30;

/// A partition that is held and read.
pub(super) struct Seat {
    held: Held,
    partition: KafkaPartition,
}

/// What came of taking a partition.
pub(super) enum Taken {
    Seat(Seat),
    /// Another node was quicker.
    ByOther,
}

/// A partition was given up.
pub(super) struct Left;

impl Seat {
    /// The epoch under which it is held.
    pub(super) fn epoch(&self) -> u64 {
        self.held.epoch
    }

    /// Returns when a part has ended that it rests on. A source that has stopped is none: what came
    /// before it can be read.
    pub(super) async fn ended(&mut self) -> ServeError {
        self.held.ended().await
    }
}

impl Cluster {
    /// Takes a partition over from an epoch, reads on from its checkpoint, and serves it once all is
    /// in the views that was in the topics by then.
    pub(super) async fn take(&self, number: u32, epoch: u64) -> Result<Taken, ServeError> {
        let begun = std::time::Instant::now();
        // Of every tenant that may have had events.
        self.changes.look().await?;
        let tail = Tail::new(TAIL_BYTES);
        let opened = self.host.open(number, Some(epoch), Recent::Tail(tail.clone())).await;
        let (opened, from) = match opened {
            Err(ServeError::Checkpoint(CheckpointError::Fenced { .. })) => {
                return Ok(Taken::ByOther);
            }
            // Whoever was quicker removes the files that this node still reads.
            Err(_) if self.is_others(number).await? => return Ok(Taken::ByOther),
            opened => opened?,
        };
        let outlet = Outlet { forward: opened.forward.clone(), tail };
        let partition = self.source.read(number as i32, begin(from), outlet)?;
        self.intake.put(partition.clone());
        let held = opened.keep(Reading::Kafka(partition.clone()), &self.host);
        // One that has stopped has said why; what it has is served.
        if partition.caught_up().await.is_ok() {
            let intake = Intake::Kafka(self.intake.clone(), self.directory.clone());
            if let Err(error) = self.host.settle(number, &intake).await {
                // The keeper of dates tries again; an engine that has ended ends the service.
                tracing::warn!(%error, partition = number, "a date was not recorded");
            }
        }
        let seat = Seat { held, partition };
        // Reading took a while, in which this node may have been taken for dead.
        if self.is_lost(&seat).await {
            self.leave(seat, false).await?;
            return Ok(Taken::ByOther);
        }
        self.registry.serve(number, true);
        let (seconds, epoch) = (begun.elapsed().as_secs_f64(), seat.epoch());
        tracing::info!(partition = number, epoch, seconds, "a partition is served here");
        Ok(Taken::Seat(seat))
    }

    /// Whether another node that lives has a partition by now.
    async fn is_others(&self, number: u32) -> Result<bool, ServeError> {
        let ownership = self.host.place.store.ownership().await?;
        let (owner, _) = assignment::owner(&ownership, number, Utc::now());
        Ok(owner.is_some_and(|owner| owner != self.registry.node()))
    }

    /// Whether a partition has another epoch by now. What cannot be seen is seen by the next round: an error
    /// must not let go of what is held.
    async fn is_lost(&self, seat: &Seat) -> bool {
        let number = seat.held.number;
        match self.host.place.store.ownership().await {
            Ok(now) => {
                let mut of = now.partitions.iter().filter(|held| held.partition == number);
                of.any(|held| held.epoch != seat.epoch())
            }
            Err(error) => {
                tracing::warn!(%error, partition = number, "who has the partition by now cannot be seen");
                false
            }
        }
    }

    /// Gives a partition up: its source is read no more, a last checkpoint has all of it, and then
    /// it is nobody's. One that is another's already is only let go of.
    pub(super) async fn leave(&self, seat: Seat, is_owner: bool) -> Result<Left, ServeError> {
        let Seat { mut held, partition } = seat;
        let (number, epoch) = (held.number, held.epoch);
        // Requests wait from here on, until somebody else serves it.
        self.registry.serve(number, false);
        partition.close();
        partition.ended().await;
        if is_owner && let Err(error) = held.conclude().await {
            // Whoever takes it reads more again; nothing is lost.
            tracing::warn!(%error, partition = number, "the last checkpoint was not made");
        }
        self.intake.take(number as i32);
        let slot = number as usize;
        let host = &self.host;
        host.fences.set(slot, None);
        let lives_there = |tenant: Tenant| host.orders.home(tenant) == slot;
        // Whoever watches comes again, and finds who serves it then.
        host.hub.leave(lives_there);
        host.orders.close(slot);
        host.own_views.unload(slot);
        let ended = held.end().await;
        host.history.set(slot, None);
        host.erasures.set(slot, None);
        host.place.readers.retain(|tenant| !lives_there(tenant));
        if is_owner && let Err(error) = host.place.store.release_partition(number, epoch).await {
            // It is this node's still, which takes it again and gives it up again.
            tracing::warn!(%error, partition = number, "a partition was not released");
        }
        tracing::info!(partition = number, "a partition is not served here any more");
        ended.map(|()| Left)
    }
}

/// Where to begin in the topics.
fn begin(from: From) -> Begin {
    let From { known, source, offset } = from;
    let offsets = match source {
        Some(Source::Kafka { offsets }) => offsets,
        Some(Source::Log { .. }) | None => ingest::Offsets::default(),
    };
    Begin { offsets, step: offset, known }
}
