//! Arrow IPC, as a stream.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use futures::Stream;

use crate::format::{Body, BodyWriter};
use crate::{Answer, QueryError};

/// The answer as an Arrow IPC stream, a chunk a batch.
pub fn arrow_body(answer: Answer) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
    Body::stream(answer, ArrowWriter(None))
}

/// The writer, once the schema is known.
struct ArrowWriter(Option<StreamWriter<Vec<u8>>>);

impl BodyWriter for ArrowWriter {
    fn head(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let writer = StreamWriter::try_new(Vec::new(), schema).map_err(|e| failed(&e))?;
        out.append(self.0.insert(writer).get_mut());
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let writer = self.begun()?;
        writer.write(batch).map_err(|e| failed(&e))?;
        out.append(writer.get_mut());
        Ok(())
    }

    fn tail(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let writer = self.begun()?;
        writer.finish().map_err(|e| failed(&e))?;
        out.append(writer.get_mut());
        Ok(())
    }
}

impl ArrowWriter {
    fn begun(&mut self) -> Result<&mut StreamWriter<Vec<u8>>, QueryError> {
        self.0
            .as_mut()
            .ok_or_else(|| QueryError::Internal { message: "rows came before their schema".into() })
    }
}

fn failed(error: &ArrowError) -> QueryError {
    QueryError::Internal { message: error.to_string() }
}
