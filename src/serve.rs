//! The running service: opens the stores, replays the source (the log, or Kafka), joins intake,
//! engines, hub and HTTP, and takes them down in order.
//!
//! **In:** a [`Config`]. **Out:** a [`Running`] service with its address.
//!
//! Invariants:
//! - One process holds a data folder: a lock on a file in it is taken first and kept to the end.
//! - The listener is up before the replay, the interface answers only after it: until then
//!   `/livez` is 200, `/readyz` and every `/v1` call 503.
//! - When the engine's thread or the intake's writer ends by itself, the process ends with an
//!   error: it never goes on answering from state that no longer follows the log.

mod checkpointer;
mod clock;
mod commits;
mod engine;
mod error;
mod folder;
mod history;
mod intake;
mod kafka;
mod restore;
mod source;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use ingest::{Log, Outlet};
use projections::{Input, Partition, Position, Readers, Tenant};
use query::Queries;
use stream::Hub;
use tenancy::{Directory, Store, Verifier};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::checkpointer::Checkpointer;
use self::folder::Folder;
use self::source::{Begin, Opened, Source};
use crate::config::Config;
use crate::event_types::TypeDirectory;
use crate::http::{self, App, Parts};
use crate::own_views::{self, OwnViews};

pub(crate) use self::clock::tick_one;
#[cfg(test)]
pub(crate) use self::engine::alone;
pub(crate) use self::engine::{Cuts, Engine, EngineEnded, Home, Orders};
pub(crate) use self::error::ServeError;
pub(crate) use self::history::EventHistory;
pub(crate) use self::intake::{Awaited, Intake, NotCome};
pub(crate) use self::kafka::sender;

/// Inputs between the log and the engine; each is one group of submissions, which is bounded too.
const INPUTS: usize = 16;
/// For calls in progress to be answered at shutdown.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// For the queue of the intake to be written, and for the engine to apply it.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A service that runs.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    app: Arc<App>,
    engines: Vec<Engine>,
    /// Keeps the engines' inputs open.
    held: Vec<mpsc::Sender<Input>>,
    /// Replays the source, then keeps the tenants' dates; ends by itself only with an error.
    minder: JoinHandle<Result<(), ServeError>>,
    accepting: JoinHandle<()>,
    connections: TaskTracker,
    closing: CancellationToken,
    log: Option<Log>,
    // Last, so that it is let go of last.
    _folder: Folder,
}

/// Opens everything and begins to listen; the replay of the log goes on behind. `/readyz` says
/// when it is done.
pub(crate) async fn start(config: Config) -> Result<Running, ServeError> {
    let secret = config.jwt_secret.clone().ok_or(ServeError::NoSecret)?;
    let folder = Folder::open(&config.data)?;
    let address = config.listen;
    let listening = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;

    let store = Store::open(&config.control_store()).await?;
    let directory = Directory::open(store.clone()).await?;
    let registered = store.event_types().await?;
    let types = TypeDirectory::new(store.clone(), registered, config.limits.types.clone())?;
    let source = Source::open(&config, &store, &directory, types.registry()).await?;
    let (count, home) = (source.partitions(), source.home(&directory));
    let (cuts, requests): (Vec<_>, Vec<_>) = (0..count).map(|_| Cuts::channel()).unzip();
    let Opened { partitions, tails, history, begin } =
        source.restore(&config, &store, types.registry(), &home, cuts).await?;
    let (first, others) = partitions;
    let partitions = side_by_side(&config, first, others);
    let readers = partitions.readers;
    let loaded = own_views::load(
        store.clone(),
        history.clone(),
        types.registry().clone(),
        partitions.all,
        Arc::clone(&home),
    );
    let (loaded, partitions) = loaded.await?;
    let hub = Hub::new(readers.clone(), config.limits.stream.clone());
    let queries = Arc::new(history.clone());
    let queries = Queries::new(types.registry().clone(), queries, config.limits.query.clone())?;
    let verifier = Verifier::hs256(vec![secret]);
    let (orders, received) = Orders::lanes(count, home);
    let own_views = OwnViews::start(
        loaded,
        history,
        types.registry().clone(),
        readers.clone(),
        orders,
        config.limits.views.clone(),
    )?;
    let app = Arc::new(App::new(Parts {
        store,
        directory,
        verifier,
        hub: hub.clone(),
        readers,
        queries,
        types,
        own_views,
        limits: config.limits,
    }));

    let (mut engines, mut outlets) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let engine_parts = partitions.into_iter().zip(received).zip(requests).zip(tails);
    for (((partition, received), requests), tail) in engine_parts {
        let (forward, inputs) = mpsc::channel(INPUTS);
        let applied = begin.offset;
        engines.push(Engine::start(partition, applied, inputs, received, requests, hub.clone())?);
        outlets.push(Outlet { forward, tail });
    }
    // A partition of Kafka that stops leaves its engine at work: what it has is still there.
    let held = match &source {
        Source::Log(_) => Vec::new(),
        Source::Kafka(_) => outlets.iter().map(|outlet| outlet.forward.clone()).collect(),
    };
    let log = source.log().cloned();
    let closing = CancellationToken::new();
    let connections = TaskTracker::new();
    let accepting = tokio::spawn(http::accept(
        listener,
        http::router(Arc::clone(&app)),
        closing.clone(),
        connections.clone(),
    ));
    let every = Duration::from_millis(config.checkpoint_ms);
    let minding = mind(Arc::clone(&app), source, begin, outlets, every, closing.clone());
    let minder = tokio::spawn(minding);
    tracing::info!(%address, data = %config.data.display(), "listening");
    Ok(Running {
        address,
        app,
        engines,
        held,
        minder,
        accepting,
        connections,
        closing,
        log,
        _folder: folder,
    })
}

/// So many partitions with one side for readers.
struct Partitions {
    all: Vec<Partition>,
    readers: Readers,
}

/// Bounds the partitions, of which there is at least one, and joins their sides for readers.
fn side_by_side(config: &Config, first: Partition, others: Vec<Partition>) -> Partitions {
    let readers = first.readers();
    let mut all = vec![first];
    all.extend(others.into_iter().map(|partition| partition.beside(&readers)));
    for partition in &mut all {
        partition.limit_own_views(config.limits.views.clone());
        partition.limit_tenants(config.limits.tenant_bytes);
    }
    Partitions { all, readers }
}

/// Replays what of the source no checkpoint has, records the dates of today, waits until all of it
/// is in the views, opens the interface, keeps the dates, and has checkpoints made.
async fn mind(
    app: Arc<App>,
    source: Source,
    begin: Begin,
    outlets: Vec<Outlet>,
    every: Duration,
    closing: CancellationToken,
) -> Result<(), ServeError> {
    let begun = std::time::Instant::now();
    let Begin { known, offset, checkpointer } = begin;
    let intake = source.read(&app.directory, (known, offset), outlets).await?;
    clock::tick_all(&app.directory, &intake, Utc::now()).await?;
    for tenant in app.directory.all() {
        let number = Tenant(tenant.number);
        applied(&app.hub, Position::new(number, intake.sequence(number))).await;
    }
    app.own_views.settle().await?;
    app.open(intake.clone());
    tracing::info!(seconds = begun.elapsed().as_secs_f64(), "ready");
    tokio::select! {
        () = clock::keep(&app.directory, &intake, &closing) => Ok(()),
        () = http::upkeep(&app) => Ok(()),
        made = checkpoints(checkpointer, every, closing.clone()) => Ok(made?),
        () = intake.ended() => Err(ServeError::Ended("the intake")),
    }
}

/// Makes checkpoints, if somebody is to.
async fn checkpoints(
    checkpointer: Option<Checkpointer>,
    every: Duration,
    closing: CancellationToken,
) -> Result<(), checkpointer::CheckpointFailure> {
    match checkpointer {
        Some(checkpointer) => checkpointer.run(every, closing).await,
        None => std::future::pending().await,
    }
}

/// Waits for a position for as long as it takes: the engine's end is watched elsewhere.
async fn applied(hub: &Hub, position: Position) {
    while hub.wait_for(position, Duration::from_mins(1)).await.is_err() {
        tracing::info!("the log is read, the views are being computed");
    }
}

/// Returns when one of the engines has ended.
async fn ended(engines: &[Engine]) {
    let ended = engines.iter().map(|engine| Box::pin(engine.ended()));
    futures::future::select_all(ended).await;
}

impl Running {
    /// Serves until `signal`, or until a part fails that the rest rests on; then ends all parts in
    /// order.
    pub(crate) async fn until_shutdown(
        mut self,
        signal: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let outcome = tokio::select! {
            () = signal => Ok(()),
            () = ended(&self.engines) => Err(ServeError::Ended("the engine")),
            ended = &mut self.minder => match ended {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => Err(ServeError::Ended("the keeper of log and dates")),
            },
            _ = &mut self.accepting => Err(ServeError::Ended("the listener")),
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, "stopping");
        } else {
            tracing::info!("stopping");
        }
        outcome.and(self.close().await)
    }

    /// No new connections, live streams told, calls answered, what is queued written and applied,
    /// stores closed; each step within its time.
    async fn close(self) -> Result<(), ServeError> {
        self.closing.cancel();
        self.app.hub.close();
        self.connections.close();
        let answered = async { tokio::join!(self.connections.wait(), self.app.hub.closed()) };
        if timeout(ANSWER_TIME, answered).await.is_err() {
            let (calls, live) = (self.connections.len(), self.app.hub.connections());
            tracing::warn!(calls, live, "connections were cut off");
        }
        self.app.own_views.close();
        let mut outcome = Ok(());
        if let Ok(intake) = self.app.intake() {
            if timeout(DRAIN_TIME, intake.close()).await.is_err() {
                outcome = Err(ServeError::Slow("the intake"));
            }
        } else {
            self.minder.abort();
        }
        drop(self.held);
        for engine in self.engines {
            match timeout(DRAIN_TIME, engine.ended()).await {
                Ok(()) => outcome = outcome.and(engine.join()),
                Err(_) => outcome = outcome.and(Err(ServeError::Slow("the engine"))),
            }
        }
        if let Some(log) = self.log {
            log.close().await;
        }
        tracing::info!("stopped");
        outcome
    }
}
