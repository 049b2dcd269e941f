//! The running service: opens the stores, replays the log, joins intake, engine, hub and HTTP, and
//! takes them down in order.
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
mod restore;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use ingest::{Intake, Known, Log};
use projections::{Input, Position, Tenant};
use query::Queries;
use stream::Hub;
use tenancy::{Directory, Store, Verifier};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::folder::Folder;
use self::history::EventHistory;
use crate::config::Config;
use crate::event_types::TypeDirectory;
use crate::http::{self, App, Parts};
use crate::own_views::{self, OwnViews};

pub(crate) use self::clock::tick_one;
use self::checkpointer::Checkpointer;

pub(crate) use self::engine::{Cuts, Engine, EngineEnded, Orders};
pub(crate) use self::error::ServeError;

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
    engine: Engine,
    /// Replays the log, then keeps the tenants' dates; ends by itself only with an error.
    minder: JoinHandle<Result<(), ServeError>>,
    accepting: JoinHandle<()>,
    connections: TaskTracker,
    closing: CancellationToken,
    log: Log,
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
    let log = Log::open(&config.log(), types.registry().clone()).await?;
    let objects = config.objects().open(ingest::objects::environment())?;
    let (cuts, requests) = Cuts::channel();
    let opened = restore::open(objects, store.clone(), &log, types.registry(), cuts).await?;
    let restore::Opened { mut partition, known, offset, accepted, checkpointer } = opened;
    partition.limit_own_views(config.limits.views.clone());
    partition.limit_tenants(config.limits.tenant_bytes);
    let (loaded, partition) = own_views::load(store, accepted.clone(), types.registry().clone(), partition).await?;
    let readers = partition.readers();
    let hub = Hub::new(readers.clone(), config.limits.stream.clone());
    let history = Arc::new(EventHistory(accepted.clone()));
    let queries = Queries::new(types.registry().clone(), history, config.limits.query.clone())?;
    let verifier = Verifier::hs256(vec![secret]);
    let (orders, received) = Orders::channel();
    let own_views = OwnViews::start(
        loaded,
        accepted,
        types.registry().clone(),
        readers.clone(),
        orders,
        config.limits.views.clone(),
    )?;
    let app = Arc::new(App::new(Parts {
        directory,
        verifier,
        hub: hub.clone(),
        readers,
        queries,
        types,
        own_views,
        limits: config.limits,
    }));

    let (forward, inputs) = mpsc::channel(INPUTS);
    let engine = Engine::start(partition, offset, inputs, received, requests, hub)?;
    let closing = CancellationToken::new();
    let connections = TaskTracker::new();
    let accepting = tokio::spawn(http::accept(
        listener,
        http::router(Arc::clone(&app)),
        closing.clone(),
        connections.clone(),
    ));
    let every = Duration::from_millis(config.checkpoint_ms);
    let begin = Begin { log: log.clone(), known, offset, forward, checkpointer, every };
    let minder = tokio::spawn(mind(Arc::clone(&app), begin, closing.clone()));
    tracing::info!(%address, data = %config.data.display(), "listening");
    Ok(Running {
        address,
        app,
        engine,
        minder,
        accepting,
        connections,
        closing,
        log,
        _folder: folder,
    })
}

/// What the service goes on from.
struct Begin {
    log: Log,
    known: Known,
    /// The rows of the log up to here are in the views.
    offset: u64,
    forward: mpsc::Sender<Input>,
    checkpointer: Checkpointer,
    /// The time between two checkpoints.
    every: Duration,
}

/// Replays what of the log no checkpoint has, records the dates of today, waits until all of it is
/// in the views, opens the interface, keeps the dates, and has checkpoints made.
async fn mind(
    app: Arc<App>,
    begin: Begin,
    closing: CancellationToken,
) -> Result<(), ServeError> {
    let begun = std::time::Instant::now();
    let Begin { log, known, offset, forward, checkpointer, every } = begin;
    let intake = Intake::resume(log, known, offset, forward).await?;
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
        made = checkpointer.run(every, closing.clone()) => Ok(made?),
        () = intake.ended() => Err(ServeError::Ended("the writer of the log")),
    }
}

/// Waits for a position for as long as it takes: the engine's end is watched elsewhere.
async fn applied(hub: &Hub, position: Position) {
    while hub.wait_for(position, Duration::from_mins(1)).await.is_err() {
        tracing::info!("the log is read, the views are being computed");
    }
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
            () = self.engine.ended() => Err(ServeError::Ended("the engine")),
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
                outcome = Err(ServeError::Slow("the writer of the log"));
            }
        } else {
            self.minder.abort();
        }
        match timeout(DRAIN_TIME, self.engine.ended()).await {
            Ok(()) => outcome = outcome.and(self.engine.join()),
            Err(_) => outcome = outcome.and(Err(ServeError::Slow("the engine"))),
        }
        self.log.close().await;
        tracing::info!("stopped");
        outcome
    }
}
