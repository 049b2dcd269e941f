//! The HTTP interface: routes, who may call them, and every answer's form.
//!
//! **In:** requests. **Out:** answers of the crates `ingest`, `query`, `stream` and `tenancy`, in
//! the words of HTTP.
//!
//! Invariants:
//! - A handler gets its tenant from [`caller::Caller`] alone, which only the guard makes, from a
//!   verified token.
//! - A handler is given only callers whose tenant is served here; the guard forwards all others. What
//!   it answers of views is a snapshot that it took while that was so ([`App::snapshot`]).
//! - A route that `tenancy::access` does not list is not reached.
//! - A call that needs a token is in the audit ([`audit`]), or it is not answered.
//! - Every error is a problem document ([`problems`]); a panic is one too and ends only its request.
//! - Bodies, addresses, connections, waiting calls and work in progress are bounded.

mod alerts;
mod answers;
mod audit;
mod body;
mod caller;
mod connections;
mod dashboards;
mod dead_letters;
mod envelope;
mod event_types;
mod events;
mod explanations;
mod exports;
mod fields;
mod forwarded;
mod health;
mod limits;
mod live;
mod openapi;
mod own_views;
mod page;
mod params;
mod platform;
mod problems;
mod queries;
mod reports;
mod revocations;
mod service_tokens;
mod shelf;
mod sign_in;
mod stored;
mod strangers;
mod templates;
mod tenants;
mod tls;
mod unread;
mod views;

use std::sync::{Arc, OnceLock};
use std::thread;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use chrono::Utc;
use metrics_exporter_prometheus::PrometheusHandle;
use projections::{Readers, TenantSnapshot};
use query::Queries;
use stream::{Hub, Problem};
use tenancy::audit::Trail;
use tenancy::dashboards::Dashboards;
use tenancy::limits::Limiter;
use tenancy::{
    Directory, Identity, Revocations, ServiceTokenError, ServiceTokens, ShownToken, Store,
    TenantId, TenantRecord, Tickets, Verifier,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::alerts::Alerts;
use crate::changes::Changes;
use crate::config::Limits;
use crate::event_types::TypeDirectory;
use crate::exports::Exports;
use crate::forward::{ForwardError, Forwarder, Places, Served, Speech};
use crate::own_views::OwnViews;
use crate::reports::Reports;
use crate::serve::{EventHistory, Intake};
use crate::shown::Shown;

pub(crate) use self::audit::{Audit, Peer};
use self::caller::Caller;
pub(crate) use self::connections::accept;
pub(crate) use self::health::upkeep;
pub(crate) use self::platform::note_rates;
pub(crate) use self::problems::{query as query_problem, unfollowed_query};
pub(crate) use self::strangers::{Stranger, Strangers};
pub(crate) use self::tls::{Tls, TlsError, speech, strict};

/// What the handlers share.
pub(crate) struct App {
    pub(crate) directory: Directory,
    store: Store,
    pub(crate) hub: Hub,
    verifier: Verifier,
    tickets: Tickets,
    service_tokens: ServiceTokens,
    forwarder: Forwarder,
    /// What tenants are shown, which is what handlers answer from.
    shown: Shown,
    /// All there is, for the platform's figures.
    pub(crate) audit: Audit,
    readers: Readers,
    queries: Arc<Queries>,
    types: TypeDirectory,
    /// What other processes change, where there may be any.
    changes: Option<Arc<Changes>>,
    pub(crate) own_views: OwnViews,
    exports: Exports,
    pub(crate) reports: Reports,
    pub(crate) alerts: Alerts,
    dashboards: Dashboards,
    history: EventHistory,
    rates: platform::Rates,
    limits: Limits,
    limiter: Arc<Limiter>,
    recorder: Option<PrometheusHandle>,
    room: body::Room,
    /// Sign-ins that wait for the issuer at a time.
    signing_in: sign_in::SigningIn,
    shelf: shelf::Shelf,
    /// Where bodies are decoded.
    background: Handle,
    /// Bodies that are decoded at a time: one for each core.
    decoders: Arc<Semaphore>,
    /// Set once the log is replayed; until then no call is answered.
    intake: OnceLock<Intake>,
}

/// What the interface is made from.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) verifier: Verifier,
    pub(crate) hub: Hub,
    pub(crate) shown: Shown,
    pub(crate) readers: Readers,
    pub(crate) queries: Arc<Queries>,
    pub(crate) types: TypeDirectory,
    pub(crate) changes: Option<Arc<Changes>>,
    /// Which node serves whom.
    pub(crate) places: Arc<dyn Places>,
    pub(crate) own_views: OwnViews,
    pub(crate) exports: Exports,
    pub(crate) reports: Reports,
    pub(crate) alerts: Alerts,
    pub(crate) history: EventHistory,
    pub(crate) trail: Trail,
    pub(crate) limits: Limits,
    /// How other nodes are spoken to.
    pub(crate) speech: Speech,
    /// Where what takes long is done.
    pub(crate) background: Handle,
}

impl App {
    /// The interface, closed until [`App::open`].
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            store,
            directory,
            verifier,
            hub,
            shown,
            readers,
            queries,
            types,
            changes,
            places,
            own_views,
            exports,
            reports,
            alerts,
            history,
            trail,
            limits,
            speech,
            background,
        } = parts;
        let service_tokens = ServiceTokens::new(store.clone());
        let dashboards = Dashboards::new(store.clone(), limits.dashboards.clone());
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Self {
            store,
            directory,
            hub,
            verifier,
            service_tokens,
            tickets: Tickets::new(tenancy::TicketLimits::default()),
            forwarder: Forwarder::new(places, speech),
            shown,
            audit: Audit::new(trail),
            readers,
            queries,
            types,
            changes,
            own_views,
            exports,
            reports,
            alerts,
            dashboards,
            history,
            rates: platform::Rates::default(),
            limiter: Limiter::new(limits.usage),
            limits,
            recorder: health::recorder(),
            room: body::Room::new(),
            signing_in: sign_in::SigningIn::default(),
            shelf: shelf::Shelf::new(),
            background,
            decoders: Arc::new(Semaphore::new(cores.max(2))),
            intake: OnceLock::new(),
        }
    }

    /// Begins to answer calls: the views hold what the log holds.
    pub(crate) fn open(&self, intake: Intake) {
        if self.intake.set(intake).is_err() {
            tracing::error!("the interface was opened twice");
        }
    }

    /// Who a bearer token speaks for.
    pub(crate) async fn identify(&self, token: &str) -> Result<Identity, Problem> {
        if ShownToken::is_one(token) {
            return self.identify_producer(token).await;
        }
        let identity = self.verifier.identify(token, Utc::now()).await;
        let identity = identity.map_err(|error| problems::token(&error))?;
        self.has_signed_in(&identity).await?;
        Ok(identity)
    }

    /// That nobody has ended the sign-in by which somebody calls.
    async fn has_signed_in(&self, identity: &Identity) -> Result<(), Problem> {
        let Some(id) = &identity.tenant else { return Ok(()) };
        match self.tenant(id).await? {
            Some(tenant) if self.directory.revocations().refuses(tenant.number, identity) => {
                Err(problems::signed_out())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The sign-ins that admins have ended.
    pub(crate) fn revocations(&self) -> &Revocations {
        self.directory.revocations()
    }

    /// Who a service token speaks for; a tenant that is not there and a token that is not are the
    /// same.
    async fn identify_producer(&self, token: &str) -> Result<Identity, Problem> {
        let unknown = || problems::service_token(&ServiceTokenError::Unknown);
        let shown = ShownToken::read(token).ok_or_else(unknown)?;
        let tenant = self.tenant(&shown.tenant).await?;
        let identity = self.service_tokens.identify(&shown, tenant.as_deref(), Utc::now()).await;
        identity.map_err(|error| problems::service_token(&error))
    }

    /// What tokens are checked with.
    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The tenant with this id, whichever process created it.
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<TenantRecord>>, Problem> {
        match &self.changes {
            Some(changes) => changes.tenant(id).await.map_err(|error| problems::refresh(&error)),
            None => Ok(self.directory.get(id)),
        }
    }

    /// Which node serves whom.
    pub(crate) fn places(&self) -> &dyn Places {
        self.forwarder.places()
    }

    /// Whether a tenant is served by this process at this moment.
    fn serves(&self, tenant: &TenantId) -> bool {
        self.places().of(tenant) == Served::Here
    }

    /// Whether views may be followed by a caller who was let in. To be asked once a live stream has its
    /// seat: those that have one by then are ended when that changes.
    fn may_follow(&self, caller: &Caller) -> bool {
        let Caller { identity, tenant, withdrawals } = caller;
        let is_there = self.directory.get(&tenant.id).is_some();
        let holds = self.verifier.withdrawals() == *withdrawals
            && !self.revocations().refuses(tenant.number, identity);
        is_there && self.serves(&tenant.id) && holds
    }

    /// What the caller's tenant is shown at this moment. Whether it is still served here is asked
    /// after that: of one that was given up meanwhile nothing is left here, and nothing is no figure.
    fn snapshot(&self, caller: &Caller) -> Result<Arc<TenantSnapshot>, Problem> {
        let snapshot = self.shown.snapshot(caller.number());
        if self.serves(&caller.tenant.id) {
            return Ok(snapshot);
        }
        Err(problems::forward(ForwardError::Unserved))
    }

    /// Has those who watch a tenant's views look again when its modules were switched, for as long as
    /// it is polled.
    pub(crate) async fn follow_switches(&self) {
        self.shown.follow(&self.hub).await;
    }

    /// Has those who follow SQL look again when event types have gained fields, here or on another node,
    /// for as long as it is polled.
    pub(crate) async fn follow_types(&self) {
        loop {
            for owner in self.types.grown().await {
                match owner {
                    Some(tenant) => self.hub.redefined(tenant),
                    None => self.hub.redefined_all(),
                }
            }
        }
    }

    /// Ends the live streams of tenants that are deleted, here or on another node, for as long as it is
    /// polled. Their erasure may take its time, or wait for that of another one.
    pub(crate) async fn follow_deletions(&self) {
        let mut deletions = self.directory.deletions();
        // The directory, which this holds, has the sender.
        while deletions.changed().await.is_ok() {
            self.hub.leave(|tenant| self.directory.by_number(tenant.0).is_none());
        }
    }

    /// Ends live streams and voids tickets whenever a secret or key is withdrawn by which they may have
    /// been let in, for as long as it is polled. Those with good tokens come again and resume.
    pub(crate) async fn follow_withdrawals(&self) {
        let mut withdrawals = 0;
        loop {
            withdrawals = self.verifier.withdrawn(withdrawals).await;
            tracing::info!("a secret or key is withdrawn; live streams and tickets of before end");
            self.tickets.clear();
            self.hub.dismiss(|_| true);
        }
    }

    /// Ends the live streams of tenants of which an admin has ended somebody's sign-ins, here or on
    /// another node, for as long as it is polled. Who has a good token comes again and resumes.
    pub(crate) async fn follow_revocations(&self) {
        loop {
            let tenants = self.revocations().told().await;
            self.hub.dismiss(|tenant| tenants.contains(&tenant.0));
        }
    }

    /// Makes the reports of the tenants that are served here, for as long as it is polled.
    pub(crate) async fn keep_reports(&self) {
        self.reports.keep(|tenant| self.has(tenant)).await;
    }

    /// Watches for alerts of the tenants that are served here, for as long as it is polled.
    pub(crate) async fn keep_alerts(&self) {
        self.alerts.keep(|tenant| self.has(tenant)).await;
    }

    /// Whether a tenant is served by this process, and all its events come to it.
    fn has(&self, tenant: &TenantId) -> bool {
        self.serves(tenant) && self.intake.get().is_some_and(|intake| intake.is_read(tenant))
    }

    /// The intake, once calls are answered.
    pub(crate) fn intake(&self) -> Result<&Intake, Problem> {
        self.intake.get().ok_or_else(problems::starting)
    }
}

/// The routes, each behind the guard, all within the envelope; what is no route is the page's.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/sign-in", get(sign_in::describe).post(sign_in::exchange))
        .route("/v1/events", post(events::post))
        .route("/v1/event-types", get(event_types::list).post(event_types::register))
        .route("/v1/event-types/{type}", get(event_types::read))
        .route("/v1/views", get(views::list).post(own_views::define))
        .route("/v1/views/{name}", get(views::read).delete(own_views::delete))
        .route("/v1/views/{name}/status", get(views::status))
        .route("/v1/views/{name}/explain", get(explanations::explain))
        .route("/v1/query", post(queries::ask))
        .route("/v1/reports", get(reports::list).post(reports::create))
        .route("/v1/reports/{id}", get(reports::read).put(reports::replace).delete(reports::delete))
        .route("/v1/reports/{id}/run", post(reports::run))
        .route("/v1/reports/{id}/runs", get(reports::runs))
        .route("/v1/reports/{id}/runs/{run}", get(reports::read_run).delete(reports::cancel_run))
        .route("/v1/exports/{run}", get(reports::download))
        .route("/v1/alert-rules", get(alerts::rules).post(alerts::create))
        .route(
            "/v1/alert-rules/{id}",
            get(alerts::read_rule).put(alerts::replace).delete(alerts::delete),
        )
        .route("/v1/alerts", get(alerts::list))
        .route("/v1/alerts/{id}", get(alerts::read))
        .route("/v1/alerts/{id}/acknowledge", post(alerts::acknowledge))
        .route("/v1/alerts/{id}/snooze", post(alerts::snooze))
        .route("/v1/dashboards", get(dashboards::list).post(dashboards::create))
        .route(
            "/v1/dashboards/{id}",
            get(dashboards::read).put(dashboards::replace).delete(dashboards::delete),
        )
        .route("/v1/dashboards/{id}/versions", get(dashboards::versions))
        .route("/v1/dashboards/{id}/versions/{version}", get(dashboards::read_version))
        .route("/v1/dashboards/{id}/versions/{version}/restore", post(dashboards::restore))
        .route("/v1/stream", get(live::events))
        .route("/v1/ws", get(live::websocket))
        .route("/v1/tickets", post(live::ticket))
        .route("/v1/dead-letters", get(dead_letters::list))
        .route("/v1/dead-letters/{id}", delete(dead_letters::remove))
        .route("/v1/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/v1/platform/dead-letters", get(dead_letters::list_shared))
        .route("/v1/platform/dead-letters/{id}", delete(dead_letters::remove_shared))
        .route("/v1/platform/dead-letters/{id}/replay", post(dead_letters::replay_shared))
        .route("/v1/audit", get(audit::own))
        .route("/v1/platform/audit", get(audit::platform))
        .route("/v1/service-tokens", get(service_tokens::list).post(service_tokens::create))
        .route("/v1/service-tokens/{id}", get(service_tokens::read).delete(service_tokens::revoke))
        .route("/v1/tenant", get(tenants::own).patch(tenants::change_own))
        .route("/v1/tenant/fields", get(fields::list))
        .route(
            "/v1/tenant/fields/{type}/{name}",
            get(fields::read).put(fields::declare).delete(fields::remove),
        )
        .route("/v1/tenant/revocations", get(revocations::list).post(revocations::end))
        .route("/v1/tenant/template", get(templates::read))
        .route("/v1/tenant/template/update", post(templates::update))
        .route("/v1/tenant/export", post(exports::start))
        .route("/v1/tenant/export/{run}", get(exports::read))
        .route("/v1/tenant/export/{run}/archive", get(exports::archive))
        .route("/v1/platform/overview", get(platform::overview))
        .route("/v1/platform/verticals", get(tenants::verticals))
        .route("/v1/platform/tenants", get(tenants::list).post(tenants::create))
        .route(
            "/v1/platform/tenants/{id}",
            get(tenants::read).patch(tenants::change).delete(tenants::delete),
        )
        .route(
            "/v1/platform/event-types",
            get(event_types::list_shared).post(event_types::register_shared),
        )
        .route("/v1/platform/event-types/{type}", get(event_types::read_shared))
        .route_layer(from_fn_with_state(Arc::clone(&app), caller::guard))
        .route_layer(from_fn_with_state(Arc::clone(&app), audit::record))
        .fallback(page::serve)
        .layer(from_fn(envelope::wrap))
        .layer(from_fn(unread::finish))
        .with_state(app)
}

#[cfg(test)]
pub(crate) mod tests;
