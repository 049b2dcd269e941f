//! The binary on a folder that outlives it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::Utc;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tenancy::{Claims, Role, RoleSet, Secret};

const SECRET: &str = "a secret of the tests, longer than 32 bytes";

/// A running service.
pub(crate) struct Process {
    client: Client,
    address: String,
    child: Child,
}

impl Process {
    /// Starts the service on a folder and waits until its log is replayed.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_at(folder, "127.0.0.1:0", &[]).await
    }

    /// The same with further settings.
    pub(crate) async fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", settings).await
    }

    /// Starts it at an address.
    async fn start_at(folder: &Path, listen: &str, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(["serve", "--listen", listen, "--data"])
            .arg(folder)
            .env("TIDEMARK_JWT_SECRET", SECRET)
            // So that a kill meets checkpoints in every stage.
            .env("TIDEMARK_CHECKPOINT_MS", "50")
            .env("RUST_LOG", "info")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| address(&line)).expect("it says where it listens");
        // Read to the end, or the process would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("  {line}")));
        let process = Self { client: Client::new(), address, child };
        process.until_ready().await;
        process
    }

    async fn until_ready(&self) {
        for _ in 0..2_400 {
            let ready = self.client.get(self.url("/readyz")).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the service does not become ready");
    }

    /// Ends it at once, as losing power would: SIGKILL, no chance to write anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in the same way and starts it at once at the same address.
    pub(crate) async fn kill_and_restart(self, folder: &Path) -> Self {
        let address = self.address.clone();
        self.kill();
        Self::start_at(folder, &address, &[]).await
    }

    /// Waits until a checkpoint has everything.
    pub(crate) async fn checkpointed(&self) {
        let made = async || -> f64 {
            let text = self.client.get(self.url("/metrics")).send().await.unwrap();
            let text = text.text().await.unwrap();
            let line = text.lines().find_map(|l| l.strip_prefix("tidemark_checkpoints_total "));
            line.map_or(0.0, |count| count.parse().unwrap())
        };
        for _ in 0..400 {
            // With nothing new none is made: then the last one has all.
            let before = made().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            if before >= 1.0 && made().await - before < 0.5 {
                return;
            }
        }
        panic!("no checkpoint is made");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Creates a tenant.
    pub(crate) async fn create(&self, tenant: &str, clock: &str, currency: &str) {
        let body = json!({
            "id": tenant, "name": tenant, "timezone": "UTC", "currency": currency, "clock": clock,
        });
        let answer = self
            .client
            .post(self.url("/v1/platform/tenants"))
            .bearer_auth(token(None, Role::Platform))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }

    /// Reads as an analyst of the tenant.
    pub(crate) async fn get(&self, tenant: &str, path: &str) -> Response {
        self.accepting(tenant, path, "application/json").await
    }

    /// Reads as an analyst of the tenant, in another format.
    pub(crate) async fn accepting(&self, tenant: &str, path: &str, accept: &str) -> Response {
        let request =
            self.client.get(self.url(path)).bearer_auth(token(Some(tenant), Role::Analyst));
        let answer = request.header("accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}: {}", path, answer.text().await.unwrap());
        answer
    }

    /// Sends a body of events and gives back the receipt; all of them must be taken.
    pub(crate) async fn post(&self, tenant: &str, content_type: &str, body: Vec<u8>) -> Value {
        let request = self.client.post(self.url("/v1/events"));
        let request = request.bearer_auth(token(Some(tenant), Role::Service));
        let answer = request.header("content-type", content_type).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
        let receipt: Value = answer.json().await.unwrap();
        assert_eq!(receipt["rejected"], json!([]), "{tenant}");
        receipt
    }

    /// Begins to send a file with the command for it.
    pub(crate) fn loading(&self, tenant: &str, file: &Path) -> Child {
        Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .arg("load")
            .arg(file)
            .args(["--url", &self.url("")])
            .env("TIDEMARK_TOKEN", token(Some(tenant), Role::Admin))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until a file is sent and the views show it.
    pub(crate) fn loaded(loading: Child) {
        let outcome = loading.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&outcome.stdout);
        eprintln!("load: {said}");
        assert!(outcome.status.success(), "{said}{}", String::from_utf8_lossy(&outcome.stderr));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is the test's own process; that it may have ended already is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(line: &str) -> Option<String> {
    let rest = &line[line.find("127.0.0.1:")?..];
    let port: String =
        rest["127.0.0.1:".len()..].chars().take_while(char::is_ascii_digit).collect();
    Some(format!("127.0.0.1:{port}"))
}

/// A token with one role.
pub(crate) fn token(tenant: Option<&str>, role: Role) -> String {
    let secret: Secret = Secret::new(SECRET).unwrap();
    let tenant = tenant.map(|id| id.parse().unwrap());
    let expires = Utc::now() + chrono::Duration::hours(2);
    let claims = Claims::new("test", tenant, RoleSet::of(&[role]), expires).unwrap();
    tenancy::mint(&secret, &claims).unwrap()
}
