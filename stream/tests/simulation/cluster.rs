//! Two nodes, one of which serves the tenant: it restarts, dies, or hands the tenant over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use projections::{Tenant, TenantDelta, TenantSnapshot};
use stream::{Door, Hub, Problem, Snapshots, StreamLimits, Subscription, Viewer};
use tokio::io::DuplexStream;
use tokio::task::AbortHandle;

use crate::network::{Gate, Pace};
use crate::support::{Shared, World};

pub(crate) const TENANT: Tenant = Tenant(3);

/// Both nodes.
pub(crate) struct Cluster {
    world: Shared,
    limits: StreamLimits,
    nodes: [Option<Node>; 2],
    /// Who serves the tenant; nobody while it is handed over or its node is away.
    owner: Option<usize>,
    /// How often connections were given a reason to end.
    upheavals: u64,
}

/// What a connection may count on: that it does not end by itself, as long as nothing happens to
/// whom it was made to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    upheavals: u64,
    is_to_owner: bool,
}

impl Cluster {
    pub(crate) fn new(world: Shared, limits: StreamLimits) -> Self {
        let nodes = [true, false].map(|serves| Some(Node::start(&world, &limits, serves)));
        Self { world, limits, nodes, owner: Some(0), upheavals: 0 }
    }

    /// A connection to the node that serves the tenant, or to the other one.
    pub(crate) fn dial(&mut self, is_lost: bool, pace: Pace) -> Option<(DuplexStream, Promise)> {
        let owner = self.owner.unwrap_or(0);
        let place = if is_lost { 1 - owner } else { owner };
        let is_to_owner = !is_lost && self.owner.is_some();
        let promise = Promise { upheavals: self.upheavals, is_to_owner };
        let node = self.nodes[place].as_mut()?;
        Some((node.gate.dial(pace)?, promise))
    }

    /// Whether nothing has happened by which a connection could have ended.
    pub(crate) fn holds(&self, promise: Promise) -> bool {
        promise.is_to_owner && promise.upheavals == self.upheavals
    }

    /// Tells the node that serves the tenant what changed.
    pub(crate) fn publish(&self, deltas: &[TenantDelta]) {
        if let Some(node) = self.owner.and_then(|owner| self.nodes[owner].as_ref()) {
            node.hub.publish(deltas);
        }
    }

    /// Ends all connections, whose clients come again.
    pub(crate) fn dismiss(&mut self) {
        self.upheavals += 1;
        if let Some(node) = self.owner.and_then(|owner| self.nodes[owner].as_ref()) {
            node.hub.dismiss(|_| true);
        }
    }

    /// The node that serves the tenant begins to shut down, or is gone at once.
    pub(crate) fn stop(&mut self, is_orderly: bool) {
        self.upheavals += 1;
        let Some(owner) = self.owner.take() else { return };
        if is_orderly {
            if let Some(node) = &self.nodes[owner] {
                node.hub.close();
            }
        } else {
            self.nodes[owner] = None;
        }
    }

    /// A node starts where one was stopped: it knows the state, and nothing of how it came about.
    pub(crate) fn start(&mut self, place: usize) {
        self.upheavals += 1;
        // First, what was left of the one before ends.
        self.nodes[place] = None;
        self.nodes[place] = Some(Node::start(&self.world, &self.limits, true));
        self.owner = Some(place);
    }

    /// Who serves the tenant.
    pub(crate) fn owner(&self) -> usize {
        self.owner.unwrap_or(0)
    }

    /// The tenant leaves its node.
    pub(crate) fn give_up(&mut self) {
        self.upheavals += 1;
        let Some(owner) = self.owner.take() else { return };
        if let Some(node) = &self.nodes[owner] {
            node.serves.store(false, Ordering::SeqCst);
            node.hub.leave(|tenant| tenant == TENANT);
        }
    }

    /// The tenant comes to a node.
    pub(crate) fn take_over(&mut self, place: usize) {
        self.upheavals += 1;
        if let Some(node) = &self.nodes[place] {
            node.serves.store(true, Ordering::SeqCst);
            self.owner = Some(place);
        }
    }
}

/// A service with its own hub. Its connections break when it is dropped.
struct Node {
    hub: Hub,
    serves: Arc<AtomicBool>,
    gate: Gate,
    accepting: AbortHandle,
}

impl Node {
    fn start(world: &Shared, limits: &StreamLimits, serves: bool) -> Self {
        let serves = Arc::new(AtomicBool::new(serves));
        let shown =
            Shown { world: world.clone(), nothing: World::shared(), serves: Arc::clone(&serves) };
        let hub = Hub::new(shown, limits.clone());
        let server = Server { hub: hub.clone(), serves: Arc::clone(&serves) };
        let app = Router::new()
            .route("/stream", get(events))
            .route("/ws", get(socket))
            .with_state(server);
        let (gate, inbox) = Gate::new();
        let accepting = tokio::spawn(async move { axum::serve(inbox, app).await }).abort_handle();
        Self { hub, serves, gate, accepting }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What a node shows: the tenant's views as long as it serves it; of others it knows nothing.
struct Shown {
    world: Shared,
    nothing: Shared,
    serves: Arc<AtomicBool>,
}

impl Snapshots for Shown {
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        let serves = self.serves.load(Ordering::SeqCst);
        let shown = if serves { &self.world } else { &self.nothing };
        shown.0.snapshot(tenant)
    }
}

#[derive(Clone)]
struct Server {
    hub: Hub,
    serves: Arc<AtomicBool>,
}

impl Door for Server {
    fn admit<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Viewer, Problem>> {
        Box::pin(async { Ok(viewer()) })
    }

    fn serves(&self, _: &Viewer) -> bool {
        self.serves.load(Ordering::SeqCst)
    }
}

/// Somebody whose token outlives every simulated day.
fn viewer() -> Viewer {
    Viewer {
        tenant: TENANT,
        tenant_id: "a tenant".to_owned(),
        expires_at: chrono::Utc::now() + chrono::TimeDelta::days(300),
        asking: Ok(()),
    }
}

type Pairs = Query<Vec<(String, String)>>;

async fn events(State(server): State<Server>, query: Pairs, headers: HeaderMap) -> Response {
    let texts = query.iter().filter(|(name, _)| name == "sub");
    let subs = texts.map(|(_, text)| Subscription::parse(text)).collect::<Result<Vec<_>, _>>();
    let answer = match subs {
        Ok(subs) => stream::sse(&server.hub, viewer(), subs, &headers),
        Err(problem) => return problem.into_response(),
    };
    // As the service does: it may have come while the tenant was being handed over.
    if server.serves.load(Ordering::SeqCst) {
        answer
    } else {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

async fn socket(
    State(server): State<Server>,
    query: Pairs,
    handshake: WebSocketUpgrade,
) -> Response {
    let known = query.iter().any(|(name, _)| name == "token").then(viewer);
    stream::upgrade(server.hub.clone(), Arc::new(server), known, handshake)
}
