//! JSON: `{"columns":[{"name","type"}],"rows":[[…]],"position":"…","as_of":"…"}`.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::Bytes;
use chrono::NaiveDate;
use futures::Stream;
use projections::Position;
use projections::encode::{RowEncoder, column_types, write_text};

use crate::format::{Body, BodyWriter, CHUNK_ROWS};
use crate::{Answer, QueryError};

/// The answer as JSON, in chunks of some rows. After an error the text is cut short: it is not valid
/// JSON then.
pub fn json_body(answer: Answer) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
    let writer = JsonWriter { position: answer.position, as_of: answer.as_of, first: true };
    Body::stream(answer, writer)
}

struct JsonWriter {
    position: Position,
    as_of: Option<NaiveDate>,
    first: bool,
}

impl BodyWriter for JsonWriter {
    fn head(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), QueryError> {
        head(out, schema);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        rows(out, batch, self.first);
        self.first &= batch.num_rows() == 0;
        Ok(())
    }

    fn tail(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        tail(out, self.position, self.as_of);
        Ok(())
    }

    fn rows_at_once(&self) -> usize {
        CHUNK_ROWS
    }
}

/// `{"columns":[…],"rows":[`
pub(crate) fn head(out: &mut Vec<u8>, schema: &Schema) {
    out.extend_from_slice(b"{\"columns\":[");
    for (i, column) in column_types(schema).into_iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"{\"name\":" } else { b",{\"name\":" });
        write_text(out, &column.name);
        out.extend_from_slice(b",\"type\":");
        write_text(out, &column.r#type);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"rows\":[");
}

/// The rows, each after a comma but for the `first` of all.
pub(crate) fn rows(out: &mut Vec<u8>, batch: &RecordBatch, first: bool) {
    let encoder = RowEncoder::new(batch);
    for row in 0..batch.num_rows() {
        if row > 0 || !first {
            out.push(b',');
        }
        encoder.write_row(out, row);
    }
}

/// `],"position":"…","as_of":"…"}`; `as_of` is null while the tenant has no date.
pub(crate) fn tail(out: &mut Vec<u8>, position: Position, as_of: Option<NaiveDate>) {
    out.extend_from_slice(b"],\"position\":");
    write_text(out, &position.to_string());
    out.extend_from_slice(b",\"as_of\":");
    match as_of {
        Some(date) => write_text(out, &date.to_string()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}
