//! How many events a second go from the topics into all built-in views.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::avro::Schema;
use crate::events::{Messages, tenant};
use crate::figures::grouped;
use crate::producer::{Moments, Producer};
use crate::service::{self, Service};
use crate::{Failure, Plan, Surroundings};

/// How often the figures are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Without any progress for so long, a run has failed.
const STUCK: Duration = Duration::from_mins(2);
/// Tenants whose views are written for comparing: the largest and small ones.
const COMPARED: u32 = 10;
/// The views that are written for comparing.
const VIEWS: [&str; 3] = ["ar_aging", "project_profitability", "budget_variance"];

#[derive(clap::Args)]
pub(crate) struct Rate {
    #[command(flatten)]
    surroundings: Surroundings,
    #[command(flatten)]
    plan: Plan,
    /// Where the views of some tenants are written, for a peer to compare its own with
    #[arg(long)]
    figures: Option<PathBuf>,
}

/// What one run took.
struct Taken {
    /// From the first event that was in the views to the last.
    reading: Duration,
    /// From the start of the process, or from the first message sent, to the last event.
    whole: Duration,
    /// The service's.
    cpu: f64,
    /// In MiB.
    peak: u64,
}

impl Rate {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        println!(
            "{} events of {} tenants, Avro, 3 partitions, all built-in views live; one event in a \
             hundred repeats another and is dropped.\n",
            grouped(self.plan.events),
            self.plan.tenants
        );
        println!(
            "| producer | events/s | read in | from the beginning | CPU of the service | peak memory |"
        );
        println!("|---|---|---|---|---|---|");
        let taken = self.beforehand().await?;
        self.tell("done beforehand", &taken);
        let taken = self.at_once().await?;
        self.tell("at the same time", &taken);
        Ok(())
    }

    fn tell(&self, producer: &str, taken: &Taken) {
        let rate = self.plan.events as f64 / taken.reading.as_secs_f64();
        println!(
            "| {producer} | {} | {:.2} s | {:.2} s | {:.2} s | {} MiB |",
            grouped(rate as u64),
            taken.reading.as_secs_f64(),
            taken.whole.as_secs_f64(),
            taken.cpu,
            grouped(taken.peak)
        );
    }

    /// Everything is in the topics before the service starts.
    async fn beforehand(&self) -> Result<Taken, Failure> {
        let folder = tempfile::tempdir()?;
        let (mut service, producer, messages) = self.prepare(folder.path()).await?;
        let variables = service.1.clone();
        service.0.stop()?;
        let distinct = messages.distinct;
        tokio::task::spawn_blocking(move || produce(&producer, &messages)).await??;
        let begun = Instant::now();
        service.0 = Service::start(&self.surroundings.tidemark, folder.path(), &variables)?;
        let service = &mut service.0;
        let reading = applied(service, 0.0, distinct).await?;
        let (whole, cpu) = (begun.elapsed(), service.cpu()?.iter().sum());
        service.ready().await?;
        self.write_figures(service).await?;
        Ok(Taken { reading, whole, cpu, peak: service.peak()? })
    }

    /// The producer sends while the service reads.
    async fn at_once(&self) -> Result<Taken, Failure> {
        let folder = tempfile::tempdir()?;
        let ((mut service, _), producer, messages) = self.prepare(folder.path()).await?;
        let before = service.metrics().await?.sum(APPLIED);
        let (distinct, idle) = (messages.distinct, service.cpu()?.iter().sum::<f64>());
        let begun = Instant::now();
        let sending = tokio::task::spawn_blocking(move || produce(&producer, &messages));
        let reading = applied(&mut service, before, distinct).await?;
        let whole = begun.elapsed();
        sending.await??;
        let cpu = service.cpu()?.iter().sum::<f64>() - idle;
        Ok(Taken { reading, whole, cpu, peak: service.peak()? })
    }

    /// A service with all tenants and topics, a producer to these, and all messages.
    async fn prepare(
        &self,
        folder: &Path,
    ) -> Result<((Service, Vec<(&'static str, String)>), Producer, Arc<Messages>), Failure> {
        let prefix = service::prefix();
        let variables = service::kafka(&self.surroundings, &prefix);
        let mut service = Service::start(&self.surroundings.tidemark, folder, &variables)?;
        service.ready().await?;
        let tenants: Vec<String> = (0..self.plan.tenants).map(tenant).collect();
        service.onboard(&tenants).await?;
        let schemas = service.schemas(&self.surroundings.registry, &prefix).await?;
        let producer = producer(&self.surroundings, &prefix, &schemas)?;
        let messages = Arc::new(Messages::new(self.plan, &schemas)?);
        Ok(((service, variables), producer, messages))
    }

    async fn write_figures(&self, service: &Service) -> Result<(), Failure> {
        let Some(path) = &self.figures else { return Ok(()) };
        let mut all: BTreeMap<String, Value> = BTreeMap::new();
        for number in 0..self.plan.tenants.min(COMPARED) {
            let id = tenant(number);
            let token = service.token("analyst", Some(&id))?;
            let mut views = json!({});
            for view in VIEWS {
                let answer = service.get(&format!("/v1/views/{view}?limit=100000"), &token).await?;
                views[view] = json!({ "columns": answer["columns"], "rows": answer["rows"] });
            }
            all.insert(id, views);
        }
        std::fs::write(path, serde_json::to_vec(&all)?)?;
        Ok(())
    }
}

/// Rows that are in the views: events and dates.
const APPLIED: &str = "tidemark_applied_rows_total";

/// A producer that marks nothing.
pub(crate) fn producer(
    surroundings: &Surroundings,
    prefix: &str,
    schemas: &[Schema],
) -> Result<Producer, Failure> {
    let topics = schemas.iter().map(|schema| format!("{prefix}{}", schema.name)).collect();
    Producer::new(&surroundings.kafka, topics, Moments::new(Instant::now(), 0))
}

fn produce(producer: &Producer, messages: &Messages) -> Result<(), Failure> {
    for place in 0..messages.len() {
        let (topic, number, value) = messages.get(place);
        producer.send(topic, &tenant(number), value, None)?;
    }
    producer.flush()
}

/// Waits until so many events more than `before` are in the views; the time since the first was.
async fn applied(service: &mut Service, before: f64, distinct: u64) -> Result<Duration, Failure> {
    let (mut begun, mut last, mut moved) = (None, before, Instant::now());
    loop {
        service.lives()?;
        let looked = Instant::now();
        // The listener is up a moment after the process.
        let now =
            service.metrics().await.map_or(before, |metrics| metrics.sum(APPLIED).max(before));
        if now > before && begun.is_none() {
            // What came first came since the look before this one.
            begun = Some(looked - LOOK);
        }
        if let Some(begun) = begun
            && now - before >= distinct as f64
        {
            return Ok(begun.elapsed());
        }
        if now > last {
            (last, moved) = (now, Instant::now());
        } else if moved.elapsed() > STUCK {
            return Err(format!("{} of {distinct} events came", now - before).into());
        }
        tokio::time::sleep(LOOK).await;
    }
}
