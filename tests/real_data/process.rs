//! The binary on a folder that outlives it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tenancy::{Claims, Role, RoleSet, Secret};

/// The key of the tokens.
pub(crate) const SECRET: &str = "a secret of the tests, longer than 32 bytes";

/// A running service.
pub(crate) struct Process {
    client: Client,
    address: String,
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
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
        Self::start_by(Self::binary(), folder, listen, settings).await
    }

    /// The program.
    pub(crate) fn binary() -> Command {
        Command::new(env!("CARGO_BIN_EXE_tidemark"))
    }

    /// Starts it by a command that the arguments are given to: the program itself, or one that
    /// becomes it.
    pub(crate) async fn start_by(
        command: Command,
        folder: &Path,
        listen: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let started = Self::try_start_by(command, folder, listen, settings).await;
        started.unwrap_or_else(|(status, said)| panic!("{status}: {}", said.join("\n")))
    }

    /// Starts it; an error is how it ended and what it said if it did so before it was ready.
    pub(crate) async fn try_start_by(
        mut command: Command,
        folder: &Path,
        listen: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, (ExitStatus, Vec<String>)> {
        let mut child = command
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
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let found = {
            let mut said = said.lock().unwrap();
            let mut noted = lines.by_ref().inspect(|line| said.push(line.clone()));
            noted.find_map(|line| address(&line))
        };
        let Some(address) = found else {
            let status = child.wait().unwrap();
            let said = said.lock().unwrap().clone();
            return Err((status, said));
        };
        // Read to the end, or the process would stop at a full pipe.
        let noted = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in lines {
                eprintln!("  {line}");
                noted.lock().unwrap().push(line);
            }
        });
        let mut process = Self { client: Client::new(), address, child, said };
        match process.until_ready().await {
            None => Ok(process),
            Some(status) => {
                reader.join().unwrap();
                let said = process.said();
                Err((status, said))
            }
        }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it is ready; answers how it ended if it did so before.
    async fn until_ready(&mut self) -> Option<ExitStatus> {
        for _ in 0..2_400 {
            let ready = self.client.get(self.url("/readyz")).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                return None;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
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

    /// One of its figures; 0 as long as it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.client.get(self.url("/metrics")).send().await.unwrap();
        let text = text.text().await.unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let value = lines.find_map(|(of, value)| (of == name).then_some(value));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a checkpoint has everything.
    pub(crate) async fn checkpointed(&self) {
        // A look that begins from now on and finds nothing new: the second that ends.
        let idle = async || self.metric("tidemark_checkpoints_idle_total").await;
        let before = idle().await;
        for _ in 0..2400 {
            if idle().await >= before + 2.0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
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
