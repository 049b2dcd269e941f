//! What a partition's owner knows of its checkpoints.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Committed;
use super::commits::Commit;
use super::file::Footer;
use super::files::{Files, Written};
use super::manifest::{Checkpoint, Run};

/// The commits, what the next builds upon, and what will come into it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Newest first.
    pub(super) listed: Vec<Listed>,
    pub(super) base: Option<Base>,
    /// Merges that are done and not yet committed.
    pub(super) pending: Vec<Replacement>,
    pub(super) undecided: Option<Attempt>,
}

/// A commit that is listed.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) commit: Commit,
    /// What its manifest says, if that can be read.
    pub(super) checkpoint: Option<Arc<Checkpoint>>,
    /// Something of it is damaged.
    pub(super) refused: bool,
}

/// A checkpoint to build upon.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) checkpoint: Arc<Checkpoint>,
    pub(super) chunk_footers: HashMap<String, Arc<Footer>>,
}

/// A checkpoint that is written, and perhaps committed.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) commit: Commit,
    /// How many are kept once it is committed.
    pub(super) keep: u64,
    pub(super) base: Base,
    pub(super) files: Files,
    /// How many of the pending merges it has taken or passed over.
    pub(super) considered: usize,
    pub(super) written: u64,
}

/// What a merge has made of files.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) what: Replaced,
    pub(super) files: Files,
}

#[derive(Debug)]
pub(super) enum Replaced {
    /// Neighbouring runs of state, by the names of their first files.
    State { old: Vec<String>, new: Option<Run> },
    /// The same of ids.
    Ids { old: Vec<String>, new: Option<Run> },
    /// Files of chunks.
    Chunks { old: Vec<String>, new: Vec<Written> },
}

impl Replacement {
    /// Whether one of its files is among those.
    fn is_named(&self, named: &HashSet<&str>) -> bool {
        let mut files = self.files.written.iter().flatten();
        files.any(|file| named.contains(file.entry.path.as_str()))
    }

    /// Puts the new files in the place of the old, if those are all there.
    pub(super) fn apply(
        &self,
        state: &mut Vec<Run>,
        ledger: &mut Vec<Run>,
        chunks: &mut HashMap<String, Written>,
    ) {
        match &self.what {
            Replaced::State { old, new } => replace(state, old, new.as_ref()),
            Replaced::Ids { old, new } => replace(ledger, old, new.as_ref()),
            Replaced::Chunks { old, new } => {
                if old.iter().all(|path| chunks.contains_key(path)) {
                    chunks.retain(|path, _| !old.contains(path));
                    chunks.extend(new.iter().map(|file| (file.entry.path.clone(), file.clone())));
                }
            }
        }
    }
}

fn replace(runs: &mut Vec<Run>, old: &[String], new: Option<&Run>) {
    let is_old = |window: &[Run]| window.iter().zip(old).all(|(run, name)| run.name() == name);
    if let Some(at) = runs.windows(old.len()).position(is_old) {
        runs.splice(at..at + old.len(), new.cloned());
    }
}

impl Standing {
    /// The number of the newest commit.
    pub(super) fn number(&self) -> u64 {
        self.listed.first().map_or(0, |listed| listed.commit.number)
    }

    /// The names of all files that a listed commit needs, its manifest too.
    pub(super) fn named(&self) -> HashSet<&str> {
        let manifests = self.listed.iter().map(|listed| listed.commit.manifest.as_str());
        let checkpoints = self.listed.iter().filter_map(|listed| listed.checkpoint.as_ref());
        let files = checkpoints.flat_map(|checkpoint| checkpoint.files());
        manifests.chain(files.map(|file| file.path.as_str())).collect()
    }

    /// Has what a commit names stay, its own files and the merges that it has taken: it is about to
    /// be asked for.
    pub(super) fn ask(&mut self, attempt: &mut Attempt) {
        attempt.files.keep();
        let named: HashSet<&str> =
            attempt.base.checkpoint.files().map(|file| file.path.as_str()).collect();
        for replacement in self.pending.iter_mut().take(attempt.considered) {
            if replacement.is_named(&named) {
                replacement.files.keep();
            }
        }
    }

    /// Takes a commit in; answers it and the files that nothing needs any more.
    pub(super) fn conclude(&mut self, attempt: Attempt) -> (Committed, Vec<String>) {
        let Attempt { commit, keep, base, files, considered, written } = attempt;
        let checkpoint = base.checkpoint.clone();
        let number = commit.number;
        let listed = Listed { commit, checkpoint: Some(checkpoint.clone()), refused: false };
        self.listed.insert(0, listed);
        self.base = Some(base);
        files.settle();
        let named: HashSet<&str> = checkpoint.files().map(|file| file.path.as_str()).collect();
        for replacement in self.pending.drain(..considered) {
            if replacement.is_named(&named) {
                replacement.files.settle();
            }
        }
        let keep = |listed: &Listed| listed.commit.number + keep > number;
        let (kept, dropped): (Vec<_>, Vec<_>) = self.listed.drain(..).partition(keep);
        self.listed = kept;
        let named = self.named();
        let mut unused: Vec<String> = Vec::new();
        for listed in dropped {
            let files = listed.checkpoint.iter().flat_map(|checkpoint| checkpoint.files());
            unused.extend(files.map(|file| file.path.clone()));
            unused.push(listed.commit.manifest);
        }
        unused.retain(|path| !named.contains(path.as_str()));
        unused.sort();
        unused.dedup();
        let whole = self.listed.iter().filter(|listed| !listed.refused);
        let kept: Vec<_> = whole.filter_map(|listed| listed.checkpoint.clone()).collect();
        (Committed { checkpoint, written, kept }, unused)
    }
}

/// Held by the one writer there may be.
#[derive(Debug)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    pub(super) fn take(flag: &Arc<AtomicBool>) -> Option<Self> {
        let free = flag.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        free.is_ok().then(|| Self(flag.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
