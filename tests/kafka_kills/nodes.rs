//! The nodes: processes that are started, killed and started again, and questions to any of them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::Rng;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tenancy::{Access, Role};

use crate::broker::addresses;
use crate::postgres::Database;
use crate::process::{SECRET, token};
use crate::run::Run;

/// For anything that must come about in the end, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// A node with a folder and an address of its own.
pub(crate) struct Node {
    name: String,
    pub(crate) address: String,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    running: Mutex<Option<Running>>,
    log: Arc<Mutex<Vec<String>>>,
}

struct Running {
    child: Child,
    reader: JoinHandle<()>,
}

impl Node {
    /// A node that is not started yet, with its folder in `root` and a port that is free now.
    fn new(root: &Path, name: &str, settings: Vec<(String, String)>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            name: name.to_owned(),
            address: free.local_addr().unwrap().to_string(),
            folder: root.join(name),
            settings,
            running: Mutex::default(),
            log: Arc::default(),
        }
    }

    /// Begins to start it.
    pub(crate) fn start(&self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(["serve", "--listen", &self.address, "--data"])
            .arg(&self.folder)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let log = Arc::clone(&self.log);
        log.lock().unwrap().push("-- started".to_owned());
        let reader =
            std::thread::spawn(move || lines.for_each(|line| log.lock().unwrap().push(line)));
        *self.running() = Some(Running { child, reader });
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&self) {
        let Running { mut child, reader } = self.running().take().expect("it was started");
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{} ended by itself: {ended:?}\n{}", self.name, self.last_words());
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        self.log.lock().unwrap().push("-- killed".to_owned());
    }

    /// Halts it with SIGSTOP, and has it go on after a while.
    pub(crate) async fn halt(&self, time: Duration) {
        let id = self.running().as_ref().expect("it was started").child.id().to_string();
        let signal = |name: &str| {
            let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
            assert!(sent.success(), "{} cannot be halted", self.name);
        };
        signal("STOP");
        tokio::time::sleep(time).await;
        signal("CONT");
        self.log.lock().unwrap().push("-- halted, and gone on".to_owned());
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self, client: &Client) {
        let asked = Instant::now();
        loop {
            let ready = client.get(format!("http://{}/readyz", self.address)).send().await;
            if ready.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return;
            }
            if let Some(Running { child, .. }) = self.running().as_mut() {
                let ended = child.try_wait().unwrap();
                let (name, said) = (&self.name, self.last_words());
                assert!(ended.is_none(), "{name} ended by itself: {ended:?}\n{said}");
            }
            assert!(asked.elapsed() < PATIENCE, "{} does not become ready", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its lines in which something failed.
    pub(crate) fn errors(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let bad = |line: &&String| line.contains(" ERROR ") || line.contains("panicked");
        log.iter().filter(bad).map(|line| format!("{}: {line}", self.name)).collect()
    }

    /// The last lines of its log.
    fn last_words(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log[log.len().saturating_sub(30)..].join("\n")
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(Running { mut child, .. }) = self.running().take() {
            // It is the test's own process; that it may have ended already is no matter.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The type and the bytes of a body.
pub(crate) type Body = (&'static str, Vec<u8>);

/// A body of JSON.
pub(crate) fn json_body(value: &Value) -> Body {
    ("application/json", value.to_string().into_bytes())
}

/// All nodes, and a client that asks any of them.
pub(crate) struct Nodes {
    pub(crate) all: Vec<Node>,
    pub(crate) client: Client,
    /// The folder of checkpoints in the object store.
    pub(crate) checkpoints: PathBuf,
    /// How the control store is reached.
    pub(crate) control: Access,
}

impl Nodes {
    /// One node with its own control store, or several that share one, or any number that share one in
    /// PostgreSQL; all with the same objects and topics.
    pub(crate) fn start(root: &Path, run: &Run, prefix: &str) -> Self {
        let (kafka, registry) = addresses();
        let objects = root.join("objects");
        let mut settings = vec![
            ("TIDEMARK_JWT_SECRET", SECRET.to_owned()),
            ("TIDEMARK_KAFKA_BROKERS", kafka.clone()),
            ("TIDEMARK_SCHEMA_REGISTRY_URL", registry.clone()),
            ("TIDEMARK_KAFKA_TOPIC_PREFIX", prefix.to_owned()),
            ("TIDEMARK_KAFKA_GROUP", prefix.to_owned()),
            ("TIDEMARK_KAFKA_PARTITIONS", "3".to_owned()),
            ("TIDEMARK_OBJECT_STORE_URL", format!("file://{}", objects.display())),
            // So that a kill meets checkpoints in every stage, and clients learn positions.
            ("TIDEMARK_CHECKPOINT_MS", "200".to_owned()),
            ("TIDEMARK_LIMITS_STREAM_HEARTBEAT_S", "1".to_owned()),
            ("TIDEMARK_AUDIT_KEY", "the key of the audit that all nodes have".to_owned()),
        ];
        let mut control = Access::file(&root.join("a/control.db"));
        if run.postgres {
            let database = Database::create();
            let (service, owner) =
                (database.pooled("tidemark_service"), database.direct("tidemark_owner"));
            control.database = service.parse().unwrap();
            settings.push(("TIDEMARK_DATABASE_URL", service));
            settings.push(("TIDEMARK_DATABASE_MIGRATE_URL", owner));
        } else if run.nodes > 1 {
            let shared = root.join("control.db");
            settings.push(("TIDEMARK_DATABASE_URL", format!("sqlite:{}", shared.display())));
            control = Access::file(&shared);
        }
        let settings: Vec<(String, String)> =
            settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let names = ["a", "b", "c", "d"].iter().take(run.nodes);
        let all: Vec<Node> = names.map(|name| Node::new(root, name, settings.clone())).collect();
        all.iter().for_each(Node::start);
        let client = Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        Self { all, client, checkpoints: objects.join("checkpoints"), control }
    }

    pub(crate) async fn ready(&self) {
        for node in &self.all {
            node.ready(&self.client).await;
        }
    }

    /// Any of them.
    pub(crate) fn any(&self) -> &Node {
        &self.all[rand::rng().random_range(0..self.all.len())]
    }

    /// Calls any node, and again while none can answer; answers what it says. A tenant that an
    /// earlier try has created is no conflict.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        tenant: Option<&str>,
        body: Option<Body>,
    ) -> Value {
        let role = if tenant.is_some() { Role::Admin } else { Role::Platform };
        let token = token(tenant, role);
        let asked = Instant::now();
        loop {
            let url = format!("http://{}{path}", self.any().address);
            let mut request = self.client.request(method.clone(), url).bearer_auth(&token);
            if let Some((kind, body)) = &body {
                request = request.header("content-type", *kind).body(body.clone());
            }
            let said = match request.send().await {
                Ok(answer) => match (answer.status(), answer.text().await) {
                    (status, Ok(text)) if status.is_success() || status == StatusCode::CONFLICT => {
                        return serde_json::from_str(&text).unwrap();
                    }
                    (
                        StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                        | StatusCode::TOO_MANY_REQUESTS,
                        Ok(text),
                    ) => text,
                    (status, Ok(text)) => panic!("{method} {path}: {status} {text}"),
                    (_, Err(error)) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            assert!(asked.elapsed() < PATIENCE, "{method} {path}: {said}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str, tenant: Option<&str>) -> Value {
        self.call(Method::GET, path, tenant, None).await
    }
}
