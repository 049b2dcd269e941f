//! Parquet, as a stream: row groups of bounded size, each sent when it is full.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::Stream;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::format::{Body, BodyWriter};
use crate::{Answer, QueryError};

/// Rows of a row group at most.
const GROUP_ROWS: usize = 128 << 10;

/// Bytes of a row group as it is written: what is held until it is full.
const GROUP_BYTES: usize = 8 << 20;

/// The answer as a Parquet file, compressed with LZ4. A file that was cut short has no footer, so no
/// reader takes it for the whole.
pub fn parquet_body(answer: Answer) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
    Body::stream(answer, ParquetWriter(None))
}

/// The writer, once the schema is known.
struct ParquetWriter(Option<ArrowWriter<Vec<u8>>>);

impl BodyWriter for ParquetWriter {
    fn head(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::new(schema.clone()), Some(properties))
            .map_err(|error| {
            QueryError::invalid(format!("a column cannot be written as Parquet: {error}"))
        })?;
        self.0 = Some(writer);
        self.take(out)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.begun()?.write(batch).map_err(|e| failed(&e))?;
        self.take(out)
    }

    fn tail(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.begun()?.finish().map_err(|e| failed(&e))?;
        self.take(out)
    }
}

impl ParquetWriter {
    fn begun(&mut self) -> Result<&mut ArrowWriter<Vec<u8>>, QueryError> {
        self.0
            .as_mut()
            .ok_or_else(|| QueryError::Internal { message: "rows came before their schema".into() })
    }

    /// Moves what is written out.
    fn take(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let writer = self.begun()?;
        writer.sync().map_err(|error| QueryError::Internal { message: error.to_string() })?;
        out.append(writer.inner_mut());
        Ok(())
    }
}

fn failed(error: &ParquetError) -> QueryError {
    match error {
        // A type that files of Parquet have no place for, such as an interval.
        ParquetError::NYI(why) => {
            QueryError::invalid(format!("a column cannot be written as Parquet: {why}"))
        }
        other => QueryError::Internal { message: other.to_string() },
    }
}
