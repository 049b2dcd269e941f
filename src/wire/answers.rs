//! What a client is sent.

use std::io;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::failure::Failure;
use super::types::PgType;
use super::values::Values;

/// For a client to take what is sent to it.
const STALL_TIME: Duration = Duration::from_mins(1);
/// What is put together before it is sent.
const PART: usize = 32 << 10;

/// Where a connection stands with its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    None,
    Open,
    /// A statement of it has failed.
    Failed,
}

/// The side of a connection to which answers go. They are gathered until they are worth being sent.
pub(super) struct Outlet<W> {
    stream: W,
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> Outlet<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(PART) }
    }

    /// Sends what was gathered.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        timeout(STALL_TIME, async {
            self.stream.write_all(&self.buffer).await?;
            self.stream.flush().await
        })
        .await??;
        self.buffer.clear();
        Ok(())
    }

    /// Sends what was gathered if that is much.
    pub(super) async fn ease(&mut self) -> io::Result<()> {
        if self.buffer.len() >= PART {
            self.flush().await?;
        }
        Ok(())
    }

    /// Ends the connection in order.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        timeout(STALL_TIME, self.stream.shutdown()).await?
    }

    /// A message of a kind, whose length is put before what `write` writes.
    fn message(&mut self, kind: u8, write: impl FnOnce(&mut BytesMut)) {
        self.buffer.put_u8(kind);
        sized(&mut self.buffer, true, write);
    }

    pub(super) fn let_in(&mut self) {
        self.message(b'R', |out| out.put_i32(0));
    }

    pub(super) fn ask_password(&mut self) {
        self.message(b'R', |out| out.put_i32(3));
    }

    /// Only the protocol 3.0 is spoken, and none of these parameters of the protocol is known.
    pub(super) fn only_3_0(&mut self, unknown: &[&str]) {
        self.message(b'v', |out| {
            out.put_i32(3 << 16);
            out.put_i32(i32::try_from(unknown.len()).unwrap_or(i32::MAX));
            for name in unknown {
                text(out, name);
            }
        });
    }

    /// A setting and its value.
    pub(super) fn setting(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            text(out, name);
            text(out, value);
        });
    }

    /// By which the statement that runs can be cancelled.
    pub(super) fn cancel_key(&mut self, id: i32, secret: i32) {
        self.message(b'K', |out| {
            out.put_i32(id);
            out.put_i32(secret);
        });
    }

    pub(super) fn ready(&mut self, transaction: Transaction) {
        let status = match transaction {
            Transaction::None => b'I',
            Transaction::Open => b'T',
            Transaction::Failed => b'E',
        };
        self.message(b'Z', |out| out.put_u8(status));
    }

    pub(super) fn parsed(&mut self) {
        self.message(b'1', |_| {});
    }

    pub(super) fn bound(&mut self) {
        self.message(b'2', |_| {});
    }

    pub(super) fn closed(&mut self) {
        self.message(b'3', |_| {});
    }

    pub(super) fn no_rows(&mut self) {
        self.message(b'n', |_| {});
    }

    pub(super) fn suspended(&mut self) {
        self.message(b's', |_| {});
    }

    pub(super) fn empty(&mut self) {
        self.message(b'I', |_| {});
    }

    pub(super) fn complete(&mut self, tag: &str) {
        self.message(b'C', |out| text(out, tag));
    }

    /// The types of the parameters of a statement.
    pub(super) fn parameters(&mut self, types: &[u32]) {
        self.message(b't', |out| {
            out.put_u16(types.len() as u16);
            for oid in types {
                out.put_u32(*oid);
            }
        });
    }

    /// The columns of rows, each with the format it will have.
    pub(super) fn columns(&mut self, schema: &Schema, formats: &Formats) {
        self.message(b'T', |out| {
            out.put_u16(schema.fields().len() as u16);
            for (place, field) in schema.fields().iter().enumerate() {
                let PgType { oid, size, modifier } = PgType::of(field.data_type());
                text(out, field.name());
                // Of no table that could be named.
                out.put_i32(0);
                out.put_i16(0);
                out.put_u32(oid);
                out.put_i16(size);
                out.put_i32(modifier);
                out.put_i16(i16::from(formats.is_binary(place)));
            }
        });
    }

    /// Some rows of a batch.
    pub(super) async fn rows(
        &mut self,
        batch: &RecordBatch,
        rows: std::ops::Range<usize>,
        formats: &Formats,
    ) -> io::Result<()> {
        let values = Values::new(batch);
        for row in rows {
            self.message(b'D', |out| {
                out.put_u16(batch.num_columns() as u16);
                for column in 0..batch.num_columns() {
                    if values.is_null(column, row) {
                        out.put_i32(-1);
                    } else {
                        let is_binary = formats.is_binary(column);
                        sized(out, false, |out| values.write(out, column, row, is_binary));
                    }
                }
            });
            self.ease().await?;
        }
        Ok(())
    }

    /// A row of texts.
    pub(super) fn texts(&mut self, row: &[&str]) {
        self.message(b'D', |out| {
            out.put_u16(row.len() as u16);
            for value in row {
                sized(out, false, |out| out.put_slice(value.as_bytes()));
            }
        });
    }

    /// Why something was not done.
    pub(super) fn failed(&mut self, failure: &Failure) {
        let severity = if failure.is_fatal { "FATAL" } else { "ERROR" };
        self.message(b'E', |out| {
            let mut field = |kind: u8, value: &str| {
                out.put_u8(kind);
                text(out, value);
            };
            field(b'S', severity);
            field(b'V', severity);
            field(b'C', failure.code);
            field(b'M', &failure.message);
            if let Some(position) = failure.position {
                field(b'P', &position.to_string());
            }
            out.put_u8(0);
        });
    }
}

/// How columns are written: as the client asked for them when it bound its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Formats(Vec<i16>);

impl Formats {
    /// Those of a `Bind`: one for all columns, or one for each.
    pub(super) fn new(codes: Vec<i16>) -> Result<Self, Failure> {
        match codes.iter().find(|code| !matches!(code, 0 | 1)) {
            Some(code) => Err(Failure::new("22023", format!("there is no format {code}"))),
            None => Ok(Self(codes)),
        }
    }

    /// What it holds.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<i16>()
    }

    fn is_binary(&self, column: usize) -> bool {
        let code = match self.0.as_slice() {
            [one] => Some(one),
            each => each.get(column),
        };
        code == Some(&1)
    }
}

/// The schema of rows that are made here: all texts.
pub(super) fn texts(names: &[&str]) -> Schema {
    let fields: Vec<_> = names
        .iter()
        .map(|name| arrow::datatypes::Field::new(*name, DataType::Utf8, true))
        .collect();
    Schema::new(fields)
}

/// What `write` writes, with its length before it.
fn sized(out: &mut BytesMut, with_itself: bool, write: impl FnOnce(&mut BytesMut)) {
    let begin = out.len();
    out.put_i32(0);
    write(out);
    let counted = if with_itself { begin } else { begin + 4 };
    // A message is a row, which is far below two gigabytes.
    let length = i32::try_from(out.len() - counted).unwrap_or(i32::MAX);
    if let Some(place) = out.get_mut(begin..begin + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// A text with its end. A zero in it would end it early.
fn text(out: &mut BytesMut, value: &str) {
    out.extend(value.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// With its major version, without which newer clients take it for one before 3.0 and go.
    #[tokio::test]
    async fn a_later_protocol_is_told_the_one_that_is_spoken() {
        let mut sent = Vec::new();
        let mut outlet = Outlet::new(&mut sent);
        outlet.only_3_0(&["_pq_.x"]);
        outlet.flush().await.unwrap();
        assert_eq!(sent, b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0");
    }
}
