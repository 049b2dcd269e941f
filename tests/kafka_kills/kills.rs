//! Kills: at any moment, in the middle of a start, and between the files of a checkpoint and its
//! commit. Of several nodes one is also halted at times until others have taken over, and goes on
//! then as if nothing had happened.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use tenancy::{Access, Store};

use crate::nodes::Nodes;
use crate::run::{Progress, Run};

/// How long a checkpoint is waited for. Longer, and the node is killed all the same.
const CHECKPOINT: Duration = Duration::from_secs(10);
/// Longer than the others wait for a node that does not say that it lives.
const HALT: Duration = Duration::from_secs(8);

/// When a node is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Some time after it was ready.
    Any,
    /// Some time after it was started.
    Starting,
    /// When a file of a checkpoint has just been written.
    BeforeCommit,
    /// Not killed, but halted for longer than the others wait for it.
    Halted,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    at_any_time: usize,
    starting: usize,
    at_a_file: usize,
    /// Of those at a file: after which the file was part of no committed checkpoint.
    pub(crate) before_its_commit: usize,
    all_nodes: usize,
    halted: usize,
}

/// Kills and restarts nodes as often as the run says.
pub(crate) async fn kill_again_and_again(
    run: &Run,
    nodes: &Nodes,
    progress: &Progress,
    mut random: StdRng,
) -> Kills {
    let mut kills = Kills::default();
    let mut last = 0;
    for number in 0..run.kills {
        let moment = match number % 4 {
            1 if nodes.all.len() > 1 && number % 3 == 1 => Moment::Halted,
            0 | 2 => Moment::BeforeCommit,
            1 => Moment::Any,
            _ => Moment::Starting,
        };
        // Only the one killed last is starting.
        if !matches!(moment, Moment::Starting) {
            last = random.random_range(0..nodes.all.len());
        }
        let mut victims = vec![last];
        if nodes.all.len() > 1 && number % 5 == 4 {
            victims = (0..nodes.all.len()).collect();
            kills.all_nodes += 1;
        }
        let mut written = None;
        match moment {
            Moment::Any => {
                nodes.all[last].ready(&nodes.client).await;
                sleep(&mut random, 200, 3_000).await;
                kills.at_any_time += 1;
            }
            Moment::Starting => {
                sleep(&mut random, 5, 1_000).await;
                kills.starting += 1;
            }
            Moment::BeforeCommit => {
                nodes.all[last].ready(&nodes.client).await;
                sleep(&mut random, 200, 1_000).await;
                written = new_file(&nodes.checkpoints).await;
                if random.random_bool(0.5) {
                    sleep(&mut random, 0, 10).await;
                }
                kills.at_a_file += 1;
            }
            Moment::Halted => {
                nodes.all[last].ready(&nodes.client).await;
                sleep(&mut random, 0, 1_000).await;
                nodes.all[last].halt(HALT).await;
                sleep(&mut random, 0, 4_000).await;
                kills.halted += 1;
            }
        }
        victims.iter().for_each(|victim| nodes.all[*victim].kill());
        if let Some(file) = written
            && !is_committed(&nodes.control, &file).await
        {
            kills.before_its_commit += 1;
        }
        // With two, the other has time to take over now and then.
        let most = if nodes.all.len() > 1 { 8_000 } else { 500 };
        sleep(&mut random, 0, most).await;
        victims.iter().for_each(|victim| nodes.all[*victim].start());
        progress.one_more();
    }
    nodes.ready().await;
    kills
}

async fn sleep(random: &mut StdRng, least: u64, most: u64) {
    tokio::time::sleep(Duration::from_millis(random.random_range(least..=most))).await;
}

/// A file of a checkpoint: its partition, the epoch of its owner, its number.
struct File {
    partition: u32,
    epoch: u64,
    number: u64,
}

/// Waits for a new file in the folder of checkpoints.
async fn new_file(folder: &Path) -> Option<File> {
    let folder = folder.to_owned();
    let waiting = tokio::task::spawn_blocking(move || {
        let known = files(&folder);
        let begun = Instant::now();
        while begun.elapsed() < CHECKPOINT {
            if let Some((partition, name)) = files(&folder).difference(&known).next() {
                let mut parts = name.split(['-', '.']).map(|part| part.parse().ok());
                let (epoch, number) = (parts.next()??, parts.next()??);
                return Some(File { partition: *partition, epoch, number });
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        None
    });
    waiting.await.unwrap()
}

/// Partition and name of each file of a checkpoint; those that are still being written have a `#`.
fn files(folder: &Path) -> BTreeSet<(u32, String)> {
    let names = |folder: &Path| -> Vec<String> {
        // A folder that is not there yet has no files.
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let partitions = names(folder).into_iter().filter_map(|name| name.parse::<u32>().ok());
    let of = |partition: u32| {
        let names = names(&folder.join(partition.to_string())).into_iter();
        names.filter(|name| !name.contains('#')).map(move |name| (partition, name))
    };
    partitions.flat_map(of).collect()
}

/// Whether a checkpoint is committed that was written after the file by the same owner.
async fn is_committed(control: &Access, file: &File) -> bool {
    let store = Store::connect(control).await.unwrap();
    let committed = store.checkpoints(file.partition).await.unwrap();
    committed.iter().any(|checkpoint| {
        let name = checkpoint.manifest.rsplit(['-', '.']).nth(1).and_then(|n| n.parse().ok());
        let number: u64 = name.unwrap_or_else(|| panic!("{}", checkpoint.manifest));
        checkpoint.epoch == file.epoch && number >= file.number
    })
}
