//! Measures a built binary from outside, with the real broker and registry: the rate from Kafka into
//! the views, the time from the broker's acknowledgement to a client, and a restart. Prints Markdown.
//!
//! Events are those of `tidemark generate`. What is produced is encoded beforehand and held in
//! memory, so that producing costs little beside what is measured.

mod avro;
mod events;
mod export;
mod figures;
mod generate;
mod latency;
mod producer;
mod rate;
mod restart;
mod service;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Anything that ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures the service from Kafka to a client")]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Events a second from Kafka (Avro) into all built-in views
    Rate(rate::Rate),
    /// From the broker's acknowledgement to the delta at a client
    Latency(latency::Latency),
    /// From the start after SIGKILL until it is ready, with much state
    Restart(restart::Restart),
    /// Write the events as text, a file for each type, for peers
    Export(export::Export),
}

/// What is measured, and what it works with.
#[derive(clap::Args, Clone, Debug)]
struct Surroundings {
    /// The service's binary
    #[arg(long)]
    tidemark: PathBuf,
    /// `host:port` of the broker
    #[arg(long)]
    kafka: String,
    /// The schema registry's URL
    #[arg(long)]
    registry: String,
}

/// Which events.
#[derive(clap::Args, Clone, Copy, Debug)]
struct Plan {
    /// How many tenants; a few are much larger than the others
    #[arg(long, default_value_t = 300)]
    tenants: u32,
    /// How many events, of which one in a hundred repeats another
    #[arg(long, default_value_t = 3_000_000)]
    events: u64,
    /// Another seed, another story
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// The date that all tenants have.
const TODAY: &str = "2024-06-30";
/// Partitions of every topic.
const PARTITIONS: u32 = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Command::parse().what {
        What::Rate(rate) => rate.run().await,
        What::Latency(latency) => latency.run().await,
        What::Restart(restart) => restart.run().await,
        What::Export(export) => export.run(),
    }
}
