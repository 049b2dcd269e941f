//! The running service: opens the stores, puts the partitions together ([`embedded`] with the log,
//! [`cluster`] with Kafka), joins intake, engines, hub and HTTP, and takes them down in order.
//!
//! **In:** a [`Config`]. **Out:** a [`Running`] service with its address.
//!
//! Invariants:
//! - One process holds a data folder: a lock on a file in it is taken first and kept to the end.
//! - The listener is up before the partitions are, the interface answers only after them: until then
//!   `/livez` is 200, `/readyz` and every `/v1` call 503.
//! - When an engine's thread or the intake's writer ends by itself, the process ends with an error:
//!   it never goes on answering from state that no longer follows the source.

mod assignment;
mod checkpointer;
mod clock;
mod cluster;
mod commits;
mod embedded;
mod engine;
mod eraser;
mod error;
mod folder;
mod held;
mod history;
mod intake;
mod kafka;
mod registry;
mod restore;
mod running;
mod slots;
mod source;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn;
use chrono::Utc;
use ingest::KafkaIntake;
use projections::{Partition, ViewDefinition};
use query::Queries;
use stream::Hub;
use tenancy::audit::{AuditKey, Chain, Trail};
use tenancy::{Directory, Issuer, Pace, Store, Verifier};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::checkpointer::Rhythm;
use self::cluster::Cluster;
use self::held::Host;
use self::registry::Registry;
use self::source::Source;
use crate::alerts::settings::AlertSettings;
use crate::alerts::{self, Alerts};
use crate::background::Background;
use crate::config::Config;
use crate::event_types::TypeDirectory;
use crate::exports::{Exports, Sources};
use crate::forward::{Alone, Places};
use crate::http::{self, App, Parts, Tls};
use crate::live_queries::LiveQueries;
use crate::onboarding;
use crate::own_views::OwnViews;
use crate::reports::{self, Reports};
use crate::shown::Shown;
use crate::wire::Wire;

pub(crate) use self::clock::tick_one;
#[cfg(test)]
pub(crate) use self::engine::Engine;
pub(crate) use self::engine::{Cuts, EngineEnded, Orders};
pub(crate) use self::error::ServeError;
pub(crate) use self::folder::Folder;
pub(crate) use self::history::EventHistory;
pub(crate) use self::intake::{Awaited, Body, Intake, NotCome};
pub(crate) use self::kafka::sender;
pub(crate) use self::running::{Keys, Running};
pub(crate) use self::slots::Slots;
#[cfg(test)]
pub(crate) use self::slots::alone;

/// For the queue of the intake to be written, and for the engine to apply it.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Opens everything and begins to listen; the partitions are put together behind. `/readyz` says
/// when that is done.
pub(crate) async fn start(config: Config) -> Result<Running, ServeError> {
    let verifier = verifier(&config)?;
    let (tls, speech) = (Tls::new(&config.tls)?, http::speech(&config.tls)?);
    if let Some(path) = &config.templates {
        onboarding::take_templates(path)?;
    }
    let folder = Folder::open(&config.data)?;
    let address = config.listen;
    let listening = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let wire = match config.postgres {
        None => None,
        Some(address) => Some(wire_listener(address).await?),
    };

    let background = Background::start().map_err(ServeError::Thread)?;
    let store = Store::connect(&config.control_store()).await?;
    let key = match &config.audit_key {
        Some(secret) => AuditKey::new(secret),
        None => AuditKey::of_folder(&config.data)?,
    };
    sealed_with(&store, &key).await?;
    let (trail, writer) = Trail::start(store.clone(), key);
    let since = store.last_change().await?;
    let directory = Directory::open(store.clone()).await?;
    let registered = store.event_types().await?;
    let declared = store.custom_fields().await?;
    let has_topics = !config.kafka.brokers.is_empty();
    let limits = config.limits.types.clone();
    let types = TypeDirectory::new(store.clone(), registered, declared, limits, has_topics)?;
    let source = Source::open(&config, &store, &directory, &types, since).await?;
    let (count, home) = source.partitions(&directory);
    // Only its readers' side is used: it is that of all partitions.
    let readers = Partition::new(&types.registry().shared(), ViewDefinition::builtin())?.readers();
    let orders = Orders::new(count, Arc::clone(&home));
    let history = EventHistory::new(count, Arc::clone(&home));
    let queries = Arc::new(history.clone());
    let queries = Queries::new(types.registry().clone(), queries, config.limits.query.clone())?
        .spilling_to(&config.spill("people"))?;
    let queries = Arc::new(queries);
    let own_views = OwnViews::start(
        store.clone(),
        history.clone(),
        types.registry().clone(),
        readers.clone(),
        orders.clone(),
        config.limits.views.clone(),
    )?;
    let shown =
        Shown::new(readers.clone(), directory.clone(), types.registry().clone(), own_views.clone());
    let sources = Sources {
        store: store.clone(),
        types: types.clone(),
        history: history.clone(),
        readers: readers.clone(),
        own_views: own_views.clone(),
    };
    let node = folder::node(&config.data)?;
    let registry = Registry::new(node.clone(), source.count());
    let places: Arc<dyn Places> = match &source {
        Source::Log(_) => Arc::new(Alone),
        Source::Kafka(..) => Arc::new(registry.clone()),
    };
    let objects = config.objects().open(ingest::objects::environment())?;
    let reported = sources.clone();
    let exports = Exports::open(
        Arc::clone(&objects),
        config.exports(),
        directory.clone(),
        sources,
        background.handle().clone(),
    )
    .map_err(|source| ServeError::Folder { path: config.exports(), source })?;
    let reports = Reports::open(reports::Parts {
        queries: Queries::new(
            types.registry().clone(),
            Arc::new(history.clone()),
            config.reports.query_limits(&config.limits.query),
        )?
        .spilling_to(&config.spill("reports"))?,
        sources: reported,
        directory: directory.clone(),
        shown: shown.clone(),
        places: Arc::clone(&places),
        objects: Arc::clone(&objects),
        outside: match &config.reports.delivery {
            Some(address) => Some(address.open(ingest::objects::environment())?),
            None => None,
        },
        scratch: config.report_drafts(),
        settings: config.reports.clone(),
        tenant_bytes: config.limits.tenant_bytes,
        trail: trail.clone(),
        clock: Arc::new(Utc::now),
    })
    .map_err(|source| ServeError::Folder { path: config.report_drafts(), source })?;
    let questions = Arc::new(LiveQueries::new(Arc::clone(&queries), own_views.clone()));
    let hub = Hub::answering(shown.clone(), questions, config.limits.stream.clone());
    let fences = Slots::new(count, Arc::clone(&home));
    let alerts = Alerts::new(alerts::Parts {
        store: store.clone(),
        directory: directory.clone(),
        readers: readers.clone(),
        shown: shown.clone(),
        places: Arc::clone(&places),
        fences: fences.clone(),
        queries: Queries::new(
            types.registry().clone(),
            Arc::new(history.clone()),
            AlertSettings::query_limits(&config.limits.query),
        )?,
        reports: reports.clone(),
        hub: hub.clone(),
        settings: config.alerts.clone(),
        trail: trail.clone(),
        clock: Arc::new(Utc::now),
    });
    let id_key = source.id_key(&store).await?;
    // Before anybody is answered.
    projections::set_mark_key(id_key);
    let place = restore::Place {
        objects,
        address: config.objects(),
        store: store.clone(),
        types: types.registry().clone(),
        readers: readers.clone(),
        id_key,
        owner: node,
    };
    let host = Host {
        place,
        directory: directory.clone(),
        hub: hub.clone(),
        trail: trail.clone(),
        own_views: own_views.clone(),
        exports: exports.clone(),
        reports: reports.clone(),
        history: history.clone(),
        orders,
        fences,
        types: types.clone(),
        erasures: Slots::new(count, home),
        rhythm: Rhythm::new(Duration::from_millis(config.checkpoint_ms)),
        views: config.limits.views.clone(),
        tenant_bytes: config.limits.tenant_bytes,
        background: background.handle().clone(),
    };
    let (share, wire_limits) = (config.limits.address_connections, config.limits.wire.clone());
    let app = Arc::new(App::new(Parts {
        store: store.clone(),
        directory: directory.clone(),
        verifier,
        hub,
        shown,
        readers,
        queries,
        types,
        changes: source.changes().cloned(),
        places,
        own_views,
        exports,
        reports,
        alerts,
        history,
        trail,
        limits: config.limits,
        speech,
        background: background.handle().clone(),
    }));
    let (closing, ending) = (CancellationToken::new(), CancellationToken::new());
    let connections = TaskTracker::new();
    let router = http::router(Arc::clone(&app));
    let wire_address = wire.as_ref().map(|(address, _)| *address);
    if let Some((_, listener)) = wire {
        let (app, router) = (Arc::clone(&app), router.clone());
        let wire = Wire::new(app, router, tls.clone(), wire_limits, closing.clone());
        tokio::spawn(wire.accept(listener, share, connections.clone()));
    }
    let accepting = tokio::spawn(http::accept(
        listener,
        match &tls {
            Some(_) => router.layer(from_fn(http::strict)),
            None => router,
        },
        tls.clone(),
        share,
        closing.clone(),
        connections.clone(),
    ));
    let log = source.log().cloned();
    let keeping = match source {
        Source::Log(log) => {
            let kept = embedded::run(host, Arc::clone(&app), log, ending.clone());
            tokio::spawn(beside_upkeep(Arc::clone(&app), kept))
        }
        Source::Kafka(source, changes) => {
            let cluster = Cluster {
                host: Arc::new(host),
                app: Arc::clone(&app),
                intake: KafkaIntake::new(source.parts().clone(), source.partitions())?,
                registry,
                source: Arc::new(source),
                directory,
                changes,
                address: config.advertise.unwrap_or_else(|| address.to_string()),
            };
            tokio::spawn(beside_upkeep(Arc::clone(&app), cluster.run(ending.clone())))
        }
    };
    tracing::info!(%address, data = %config.data.display(), "listening");
    if let Some(address) = wire_address {
        tracing::info!(%address, "listening for PostgreSQL clients");
    }
    Ok(Running {
        address,
        app,
        tls,
        store,
        registry: config.schema_registry,
        keeper: keeping,
        accepting,
        connections,
        closing,
        ending,
        log,
        writer,
        _background: background,
        _folder: folder,
    })
}

/// Where PostgreSQL's protocol is spoken.
async fn wire_listener(address: SocketAddr) -> Result<(SocketAddr, TcpListener), ServeError> {
    let listening = |source| ServeError::ListenPostgres { address, source };
    let listener = TcpListener::bind(address).await.map_err(listening)?;
    Ok((listener.local_addr().map_err(listening)?, listener))
}

/// What tokens are checked with.
fn verifier(config: &Config) -> Result<Verifier, ServeError> {
    let secrets = config.jwt_secrets.clone();
    if secrets.is_empty() && config.oidc.issuer.is_empty() {
        return Err(ServeError::NoSecret);
    }
    let verifier = Verifier::hs256(secrets).with_leeway(config.jwt_leeway);
    if config.oidc.issuer.is_empty() {
        return Ok(verifier);
    }
    Ok(verifier.with_issuer(Issuer::new(config.oidc.clone(), Pace::default())?))
}

/// Keeps the process' figures bounded, and live views as they are to be shown, for as long as the
/// other runs.
async fn beside_upkeep<T>(app: Arc<App>, other: impl Future<Output = T>) -> T {
    let mut other = std::pin::pin!(other);
    tokio::select! {
        done = &mut other => done,
        () = http::upkeep(&app) => other.await,
        () = app.follow_switches() => other.await,
        () = app.follow_types() => other.await,
        () = app.follow_withdrawals() => other.await,
        () = app.follow_deletions() => other.await,
        () = app.follow_revocations() => other.await,
        () = http::note_rates(&app) => other.await,
        () = app.keep_reports() => other.await,
        () = app.keep_alerts() => other.await,
    }
}

/// Whether the audit is sealed with this key, as far as the platform's chain tells; what is recorded
/// with another one could not be sealed.
async fn sealed_with(store: &Store, key: &AuditKey) -> Result<(), ServeError> {
    match store.audit_head(Chain::Platform).await? {
        Some(head) if head.key_id != key.id() => {
            Err(ServeError::AuditKeyChanged { sealed: head.key_id, given: key.id().to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod keys_tests;
