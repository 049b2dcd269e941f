//! Merging in the background, so that neither the number of files nor their size grows for ever.
//!
//! Runs are merged as soon as those after one are together as large as it: so what has been merged
//! is not merged again before as much has come, and a restart reads at most twice what it needs. What
//! a merge makes becomes part of the next commit; until then, and if there never is one, nothing has
//! changed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::builder::{ChunkBuilder, IdBuilder, push};
use super::error::CheckpointError;
use super::file::{Block, Kind, read_state};
use super::files::{Files, at};
use super::manifest::{Checkpoint, FileEntry, Run};
use super::part::StatePart;
use super::place::Place;
use super::reader::FileReader;
use super::restored::{BlockRef, blocks, chunk_refs, find, live, open_all, read_chunks};
use super::standing::{Base, Replaced, Replacement};

/// The longest pause after a piece of work.
const PAUSE: Duration = Duration::from_millis(100);

/// What there is to merge.
#[derive(Debug)]
pub(super) enum Job {
    /// The runs of state from this one on.
    State { runs: Vec<Run>, from: usize },
    /// The runs of ids from this one on.
    Ids { runs: Vec<Run> },
    /// Files of chunks, and the chunks that are needed.
    Chunks { files: Vec<FileEntry>, live: HashSet<u64> },
}

/// From which run on all are to be merged, if it is time: the first that those after it outweigh.
pub(super) fn due(sizes: &[u64], many: usize) -> Option<usize> {
    let mut later: u64 = sizes.iter().sum();
    let outweighed = |size: &u64| {
        later -= size;
        *size <= later
    };
    let from = sizes.iter().position(outweighed);
    match from {
        Some(0) => Some(0),
        _ if sizes.len() <= many => None,
        Some(from) => Some(from),
        None => Some(sizes.len() - many),
    }
}

/// The next thing to do for a checkpoint.
pub(super) fn next(base: &Base, place: &Place) -> Option<Job> {
    let checkpoint = &base.checkpoint;
    let options = &place.options;
    let from = |runs: &[Run]| {
        let sizes: Vec<u64> = runs.iter().map(Run::bytes).collect();
        due(&sizes, options.runs)
    };
    if let Some(from) = from(&checkpoint.state) {
        return Some(Job::State { runs: checkpoint.state[from..].to_vec(), from });
    }
    if let Some(from) = from(&checkpoint.ledger) {
        return Some(Job::Ids { runs: checkpoint.ledger[from..].to_vec() });
    }
    chunks(base, checkpoint, options.file_bytes as u64, options.runs)
}

/// The files of which less than half is needed; if there are none, the small ones, if many.
fn chunks(base: &Base, checkpoint: &Checkpoint, file_bytes: u64, many: usize) -> Option<Job> {
    let live = live(checkpoint);
    let (mut wasteful, mut small) = (Vec::new(), Vec::new());
    for file in &checkpoint.chunks {
        let Some(footer) = base.chunk_footers.get(&file.path) else { continue };
        let (mut all, mut needed) = (0, 0);
        for chunk in &footer.chunks {
            all += u64::from(chunk.length);
            needed += if live.contains(&chunk.id) { u64::from(chunk.length) } else { 0 };
        }
        if 2 * needed < all {
            wasteful.push(file.clone());
        } else if 2 * needed < file_bytes {
            small.push(file.clone());
        }
    }
    let files = match (wasteful.is_empty(), small.len() > many) {
        (false, _) => wasteful,
        (true, true) => small,
        (true, false) => return None,
    };
    Some(Job::Chunks { files, live })
}

impl Job {
    /// Does it.
    pub(super) async fn run(self, place: &Arc<Place>) -> Result<Replacement, CheckpointError> {
        match self {
            Self::State { runs, from } => merge_state(place, &runs, from == 0).await,
            Self::Ids { runs } => merge_ids(place, &runs).await,
            Self::Chunks { files, live } => rewrite_chunks(place, &files, live).await,
        }
    }
}

fn names(runs: &[Run]) -> Vec<String> {
    runs.iter().map(|run| run.name().to_owned()).collect()
}

fn run(files: &Files, kind: Kind) -> Option<Run> {
    let files: Vec<_> = files.written[at(kind)].iter().map(|file| file.entry.clone()).collect();
    (!files.is_empty()).then_some(Run { files })
}

/// Merges runs of state; from the base on, what is gone need not be remembered.
async fn merge_state(
    place: &Arc<Place>,
    runs: &[Run],
    with_base: bool,
) -> Result<Replacement, CheckpointError> {
    let readers = open_all(place, runs.iter().flat_map(|run| &run.files)).await?;
    let mut merge = StateMerge::new(readers, place.options.block_bytes, !with_base);
    let mut files = Files::new(place.clone());
    loop {
        let started = Instant::now();
        let (back, part) = tokio::task::spawn_blocking(move || {
            let part = merge.next_part();
            (merge, part)
        })
        .await?;
        merge = back;
        let Some(part) = part? else { break };
        push(part, &mut files).await?;
        pause(started).await;
    }
    files.finish().await?;
    let what = Replaced::State { old: names(runs), new: run(&files, Kind::State) };
    Ok(Replacement { what, files })
}

async fn merge_ids(place: &Arc<Place>, runs: &[Run]) -> Result<Replacement, CheckpointError> {
    let readers = Arc::new(open_all(place, runs.iter().flat_map(|run| &run.files)).await?);
    let refs: Vec<BlockRef> = blocks(&readers).map(|(at, _)| at).collect();
    let mut files = Files::new(place.clone());
    let mut ids = IdBuilder::default();
    for block in refs {
        let started = Instant::now();
        let readers = readers.clone();
        let read = move || {
            let (file, block) = find(&readers, block)?;
            file.read(block).map(|bytes| super::file::read_ids(&bytes))
        };
        let found = tokio::task::spawn_blocking(read).await??;
        ids.add(&found, place.options.block_bytes, &mut files).await?;
        pause(started).await;
    }
    ids.close(&mut files).await?;
    files.finish().await?;
    let what = Replaced::Ids { old: names(runs), new: run(&files, Kind::Ids) };
    Ok(Replacement { what, files })
}

async fn rewrite_chunks(
    place: &Arc<Place>,
    old: &[FileEntry],
    live: HashSet<u64>,
) -> Result<Replacement, CheckpointError> {
    let readers = Arc::new(open_all(place, old.iter()).await?);
    let live = Arc::new(live);
    let mut files = Files::new(place.clone());
    let mut chunks = ChunkBuilder::default();
    for block in chunk_refs(&readers) {
        let started = Instant::now();
        let (readers, live) = (readers.clone(), live.clone());
        let read = move || read_chunks(&readers, block, &live);
        for (id, bytes) in tokio::task::spawn_blocking(read).await?? {
            chunks.add((id, &bytes), place.options.block_bytes, &mut files).await?;
        }
        pause(started).await;
    }
    chunks.close(&mut files).await?;
    files.finish().await?;
    let old = old.iter().map(|file| file.path.clone()).collect();
    let new = files.written[at(Kind::Chunks)].clone();
    Ok(Replacement { what: Replaced::Chunks { old, new }, files })
}

/// Lets others work for as long as was worked.
async fn pause(started: Instant) {
    tokio::time::sleep(started.elapsed().min(PAUSE)).await;
}

/// Blocks of a store by first slot, the next at the end, each with its rank: the later written the
/// higher.
type Waiting = Vec<(usize, Block, BlockRef)>;

/// A merge of blocks of state by store and slot; of entries with one slot the last written wins.
///
/// A block is read when its first slot is reached and let go after its last: what is in memory are
/// the blocks that overlap.
struct StateMerge {
    readers: Vec<FileReader>,
    /// By store, the blocks that are not open yet.
    stores: BTreeMap<u32, Waiting>,
    open: BinaryHeap<Cursor>,
    block_bytes: usize,
    keep_gone: bool,
}

/// An entry of an open block. The greatest is the one with the lowest slot, and of those the one
/// written last.
struct Cursor {
    slot: Reverse<u64>,
    rank: usize,
    part: StatePart,
    at: usize,
}

impl Cursor {
    fn key(&self) -> (Reverse<u64>, usize) {
        (self.slot, self.rank)
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl StateMerge {
    fn new(readers: Vec<FileReader>, block_bytes: usize, keep_gone: bool) -> Self {
        let mut stores: BTreeMap<u32, Waiting> = BTreeMap::new();
        for (rank, (at, block)) in blocks(&readers).enumerate() {
            stores.entry(block.store).or_default().push((rank, *block, at));
        }
        for blocks in stores.values_mut() {
            blocks.sort_by_key(|(_, block, _)| Reverse(block.first));
        }
        Self { readers, stores, open: BinaryHeap::new(), block_bytes, keep_gone }
    }

    /// The next part, of about the size of a block; none at the end.
    fn next_part(&mut self) -> Result<Option<StatePart>, CheckpointError> {
        while let Some((store, waiting)) = self.stores.pop_first() {
            let (part, waiting) = self.fill(store, waiting)?;
            if !self.open.is_empty() || !waiting.is_empty() {
                self.stores.insert(store, waiting);
            }
            if !part.slots.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// Merges entries of a store until there are enough for a part.
    fn fill(
        &mut self,
        store: u32,
        mut waiting: Waiting,
    ) -> Result<(StatePart, Waiting), CheckpointError> {
        let (mut slots, mut ends, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        while 12 * slots.len() + bytes.len() < self.block_bytes {
            self.open_next(&mut waiting)?;
            let Some(mut cursor) = self.open.pop() else { break };
            let slot = cursor.slot.0;
            let value = &cursor.part.bytes[cursor.part.span(cursor.at)];
            if self.keep_gone || !value.is_empty() {
                slots.push(slot);
                bytes.extend_from_slice(value);
                ends.push(bytes.len() as u32);
            }
            cursor.at += 1;
            if let Some(next) = cursor.part.slots.get(cursor.at) {
                cursor.slot = Reverse(*next);
                self.open.push(cursor);
            }
            // All entries of a slot are passed before a part ends, so that none comes again.
            while self.open.peek().is_some_and(|cursor| cursor.slot.0 == slot) {
                self.skip();
            }
        }
        Ok((StatePart { store, slots, ends, bytes: bytes.into() }, waiting))
    }

    /// Opens the blocks that begin at or before the lowest open slot.
    fn open_next(&mut self, waiting: &mut Waiting) -> Result<(), CheckpointError> {
        while let Some((rank, block, at)) = waiting.last() {
            let reached = |cursor: &Cursor| block.first <= cursor.slot.0;
            if !self.open.peek().is_none_or(reached) {
                break;
            }
            let (file, _) = find(&self.readers, *at)?;
            let part = read_state(block, &file.read(block)?).map_err(|what| file.damaged(what))?;
            if let Some(slot) = part.slots.first() {
                self.open.push(Cursor { slot: Reverse(*slot), rank: *rank, part, at: 0 });
            }
            waiting.pop();
        }
        Ok(())
    }

    /// Passes over an entry that is superseded.
    fn skip(&mut self) {
        let Some(mut cursor) = self.open.pop() else { return };
        cursor.at += 1;
        if let Some(next) = cursor.part.slots.get(cursor.at) {
            cursor.slot = Reverse(*next);
            self.open.push(cursor);
        }
    }
}
