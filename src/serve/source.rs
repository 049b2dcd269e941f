//! Where events come from: the embedded log with its one partition, or Kafka with several.

use std::sync::Arc;

use ingest::history::{Accepted, HistoryStore, Recent, Tail};
use ingest::{KafkaSource, Known, Log, Outlet};
use projections::{EventRegistry, Partition, ViewDefinition};
use tenancy::{Directory, Store};

use super::checkpointer::Checkpointer;
use super::engine::{Cuts, alone};
use super::{EventHistory, Home, Intake, ServeError, kafka, restore};
use crate::config::Config;

/// The epoch of history's files: their partitions have had one owner.
const FIRST_EPOCH: u64 = 0;
/// Bytes of events of one partition of Kafka that wait in memory to become history.
const TAIL_BYTES: usize = 4 << 30;

/// What the service goes on from.
pub(super) struct Opened {
    /// The first partition, and the others.
    pub(super) partitions: (Partition, Vec<Partition>),
    /// For each partition where the events of Kafka wait to become history.
    pub(super) tails: Vec<Tail>,
    /// All accepted events.
    pub(super) history: EventHistory,
    pub(super) begin: Begin,
}

/// From where the source is read, and who writes the next checkpoint.
pub(super) struct Begin {
    /// What the intake must know of what came before.
    pub(super) known: Known,
    /// What came up to here is in the partitions.
    pub(super) offset: u64,
    pub(super) checkpointer: Option<Checkpointer>,
}

/// A source that is open and not read yet.
pub(super) enum Source {
    Log(Log),
    Kafka(KafkaSource),
}

impl Source {
    /// The source that the configuration names.
    pub(super) async fn open(
        config: &Config,
        store: &Store,
        directory: &Directory,
        types: &EventRegistry,
    ) -> Result<Self, ServeError> {
        match kafka::open(config, store, directory, types).await? {
            Some(source) => Ok(Self::Kafka(source)),
            None => Ok(Self::Log(Log::open(&config.log(), types.clone()).await?)),
        }
    }

    /// How many partitions it has.
    pub(super) fn partitions(&self) -> usize {
        match self {
            Self::Log(_) => 1,
            Self::Kafka(source) => usize::try_from(source.partitions()).unwrap_or(1),
        }
    }

    /// In which of them a tenant lives.
    pub(super) fn home(&self, directory: &Directory) -> Home {
        match self {
            Self::Log(_) => alone(),
            Self::Kafka(source) => kafka::home(directory, source.partitions()),
        }
    }

    /// The log, if that is the source.
    pub(super) fn log(&self) -> Option<&Log> {
        match self {
            Self::Log(log) => Some(log),
            Self::Kafka(_) => None,
        }
    }

    /// The partitions as their checkpoints have them; those of Kafka have none, and begin from
    /// nothing.
    pub(super) async fn restore(
        &self,
        config: &Config,
        store: &Store,
        types: &EventRegistry,
        home: &Home,
        cuts: Vec<Cuts>,
    ) -> Result<Opened, ServeError> {
        let objects = config.objects().open(ingest::objects::environment())?;
        if let (Self::Log(log), Some(cuts)) = (self, cuts.into_iter().next()) {
            let opened = restore::open(objects, store.clone(), log, types, cuts).await?;
            let restore::Opened { partition, known, offset, accepted, checkpointer } = opened;
            let history = EventHistory::new(vec![accepted], Arc::clone(home));
            let begin = Begin { known, offset, checkpointer: Some(checkpointer) };
            let tails = vec![Tail::new(TAIL_BYTES)];
            return Ok(Opened { partitions: (partition, Vec::new()), tails, history, begin });
        }
        let (mut accepted, mut tails) = (Vec::new(), Vec::new());
        for number in 0..self.partitions() as u32 {
            let store = HistoryStore::new(Arc::clone(&objects), number, FIRST_EPOCH);
            let tail = Tail::new(TAIL_BYTES);
            accepted.push(Accepted::new(store, Recent::Tail(tail.clone()), Vec::new(), 0));
            tails.push(tail);
        }
        let make = || Partition::new(&types.shared(), ViewDefinition::builtin());
        let others = (1..self.partitions()).map(|_| make()).collect::<Result<_, _>>()?;
        let history = EventHistory::new(accepted, Arc::clone(home));
        let begin = Begin { known: Known::default(), offset: 0, checkpointer: None };
        Ok(Opened { partitions: (make()?, others), tails, history, begin })
    }

    /// Reads everything behind what is known already, each partition into its outlet; returns when it has been
    /// sent on.
    pub(super) async fn read(
        self,
        directory: &Directory,
        (known, after): (Known, u64),
        outlets: Vec<Outlet>,
    ) -> Result<Intake, ServeError> {
        match self {
            Self::Log(log) => {
                let outlet = outlets.into_iter().next().ok_or(ServeError::Ended("the engine"))?;
                let intake = ingest::Intake::resume(log, known, after, outlet.forward);
                Ok(Intake::Log(intake.await?))
            }
            Self::Kafka(source) => kafka::read(source, directory, outlets).await,
        }
    }
}
