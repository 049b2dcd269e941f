//! What one run does, from variables of the environment.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The size of a run, and its seed.
#[derive(Debug)]
pub(crate) struct Run {
    /// `SEED`: contents, transactions, victims and moments follow from it.
    pub(crate) seed: u64,
    /// `KILLS`: how many times a node is killed.
    pub(crate) kills: usize,
    /// `NODES`: one, or two that share the stores.
    pub(crate) nodes: usize,
    /// `STORE`: `postgres` for a control store there, behind its pooler, instead of a file.
    pub(crate) postgres: bool,
    /// `TENANTS`: how many send events.
    pub(crate) tenants: usize,
    /// `COMPARED`: for how many of them every view is compared with the batch answer.
    pub(crate) compared: usize,
    /// `WATCHERS`: how many clients hold views by stream.
    pub(crate) watchers: usize,
}

impl Run {
    pub(crate) fn from_environment() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let count = |name, default| variable(name, default) as usize;
        Self {
            seed: variable("SEED", now % 1_000_000),
            kills: count("KILLS", 5),
            nodes: count("NODES", 1),
            postgres: match std::env::var("STORE").as_deref() {
                Ok("postgres") => true,
                Ok("file") | Err(_) => false,
                Ok(other) => panic!("STORE={other} is neither file nor postgres"),
            },
            tenants: count("TENANTS", 2_000),
            compared: count("COMPARED", 150),
            watchers: count("WATCHERS", 36),
        }
    }

    /// The chance of one part of the run.
    pub(crate) fn chance(&self, part: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(1_000).wrapping_add(part))
    }
}

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// How many of the kills have been done.
pub(crate) struct Progress {
    done: AtomicUsize,
    all: usize,
}

impl Progress {
    pub(crate) fn new(all: usize) -> Self {
        Self { done: AtomicUsize::new(0), all }
    }

    pub(crate) fn one_more(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// How many of `count` things may be done before the next kill, so that some are left after
    /// each.
    pub(crate) fn allowed(&self, count: usize) -> usize {
        let done = self.done.load(Ordering::Relaxed);
        if done >= self.all { count } else { count * (done + 1) / (self.all + 1) }
    }
}
