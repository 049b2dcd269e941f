//! Writing one checkpoint: parts in any order and of any size, then the commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use object_store::PutPayload;

use super::builder::{ChunkBuilder, IdBuilder, StateBuilder};
use super::commits::Commit;
use super::error::CheckpointError;
use super::file::{Footer, Kind};
use super::files::{Files, Written, at};
use super::manifest::{Checkpoint, Run, Section, Source, TenantViews};
use super::part::StatePart;
use super::restored::{MARKS, live};
use super::standing::{Attempt, Base, Busy, Standing};
use super::{Checkpoints, Committed, Options};

/// Whether a checkpoint stands alone or builds upon the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// It holds everything, and nothing of the ones before is used any more.
    Whole,
    /// It holds what has changed since the checkpoint that was committed last.
    Changes,
}

/// What a cut is, beside the parts that were written for it.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Which views, and which version of the engine, the state belongs to.
    pub circuit: [u8; 16],
    /// How far the source has been read.
    pub source: Source,
    /// The engine's step.
    pub step: u64,
    /// All views of all tenants, with the chunks that make them up: of this checkpoint or the ones
    /// it builds upon.
    pub catalogue: Vec<TenantViews>,
    /// All files of the history, as that describes them.
    pub history: Vec<serde_json::Value>,
    /// Small things by name.
    pub sections: BTreeMap<String, Bytes>,
}

/// Writes one checkpoint. Dropped before its commit is asked for, it leaves nothing.
///
/// Memory: of each of the three kinds a file of [`Options::file_bytes`](super::Options) that fills,
/// one file that is being written, and sixteen blocks.
#[derive(Debug)]
pub struct CheckpointWriter {
    checkpoints: Checkpoints,
    extent: Extent,
    number: u64,
    keep: u64,
    files: Files,
    state: StateBuilder,
    chunks: ChunkBuilder,
    ids: IdBuilder,
    busy: Busy,
}

impl CheckpointWriter {
    pub(super) fn new(checkpoints: Checkpoints, extent: Extent, number: u64, busy: Busy) -> Self {
        let files = Files::new(checkpoints.inner.place.clone());
        let Options { block_bytes, keep, .. } = checkpoints.inner.place.options;
        let state = StateBuilder::new(block_bytes);
        let (chunks, ids) = (ChunkBuilder::default(), IdBuilder::default());
        Self { checkpoints, extent, number, keep, files, state, chunks, ids, busy }
    }

    /// Once it is committed, no other is kept: for when what the ones before hold must be gone, as
    /// after a tenant's deletion. It must be a whole one for that.
    pub fn alone(&mut self) -> Result<(), CheckpointError> {
        if self.extent == Extent::Changes {
            let message = "a checkpoint of changes needs the ones before; write a whole one";
            return Err(CheckpointError::Misuse(message.to_owned()));
        }
        self.keep = 1;
        Ok(())
    }

    /// The number it will have.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it stands alone.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    fn block_bytes(&self) -> usize {
        self.checkpoints.inner.place.options.block_bytes
    }

    /// Adds a part of the state. The parts of a store may come in any order; within a checkpoint an
    /// entry comes once. After an error the writer is of no more use.
    pub async fn state(&mut self, part: StatePart) -> Result<(), CheckpointError> {
        if part.store == MARKS {
            return Err(CheckpointError::Misuse(format!("the store {MARKS} is taken")));
        }
        self.state.add(part.checked()?, &mut self.files).await
    }

    /// Adds a chunk of a view. Ids are given out once, for ever; a chunk never changes.
    pub async fn chunk(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckpointError> {
        let block_bytes = self.block_bytes();
        self.chunks.add((id, bytes), block_bytes, &mut self.files).await
    }

    /// Adds ids to the ledger.
    pub async fn ids(&mut self, ids: &[u128]) -> Result<(), CheckpointError> {
        let block_bytes = self.block_bytes();
        self.ids.add(ids, block_bytes, &mut self.files).await
    }

    /// Adds the marks of tenants that have changed, by the tenant's number, each once; one without
    /// bytes is forgotten.
    pub async fn marks(&mut self, marks: &BTreeMap<u32, Bytes>) -> Result<(), CheckpointError> {
        let mut ends = Vec::with_capacity(marks.len());
        let mut bytes = Vec::new();
        for mark in marks.values() {
            bytes.extend_from_slice(mark);
            ends.push(bytes.len() as u32);
        }
        let slots = marks.keys().map(|tenant| u64::from(*tenant)).collect();
        let part = StatePart { store: MARKS, slots, ends, bytes: bytes.into() };
        self.state.add(part, &mut self.files).await
    }

    /// Writes what is left and the manifest, and commits.
    ///
    /// After an error nothing of it counts, but for [`CheckpointError::Undecided`]: then
    /// [`Checkpoints::resolve`] says what has become of it, and nothing may be written before.
    pub async fn commit(mut self, cut: Cut) -> Result<Committed, CheckpointError> {
        self.state.finish(&mut self.files).await?;
        self.chunks.close(&mut self.files).await?;
        self.ids.close(&mut self.files).await?;
        self.files.finish().await?;
        let Self { checkpoints, extent, number, keep, mut files, busy, .. } = self;
        let inner = &checkpoints.inner;
        let path = files.name("manifest");
        let (base, considered) = {
            let standing = inner.standing();
            (compose(&standing, extent, number, &files, cut, inner)?, standing.pending.len())
        };
        let (bytes, checksum) = base.checkpoint.encode().map_err(|error| {
            CheckpointError::Misuse(format!("the manifest cannot be written as JSON: {error}"))
        })?;
        let written = files.written.iter().flatten().map(|file| file.entry.bytes);
        let written = written.sum::<u64>() + bytes.len() as u64;
        inner.place.put(&path, PutPayload::from_bytes(bytes)).await?;
        let commit = Commit {
            partition: inner.place.partition,
            epoch: inner.place.epoch,
            number,
            manifest: path.to_string(),
            checksum: checksum.to_string(),
        };
        let attempt = Attempt { commit, keep, base, files, considered, written };
        let committed = checkpoints.decide(attempt).await;
        drop(busy);
        committed
    }
}

/// The checkpoint that what is there, what was merged since and what was written now make together.
fn compose(
    standing: &Standing,
    extent: Extent,
    number: u64,
    files: &Files,
    cut: Cut,
    inner: &super::Inner,
) -> Result<Base, CheckpointError> {
    let (mut state, mut ledger, mut chunks) = (Vec::new(), Vec::new(), HashMap::new());
    if extent == Extent::Changes {
        let base = standing.base.as_ref().ok_or_else(super::no_base)?;
        state.clone_from(&base.checkpoint.state);
        ledger.clone_from(&base.checkpoint.ledger);
        let entries = base.checkpoint.chunks.iter();
        chunks.extend(entries.filter_map(|entry| {
            let footer = base.chunk_footers.get(&entry.path)?;
            Some((entry.path.clone(), Written { entry: entry.clone(), footer: footer.clone() }))
        }));
        for replacement in &standing.pending {
            replacement.apply(&mut state, &mut ledger, &mut chunks);
        }
    }
    for (kind, runs) in [(Kind::State, &mut state), (Kind::Ids, &mut ledger)] {
        let files: Vec<_> = files.written[at(kind)].iter().map(|f| f.entry.clone()).collect();
        if !files.is_empty() {
            runs.push(Run { files });
        }
    }
    for file in &files.written[at(Kind::Chunks)] {
        chunks.insert(file.entry.path.clone(), file.clone());
    }
    let mut checkpoint = Checkpoint {
        partition: inner.place.partition,
        number,
        epoch: inner.place.epoch,
        circuit: cut.circuit,
        source: cut.source,
        step: cut.step,
        created_at: Utc::now(),
        state,
        ledger,
        chunks: Vec::new(),
        catalogue: cut.catalogue,
        history: cut.history,
        sections: cut.sections.into_iter().map(|(name, bytes)| (name, Section(bytes))).collect(),
    };
    let mut missing = live(&checkpoint);
    let used = |file: &Written, missing: &mut std::collections::HashSet<u64>| {
        let found = file.footer.chunks.iter().filter(|chunk| missing.remove(&chunk.id)).count();
        found > 0
    };
    chunks.retain(|_, file| used(file, &mut missing));
    if let Some(id) = missing.iter().min() {
        let missing = missing.len();
        return Err(CheckpointError::Misuse(format!(
            "the catalogue names {missing} chunks that were never written, {id} the first"
        )));
    }
    let mut files: Vec<_> = chunks.values().map(|file| file.entry.clone()).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    checkpoint.chunks = files;
    let chunk_footers: HashMap<String, Arc<Footer>> =
        chunks.into_iter().map(|(path, file)| (path, file.footer)).collect();
    Ok(Base { checkpoint: Arc::new(checkpoint), chunk_footers })
}
