//! What cannot be seen from outside: a route that the table of roles forgot, a handler that panics.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, middleware};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use ingest::{Known, Log};
use projections::{EventTypes, Partition, ViewDefinition};
use query::Queries;
use serde_json::json;
use stream::Hub;
use tempfile::TempDir;
use tenancy::audit::{AuditKey, Trail};
use tenancy::{Directory, Secret, Store, Verifier};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{App, Parts, caller, envelope};
use crate::alerts::settings::AlertSettings;
use crate::alerts::{self, Alerts};
use crate::changes::Changes;
use crate::config::Limits;
use crate::event_types::TypeDirectory;
use crate::exports::{Exports, Sources};
use crate::forward::{Alone, Places};
use crate::live_queries::LiveQueries;
use crate::own_views::OwnViews;
use crate::reports::settings::ReportSettings;
use crate::reports::{self, Reports};
use crate::serve::{EventHistory, Intake, Orders, Slots, alone};
use crate::shown::Shown;

// Two of the built-in views, by their names, so that one can be switched off.
const OPENED: &str = "SELECT opportunity_id, stage FROM events.\"crm.opportunity_opened\"";
const ISSUED: &str = "SELECT invoice_id, amount FROM events.\"invoicing.invoice_issued\"";

struct NoHistory;

impl query::History for NoHistory {
    fn scan(
        &self,
        _: projections::Tenant,
        event_type: &Arc<projections::EventType>,
        _: u64,
        _: Option<Vec<usize>>,
    ) -> datafusion::execution::SendableRecordBatchStream {
        let schema = Arc::clone(event_type.relation());
        Box::pin(datafusion::physical_plan::EmptyRecordBatchStream::new(schema))
    }
}

async fn app(folder: &TempDir) -> Arc<App> {
    let control = folder.path().join("control.db");
    front_app(&control, Secret::random().unwrap(), Arc::new(Alone)).await
}

/// An interface without a source, over a control store that others may use too.
pub(crate) async fn front_app(control: &Path, secret: Secret, places: Arc<dyn Places>) -> Arc<App> {
    front_app_with(control, secret, places, &crate::config::Tls::default()).await
}

/// The same with a certificate.
pub(crate) async fn front_app_with(
    control: &Path,
    secret: Secret,
    places: Arc<dyn Places>,
    tls: &crate::config::Tls,
) -> Arc<App> {
    let store = Store::open(control).await.unwrap();
    let directory = Directory::open(store.clone()).await.unwrap();
    let limits = Limits::default();
    let types =
        TypeDirectory::new(store.clone(), Vec::new(), Vec::new(), limits.types.clone(), true)
            .unwrap();
    let changes = Changes::new(store.clone(), directory.clone(), types.clone(), 0);
    let registry = types.registry().clone();
    let history = EventHistory::new(1, alone());
    let views = [("pipeline", OPENED), ("open_invoices", ISSUED)];
    let views = views.map(|(name, sql)| ViewDefinition::parse(name, sql)).to_vec();
    let partition = Partition::new(&EventTypes::builtin(), views).unwrap();
    let readers = partition.readers();
    let queries =
        Queries::new(types.registry().clone(), Arc::new(NoHistory), limits.query.clone()).unwrap();
    let queries = Arc::new(queries);
    let verifier = Verifier::hs256(vec![secret]);
    let orders = Orders::new(1, alone());
    let (views, bounds) = (store.clone(), limits.views.clone());
    let own_views =
        OwnViews::start(views, history.clone(), registry.clone(), readers.clone(), orders, bounds)
            .unwrap();
    let shown = Shown::new(readers.clone(), directory.clone(), registry, own_views.clone());
    let questions = Arc::new(LiveQueries::new(Arc::clone(&queries), own_views.clone()));
    let hub = Hub::answering(shown.clone(), questions, limits.stream.clone());
    let sources = Sources {
        store: store.clone(),
        types: types.clone(),
        history: history.clone(),
        readers: readers.clone(),
        own_views: own_views.clone(),
    };
    let objects: Arc<dyn object_store::ObjectStore> =
        Arc::new(object_store::memory::InMemory::new());
    let scratch = control.with_extension("exports");
    let (trail, _) = Trail::start(store.clone(), AuditKey::new(&Secret::random().unwrap()));
    let reports = Reports::open(reports::Parts {
        sources: sources.clone(),
        directory: directory.clone(),
        shown: shown.clone(),
        places: Arc::clone(&places),
        queries: Queries::new(types.registry().clone(), Arc::new(NoHistory), limits.query.clone())
            .unwrap(),
        objects: Arc::clone(&objects),
        outside: None,
        scratch: control.with_extension("reports"),
        settings: ReportSettings::default(),
        tenant_bytes: limits.tenant_bytes,
        trail: trail.clone(),
        clock: Arc::new(chrono::Utc::now),
    })
    .unwrap();
    let alerts = Alerts::new(alerts::Parts {
        store: store.clone(),
        directory: directory.clone(),
        readers: readers.clone(),
        shown: shown.clone(),
        places: Arc::clone(&places),
        fences: Slots::new(1, alone()),
        queries: Queries::new(types.registry().clone(), Arc::new(NoHistory), limits.query.clone())
            .unwrap(),
        reports: reports.clone(),
        hub: hub.clone(),
        settings: AlertSettings::default(),
        trail: trail.clone(),
        clock: Arc::new(chrono::Utc::now),
    });
    let here = Handle::current();
    let exports =
        Exports::open(objects, scratch, directory.clone(), sources, here.clone()).unwrap();
    Arc::new(App::new(Parts {
        store,
        directory,
        verifier,
        hub,
        shown,
        readers,
        queries,
        types,
        changes: Some(changes),
        places,
        own_views,
        exports,
        reports,
        alerts,
        history,
        trail,
        limits,
        speech: super::speech(tls).unwrap(),
        background: here,
    }))
}

/// Follows what other nodes change, as a service with Kafka does, for as long as it is polled.
pub(crate) async fn follow(app: &App) {
    let changes = app.changes.as_ref().unwrap();
    tokio::join!(
        changes.follow(),
        app.follow_switches(),
        app.follow_types(),
        app.follow_deletions(),
        app.follow_revocations()
    );
}

/// Opens an interface, with a source from which nothing comes.
pub(crate) async fn open(app: &App, folder: &TempDir) {
    let registry = app.types.registry().clone();
    let log = Log::open(&folder.path().join("log.db"), registry).await.unwrap();
    let (forward, _) = mpsc::channel(1);
    let log = ingest::Intake::resume(log, Known::default(), 0, forward).await.unwrap();
    app.open(Intake::Log(log));
}

async fn call(router: Router, path: &str) -> Response {
    let request = Request::get(path).body(Body::empty()).unwrap();
    TowerToHyperService::new(router).call(request).await.unwrap()
}

#[tokio::test]
async fn a_route_that_the_table_forgot_is_not_reached() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder).await;
    let router = Router::new()
        .route("/v1/forgotten", get(|| async { "secret" }))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), caller::guard))
        .with_state(app);
    let answer = call(router, "/v1/forgotten").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn until_the_log_is_replayed_nothing_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder).await;
    for (path, status) in [
        ("/livez", StatusCode::OK),
        ("/readyz", StatusCode::SERVICE_UNAVAILABLE),
        ("/v1/ws", StatusCode::SERVICE_UNAVAILABLE),
        ("/v1/views", StatusCode::UNAUTHORIZED),
    ] {
        let answer = call(super::router(Arc::clone(&app)), path).await;
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_panic_and_a_bare_error_become_problems() {
    async fn panics() -> &'static str {
        panic!("of a handler")
    }
    let router = Router::new()
        .route("/panics", get(panics))
        .route("/bare", get(|| async { (StatusCode::IM_A_TEAPOT, "short and stout") }))
        .layer(middleware::from_fn(envelope::wrap));
    for (path, status) in
        [("/panics", StatusCode::INTERNAL_SERVER_ERROR), ("/bare", StatusCode::IM_A_TEAPOT)]
    {
        let answer = call(router.clone(), path).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn a_tenant_whose_partition_is_handed_over_meanwhile_is_changed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder).await;
    open(&app, &folder).await;
    // As one is of whose partition another node takes over.
    let Intake::Log(log) = app.intake().unwrap() else { panic!("it has a log") };
    log.close().await;
    let new = json!({ "id": "acme", "name": "Acme", "timezone": "UTC", "currency": "EUR" });
    let new: tenancy::NewTenant = serde_json::from_value(new).unwrap();
    let tenant = app.directory.create(new).await.unwrap();
    assert!(super::tenants::settle(&app, &tenant).await.is_ok());
}
