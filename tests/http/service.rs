//! A service of its own for a test: the real binary on an empty folder.

#[path = "documented.rs"]
pub(crate) mod documented;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use chrono::{Duration, Utc};
use reqwest::{Client, Response, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::{Claims, Role, RoleSet, Secret};

use self::documented::{Asked, Checked};

const SECRET: &str = "a secret of the tests, longer than 32 bytes";

pub(crate) struct Service {
    pub(crate) client: Checked,
    pub(crate) address: String,
    pub(crate) process: Child,
    pub(crate) data: Arc<TempDir>,
    scheme: &'static str,
    /// What the process has written to its log.
    log: Arc<Mutex<String>>,
}

impl Service {
    /// Starts the binary and waits until it is ready.
    pub(crate) async fn start() -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// The same on a folder that may have something in it.
    pub(crate) async fn start_in(data: Arc<TempDir>) -> Self {
        Self::start_with(data, &[]).await
    }

    /// The same with variables of its configuration.
    pub(crate) async fn start_with(data: Arc<TempDir>, variables: &[(&str, &str)]) -> Self {
        Self::start_as(data, variables, ("http", Client::new())).await
    }

    /// The same with how it is spoken to.
    pub(crate) async fn start_as(
        data: Arc<TempDir>,
        variables: &[(&str, &str)],
        (scheme, client): (&'static str, Client),
    ) -> Self {
        let mut process = command(&data).envs(variables.iter().copied()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok).inspect(move |line| {
            let mut log = kept.lock().unwrap();
            log.push_str(line);
            log.push('\n');
        });
        let address = lines.by_ref().find_map(|line| address(&line));
        let address = address.expect("the process says where it listens");
        // The pipe is read to the end, or the process would stop at a full one.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
        let client = Checked::new(client);
        let service = Self { client, address, process, data, scheme, log };
        service.until_ready().await;
        service.client.learn(service.url("/openapi.json")).await;
        service
    }

    /// What the process has written to its log.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log has a text `count` times.
    pub(crate) async fn until_logged(&self, text: &str, count: usize) {
        for _ in 0..600 {
            if self.log().matches(text).count() >= count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("'{text}' is not logged {count} times");
    }

    /// Asks the process to read its secrets anew.
    pub(crate) fn hang_up(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    async fn until_ready(&self) {
        for _ in 0..600 {
            let ready = self.client.get(self.url("/readyz")).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the service does not become ready");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Asked {
        self.client.get(self.url(path)).bearer_auth(token)
    }

    pub(crate) fn post(&self, path: &str, token: &str) -> Asked {
        self.client.post(self.url(path)).bearer_auth(token)
    }

    /// What is there to be read, as JSON.
    pub(crate) async fn read(&self, path: &str, token: &str) -> Value {
        let answer = self.get(path, token).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Creates a tenant whose date stands still and gives back a token of its admin.
    pub(crate) async fn tenant(&self, id: &str) -> String {
        let body = json!({
            "id": id, "name": id, "timezone": "Europe/Berlin", "currency": "EUR",
            "clock": "fixed:2025-06-30",
        });
        let platform = token(None, &[Role::Platform]);
        let answer = self.post("/v1/platform/tenants", &platform).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        token(Some(id), &[Role::Admin])
    }

    /// Sends events and gives back the receipt.
    pub(crate) async fn send(&self, token: &str, events: &[Value]) -> Value {
        let answer = self
            .post("/v1/events", token)
            .header("content-type", "application/cloudevents-batch+json")
            .body(serde_json::to_vec(events).unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 202);
        let position = answer.headers()["tidemark-position"].to_str().unwrap().to_owned();
        let receipt: Value = answer.json().await.unwrap();
        assert_eq!(receipt["position"], position.as_str());
        receipt
    }

    /// The rows that a query answers with.
    pub(crate) async fn ask(&self, token: &str, sql: &str) -> Value {
        let question = json!({ "sql": sql });
        let answer = self.post("/v1/query", token).json(&question).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["rows"].clone()
    }

    /// The rows of a view once `position` is applied.
    pub(crate) async fn rows(&self, token: &str, view: &str, position: &Value) -> Value {
        let path = format!("/v1/views/{view}?wait_for={}", position.as_str().unwrap());
        let answer: Value = self.get(&path, token).send().await.unwrap().json().await.unwrap();
        answer["rows"].clone()
    }
}

/// The service on a folder and a free port.
pub(crate) fn command(data: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .env("TIDEMARK_JWT_SECRET", SECRET)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

impl Drop for Service {
    fn drop(&mut self) {
        // It is the test's own process; that it may have ended already is no matter.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn address(line: &str) -> Option<String> {
    let at = line.find("127.0.0.1:")?;
    let port: String = line[at + 10..].chars().take_while(char::is_ascii_digit).collect();
    Some(format!("127.0.0.1:{port}"))
}

pub(crate) fn token(tenant: Option<&str>, roles: &[Role]) -> String {
    expiring(tenant, roles, Duration::hours(1))
}

pub(crate) fn expiring(tenant: Option<&str>, roles: &[Role], after: Duration) -> String {
    signed(SECRET, tenant, roles, after)
}

pub(crate) fn signed(
    secret: &str,
    tenant: Option<&str>,
    roles: &[Role],
    after: Duration,
) -> String {
    let secret: Secret = Secret::new(secret).unwrap();
    let tenant = tenant.map(|id| id.parse().unwrap());
    let claims = Claims::new("test", tenant, RoleSet::of(roles), Utc::now() + after).unwrap();
    tenancy::mint(&secret, &claims).unwrap()
}

/// A token of somebody else than the others'.
pub(crate) fn of_subject(subject: &str, tenant: &str, role: Role) -> String {
    let secret: Secret = Secret::new(SECRET).unwrap();
    let tenant = Some(tenant.parse().unwrap());
    let ends = Utc::now() + Duration::hours(1);
    let claims = Claims::new(subject, tenant, RoleSet::of(&[role]), ends).unwrap();
    tenancy::mint(&secret, &claims).unwrap()
}

pub(crate) fn event(kind: &str, id: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/tests", "type": kind,
        "time": "2025-06-01T10:00:00Z", "data": data,
    })
}

pub(crate) fn invoice(id: &str, customer: &str, amount: &str) -> Value {
    event(
        "invoicing.invoice_issued",
        id,
        &json!({
            "invoice_id": id, "customer_id": customer, "issue_date": "2025-05-01",
            "due_date": "2025-06-10", "amount": amount,
        }),
    )
}

pub(crate) fn payment(id: &str, invoice: &str, amount: &str) -> Value {
    event(
        "invoicing.payment_received",
        id,
        &json!({
            "payment_id": id, "invoice_id": invoice, "amount": amount, "paid_on": "2025-06-20",
        }),
    )
}

/// Checks that an answer is a problem document of this status and type, with words.
pub(crate) async fn problem(answer: Response, status: u16, slug: &str) -> Value {
    let kind = answer.headers().get("content-type").cloned();
    let code = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(code, status, "{text}");
    assert_eq!(kind.unwrap(), "application/problem+json", "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["type"], format!("urn:tidemark:problem:{slug}"), "{text}");
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{text}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}");
    problem
}

/// The path of a stream with these parameters.
pub(crate) fn stream(parameters: &[(&str, String)]) -> String {
    let url = Url::parse_with_params("http://here/v1/stream", parameters).unwrap();
    url.as_str().trim_start_matches("http://here").to_owned()
}
