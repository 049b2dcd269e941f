//! Files that are cut short, flipped or gone after a kill: the figures are the same, or they are
//! refused by name. They are never others.
//!
//! `SEED` sets which bytes are struck; `ROUNDS` how often everything is tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod figures;
#[allow(dead_code)]
#[path = "../real_data/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::Store;
use tokio::runtime::Runtime;

use damage::{Damage, copy, files};
use figures::{Figures, different, figures, refused};
use process::Process;

/// No checkpoint is made in a test's time.
const NEVER: [(&str, &str); 1] = [("TIDEMARK_CHECKPOINT_MS", "3600000")];
const OFTEN: [(&str, &str); 1] = [("TIDEMARK_CHECKPOINT_MS", "100")];

/// A folder as a kill leaves it: several checkpoints, and a log that goes on behind the newest.
struct Left {
    folder: TempDir,
    tenants: Vec<String>,
    figures: Figures,
    /// The figures at the newest checkpoint, and after each body that came behind it.
    behind: Vec<Figures>,
    /// The manifest of the newest checkpoint.
    newest: PathBuf,
    /// The texts of all manifests that are kept.
    kept: Vec<String>,
}

const MADE: &str = "tidemark_checkpoints_total";

/// Tenants, their events, and the parts in which each sends them: those that are followed by a
/// checkpoint, and those that are not.
const TENANTS: u32 = 2;
const EVENTS: u32 = 3_000;
const SAVED: usize = 7;
const BEHIND: usize = 2;

/// What a struck service does.
enum Outcome {
    Runs(Process),
    /// It ended before it was ready.
    Ends(ExitStatus, String),
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn chance() -> StdRng {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let seed = variable("SEED", u64::from(now));
    println!("SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Generated events as lines, by tenant.
fn generated(tenants: u32, events: u32) -> BTreeMap<String, Vec<String>> {
    let output = Process::binary()
        .args(["generate", "--tenants", &tenants.to_string(), "--events", &events.to_string()])
        .args(["--seed", "7"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        lines.entry(event["tenantid"].as_str().unwrap().to_owned()).or_default().push(line.into());
    }
    lines
}

impl Left {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines = generated(TENANTS, EVENTS);
        let tenants: Vec<String> = lines.keys().cloned().collect();
        let process = Process::start_with(folder.path(), &OFTEN).await;
        for tenant in &tenants {
            process.create(tenant, "fixed:2023-03-31", "EUR").await;
        }
        let part = |lines: &[String], number: usize| {
            let at = |number: usize| lines.len() * number / (SAVED + BEHIND);
            lines[at(number)..at(number + 1)].join("\n").into_bytes()
        };
        for number in 0..SAVED {
            let made = process.metric(MADE).await;
            for (tenant, lines) in &lines {
                send(&process, tenant, part(lines, number)).await;
            }
            // So many that the log has let go of what the first ones have.
            while process.metric(MADE).await <= made {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            process.checkpointed().await;
        }
        process.kill();
        let process = Process::start_with(folder.path(), &NEVER).await;
        let mut behind = vec![figures(&process, &tenants).await];
        for number in SAVED..SAVED + BEHIND {
            for (tenant, lines) in &lines {
                send(&process, tenant, part(lines, number)).await;
                behind.push(figures(&process, &tenants).await);
            }
        }
        process.kill();
        // What was killed may have left a manifest that was never committed.
        let store = Store::open(&folder.path().join("control.db")).await.unwrap();
        let committed = store.checkpoints(0).await.unwrap();
        store.close().await;
        let path = |manifest: &str| folder.path().join("objects").join(manifest);
        let newest = path(&committed[0].manifest);
        let read = |manifest: &str| std::fs::read(path(manifest)).unwrap();
        let kept = committed.iter().map(|of| String::from_utf8_lossy(&read(&of.manifest)).into());
        let kept = kept.collect();
        Self { folder, tenants, figures: behind.last().unwrap().clone(), behind, newest, kept }
    }

    /// The files whose path has this in it, in order of their names.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        let all = files(self.folder.path()).into_iter();
        let all = all.filter(|path| path.metadata().unwrap().len() > 0);
        all.filter(|path| path.to_str().unwrap().contains(part)).collect()
    }

    /// The same of those that the newest checkpoint is made of.
    fn listed(&self, part: &str) -> Vec<PathBuf> {
        let newest = &self.newest;
        let manifest = String::from_utf8_lossy(&std::fs::read(newest).unwrap()).into_owned();
        let mut all = self.files(part);
        all.retain(|path| path == newest || manifest.contains(name(path)));
        assert!(!all.is_empty(), "{part}: {manifest}");
        all
    }

    /// Strikes files in a copy, and starts the service on it.
    async fn struck(
        &self,
        struck: &[&PathBuf],
        damage: Damage,
        settings: &[(&str, &str)],
        random: &mut StdRng,
    ) -> (TempDir, Outcome) {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        for path in struck {
            let path = path.strip_prefix(self.folder.path()).unwrap();
            println!("{damage:?}: {}", path.display());
            damage.strike(&folder.path().join(path), random);
        }
        let binary = Process::binary();
        let started = Process::try_start_by(binary, folder.path(), "127.0.0.1:0", settings).await;
        let outcome = match started {
            Ok(process) => Outcome::Runs(process),
            Err((status, said)) => Outcome::Ends(status, said.join("\n")),
        };
        (folder, outcome)
    }
}

/// Sends a body and waits until the views show it.
async fn send(process: &Process, tenant: &str, body: Vec<u8>) {
    let receipt = process.post(tenant, "application/x-ndjson", body).await;
    let path = format!("/v1/views?wait_for={}", receipt["position"].as_str().unwrap());
    process.get(tenant, &path).await;
}

/// A body with one event of this id.
fn call(id: &str) -> Vec<u8> {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/crm", "type": "crm.call_logged",
        "time": "2024-01-01T00:00:00Z",
        "data": {"call_id": id, "user_id": "u", "disposition": "none", "duration_s": 1},
    });
    event.to_string().into_bytes()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// What was struck is named in a text.
fn names(text: &str, path: &Path) -> bool {
    text.contains(name(path))
}

#[test]
fn no_damage_makes_other_figures() {
    let mut random = chance();
    Runtime::new().unwrap().block_on(async {
        let left = Left::new().await;
        for _ in 0..variable("ROUNDS", 1) {
            newest_checkpoint(&left, &mut random).await;
            all_checkpoints(&left, &mut random).await;
            history(&left, &mut random).await;
            log(&left, &mut random).await;
        }
    });
}

/// Of a damaged newest checkpoint the one before is taken, with the same figures.
async fn newest_checkpoint(left: &Left, random: &mut StdRng) {
    for kind in [".manifest", ".state", ".views", ".ids"] {
        let damage = *Damage::ALL.choose(random).unwrap();
        let newest = left.listed(kind).pop().unwrap();
        let (folder, outcome) = left.struck(&[&newest], damage, &NEVER, random).await;
        let process = match outcome {
            Outcome::Runs(process) => process,
            Outcome::Ends(status, said) => {
                // What did not change since is the same file in all of them.
                let is_shared = left.kept.iter().all(|kept| kept.contains(name(&newest)));
                assert!(is_shared && status.code() == Some(1), "{status}: {said}");
                assert!(names(&said, &newest), "{} is not named: {said}", newest.display());
                continue;
            }
        };
        assert_eq!(figures(&process, &left.tenants).await, left.figures);
        let said = process.said().join("\n");
        assert!(names(&said, &newest), "{} is not named: {said}", newest.display());
        // It goes on from there.
        process.kill();
        let process = Process::start_with(folder.path(), &OFTEN).await;
        process.checkpointed().await;
        process.kill();
        let process = Process::start_with(folder.path(), &NEVER).await;
        assert_eq!(figures(&process, &left.tenants).await, left.figures);
    }
}

/// Without a whole checkpoint the start is refused.
async fn all_checkpoints(left: &Left, random: &mut StdRng) {
    for kind in [".manifest", ".state", ".ids"] {
        let damage = *Damage::ALL.choose(random).unwrap();
        let all = left.files(kind);
        let (_folder, outcome) =
            left.struck(&all.iter().collect::<Vec<_>>(), damage, &NEVER, random).await;
        let Outcome::Ends(status, said) = outcome else {
            panic!("it runs without a whole checkpoint");
        };
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(all.iter().any(|path| names(&said, path)), "no file is named: {said}");
        assert!(said.contains("restore the object store from a backup"), "no way out: {said}");
    }
    // A log that is gone too is not taken for one that has everything.
    let manifests = left.files(".manifest");
    let all: Vec<PathBuf> = manifests.into_iter().chain(left.files("log.db")).collect();
    let all: Vec<&PathBuf> = all.iter().collect();
    let (_folder, outcome) = left.struck(&all, Damage::Deleted, &NEVER, random).await;
    let Outcome::Ends(status, said) = outcome else {
        panic!("it begins from nothing without being told to");
    };
    assert_eq!(status.code(), Some(1), "{said}");
}

/// A damaged file of history refuses what reads it, and nothing else.
async fn history(left: &Left, random: &mut StdRng) {
    let all = left.listed("objects/history/");
    for damage in Damage::ALL {
        let struck = all.choose(random).unwrap();
        let (folder, outcome) = left.struck(&[struck], damage, &OFTEN, random).await;
        let Outcome::Runs(process) = outcome else {
            panic!("views do not need history");
        };
        let now = figures(&process, &left.tenants).await;
        let other = different(&left.figures, &now);
        assert!(other.is_empty(), "{damage:?} of {}: {other:?}", struck.display());
        // The file is of one type; everything else is answered.
        let kind = struck.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let refused = refused(&now);
        assert!(
            refused.keys().all(|question| question.ends_with(kind)),
            "{damage:?} of {}: {refused:?}",
            struck.display()
        );
        let said = process.said().join("\n");
        for (question, problem) in &refused {
            assert_eq!(problem["status"], 500, "{question}: {problem}");
            assert!(names(&said, struck), "{question}: {problem}: {said}");
        }
        if damage != Damage::Flipped && damage != Damage::Zeroed {
            // A byte that is struck may be of another tenant, or of no row.
            assert!(!refused.is_empty(), "{damage:?} of {} is not seen", struck.display());
        }
        // Checkpoints go on, and what comes now is not lost.
        send(&process, &left.tenants[0], call("new")).await;
        process.checkpointed().await;
        let now = figures(&process, &left.tenants).await;
        process.kill();
        let process = Process::start_with(folder.path(), &NEVER).await;
        assert_eq!(figures(&process, &left.tenants).await, now);
    }
}

/// A damaged log is refused, or taken for one that ends earlier.
async fn log(left: &Left, random: &mut StdRng) {
    for file in ["log.db", "log.db-wal"] {
        let file = left.folder.path().join(file);
        if !file.exists() {
            continue;
        }
        for damage in Damage::ALL {
            let (_folder, outcome) = left.struck(&[&file], damage, &NEVER, random).await;
            match outcome {
                Outcome::Ends(status, said) => {
                    assert_eq!(status.code(), Some(1), "{said}");
                    assert!(said.contains("log.db"), "the file is not named: {said}");
                }
                Outcome::Runs(process) => {
                    let now = figures(&process, &left.tenants).await;
                    let others: Vec<Vec<String>> =
                        left.behind.iter().map(|then| different(then, &now)).collect();
                    let is_early = others.iter().any(Vec::is_empty);
                    assert!(is_early, "{damage:?} of {}: {others:?}", file.display());
                }
            }
        }
    }
}
