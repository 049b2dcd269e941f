//! A committed checkpoint, open for reading.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::error::CheckpointError;
use super::file::{Block, Footer, Kind, read_ids, read_state};
use super::manifest::{Checkpoint, FileEntry};
use super::part::StatePart;
use super::place::Place;
use super::reader::FileReader;

/// The store in which the tenants' marks stand among the state, by the tenant's number.
pub(super) const MARKS: u32 = u32::MAX;
/// Files opened at once.
const OPENING: usize = 16;

/// A committed checkpoint whose files are all there. Its blocks are checked as they are read: an
/// error of any of them means that nothing of it may be used.
#[derive(Debug)]
pub struct Restored {
    checkpoint: Arc<Checkpoint>,
    state: Vec<FileReader>,
    chunks: Vec<FileReader>,
    ids: Vec<FileReader>,
    live: HashSet<u64>,
}

/// The place of a block of a restored checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct BlockRef {
    file: usize,
    block: usize,
}

/// The blocks of one store, in the order in which they must be applied: later entries win.
#[derive(Clone, Debug)]
pub struct StoreBlocks {
    /// The store.
    pub store: u32,
    /// Their bytes.
    pub bytes: u64,
    /// The blocks.
    pub blocks: Vec<BlockRef>,
}

/// The parts of one store, read one after another.
#[derive(Debug)]
pub struct StateParts<'a> {
    restored: &'a Restored,
    blocks: std::slice::Iter<'a, BlockRef>,
}

impl Iterator for StateParts<'_> {
    type Item = Result<StatePart, CheckpointError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.blocks.next().map(|block| self.restored.state_part(*block))
    }
}

impl Restored {
    /// Opens all files of a checkpoint; [`CheckpointError::Damaged`] if one is not as it should be.
    pub(super) async fn open(
        place: &Arc<Place>,
        checkpoint: Arc<Checkpoint>,
    ) -> Result<Self, CheckpointError> {
        let state = checkpoint.state.iter().flat_map(|run| &run.files);
        let ids = checkpoint.ledger.iter().flat_map(|run| &run.files);
        let live = live(&checkpoint);
        Ok(Self {
            state: open_all(place, state).await?,
            chunks: open_all(place, checkpoint.chunks.iter()).await?,
            ids: open_all(place, ids).await?,
            live,
            checkpoint,
        })
    }

    /// What its manifest says.
    pub fn checkpoint(&self) -> &Arc<Checkpoint> {
        &self.checkpoint
    }

    /// The stores and their blocks, the largest store first.
    pub fn stores(&self) -> Vec<StoreBlocks> {
        let mut stores: BTreeMap<u32, StoreBlocks> = BTreeMap::new();
        for (at, block) in blocks(&self.state) {
            if block.store == MARKS {
                continue;
            }
            let store = block.store;
            let blocks = stores.entry(store).or_insert_with(|| StoreBlocks {
                store,
                bytes: 0,
                blocks: Vec::new(),
            });
            blocks.bytes += u64::from(block.length);
            blocks.blocks.push(at);
        }
        let mut stores: Vec<_> = stores.into_values().collect();
        stores.sort_by_key(|blocks| std::cmp::Reverse(blocks.bytes));
        stores
    }

    /// Reads a block of state. Blocks: not for an async task, as all that reads blocks here.
    pub fn state_part(&self, at: BlockRef) -> Result<StatePart, CheckpointError> {
        let (file, block) = find(&self.state, at)?;
        read_state(block, &file.read(block)?).map_err(|what| file.damaged(what))
    }

    /// Loads every store on `threads` threads, each store by one of them: `load` is given the store
    /// and its parts in order. Ends at the first error.
    pub fn load_stores<T, E>(
        &self,
        threads: usize,
        load: impl Fn(u32, StateParts<'_>) -> Result<T, E> + Sync,
    ) -> Result<Vec<(u32, T)>, E>
    where
        T: Send,
        E: From<CheckpointError> + Send,
    {
        let stores = self.stores();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let loaded = Mutex::new(Ok(Vec::with_capacity(stores.len())));
        let work = || {
            while !failed.load(Ordering::Relaxed)
                && let Some(store) = stores.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let parts = StateParts { restored: self, blocks: store.blocks.iter() };
                let result = load(store.store, parts);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                match (&mut *loaded, result) {
                    (Ok(all), Ok(value)) => all.push((store.store, value)),
                    (Ok(_), Err(error)) => *loaded = Err(error),
                    (Err(_), _) => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(stores.len()) {
                scope.spawn(work);
            }
            work();
        });
        loaded.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenants' marks, by the tenant's number. Blocks.
    pub fn marks(&self) -> Result<BTreeMap<u32, Bytes>, CheckpointError> {
        let mut marks = BTreeMap::new();
        for (at, _) in blocks(&self.state).filter(|(_, block)| block.store == MARKS) {
            let part = self.state_part(at)?;
            for (place, tenant) in part.slots.iter().enumerate() {
                let tenant = *tenant as u32;
                match part.span(place) {
                    span if span.is_empty() => marks.remove(&tenant),
                    span => marks.insert(tenant, part.bytes.slice(span)),
                };
            }
        }
        Ok(marks)
    }

    /// The blocks of ids, in any order, and how many ids there are at most.
    pub fn id_blocks(&self) -> (Vec<BlockRef>, usize) {
        let entries = blocks(&self.ids).map(|(_, block)| block.entries as usize).sum();
        (blocks(&self.ids).map(|(at, _)| at).collect(), entries)
    }

    /// Reads a block of ids. Blocks.
    pub fn ids(&self, at: BlockRef) -> Result<Vec<u128>, CheckpointError> {
        let (file, block) = find(&self.ids, at)?;
        Ok(read_ids(&file.read(block)?))
    }

    /// The blocks of chunks in which there is one that a view needs.
    pub fn chunk_blocks(&self) -> Vec<BlockRef> {
        let mut found = Vec::new();
        for (file, reader) in self.chunks.iter().enumerate() {
            for (block, (_, chunks)) in reader.footer.chunk_blocks().enumerate() {
                if chunks.iter().any(|chunk| self.live.contains(&chunk.id)) {
                    found.push(BlockRef { file, block });
                }
            }
        }
        found
    }

    /// Reads the chunks of a block that a view needs; their bytes are shared. Blocks.
    pub fn chunks(&self, at: BlockRef) -> Result<Vec<(u64, Bytes)>, CheckpointError> {
        read_chunks(&self.chunks, at, &self.live)
    }

    /// An id for chunks that is higher than all that are there.
    pub fn next_chunk(&self) -> u64 {
        let ids = self.chunks.iter().flat_map(|file| &file.footer.chunks).map(|chunk| chunk.id);
        ids.max().map_or(0, |id| id + 1)
    }

    /// The footers of the files of chunks, by path.
    pub(super) fn chunk_footers(&self) -> HashMap<String, Arc<Footer>> {
        let footers = self.chunks.iter().map(|file| file.footer.clone());
        self.checkpoint.chunks.iter().map(|file| file.path.clone()).zip(footers).collect()
    }
}

/// The chunks that some view needs.
pub(super) fn live(checkpoint: &Checkpoint) -> HashSet<u64> {
    let views = checkpoint.catalogue.iter().flat_map(|tenant| &tenant.views);
    views.flat_map(|(_, chunks)| chunks.iter().copied()).collect()
}

/// Opens files, some at once, in order.
pub(super) async fn open_all(
    place: &Arc<Place>,
    files: impl Iterator<Item = &FileEntry>,
) -> Result<Vec<FileReader>, CheckpointError> {
    let files: Vec<FileEntry> = files.cloned().collect();
    let opening = files.into_iter().map(|file| async move { FileReader::open(place, &file).await });
    stream::iter(opening).buffered(OPENING).try_collect().await
}

/// Reads the live chunks of the block that is the `at.block`th of chunks in its file.
pub(super) fn read_chunks(
    files: &[FileReader],
    at: BlockRef,
    live: &HashSet<u64>,
) -> Result<Vec<(u64, Bytes)>, CheckpointError> {
    let unknown = || CheckpointError::Misuse("a block of another checkpoint".to_owned());
    let file = files.get(at.file).ok_or_else(unknown)?;
    let (block, chunks) = file.footer.chunk_blocks().nth(at.block).ok_or_else(unknown)?;
    let bytes = file.read(block)?;
    let (mut found, mut start) = (Vec::new(), 0);
    for chunk in chunks {
        let end = start + chunk.length as usize;
        if end > bytes.len() {
            return Err(file.damaged("its chunks do not fit their block"));
        }
        if live.contains(&chunk.id) {
            found.push((chunk.id, bytes.slice(start..end)));
        }
        start = end;
    }
    Ok(found)
}

/// All blocks of files, in order.
pub(super) fn blocks(files: &[FileReader]) -> impl Iterator<Item = (BlockRef, &Block)> {
    files.iter().enumerate().flat_map(|(file, reader)| {
        let blocks = reader.footer.blocks.iter().enumerate();
        blocks.map(move |(block, entry)| (BlockRef { file, block }, entry))
    })
}

/// All blocks of chunks, each with its place among those of its file.
pub(super) fn chunk_refs(files: &[FileReader]) -> Vec<BlockRef> {
    let count = |file: &FileReader| {
        file.footer.blocks.iter().filter(|block| block.kind == Kind::Chunks).count()
    };
    let refs = files.iter().enumerate();
    refs.flat_map(|(file, reader)| (0..count(reader)).map(move |block| BlockRef { file, block }))
        .collect()
}

pub(super) fn find(
    files: &[FileReader],
    at: BlockRef,
) -> Result<(&FileReader, &Block), CheckpointError> {
    files
        .get(at.file)
        .and_then(|file| Some((file, file.footer.blocks.get(at.block)?)))
        .ok_or_else(|| CheckpointError::Misuse("a block of another checkpoint".to_owned()))
}
