//! Nodes of a test, and their clients.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::{Claims, Role, RoleSet, Secret, TenantId};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Limits, Tls};
use crate::forward::{Places, Served};
use crate::http::tests::{follow, front_app_with, open};
use crate::http::{self, App};
use crate::serve;

/// Longer than anything takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn secret() -> Secret {
    Secret::new("a secret of the tests, longer than 32 bytes").unwrap()
}

pub(super) fn token(tenant: Option<&str>, role: Role) -> String {
    signed(&secret(), tenant, role)
}

pub(super) fn signed(secret: &Secret, tenant: Option<&str>, role: Role) -> String {
    let tenant = tenant.map(|id| id.parse().unwrap());
    let ends = Utc::now() + chrono::TimeDelta::hours(1);
    let claims = Claims::new("test", tenant, RoleSet::of(&[role]), ends).unwrap();
    tenancy::mint(secret, &claims).unwrap()
}

/// All tenants in one place, which may change.
#[derive(Clone)]
pub(super) struct OnePlace(Arc<Mutex<Served>>);

impl OnePlace {
    pub(super) fn new(served: Served) -> Self {
        Self(Arc::new(Mutex::new(served)))
    }

    pub(super) fn at(address: SocketAddr) -> Self {
        Self::new(at(address))
    }

    pub(super) fn set(&self, served: Served) {
        *self.0.lock().unwrap() = served;
    }
}

impl Places for OnePlace {
    fn partition(&self, _: &TenantId) -> u32 {
        0
    }

    fn of_partition(&self, _: u32) -> Served {
        self.0.lock().unwrap().clone()
    }
}

pub(super) fn at(address: SocketAddr) -> Served {
    Served::At(address.to_string().into())
}

/// The whole service in this process.
pub(super) struct Owner {
    pub(super) address: SocketAddr,
    pub(super) data: TempDir,
    scheme: &'static str,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Owner {
    pub(super) async fn start() -> Self {
        Self::start_with(Tls::default()).await
    }

    /// The same with a certificate.
    pub(super) async fn start_with(tls: Tls) -> Self {
        let scheme = if tls.certificate.is_some() { "https" } else { "http" };
        let data = tempfile::tempdir().unwrap();
        let mut limits = Limits::default();
        limits.stream.heartbeat_s = 1;
        let config = Config {
            limits,
            listen: "127.0.0.1:0".parse().unwrap(),
            data: data.path().to_owned(),
            jwt_secrets: vec![secret()],
            tls,
            ..Config::default()
        };
        let running = serve::start(config).await.unwrap();
        let address = running.address;
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let signal = async { drop(stopped.await) };
            running.until_shutdown(signal).await.unwrap();
        });
        let owner = Self { address, data, scheme, stop, running };
        for _ in 0..600 {
            if owner.get("/readyz", "").send().await.unwrap().status() == 200 {
                return owner;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not become ready");
    }

    pub(super) fn get(&self, path: &str, token: &str) -> RequestBuilder {
        client().get(format!("{}://{}{path}", self.scheme, self.address)).bearer_auth(token)
    }

    fn post(&self, path: &str, token: &str) -> RequestBuilder {
        client().post(format!("{}://{}{path}", self.scheme, self.address)).bearer_auth(token)
    }

    /// Creates a tenant whose date stands still; answers the token of its admin.
    pub(super) async fn tenant(&self, id: &str) -> String {
        let body = json!({
            "id": id, "name": id, "timezone": "Europe/Berlin", "currency": "EUR",
            "clock": "fixed:2025-06-30",
        });
        let platform = token(None, Role::Platform);
        let answer = self.post("/v1/platform/tenants", &platform).json(&body).send();
        assert_eq!(answer.await.unwrap().status(), 201);
        token(Some(id), Role::Admin)
    }

    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }
}

/// A server that serves nobody itself, over the same control store.
pub(super) struct Front {
    pub(super) address: SocketAddr,
    app: Arc<App>,
    folder: TempDir,
}

impl Front {
    pub(super) async fn start(owner: &Owner, places: impl Places + 'static) -> Self {
        Self::start_with(owner, places, &Tls::default()).await
    }

    /// The same, which speaks with others by TLS if it has a certificate.
    pub(super) async fn start_with(
        owner: &Owner,
        places: impl Places + 'static,
        tls: &Tls,
    ) -> Self {
        let control = owner.data.path().join("control.db");
        let app = front_app_with(&control, secret(), Arc::new(places), tls).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let router = http::router(Arc::clone(&app));
        tokio::spawn(http::accept(listener, router, None, 1_000, closing, tasks));
        Self { address, app, folder: tempfile::tempdir().unwrap() }
    }

    /// Has it answer calls itself.
    pub(super) async fn open(&self) {
        open(&self.app, &self.folder).await;
    }

    /// Has it follow what others change in the control store.
    pub(super) fn follow(&self) -> JoinHandle<()> {
        let app = Arc::clone(&self.app);
        tokio::spawn(async move { follow(&app).await })
    }

    /// Ends what is live, as at its end.
    pub(super) fn close(&self) {
        self.app.hub.close();
    }

    pub(super) fn get(&self, path: &str, token: &str) -> RequestBuilder {
        get(self.address, path, token)
    }

    pub(super) fn post(&self, path: &str, token: &str) -> RequestBuilder {
        post(self.address, path, token)
    }

    pub(super) fn delete(&self, path: &str, token: &str) -> RequestBuilder {
        Client::new().delete(format!("http://{}{path}", self.address)).bearer_auth(token)
    }

    /// Sends events; answers the receipt.
    pub(super) async fn send(&self, token: &str, events: &[Value]) -> Value {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let request = self.post("/v1/events", token).header("content-type", "application/x-ndjson");
        let answer = request.body(lines.join("\n")).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 202, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// A client that takes any certificate: whom nodes trust is not its affair.
fn client() -> Client {
    Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap()
}

fn get(address: SocketAddr, path: &str, token: &str) -> RequestBuilder {
    Client::new().get(format!("http://{address}{path}")).bearer_auth(token)
}

fn post(address: SocketAddr, path: &str, token: &str) -> RequestBuilder {
    Client::new().post(format!("http://{address}{path}")).bearer_auth(token)
}

/// An owner, what is in front of it, and the token of a tenant's admin.
pub(super) async fn pair() -> (Owner, Front, String) {
    let owner = Owner::start().await;
    let front = Front::start(&owner, OnePlace::at(owner.address)).await;
    // After the front has read its tenants.
    let admin = owner.tenant("acme").await;
    (owner, front, admin)
}

pub(super) fn invoice(id: &str, amount: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/tests", "type": "invoicing.invoice_issued",
        "time": "2025-06-01T10:00:00Z",
        "data": {
            "invoice_id": id, "customer_id": "c1", "issue_date": "2025-05-01",
            "due_date": "2025-06-10", "amount": amount,
        },
    })
}

/// Checks that an answer is a problem of this status and type.
pub(super) async fn problem(answer: Response, status: u16, slug: &str) -> Value {
    let kind = answer.headers().get("content-type").cloned();
    let (code, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(code, status, "{text}");
    assert_eq!(kind.unwrap(), "application/problem+json", "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["type"], format!("urn:tidemark:problem:{slug}"), "{text}");
    problem
}
