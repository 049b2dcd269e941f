//! Tens of thousands of live connections to a service on this machine, half of them WebSockets and half
//! event streams: what they take, and how long after an acknowledgement they have the change. All
//! that a client is told is added up, and in the end every client must hold what its views have.
//!
//! Prints a line of a table; `live.py` starts the service and prints what stands above.

mod bench;
mod check;
mod framing;
mod held;
mod http;
mod json;
mod latency;
mod process;
mod readiness;
mod sender;
mod viewer;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use crate::bench::{Bench, Tenant};
use crate::latency::Moments;
use crate::readiness::{Answers, Asking};
use crate::viewer::Viewer;

/// Anything that ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is not measured, at the beginning.
const WARMING: Duration = Duration::from_secs(3);
/// How long all connections may take to be there, and to be back.
const GATHERING: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(10);

#[derive(Parser)]
#[command(about = "Holds live connections to a service and measures their deltas")]
struct Command {
    /// Where the service listens
    #[arg(long)]
    address: SocketAddr,
    /// The service's process
    #[arg(long)]
    pid: u32,
    /// A line for each tenant: its id, a space, and a token that may send and watch
    #[arg(long)]
    tokens: PathBuf,
    /// Connections, over all tenants in turn
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Subscriptions of each, to two views in turn
    #[arg(long, default_value_t = 1)]
    subscriptions: usize,
    /// Of a hundred connections, how many are WebSockets
    #[arg(long, default_value_t = 50)]
    sockets: usize,
    /// Connections that are made at a time
    #[arg(long, default_value_t = 512)]
    making: usize,
    /// Changes a second, over all tenants
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// At most one delta of a subscription in so many milliseconds; 0: each change as it comes
    #[arg(long, default_value_t = 0)]
    max_rate_ms: u64,
    /// How long, without the three seconds before
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// In the middle all connections are dropped within a second, and come again
    #[arg(long)]
    storm: bool,
    /// What the line begins with
    #[arg(long, default_value = "")]
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let command = Command::parse();
    let bench = Arc::new(command.bench()?);
    let empty = process::resident(command.pid)?;
    let begun = Instant::now();
    for number in 0..bench.connections {
        tokio::spawn(Viewer::new(Arc::clone(&bench), number).run());
    }
    gathered(&bench, 0).await?;
    let gathering = begun.elapsed();
    let quiet = process::resident(command.pid)?;

    let before = Cpu::now(command.pid)?;
    let asking = Asking::start(&bench);
    let storm = command.storm.then(|| tokio::spawn(storm(Arc::clone(&bench), command.middle())));
    let sent = sender::send(&bench, command.rate).await?;
    let after = Cpu::now(command.pid)?;
    let storm = match storm {
        Some(storm) => Some(storm.await??),
        None => None,
    };
    let ready = asking.stop().await?;
    let astray = check::astray(&bench).await?;
    let loud = process::resident(command.pid)?;
    let memory = Memory { empty, quiet, loud };
    let run = Run { gathering, memory, sent, cpu: after.since(&before), storm, ready, astray };
    println!("{}", command.line(&bench, &run));
    if astray > 0 { Err(format!("{astray} subscriptions are astray").into()) } else { Ok(()) }
}

/// What a run came to.
struct Run {
    gathering: Duration,
    memory: Memory,
    sent: sender::Sent,
    cpu: Cpu,
    storm: Option<Storm>,
    ready: Answers,
    astray: usize,
}

/// Bytes of the service: without connections, with them, and in the end.
struct Memory {
    empty: u64,
    quiet: u64,
    loud: u64,
}

/// Seconds of CPU of the service and of this program.
struct Cpu {
    service: f64,
    clients: f64,
}

impl Cpu {
    fn now(service: u32) -> Result<Self, Failure> {
        let clients = process::cpu(std::process::id())?;
        Ok(Self { service: process::cpu(service)?, clients })
    }

    fn since(&self, before: &Self) -> Self {
        Self { service: self.service - before.service, clients: self.clients - before.clients }
    }
}

/// What became of a storm.
struct Storm {
    took: Duration,
    resumed: u64,
    snapshots: u64,
    refused: u64,
}

/// Drops all connections after a while, and waits until all are back.
async fn storm(bench: Arc<Bench>, after: Duration) -> Result<Storm, Failure> {
    tokio::time::sleep(after).await;
    let told = &bench.told;
    let counters = [&told.resumed, &told.snapshots, &told.refused];
    let before = counters.map(read);
    let begun = Instant::now();
    bench.storm.send_replace(true);
    gathered(&bench, 1).await?;
    let took = begun.elapsed();
    let [resumed, snapshots, refused] =
        std::array::from_fn(|place| read(counters[place]) - before[place]);
    Ok(Storm { took, resumed, snapshots, refused })
}

/// Waits until every connection has come to hold everything, before the storm (0) or after it (1).
async fn gathered(bench: &Bench, round: usize) -> Result<(), Failure> {
    let whole: &AtomicUsize = &bench.whole[round];
    let begun = Instant::now();
    loop {
        let there = whole.load(Ordering::Relaxed);
        if there == bench.connections {
            return Ok(());
        }
        if begun.elapsed() > GATHERING {
            let reason = bench.told.reason.get().map_or("no reason known", String::as_str);
            return Err(format!("{there} of {} are there: {reason}", bench.connections).into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Command {
    fn bench(&self) -> Result<Bench, Failure> {
        let tenants = fs::read_to_string(&self.tokens)?;
        let tenants: Vec<Tenant> = tenants
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, token)| Tenant { name: name.to_owned(), token: token.to_owned() })
            .collect();
        if tenants.is_empty() || self.subscriptions == 0 || self.rate <= 0.0 {
            return Err("no tenants, no subscriptions, or no changes".into());
        }
        let seconds = WARMING.as_secs_f64() + self.seconds as f64;
        let events = (self.rate * seconds) as usize;
        let moments = Moments::new(events, (self.rate * WARMING.as_secs_f64()) as usize);
        Ok(Bench::new(
            self.address,
            tenants,
            self.connections,
            self.subscriptions,
            self.sockets,
            self.max_rate_ms,
            self.making,
            moments,
            events,
        ))
    }

    /// When a storm begins.
    fn middle(&self) -> Duration {
        WARMING + Duration::from_secs(self.seconds) / 2
    }

    fn line(&self, bench: &Bench, run: &Run) -> String {
        let (told, took) = (&bench.told, &bench.moments.from_acknowledged);
        let sockets = bench.socket_count();
        let seconds = run.sent.took.as_secs_f64();
        let each = run.memory.quiet.saturating_sub(run.memory.empty) / bench.connections as u64;
        let mut cells = vec![
            self.name.clone(),
            format!("{sockets} + {}", bench.connections - sockets),
            (bench.connections * bench.subscriptions).to_string(),
            format!("{:.1} s", run.gathering.as_secs_f64()),
            format!("{:.1} KiB", each as f64 / 1024.0),
            format!("{} MiB", run.memory.loud >> 20),
            format!("{:.0}", run.sent.events as f64 / seconds),
            format!("{:.0}", read(&told.deltas) as f64 / seconds),
        ];
        for share in [0.5, 0.99, 0.999] {
            cells.push(millis(took.quantile(share)));
        }
        cells.push(millis(took.longest()));
        cells.push(took.count().to_string());
        cells.push(format!("{:.0} %", run.cpu.service / seconds * 100.0));
        cells.push(format!("{:.0} %", run.cpu.clients / seconds * 100.0));
        cells.push(read(&told.resets).to_string());
        cells.push(read(&told.ended).to_string());
        cells.push(run.storm.as_ref().map_or(String::new(), |storm| {
            format!(
                "back in {:.2} s: {} resumed, {} snapshots, {} refused before",
                storm.took.as_secs_f64(),
                storm.resumed,
                storm.snapshots,
                storm.refused
            )
        }));
        let Answers { asked, failed, slowest } = run.ready;
        cells.push(format!("{failed} of {asked}, {}", millis(slowest.as_micros() as u64)));
        cells.push(run.astray.to_string());
        format!("| {} |", cells.join(" | "))
    }
}

/// Microseconds as milliseconds.
fn millis(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}
