//! Writing files: blocks are gathered until a file is full; while it is written, the next fills.
//!
//! A file is written by one `put`, which every store does whole or not at all: nothing half-written
//! is ever seen, and nothing of an upload that broke off is left to be paid for.

use std::sync::Arc;

use bytes::Bytes;
use object_store::PutPayload;
use object_store::path::Path;
use tokio::task::JoinHandle;

use super::error::CheckpointError;
use super::file::{Block, ChunkEntry, Footer, Kind, MAGIC};
use super::manifest::{Checksum, FileEntry};
use super::place::Place;

/// A file that is written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) entry: FileEntry,
    pub(super) footer: Arc<Footer>,
}

/// The files of one checkpoint or merge. Dropped before they are settled, they are deleted; but not
/// once a commit was asked for that names them.
#[derive(Debug)]
pub(super) struct Files {
    place: Arc<Place>,
    /// One a kind.
    open: [OpenFile; 3],
    flight: Option<JoinHandle<Result<Written, CheckpointError>>>,
    /// The files of each kind, in order.
    pub(super) written: [Vec<Written>; 3],
    /// All names that were given out.
    paths: Vec<Path>,
    /// Whether they are there when this is dropped.
    stays: bool,
}

#[derive(Debug, Default)]
struct OpenFile {
    payload: Vec<Bytes>,
    length: u64,
    footer: Footer,
}

/// The place of a kind in arrays.
pub(super) fn at(kind: Kind) -> usize {
    kind as usize - 1
}

fn extension(kind: Kind) -> &'static str {
    match kind {
        Kind::State => "state",
        Kind::Chunks => "views",
        Kind::Ids => "ids",
    }
}

impl Files {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            open: Default::default(),
            flight: None,
            written: Default::default(),
            paths: Vec::new(),
            stays: false,
        }
    }

    /// Adds a block of `entries` of a store with slots from `first` to `last`; the bytes are not
    /// copied.
    pub(super) async fn push(
        &mut self,
        kind: Kind,
        (store, entries, first, last): (u32, usize, u64, u64),
        pieces: impl IntoIterator<Item = Bytes>,
        chunks: &[ChunkEntry],
    ) -> Result<(), CheckpointError> {
        let file = &mut self.open[at(kind)];
        if file.payload.is_empty() {
            file.payload.push(Bytes::from_static(MAGIC));
            file.length = MAGIC.len() as u64;
        }
        let (mut crc, mut length) = (crc32fast::Hasher::new(), 0);
        for piece in pieces {
            crc.update(&piece);
            length += piece.len() as u32;
            file.payload.push(piece);
        }
        let (offset, entries, crc) = (file.length, entries as u32, crc.finalize());
        file.footer.blocks.push(Block { kind, store, entries, first, last, offset, length, crc });
        file.footer.chunks.extend_from_slice(chunks);
        file.length += u64::from(length);
        if file.length >= self.place.options.file_bytes as u64 {
            self.seal(kind).await?;
        }
        Ok(())
    }

    /// Begins to write the open file of a kind, after the one under way.
    async fn seal(&mut self, kind: Kind) -> Result<(), CheckpointError> {
        let OpenFile { mut payload, length, footer } = std::mem::take(&mut self.open[at(kind)]);
        if payload.is_empty() {
            return Ok(());
        }
        self.land().await?;
        let path = self.name(extension(kind));
        let tail = footer.encode();
        let entry = FileEntry {
            path: path.to_string(),
            bytes: length + tail.len() as u64,
            footer: tail.len() as u32,
            checksum: Checksum::of(&tail),
        };
        payload.push(tail.into());
        let (place, footer) = (self.place.clone(), Arc::new(footer));
        self.flight = Some(self.place.runtime.spawn(async move {
            place.put(&path, PutPayload::from_iter(payload)).await?;
            Ok(Written { entry, footer })
        }));
        Ok(())
    }

    /// Waits for the file under way.
    async fn land(&mut self) -> Result<(), CheckpointError> {
        let Some(flight) = &mut self.flight else { return Ok(()) };
        let landed = flight.await;
        self.flight = None;
        let written = landed??;
        let kind = written.footer.blocks.first().map_or(Kind::State, |block| block.kind);
        self.written[at(kind)].push(written);
        Ok(())
    }

    /// Writes what is still open.
    pub(super) async fn finish(&mut self) -> Result<(), CheckpointError> {
        for kind in [Kind::State, Kind::Chunks, Kind::Ids] {
            self.seal(kind).await?;
        }
        self.land().await
    }

    /// The name of a further file that shares the fate of these.
    pub(super) fn name(&mut self, kind: &str) -> Path {
        let path = self.place.name(kind);
        self.paths.push(path.clone());
        path
    }

    /// A commit that names the files is asked for. As long as its answer is not there they may be
    /// committed, and a later owner may build upon them: from here on they are never removed by the
    /// one who wrote them, not by its sweep either. If they are not committed after all, that of a
    /// later owner removes them.
    pub(super) fn keep(&mut self) {
        self.stays = true;
    }

    /// The files are committed, and stay.
    pub(super) fn settle(mut self) {
        self.stays = true;
        self.place.settle(&self.paths);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.stays || self.paths.is_empty() {
            return;
        }
        let (place, paths) = (self.place.clone(), std::mem::take(&mut self.paths));
        let flight = self.flight.take();
        self.place.runtime.spawn(async move {
            if let Some(flight) = flight {
                // Whether it was written or not, it is deleted.
                drop(flight.await);
            }
            place.delete(paths.clone()).await;
            place.settle(&paths);
        });
    }
}
