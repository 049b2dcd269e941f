//! Reading files: footers when a checkpoint is opened, blocks when they are needed.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt};

use super::error::CheckpointError;
use super::file::{Block, Footer};
use super::manifest::{Checksum, FileEntry};
use super::place::{Place, generic};

/// EIO: the disk cannot read what it holds.
const UNREADABLE: i32 = 5;

/// A file whose footer has been read and checked.
#[derive(Debug)]
pub(super) struct FileReader {
    path: Path,
    place: Arc<Place>,
    /// Where it lies, if in a folder.
    local: Option<PathBuf>,
    pub(super) footer: Arc<Footer>,
}

impl FileReader {
    /// Opens a file: looks whether it is there, as long as it should be, and has its footer.
    pub(super) async fn open(
        place: &Arc<Place>,
        entry: &FileEntry,
    ) -> Result<Self, CheckpointError> {
        let path = Path::from(entry.path.as_str());
        let reading = |source| CheckpointError::reading(&path, source);
        let found = place.objects.head(&path).await.map_err(reading)?.size;
        if found != entry.bytes {
            let what = format!("it has {found} bytes and not {}", entry.bytes);
            return Err(CheckpointError::damaged(&path, what));
        }
        let offset = entry.bytes.saturating_sub(u64::from(entry.footer));
        let options = GetOptions {
            range: Some(GetRange::Bounded(offset..entry.bytes)),
            ..Default::default()
        };
        let result = place.objects.get_opts(&path, options).await.map_err(reading)?;
        let local = match &result.payload {
            GetResultPayload::File(_, at) => Some(at.clone()),
            GetResultPayload::Stream(_) => None,
        };
        let bytes = result.bytes().await.map_err(reading)?;
        if Checksum::of(&bytes) != entry.checksum {
            return Err(CheckpointError::damaged(
                &path,
                "the checksum of its footer does not match",
            ));
        }
        let footer = Footer::decode(bytes, offset)
            .ok_or_else(|| CheckpointError::damaged(&path, "its footer cannot be read"))?;
        Ok(Self { path, place: place.clone(), local, footer: Arc::new(footer) })
    }

    /// Reads a block and checks it. Blocks, and must not be called by an async task.
    pub(super) fn read(&self, block: &Block) -> Result<Bytes, CheckpointError> {
        let bytes = if let Some(at) = &self.local {
            read_range(at, block).map_err(|error| self.unreadable(error))?.into()
        } else {
            let range = block.offset..block.offset + u64::from(block.length);
            let read = self.place.objects.get_range(&self.path, range);
            let read = self.place.runtime.block_on(read);
            read.map_err(|error| CheckpointError::reading(&self.path, error))?
        };
        if bytes.len() != block.length as usize || crc32fast::hash(&bytes) != block.crc {
            let what = format!("the checksum of its block at {} does not match", block.offset);
            return Err(self.damaged(what));
        }
        Ok(bytes)
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError::damaged(&self.path, what)
    }

    fn unreadable(&self, error: std::io::Error) -> CheckpointError {
        match error.kind() {
            ErrorKind::NotFound => self.damaged("it is missing"),
            _ if error.raw_os_error() == Some(UNREADABLE) => self.damaged(error.to_string()),
            _ => CheckpointError::reading(&self.path, generic(error)),
        }
    }
}

/// The bytes of a block, or fewer if the file ends before. Read to the end of a fresh buffer, which
/// need not be cleared for that.
fn read_range(at: &PathBuf, block: &Block) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(at)?;
    file.seek(SeekFrom::Start(block.offset))?;
    let mut bytes = Vec::with_capacity(block.length as usize);
    file.take(u64::from(block.length)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
