//! Writes checkpoints of synthetic state to a folder, merges them and reads them back.
//!
//! ```text
//! checkpoint DIR --mib 2048 --threads 2
//! ```
//! The state: forty stores of unequal size, entries of 40 to 250 bytes. First a whole checkpoint in
//! parts of 4,096 slots; then increments of a fifteenth of the entries each; then the merge of all of
//! them; and after each of the three a restart, which reads every block, checks it, and looks at
//! every entry.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use clap::Parser;
use ingest::checkpoint::{
    CheckpointError, Checkpoints, Commit, Commits, CommitsError, Committed, Cut, Extent, Options,
    Source, StatePart,
};
use object_store::local::LocalFileSystem;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Writes checkpoints of synthetic state to a folder, merges them and reads them back.
#[derive(Parser)]
struct Arguments {
    /// An empty folder.
    folder: PathBuf,
    /// The size of the state.
    #[arg(long, default_value_t = 2048)]
    mib: u64,
    /// Threads that read.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Increments before the merge.
    #[arg(long, default_value_t = 16)]
    increments: u64,
}

const STORES: u32 = 40;
const PART: u32 = 4096;
/// The mean size of an entry with its place in the table.
const ENTRY: u64 = 153;

/// The commits, in memory: what is measured are the files.
#[derive(Debug, Default)]
struct Listed(Mutex<Vec<Commit>>);

#[async_trait]
impl Commits for Listed {
    async fn acquire(&self, _partition: u32, _owner: &str) -> Result<u64, CommitsError> {
        Ok(1)
    }

    async fn listed(&self, _partition: u32) -> Result<Vec<Commit>, CommitsError> {
        let listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(listed.iter().rev().cloned().collect())
    }

    async fn commit(&self, commit: &Commit, keep: u64) -> Result<(), CommitsError> {
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listed.push(commit.clone());
        listed.retain(|listed| listed.number + keep > commit.number);
        Ok(())
    }
}

/// How many entries a store has: the first a fifth of all, the others less and less.
fn entries(store: u32, mib: u64) -> u32 {
    let share = 1.0 / f64::from(store + 1) / (1..=STORES).map(|n| 1.0 / f64::from(n)).sum::<f64>();
    ((mib << 20) as f64 / ENTRY as f64 * share) as u32
}

/// The entries of the slots that `take` takes, from `from` on.
fn part(store: u32, from: u32, to: u32, generation: u64, take: impl Fn(u32) -> bool) -> StatePart {
    let (mut slots, mut ends, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for slot in (from..to).filter(|slot| take(*slot)) {
        let seed = (u64::from(store) << 32 | u64::from(slot)) ^ generation << 50;
        let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..5 + word % 27 {
            word = word.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        slots.push(u64::from(slot));
        ends.push(bytes.len() as u32);
    }
    StatePart { store, slots, ends, bytes: bytes.into() }
}

async fn write(
    checkpoints: &Checkpoints,
    mib: u64,
    generation: u64,
) -> Result<(Committed, Duration), CheckpointError> {
    let extent = checkpoints.extent();
    let mut writer = checkpoints.begin(extent)?;
    let mut writing = Duration::ZERO;
    for store in 0..STORES {
        let last = entries(store, mib);
        for from in (0..last).step_by(PART as usize) {
            let to = last.min(from + PART);
            let changed = |slot: u32| (slot ^ slot >> 7) % 15 == (generation % 15) as u32;
            let part = match extent {
                Extent::Whole => part(store, from, to, generation, |_| true),
                Extent::Changes => part(store, from, to, generation, changed),
            };
            let started = Instant::now();
            writer.state(part).await?;
            writing += started.elapsed();
        }
    }
    let started = Instant::now();
    let cut = Cut {
        circuit: [0; 16],
        source: Source::Log { offset: generation },
        step: generation,
        catalogue: Vec::new(),
        history: Vec::new(),
        sections: [("generation".to_owned(), Bytes::from(generation.to_string()))].into(),
    };
    let committed = writer.commit(cut).await?;
    Ok((committed, writing + started.elapsed()))
}

async fn read(checkpoints: &Checkpoints, threads: usize) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let loaded = checkpoints
        .restore(move |restored| {
            let sizes = restored.load_stores(threads, |_, parts| {
                let (mut entries, mut bytes) = (0, 0_u64);
                for part in parts {
                    let part = part?;
                    entries += part.slots.len();
                    let words = part.entries().map(|(_, entry)| u64::from(entry[entry.len() - 1]));
                    bytes += part.bytes.len() as u64 + words.max().unwrap_or(0) / 256;
                }
                Ok::<_, CheckpointError>((entries, bytes))
            })?;
            let sum =
                |all: (usize, u64), one: &(u32, (usize, u64))| (all.0 + one.1.0, all.1 + one.1.1);
            Ok(sizes.iter().fold((0, 0), sum))
        })
        .await?;
    let (_, (entries, bytes)) = loaded.ok_or("nothing was restored")?;
    say(&format!("read {entries} entries"), bytes, started.elapsed());
    Ok(())
}

fn say(what: &str, bytes: u64, time: Duration) {
    let mib = bytes as f64 / f64::from(1 << 20);
    let rate = mib / time.as_secs_f64();
    println!("{what}: {mib:.0} MiB in {:.2} s, {rate:.0} MiB/s", time.as_secs_f64());
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { folder, mib, threads, increments } = Arguments::parse();
    let objects = Arc::new(LocalFileSystem::new_with_prefix(&folder)?);
    let commits = Arc::new(Listed::default());
    let checkpoints = Checkpoints::open(objects, commits, 0, "bench", Options::default()).await?;
    let (committed, time) = write(&checkpoints, mib, 0).await?;
    say("written whole", committed.written, time);
    read(&checkpoints, threads).await?;
    let (mut bytes, mut time) = (0, Duration::ZERO);
    for generation in 1..=increments {
        let (committed, took) = write(&checkpoints, mib, generation).await?;
        bytes += committed.written;
        time += took;
    }
    say(&format!("written {increments} increments"), bytes, time);
    read(&checkpoints, threads).await?;
    let started = Instant::now();
    while checkpoints.merge().await? {}
    let took = started.elapsed();
    let (committed, _) = write(&checkpoints, mib, increments + 1).await?;
    let base = committed.checkpoint.state.iter().take(1).flat_map(|run| &run.files);
    say("merged into a new base", base.map(|file| file.bytes).sum(), took);
    read(&checkpoints, threads).await?;
    println!("most that was ever resident: {} MiB", measure::memory::peak() >> 20);
    Ok(())
}
