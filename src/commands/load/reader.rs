//! Cuts files into bodies of whole lines. Runs on a thread of its own; the channel is its bound.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tokio::sync::mpsc;

use super::super::Failure;

/// Bytes of a body, at least one line.
const BODY: usize = 2 << 20;
/// Bytes of a body that a service takes; a line beyond is none.
const MOST_BODY: usize = 16 << 20;
/// Bytes of a read.
const READ: usize = 256 << 10;

/// A body: whole lines of one file.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// The file's name.
    pub(super) file: Arc<str>,
    /// The number of its first line, counted from 1.
    pub(super) first_line: u64,
    /// Bytes of all files that were read so far.
    pub(super) read: u64,
    /// The lines.
    pub(super) body: Bytes,
}

impl Chunk {
    /// The number of the line of the event `index`: blank lines are no events.
    pub(super) fn line_of(&self, index: usize) -> u64 {
        let lines = self.body.split(|byte| *byte == b'\n');
        let numbered = lines.zip(self.first_line..);
        let mut events = numbered.filter(|(line, _)| !line.trim_ascii().is_empty());
        events.nth(index).map_or(self.first_line, |(_, number)| number)
    }
}

/// The bytes of all files; `None` when one is no plain file. Fails when one cannot be opened, so
/// that nothing is sent when a name is mistyped.
pub(super) fn total_bytes(files: &[PathBuf]) -> Result<Option<u64>, Failure> {
    let mut total = Some(0);
    for path in files {
        if is_standard_input(path) {
            total = None;
            continue;
        }
        let metadata = File::open(path).and_then(|file| file.metadata());
        let metadata = metadata.map_err(|error| cannot_read(path, &error))?;
        if metadata.is_dir() {
            return Err(Failure::Usage(format!("{} is a folder; name its files", path.display())));
        }
        total = total.filter(|_| metadata.is_file()).map(|sum| sum + metadata.len());
    }
    Ok(total)
}

/// Sends the bodies of all files in order. A closed channel ends it: the sender has failed.
pub(super) fn read_all(files: &[PathBuf], to: &mpsc::Sender<Chunk>) -> Result<(), Failure> {
    let read = Arc::new(AtomicU64::new(0));
    for path in files {
        let input: Box<dyn Read> = if is_standard_input(path) {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(path).map_err(|error| cannot_read(path, &error))?)
        };
        let input = Counted { input, read: Arc::clone(&read) };
        let mut lines = Lines::new(path, input).map_err(|error| cannot_read(path, &error))?;
        while let Some(chunk) = lines.next_chunk(&read)? {
            if to.blocking_send(chunk).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot read {}: {error}", path.display()))
}

/// Counts what is read of the file itself, for the progress bar.
struct Counted {
    input: Box<dyn Read>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The lines of one file.
pub(super) struct Lines {
    name: Arc<str>,
    input: Box<dyn Read>,
    /// What follows the last body.
    rest: Vec<u8>,
    next_line: u64,
    ended: bool,
}

impl Lines {
    /// Reads plain text, or gzip by its first two bytes, whatever the name says.
    pub(super) fn new(path: &Path, mut input: impl Read + 'static) -> std::io::Result<Self> {
        let mut head = Vec::with_capacity(2);
        input.by_ref().take(2).read_to_end(&mut head)?;
        let gzipped = head == [0x1f, 0x8b];
        let whole = std::io::Cursor::new(head).chain(input);
        Ok(Self {
            name: path.display().to_string().into(),
            input: if gzipped {
                Box::new(MultiGzDecoder::new(BufReader::with_capacity(READ, whole)))
            } else {
                Box::new(whole)
            },
            rest: Vec::new(),
            next_line: 1,
            ended: false,
        })
    }

    /// The next body.
    pub(super) fn next_chunk(&mut self, read: &AtomicU64) -> Result<Option<Chunk>, Failure> {
        let Some(body) = self.next_body()? else {
            return Ok(None);
        };
        let first_line = self.next_line;
        self.next_line += memchr::memchr_iter(b'\n', &body).count() as u64;
        Ok(Some(Chunk {
            file: Arc::clone(&self.name),
            first_line,
            read: read.load(Ordering::Relaxed),
            body: body.into(),
        }))
    }

    fn next_body(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut body = std::mem::take(&mut self.rest);
        body.reserve(BODY + READ);
        loop {
            if body.len() >= BODY || self.ended {
                match memchr::memrchr(b'\n', &body) {
                    Some(_) if self.ended => return Ok(Some(body)),
                    Some(end) => {
                        self.rest = body.split_off(end + 1);
                        return Ok(Some(body));
                    }
                    None if self.ended => return Ok(Some(body).filter(|body| !body.is_empty())),
                    None if body.len() >= MOST_BODY => {
                        return Err(Failure::Failed(format!(
                            "{}:{}: a line of more than {MOST_BODY} bytes is no event; is this a \
                             file of events, one a line?",
                            self.name, self.next_line
                        )));
                    }
                    None => {}
                }
            }
            self.fill(&mut body)?;
        }
    }

    fn fill(&mut self, body: &mut Vec<u8>) -> Result<(), Failure> {
        let mut some = self.input.by_ref().take(READ as u64);
        let count = some
            .read_to_end(body)
            .map_err(|error| Failure::Failed(format!("{}: cannot read on: {error}", self.name)))?;
        self.ended = count < READ;
        Ok(())
    }
}
