//! A restart after SIGKILL with much state: the embedded service, events by HTTP, a checkpoint made.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::events::{Seen, lines, tenant};
use crate::figures::grouped;
use crate::service::{Metrics, Service};
use crate::{Failure, Plan, Surroundings};

/// One body of events.
const BODY: usize = 1 << 20;
/// Bodies at once.
const CALLS: usize = 3;
/// A checkpoint is due every ten seconds while anything comes: without one for so long, none is.
const QUIET: Duration = Duration::from_secs(25);
const STUCK: Duration = Duration::from_mins(10);
/// What is read before and after.
const VIEWS: [&str; 4] = ["ar_aging", "project_profitability", "completion_streaks", "utilization"];
/// The longest pause of the engine that a checkpoint may cause, in seconds.
const PAUSE: f64 = 0.02;

#[derive(clap::Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    surroundings: Surroundings,
    #[command(flatten)]
    plan: Plan,
    /// How many times it is killed and started again
    #[arg(long, default_value_t = 3)]
    times: u32,
}

impl Restart {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let folder = tempfile::tempdir()?;
        let binary = &self.surroundings.tidemark;
        let mut service = Service::start(binary, folder.path(), &[])?;
        service.ready().await?;
        let tenants: Vec<String> = (0..self.plan.tenants).map(tenant).collect();
        service.onboard(&tenants).await?;
        let begun = Instant::now();
        let distinct = self.load(&service).await?;
        let loaded = begun.elapsed();
        let metrics = settle(&mut service, distinct).await?;
        println!(
            "Embedded: {} events of {} tenants by HTTP in {:.1} s ({} of them repeats), all in the \
             views and in checkpoints.\n",
            grouped(self.plan.events),
            self.plan.tenants,
            loaded.as_secs_f64(),
            grouped(self.plan.events - distinct)
        );
        tell_checkpoints(&metrics, folder.path())?;
        println!(
            "\n| start after SIGKILL | seconds until `/readyz` is 200 | CPU of the service | of the \
             kernel for it | peak memory |"
        );
        println!("|---|---|---|---|---|");
        let before = figures(&service, self.plan.tenants).await?;
        for time in 1..=self.times {
            service.kill();
            service = Service::start(binary, folder.path(), &[])?;
            let took = service.ready().await?;
            let ([own, kernel], peak) = (service.cpu()?, grouped(service.peak()?));
            let took = took.as_secs_f64();
            println!("| {time} | {took:.2} | {own:.2} s | {kernel:.2} s | {peak} MiB |");
            if figures(&service, self.plan.tenants).await? != before {
                return Err("the views differ from those before".into());
            }
        }
        println!("\nThe views that were compared ({}) are as before each time.", VIEWS.join(", "));
        Ok(())
    }

    /// Sends all events, each tenant's with a token of its own; how many distinct ones there are.
    async fn load(&self, service: &Service) -> Result<u64, Failure> {
        let mut tokens = Vec::new();
        for number in 0..self.plan.tenants {
            tokens.push(service.token("service", Some(&tenant(number)))?);
        }
        let token = |tenant: u32| tokens[tenant as usize].clone();
        let mut bodies: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let (mut seen, mut calls) = (Seen::default(), FuturesUnordered::new());
        let url = service.at("/v1/events");
        for generated in lines(self.plan) {
            let number = generated.tenant;
            seen.is_new(number, &generated.line);
            let body = bodies.entry(number).or_default();
            body.extend(generated.line);
            if body.len() < BODY {
                continue;
            }
            let body = std::mem::take(body);
            calls.push(post(service.client.clone(), url.clone(), token(number), body));
            if calls.len() == CALLS
                && let Some(done) = calls.next().await
            {
                done?;
            }
        }
        for (number, body) in bodies {
            calls.push(post(service.client.clone(), url.clone(), token(number), body));
            if calls.len() == CALLS
                && let Some(done) = calls.next().await
            {
                done?;
            }
        }
        while let Some(done) = calls.next().await {
            done?;
        }
        Ok(seen.count())
    }
}

async fn post(client: Client, url: String, token: String, body: Vec<u8>) -> Result<(), Failure> {
    let call = client.post(url).bearer_auth(token);
    let answer = call.header("Content-Type", "application/x-ndjson").body(body).send().await?;
    let status = answer.status();
    if status != StatusCode::ACCEPTED {
        return Err(format!("events were refused: {status} {}", answer.text().await?).into());
    }
    let receipt: Value = answer.json().await?;
    match receipt["rejected"].as_array() {
        Some(rejected) if rejected.is_empty() => Ok(()),
        _ => Err(format!("events were rejected: {receipt}").into()),
    }
}

/// Waits until all events are in the views and no checkpoint is due any more; the figures then.
async fn settle(service: &mut Service, distinct: u64) -> Result<Metrics, Failure> {
    let begun = Instant::now();
    let (mut made, mut since) = (0.0, Instant::now());
    loop {
        service.lives()?;
        let metrics = service.metrics().await?;
        let now = metrics.sum("tidemark_checkpoints_total");
        let is_applied = metrics.sum("tidemark_applied_rows_total") >= distinct as f64;
        if now > made || !is_applied {
            (made, since) = (now, Instant::now());
        } else if made > 0.0 && since.elapsed() > QUIET {
            return Ok(metrics);
        }
        if begun.elapsed() > STUCK {
            return Err("no checkpoint has all events; see service.log".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn tell_checkpoints(metrics: &Metrics, folder: &Path) -> Result<(), Failure> {
    let objects = folder.join("d/objects");
    let mib = |path: &Path| Ok::<_, Failure>(grouped(size(path)? >> 20));
    println!("| | |\n|---|---|");
    println!("| files of checkpoints | {} MiB |", mib(&objects.join("checkpoints"))?);
    println!("| files of history | {} MiB |", mib(&objects.join("history"))?);
    println!("| log | {} MiB |", mib(&folder.join("d/log.db"))?);
    println!("| checkpoints made | {} |", metrics.sum("tidemark_checkpoints_total"));
    println!("| failed | {} |", metrics.sum("tidemark_checkpoints_failed_total"));
    let written = metrics.sum("tidemark_checkpoint_bytes_total") as u64;
    println!("| written by them | {} MiB |", grouped(written >> 20));
    let pauses = metrics.histogram("tidemark_checkpoint_pause_seconds");
    let all = pauses.last().map_or(0.0, |(_, count)| *count);
    let longest = pauses.iter().find(|(_, count)| *count >= all).map_or(0.0, |(bound, _)| *bound);
    let within = pauses.iter().rfind(|(bound, _)| *bound <= PAUSE).map_or(0.0, |(_, count)| *count);
    println!("| pauses of the engine | {all} |");
    println!("| the longest of them | at most {} ms |", longest * 1000.0);
    println!("| pauses over 20 ms | {} |", all - within);
    Ok(())
}

/// The bytes of a file, or of all files below a folder.
fn size(path: &Path) -> Result<u64, Failure> {
    if !path.exists() {
        return Ok(0);
    }
    if !path.is_dir() {
        return Ok(path.metadata()?.len());
    }
    std::fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

/// Rows of views of the largest tenant and of small ones.
async fn figures(service: &Service, tenants: u32) -> Result<Vec<Value>, Failure> {
    let mut figures = Vec::new();
    for number in 0..tenants.min(4) {
        let token = service.token("analyst", Some(&tenant(number)))?;
        for view in VIEWS {
            let path = format!("/v1/views/{view}?limit=100000");
            figures.push(service.get(&path, &token).await?["rows"].take());
        }
    }
    Ok(figures)
}
