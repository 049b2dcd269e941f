//! A tar archive (POSIX ustar), written file by file without knowing their sizes before.

use std::io::SeekFrom;

use sha2::{Digest, Sha256};
use tenancy::hex;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

/// What everything in an archive is a multiple of.
const BLOCK: u64 = 512;
/// The largest size that a header says in octal digits; larger ones stand there as a number, as GNU's
/// and BSD's tar and Python read it.
const MOST: u64 = 0o777_7777_7777;

/// An archive that is being written to a local file.
pub(super) struct Archive {
    out: BufWriter<tokio::fs::File>,
    /// Where the next byte comes.
    at: u64,
    written: Vec<Entry>,
    open: Option<Open>,
}

/// A file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Entry {
    pub(super) path: String,
    /// Rows or records, without a header.
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// In hexadecimal digits.
    pub(super) sha256: String,
}

struct Open {
    path: String,
    header: u64,
    bytes: u64,
    rows: u64,
    hash: Sha256,
}

impl Archive {
    pub(super) async fn create(path: &std::path::Path) -> std::io::Result<Self> {
        let file = tokio::fs::File::create_new(path).await?;
        let out = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { out, at: 0, written: Vec::new(), open: None })
    }

    /// Begins a file; its header is written when its size is known.
    pub(super) async fn begin(&mut self, path: impl Into<String>) -> std::io::Result<()> {
        self.open = Some(Open {
            path: path.into(),
            header: self.at,
            bytes: 0,
            rows: 0,
            hash: Sha256::new(),
        });
        self.put(&[0; BLOCK as usize]).await
    }

    /// Adds to the file that was begun.
    pub(super) async fn write(&mut self, bytes: &[u8], rows: u64) -> std::io::Result<()> {
        if let Some(open) = &mut self.open {
            open.bytes += bytes.len() as u64;
            open.rows += rows;
            open.hash.update(bytes);
        }
        self.put(bytes).await
    }

    /// Ends the file that was begun.
    pub(super) async fn end(&mut self) -> std::io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let behind = open.bytes.next_multiple_of(BLOCK) - open.bytes;
        self.put(&[0; BLOCK as usize][..behind as usize]).await?;
        let header = header(&open.path, open.bytes)?;
        self.out.seek(SeekFrom::Start(open.header)).await?;
        self.out.write_all(&header).await?;
        self.out.seek(SeekFrom::Start(self.at)).await?;
        let Open { path, bytes, rows, hash, .. } = open;
        self.written.push(Entry { path, rows, bytes, sha256: hex(&hash.finalize()) });
        Ok(())
    }

    /// The files that are whole.
    pub(super) fn written(&self) -> &[Entry] {
        &self.written
    }

    /// Ends the archive; answers its bytes.
    pub(super) async fn finish(mut self) -> std::io::Result<u64> {
        self.put(&[0; 2 * BLOCK as usize]).await?;
        self.out.flush().await?;
        self.out.into_inner().sync_all().await?;
        Ok(self.at)
    }

    async fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).await
    }
}

/// A header block of a plain file.
fn header(path: &str, bytes: u64) -> std::io::Result<[u8; BLOCK as usize]> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if folder.len() > 155 || name.len() > 100 {
        return Err(std::io::Error::other(format!("the name {path} is too long for an archive")));
    }
    let mut block = [0; BLOCK as usize];
    let mut put = |at: usize, text: &str| {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    if bytes <= MOST {
        put(124, &format!("{bytes:011o}\0"));
    }
    // Times of files are in the manifest alone.
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    put(345, folder);
    if bytes > MOST {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&bytes.to_be_bytes());
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}
