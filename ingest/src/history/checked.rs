//! Checksums of every byte of a file.
//!
//! The rows are checked in blocks: their checksums stand in the file's own end, and the checksum of
//! the end stands in the manifest. So a scan that reads a little of a large file knows that little
//! to be as it was written, and a manifest does not grow with the files.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use crc32fast::Hasher;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::{HistoryError, HistoryFile};

/// Bytes that have a checksum of their own.
const BLOCK: u64 = 64 << 10;
/// The name under which a file's end holds the checksums.
const BLOCKS: &str = "tidemark.blocks";

/// The checksums of a file as it is written.
#[derive(Default)]
pub(super) struct Sums {
    whole: Hasher,
    pub(super) bytes: u64,
    blocks: Vec<u8>,
    block: Hasher,
    filled: u64,
    /// Where the end begins, and its checksum so far.
    end: Option<(u64, Hasher)>,
}

impl Sums {
    /// The next bytes of the file.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        self.bytes += bytes.len() as u64;
        if let Some((_, end)) = &mut self.end {
            end.update(bytes);
            return;
        }
        while !bytes.is_empty() {
            let room = (BLOCK - self.filled) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.update(now);
            self.filled += now.len() as u64;
            bytes = later;
            if self.filled == BLOCK {
                self.close_block();
            }
        }
    }

    fn close_block(&mut self) {
        let sum = std::mem::take(&mut self.block).finalize();
        self.blocks.extend_from_slice(&sum.to_le_bytes());
        self.filled = 0;
    }

    /// What follows is the end; gives what must stand in it.
    pub(super) fn begin_end(&mut self) -> KeyValue {
        if self.filled > 0 {
            self.close_block();
        }
        self.end = Some((self.bytes, Hasher::new()));
        KeyValue::new(BLOCKS.to_owned(), STANDARD_NO_PAD.encode(&self.blocks))
    }

    /// Length and checksum of the end, and the checksum of the whole.
    pub(super) fn finish(self) -> (u64, u32, u32) {
        let (start, end) = self.end.unwrap_or((self.bytes, Hasher::new()));
        (self.bytes - start, end.finalize(), self.whole.finalize())
    }
}

/// A file whose end has been read and checked.
#[derive(Clone)]
pub(super) struct CheckedFile {
    store: Arc<dyn ObjectStore>,
    // Held for as long as it is read: see `HistoryStore`.
    pub(super) file: Arc<HistoryFile>,
    path: Path,
    pub(super) metadata: ArrowReaderMetadata,
    blocks: Arc<[u8]>,
}

impl CheckedFile {
    pub(super) async fn open(
        store: &Arc<dyn ObjectStore>,
        file: &Arc<HistoryFile>,
    ) -> Result<Self, HistoryError> {
        let damaged = |what: &dyn ToString| HistoryError::damaged(&file.path, what);
        let path = Path::from(file.path.as_str());
        let start = file.bytes.saturating_sub(file.end_bytes);
        let end = match store.get_range(&path, start..file.bytes).await {
            Ok(end) => end,
            Err(error) => return Err(refused(store, file, &path, error).await),
        };
        if end.len() as u64 != file.end_bytes {
            return Err(damaged(&"it is cut short"));
        }
        if crc32fast::hash(&end) != file.end_crc {
            return Err(damaged(&"the checksum of its end does not match"));
        }
        let mut reader =
            ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        reader.try_parse_sized(&end, file.bytes).map_err(|error| damaged(&error))?;
        let metadata = reader.finish().map_err(|error| damaged(&error))?;
        let blocks = blocks(&metadata).ok_or_else(|| damaged(&"it has no checksums"))?;
        if blocks.len() as u64 != start.div_ceil(BLOCK) * 4 {
            return Err(damaged(&"checksums are missing"));
        }
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)
            .map_err(|error| damaged(&error))?;
        Ok(Self {
            store: Arc::clone(store),
            file: Arc::clone(file),
            path,
            metadata,
            blocks: blocks.into(),
        })
    }

    /// Where the rows end.
    fn rows_end(&self) -> u64 {
        self.file.bytes - self.file.end_bytes
    }

    /// The bytes of those ranges, each as it was written.
    async fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, HistoryError> {
        if ranges.iter().any(|range| range.end > self.rows_end() || range.start > range.end) {
            return Err(HistoryError::damaged(&self.file.path, "it points beyond its rows"));
        }
        let whole = merged(ranges.iter().map(|range| {
            let start = range.start / BLOCK * BLOCK;
            start..(range.end.div_ceil(BLOCK) * BLOCK).min(self.rows_end())
        }));
        let read = match self.store.get_ranges(&self.path, &whole).await {
            Ok(read) => read,
            Err(error) => return Err(refused(&self.store, &self.file, &self.path, error).await),
        };
        for (range, bytes) in whole.iter().zip(&read) {
            self.check(range, bytes)?;
        }
        Ok(ranges
            .iter()
            .map(|range| {
                let at = whole.partition_point(|w| w.start <= range.start).saturating_sub(1);
                match (whole.get(at), read.get(at)) {
                    (Some(of), Some(bytes)) if range.start < range.end => {
                        let from = (range.start - of.start) as usize;
                        bytes.slice(from..from + (range.end - range.start) as usize)
                    }
                    _ => Bytes::new(),
                }
            })
            .collect())
    }

    fn check(&self, range: &Range<u64>, bytes: &Bytes) -> Result<(), HistoryError> {
        if bytes.len() as u64 != range.end - range.start {
            return Err(HistoryError::damaged(&self.file.path, "it is cut short"));
        }
        let first = (range.start / BLOCK) as usize;
        let sums = self.blocks.chunks_exact(4).skip(first);
        for (number, (block, sum)) in bytes.chunks(BLOCK as usize).zip(sums).enumerate() {
            if crc32fast::hash(block).to_le_bytes() != sum {
                let at = range.start + number as u64 * BLOCK;
                let what = format!("the checksum of the block at byte {at} does not match");
                return Err(HistoryError::damaged(&self.file.path, &what));
            }
        }
        Ok(())
    }
}

/// Why a file cannot be read: stores word it differently that a file ends too early.
async fn refused(
    store: &Arc<dyn ObjectStore>,
    file: &HistoryFile,
    path: &Path,
    error: object_store::Error,
) -> HistoryError {
    match store.head(path).await {
        Ok(found) if found.size != file.bytes => {
            let what = format!("it has {} bytes instead of {}", found.size, file.bytes);
            HistoryError::damaged(&file.path, &what)
        }
        Ok(_) | Err(_) => HistoryError::reading(&file.path, error),
    }
}

fn blocks(metadata: &ParquetMetaData) -> Option<Vec<u8>> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let text = pairs.iter().find(|pair| pair.key == BLOCKS)?.value.as_deref()?;
    STANDARD_NO_PAD.decode(text).ok()
}

/// Ranges in order, those that touch or overlap as one.
fn merged(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut all: Vec<_> = ranges.filter(|range| range.start < range.end).collect();
    all.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(all.len());
    for range in all {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

impl AsyncFileReader for CheckedFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let read = self.read(std::slice::from_ref(&range)).await;
            let mut read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok(read.pop().unwrap_or_default())
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let read = self.read(&ranges).await;
            read.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let metadata = Arc::clone(self.metadata.metadata());
        async move { Ok(metadata) }.boxed()
    }
}
