//! What queries put on disk: files of one folder, within a bound for each query and for all.
//!
//! The files have no name, so nothing is left of them when their query or the process ends, however
//! that ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures::{Stream, stream};

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// The files of all queries.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    limit: u64,
    used: AtomicU64,
}

impl Disk {
    /// Files in `folder`, which is emptied first and is nobody else's, of `limit` bytes together.
    pub(crate) fn new(folder: &Path, limit: u64) -> io::Result<Arc<Self>> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(folder)?,
        }
        Ok(Arc::new(Self { folder: folder.to_owned(), limit, used: AtomicU64::new(0) }))
    }

    /// The bytes on disk at this moment.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The files of one query, of `limit` bytes together.
    pub(crate) fn of_query(self: &Arc<Self>, limit: u64) -> Arc<QueryDisk> {
        let quota = Quota {
            disk: Arc::clone(self),
            limit,
            used: AtomicU64::new(0),
            refusal: OnceLock::new(),
        };
        Arc::new(QueryDisk(Arc::new(quota)))
    }
}

/// The files of one query.
#[derive(Debug)]
pub(crate) struct QueryDisk(Arc<Quota>);

impl QueryDisk {
    /// Why a file could not grow, if that was so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.0.refusal.get().copied()
    }
}

impl TempFileFactory for QueryDisk {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>> {
        let file = tempfile::tempfile_in(&self.0.disk.folder)?;
        let room = Room { quota: Arc::clone(&self.0), bytes: AtomicU64::new(0) };
        Ok(Arc::new(Spilled { file: Arc::new(file), room: Arc::new(room) }))
    }
}

/// Why a file could not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The query is over its own bound.
    Own,
    /// All queries together are over theirs, or the disk is full.
    Shared,
}

/// What one query has on disk.
#[derive(Debug)]
struct Quota {
    disk: Arc<Disk>,
    limit: u64,
    used: AtomicU64,
    refusal: OnceLock<Refusal>,
}

impl Quota {
    fn take(&self, bytes: u64) -> io::Result<()> {
        if !taken(&self.used, bytes, self.limit) {
            return Err(self.refuse(Refusal::Own));
        }
        if !taken(&self.disk.used, bytes, self.disk.limit) {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.refuse(Refusal::Shared));
        }
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.disk.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn refuse(&self, refusal: Refusal) -> io::Error {
        // The first reason stands.
        let _ = self.refusal.set(refusal);
        io::Error::new(io::ErrorKind::QuotaExceeded, "the query may not put more on disk")
    }
}

/// Adds `bytes` to what is used, unless that would be more than `limit`.
fn taken(used: &AtomicU64, bytes: u64, limit: u64) -> bool {
    let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

/// The room that one file takes, until the last who writes or reads it is gone.
#[derive(Debug)]
struct Room {
    quota: Arc<Quota>,
    bytes: AtomicU64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.quota.give_back(self.bytes.load(Ordering::Relaxed));
    }
}

struct Spilled {
    file: Arc<File>,
    room: Arc<Room>,
}

impl SpillFile for Spilled {
    fn size(&self) -> Option<u64> {
        Some(self.room.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let (file, room) = (Arc::clone(&self.file), Arc::clone(&self.room));
        let chunks = stream::try_unfold((file, room, 0), |(file, room, at)| async move {
            let bytes = read(&file, at)?;
            let next = at + bytes.len() as u64;
            Ok::<_, DataFusionError>((!bytes.is_empty()).then_some((bytes, (file, room, next))))
        });
        Ok(Box::pin(chunks))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let (file, room) = (Arc::clone(&self.file), Arc::clone(&self.room));
        Ok(Box::new(Writer { file, room }))
    }
}

/// The bytes at that place; none at the end. The thread is the query's own, as it is for what is written:
/// it keeps nobody else waiting.
fn read(file: &File, at: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; CHUNK];
    let length = file.read_at(&mut bytes, at)?;
    bytes.truncate(length);
    Ok(bytes.into())
}

/// Writes at the end of a file.
struct Writer {
    file: Arc<File>,
    room: Arc<Room>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        self.room.quota.take(length)?;
        if let Err(error) = self.file.as_ref().write_all(bytes) {
            self.room.quota.give_back(length);
            let is_full = error.kind() == io::ErrorKind::StorageFull;
            return Err(if is_full { self.room.quota.refuse(Refusal::Shared) } else { error });
        }
        self.room.bytes.fetch_add(length, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_file_reads_back_and_gives_its_room_back() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("left"), "over").unwrap();
        let disk = Disk::new(folder.path(), 1 << 20).unwrap();
        let query = disk.of_query(1 << 20);
        let file = query.create_temp_file("test").unwrap();
        let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        let mut writer = file.open_writer().unwrap();
        for part in bytes.chunks(10_007) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!((file.size(), disk.used()), (Some(700_000), 700_000));
        let reading = file.read_stream().unwrap();
        drop((file, writer));
        assert_eq!(disk.used(), 700_000, "who reads it holds it");
        let parts: Vec<Bytes> = reading.try_collect().await.unwrap();
        assert_eq!(parts.concat(), bytes);
        assert_eq!(disk.used(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing has a name");
    }

    #[test]
    fn bounds_hold_for_one_query_and_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path(), 1_000).unwrap();
        let (one, other) = (disk.of_query(600), disk.of_query(600));
        let write = |query: &QueryDisk, bytes: usize| {
            let file = query.create_temp_file("test").unwrap();
            let written = file.open_writer().unwrap().write(&vec![7; bytes]);
            (file, written.is_ok())
        };
        let first = write(&one, 500);
        assert!(first.1 && one.refusal().is_none());
        assert!(!write(&one, 101).1);
        assert_eq!(one.refusal(), Some(Refusal::Own));
        assert!(!write(&other, 501).1);
        assert_eq!(other.refusal(), Some(Refusal::Shared));
        assert!(write(&other, 500).1);
        drop(first);
        assert_eq!(disk.used(), 0);
    }
}
