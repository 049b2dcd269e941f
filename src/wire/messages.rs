//! What a client sends: messages of the PostgreSQL protocol, version 3.
//!
//! A message is read once it is there whole, and from its own bytes alone: whatever a length in it
//! says, nothing is read beyond it, and nothing is kept for what is not there.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf, split};

/// What is read at a time.
const PART: usize = 8 << 10;
/// A message of a client that has not said who it is: a startup packet, or a password.
pub(super) const EARLY: usize = 16 << 10;

/// A message of a client that was let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Statements, separated by semicolons.
    Query(String),
    /// A statement to be prepared, and the types of its parameters as far as the client says them.
    Parse { name: String, sql: String, types: Vec<u32> },
    /// A portal: a prepared statement with values.
    Bind(Bind),
    /// What has which columns.
    Describe(Target),
    /// Rows of a portal; 0 for all.
    Execute { portal: String, rows: u32 },
    /// A statement or portal is not needed any more.
    Close(Target),
    /// What was answered is to be sent.
    Flush,
    /// The end of a group of messages, all of which are passed over once one has failed.
    Sync,
    /// A password.
    Password(String),
    /// The client goes.
    Terminate,
    /// Of a kind that is not taken here.
    Other(u8),
}

/// The parts of a `Bind`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    /// One for all values, or one for each; none is text.
    pub(super) formats: Vec<i16>,
    pub(super) values: Vec<Option<Bytes>>,
    /// One for all columns, or one for each; none is text.
    pub(super) columns: Vec<i16>,
}

/// A prepared statement or a portal, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The client has gone.
    #[error(transparent)]
    Gone(#[from] io::Error),
    /// It says more than it may.
    #[error("a message has {bytes} bytes, more than the {most} allowed")]
    TooLong { bytes: usize, most: usize },
    /// It is not made as the protocol says.
    #[error("a message is not as the PostgreSQL protocol has it: {0}")]
    Malformed(&'static str),
}

/// The side of a connection from which messages come.
pub(super) struct Inlet<R> {
    stream: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Inlet<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// The stream, if nothing was read that belongs to a later message.
    pub(super) fn into_stream(self) -> Option<R> {
        self.buffer.is_empty().then_some(self.stream)
    }

    /// The stream, to be written to.
    pub(super) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The body of a packet without a kind, which is what comes first. May be dropped and called
    /// again.
    pub(super) async fn packet(&mut self) -> Result<Bytes, ReadError> {
        loop {
            if let Some(body) = self.frame(0, EARLY)? {
                return Ok(body);
            }
            self.more().await?;
        }
    }

    /// The next message, of at most so many bytes. May be dropped and called again.
    pub(super) async fn next(&mut self, most: usize) -> Result<Message, ReadError> {
        loop {
            let kind = self.buffer.first().copied();
            if let Some(kind) = kind
                && let Some(body) = self.frame(1, most)?
            {
                return parsed(kind, body);
            }
            self.more().await?;
        }
    }

    /// Returns once the client has gone; what it sends meanwhile is kept, up to so many bytes. May
    /// be dropped and called again.
    pub(super) async fn gone(&mut self, most: usize) {
        while self.buffer.len() < most {
            if self.more().await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    async fn more(&mut self) -> Result<(), ReadError> {
        self.buffer.reserve(PART);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ReadError::Gone(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// The body of a message whose length stands after `before` bytes, if it is there whole.
    fn frame(&mut self, before: usize, most: usize) -> Result<Option<Bytes>, ReadError> {
        let Some(length) = self.buffer.get(before..before + 4) else { return Ok(None) };
        let mut length = length;
        let bytes = usize::try_from(length.get_u32()).unwrap_or(usize::MAX);
        if bytes < 4 {
            return Err(ReadError::Malformed("its length is less than itself"));
        }
        if bytes > most {
            return Err(ReadError::TooLong { bytes, most });
        }
        if self.buffer.len() < before + bytes {
            return Ok(None);
        }
        self.buffer.advance(before + 4);
        Ok(Some(self.buffer.split_to(bytes - 4).freeze()))
    }
}

impl<S: AsyncRead + AsyncWrite> Inlet<S> {
    /// The two sides of a connection, by themselves.
    pub(super) fn split(self) -> (Inlet<ReadHalf<S>>, WriteHalf<S>) {
        let (stream, other) = split(self.stream);
        (Inlet { stream, buffer: self.buffer }, other)
    }
}

fn parsed(kind: u8, mut body: Bytes) -> Result<Message, ReadError> {
    let body = &mut body;
    Ok(match kind {
        b'Q' => Message::Query(text(body)?),
        b'P' => {
            let (name, sql) = (text(body)?, text(body)?);
            let types = list(body, |body| number(body, Bytes::get_u32))?;
            Message::Parse { name, sql, types }
        }
        b'B' => Message::Bind(Bind {
            portal: text(body)?,
            statement: text(body)?,
            formats: list(body, |body| number(body, Bytes::get_i16))?,
            values: list(body, value)?,
            columns: list(body, |body| number(body, Bytes::get_i16))?,
        }),
        b'D' => Message::Describe(target(body)?),
        b'C' => Message::Close(target(body)?),
        b'E' => Message::Execute {
            portal: text(body)?,
            // A negative number means no bound, as 0 does.
            rows: u32::try_from(number(body, Bytes::get_i32)?).unwrap_or(0),
        },
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'p' => Message::Password(text(body)?),
        b'X' => Message::Terminate,
        other => Message::Other(other),
    })
}

fn target(body: &mut Bytes) -> Result<Target, ReadError> {
    let kind = number(body, Bytes::get_u8)?;
    let name = text(body)?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        _ => Err(ReadError::Malformed("it names neither a statement nor a portal")),
    }
}

/// A text that ends with a zero.
pub(super) fn text(body: &mut Bytes) -> Result<String, ReadError> {
    let end = body.iter().position(|byte| *byte == 0);
    let end = end.ok_or(ReadError::Malformed("a text has no end"))?;
    let text = body.split_to(end);
    body.advance(1);
    String::from_utf8(text.into()).map_err(|_| ReadError::Malformed("a text is not UTF-8"))
}

/// What `get` reads, if there is so much left.
pub(super) fn number<T>(body: &mut Bytes, get: impl Fn(&mut Bytes) -> T) -> Result<T, ReadError> {
    if body.len() < size_of::<T>() {
        return Err(ReadError::Malformed("it is too short"));
    }
    Ok(get(body))
}

fn list<T>(
    body: &mut Bytes,
    read: impl Fn(&mut Bytes) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let count = number(body, Bytes::get_u16)?;
    (0..count).map(|_| read(body)).collect()
}

fn value(body: &mut Bytes) -> Result<Option<Bytes>, ReadError> {
    // -1 is null.
    let Ok(length) = usize::try_from(number(body, Bytes::get_i32)?) else { return Ok(None) };
    if body.len() < length {
        return Err(ReadError::Malformed("a value is longer than its message"));
    }
    Ok(Some(body.split_to(length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use bytes::BufMut;
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.put_u32(body.len() as u32 + 4);
        bytes.extend_from_slice(body);
        bytes
    }

    async fn read(bytes: &[u8]) -> Result<Message, ReadError> {
        Inlet::new(bytes).next(1 << 10).await
    }

    #[tokio::test]
    async fn messages_are_read_one_by_one() {
        let mut bytes = message(b'Q', b"SELECT 1\0");
        bytes.extend(message(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"));
        bytes.extend(message(b'B', b"\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x01a\0\0"));
        bytes.extend(message(b'E', b"\0\0\0\0\x05"));
        bytes.extend(message(b'S', b""));
        let mut inlet = Inlet::new(bytes.as_slice());
        assert_eq!(inlet.next(99).await.unwrap(), Message::Query("SELECT 1".into()));
        let parse = Message::Parse { name: "s".into(), sql: "SELECT $1".into(), types: vec![23] };
        assert_eq!(inlet.next(99).await.unwrap(), parse);
        let Message::Bind(bind) = inlet.next(99).await.unwrap() else { panic!("no Bind") };
        assert_eq!((bind.portal.as_str(), bind.statement.as_str()), ("", "s"));
        assert_eq!(bind.formats, [1]);
        assert_eq!(bind.values, [None, Some(Bytes::from_static(b"a"))]);
        let execute = Message::Execute { portal: String::new(), rows: 5 };
        assert_eq!(inlet.next(99).await.unwrap(), execute);
        assert_eq!(inlet.next(99).await.unwrap(), Message::Sync);
        assert!(matches!(inlet.next(99).await, Err(ReadError::Gone(_))));
    }

    #[tokio::test]
    async fn what_is_cut_short_or_too_long_is_refused() {
        let malformed: [(u8, &[u8]); 6] = [
            (b'Q', b"no end"),
            (b'Q', b"\xff\xff\0"),
            (b'P', b"s\0SELECT 1\0\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xffa\0\0"),
            (b'D', b"X\0"),
            (b'E', b"\0\0"),
        ];
        for (kind, body) in malformed {
            let read = read(&message(kind, body)).await;
            assert!(matches!(read, Err(ReadError::Malformed(_))), "{body:?}: {read:?}");
        }
        let long = read(b"Q\x7f\xff\xff\xff").await;
        assert!(matches!(long, Err(ReadError::TooLong { bytes: 0x7fff_ffff, most: 1024 })));
        assert!(matches!(read(b"Q\0\0\0\x03").await, Err(ReadError::Malformed(_))));
    }

    proptest! {
        /// Whatever comes, a message is read from its own bytes or refused.
        #[test]
        fn no_bytes_do_harm(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parsed(kind, Bytes::from(body));
        }
    }
}
