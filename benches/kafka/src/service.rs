//! The service as a process of its own, on a folder and topics of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::avro::Schema;
use crate::{Failure, PARTITIONS, Surroundings, TODAY};

const SECRET: &str = "0123456789abcdef0123456789abcdef-bench";
/// How often a start is asked for whether it is done.
const LOOK: Duration = Duration::from_millis(2);
/// Calls at once while tenants are made.
const CALLS: usize = 16;

/// A running service; killed when dropped.
pub(crate) struct Service {
    child: Child,
    binary: PathBuf,
    started: Instant,
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The variables by which Kafka is the source.
pub(crate) fn kafka(surroundings: &Surroundings, prefix: &str) -> Vec<(&'static str, String)> {
    vec![
        ("TIDEMARK_KAFKA_BROKERS", surroundings.kafka.clone()),
        ("TIDEMARK_SCHEMA_REGISTRY_URL", surroundings.registry.clone()),
        ("TIDEMARK_KAFKA_TOPIC_PREFIX", prefix.to_owned()),
        ("TIDEMARK_KAFKA_GROUP", prefix.to_owned()),
        ("TIDEMARK_KAFKA_PARTITIONS", PARTITIONS.to_string()),
    ]
}

/// A prefix of topics that nobody has yet.
pub(crate) fn prefix() -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("bench{}.", now.as_millis())
}

impl Service {
    /// Starts it; it is not ready yet.
    pub(crate) fn start(
        binary: &Path,
        data: &Path,
        variables: &[(&'static str, String)],
    ) -> Result<Self, Failure> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::options().create(true).append(true).open(data.join("service.log"))?;
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", &address.to_string(), "--data"]);
        command.arg(data.join("d")).env("TIDEMARK_JWT_SECRET", SECRET);
        command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = Instant::now();
        let child = command.spawn()?;
        let (client, url) = (Client::new(), format!("http://{address}"));
        Ok(Self { child, binary: binary.to_owned(), started, url, client })
    }

    /// Waits until it is ready; the time since its start.
    pub(crate) async fn ready(&mut self) -> Result<Duration, Failure> {
        loop {
            self.lives()?;
            if let Ok(answer) = self.client.get(self.at("/readyz")).send().await
                && answer.status() == StatusCode::OK
            {
                return Ok(self.started.elapsed());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fails if it has ended.
    pub(crate) fn lives(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            Some(status) => Err(format!("the service ended: {status}; see its service.log").into()),
            None => Ok(()),
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(self) {}

    /// The URL of a path.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A token of a role, of a tenant or of the platform.
    pub(crate) fn token(&self, role: &str, tenant: Option<&str>) -> Result<String, Failure> {
        let mut command = Command::new(&self.binary);
        command.args(["token", "--role", role]).env("TIDEMARK_JWT_SECRET", SECRET);
        if let Some(tenant) = tenant {
            command.args(["--tenant", tenant]);
        }
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Makes tenants.
    pub(crate) async fn onboard(&self, tenants: &[String]) -> Result<(), Failure> {
        let token = self.token("platform", None)?;
        for some in tenants.chunks(CALLS) {
            try_join_all(some.iter().map(|id| self.create(id, &token))).await?;
        }
        Ok(())
    }

    async fn create(&self, id: &str, token: &str) -> Result<(), Failure> {
        let body = json!({ "id": id, "name": id, "timezone": "UTC", "currency": "EUR",
            "clock": format!("fixed:{TODAY}") });
        let call = self.client.post(self.at("/v1/platform/tenants")).bearer_auth(token);
        let answer = call.json(&body).send().await?;
        let status = answer.status();
        if status == StatusCode::CREATED {
            return Ok(());
        }
        Err(format!("{id} was not made: {status} {}", answer.text().await?).into())
    }

    /// What a GET with a token answers.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Result<Value, Failure> {
        let answer = self.client.get(self.at(path)).bearer_auth(token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// The event types that all tenants have, registered with the schema registry.
    pub(crate) async fn schemas(
        &self,
        registry: &str,
        prefix: &str,
    ) -> Result<Vec<Schema>, Failure> {
        let token = self.token("platform", None)?;
        let listed = self.get("/v1/platform/event-types", &token).await?;
        let listed = listed["event_types"].as_array().ok_or("no list of types")?;
        let mut schemas: Vec<Schema> = listed.iter().map(Schema::new).collect::<Result<_, _>>()?;
        for schema in &mut schemas {
            let path = format!("{registry}/subjects/{prefix}{}-value/versions", schema.name);
            let call = self.client.post(path).json(&json!({ "schema": schema.text }));
            let answer: Value = call.send().await?.error_for_status()?.json().await?;
            schema.id = answer["id"].as_u64().ok_or("a schema without an id")? as u32;
        }
        Ok(schemas)
    }

    /// The figures of `/metrics` now.
    pub(crate) async fn metrics(&self) -> Result<Metrics, Failure> {
        let text = self.client.get(self.at("/metrics")).send().await?.text().await?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.rsplit_once(' '));
        let figures =
            pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Ok(Metrics(figures.collect()))
    }

    /// Seconds of CPU that the process has had: its own, and the kernel's for it.
    pub(crate) fn cpu(&self) -> Result<[f64; 2], Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name, which may hold anything, the 12th and 13th are hundredths of seconds.
        let after = stat.rsplit_once(')').ok_or("no name in stat")?.1;
        let mut ticks = after.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
        let mut seconds = || Ok::<_, Failure>(ticks.next().ok_or("stat ends early")?? / 100.0);
        Ok([seconds()?, seconds()?])
    }

    /// The most memory that the process has had, in MiB.
    pub(crate) fn peak(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_ascii_whitespace().next()).unwrap_or("0");
        Ok(number.parse::<u64>()? / 1024)
    }
}

/// Figures by name with labels.
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// The sum over all labels.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let is = |full: &str| full == name || full.starts_with(&format!("{name}{{"));
        self.0.iter().filter(|(full, _)| is(full)).fold(0.0, |sum, (_, value)| sum + value)
    }

    /// A histogram: how many were at most each bound, by rising bounds; the last is infinite.
    pub(crate) fn histogram(&self, name: &str) -> Vec<(f64, f64)> {
        let start = format!("{name}_bucket{{le=\"");
        let bucket = |(full, count): (&String, &f64)| {
            let bound = full.strip_prefix(&start)?.strip_suffix("\"}")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, *count))
        };
        let mut buckets: Vec<(f64, f64)> = self.0.iter().filter_map(bucket).collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}
