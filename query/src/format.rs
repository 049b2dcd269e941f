//! The formats of an answer, which of them a reader asks for, and how a body is streamed.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt, stream};

use crate::{Answer, QueryError};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`, the default.
    Json,
    /// `text/csv`.
    Csv,
    /// `application/vnd.apache.arrow.stream`: Arrow IPC.
    ArrowStream,
    /// `application/vnd.apache.parquet`.
    Parquet,
}

/// The columns in the types that files have cells for: whole numbers of other widths, and instants in
/// other units, as those that views have.
pub(crate) fn usual(batch: &RecordBatch) -> Result<Vec<ArrayRef>, QueryError> {
    let columns = batch.columns().iter();
    let usual = columns.map(|array| match usual_type(array.data_type()) {
        None => Ok(Arc::clone(array)),
        Some(to) => cast(array, &to).map_err(|error| {
            QueryError::invalid(format!(
                "a column of {} cannot be written: {error}",
                array.data_type()
            ))
        }),
    });
    usual.collect()
}

fn usual_type(of: &DataType) -> Option<DataType> {
    match of {
        DataType::Int8
        | DataType::Int16
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => Some(DataType::Int64),
        DataType::UInt64 => Some(DataType::Decimal128(20, 0)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => None,
        DataType::Timestamp(_, zone) => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        _ => None,
    }
}

/// None of the formats asked for can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no format of '{accept}' can be given: accept application/json, text/csv, \
     application/vnd.apache.arrow.stream or application/vnd.apache.parquet"
)]
pub struct NotAcceptable {
    /// What was asked for, shortened.
    pub accept: String,
}

impl Format {
    const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::ArrowStream, Self::Parquet];

    /// The format's media type, with its parameters.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::ArrowStream => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The format that an `Accept` header prefers (RFC 9110, section 12.5.1): the most specific
    /// range decides a format's weight, and between equal weights JSON comes before CSV before
    /// Arrow before Parquet. No header, or an empty one, asks for JSON.
    pub fn negotiate(accept: Option<&str>) -> Result<Self, NotAcceptable> {
        let accept = accept.unwrap_or_default().trim();
        if accept.is_empty() {
            return Ok(Self::Json);
        }
        let ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
        let mut best = None;
        for format in Self::ALL {
            let weight = format.weight(&ranges);
            if weight > 0 && best.is_none_or(|(_, w)| weight > w) {
                best = Some((format, weight));
            }
        }
        best.map(|(format, _)| format)
            .ok_or_else(|| NotAcceptable { accept: accept.chars().take(100).collect() })
    }

    fn essence(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::Csv => ("text", "csv"),
            Self::ArrowStream => ("application", "vnd.apache.arrow.stream"),
            Self::Parquet => ("application", "vnd.apache.parquet"),
        }
    }

    /// The weight in thousandths that the most specific range gives this format.
    fn weight(self, ranges: &[Range<'_>]) -> u16 {
        let (kind, name) = self.essence();
        ranges
            .iter()
            .filter_map(|range| Some((range.fits(kind, name)?, range.weight)))
            .max()
            .map_or(0, |(_, weight)| weight)
    }
}

/// One media range of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    name: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    /// None when it is malformed: such a range asks for nothing.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, name) = parts.next()?.split_once('/')?;
        let mut weight = 1000;
        for part in parts {
            let (key, value) = part.split_once('=')?;
            if key.trim().eq_ignore_ascii_case("q") {
                let quality: f32 = value.trim().parse().ok()?;
                if !(0.0..=1.0).contains(&quality) {
                    return None;
                }
                weight = (quality * 1000.0).round() as u16;
            }
        }
        Some(Self { kind, name, weight })
    }

    /// How specifically the range names the type: 2 exactly, 1 by its kind, 0 as anything.
    fn fits(&self, kind: &str, name: &str) -> Option<u8> {
        match (self.kind, self.name) {
            ("*", "*") => Some(0),
            (k, "*") if k.eq_ignore_ascii_case(kind) => Some(1),
            (k, n) if k.eq_ignore_ascii_case(kind) && n.eq_ignore_ascii_case(name) => Some(2),
            _ => None,
        }
    }
}

/// Rows of a chunk of text: some hundred kilobytes, which a processor's cache still has when they are
/// sent, and which keep it from nothing else for long.
pub(crate) const CHUNK_ROWS: usize = 1024;

/// Writes an answer in one format.
pub(crate) trait BodyWriter: Send + 'static {
    /// What stands before the rows.
    fn head(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), QueryError>;
    /// Some rows.
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError>;
    /// What stands after the rows.
    fn tail(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError>;
    /// How many rows of a batch go into one chunk.
    fn rows_at_once(&self) -> usize {
        usize::MAX
    }
}

/// An answer on its way into bytes: one chunk for the head, one a batch or some of its rows, one for
/// the tail. It ends with the first error, and holds no more than one batch, or one row group of
/// Parquet.
pub(crate) struct Body<W> {
    batches: SendableRecordBatchStream,
    writer: W,
    begun: bool,
    /// The rows of the last batch that are not written yet.
    rest: Option<RecordBatch>,
}

impl<W: BodyWriter> Body<W> {
    pub(crate) fn stream(
        answer: Answer,
        writer: W,
    ) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
        let batches = answer.batches;
        let body = Self { batches, writer, begun: false, rest: None };
        stream::unfold(Some(body), Self::next)
    }

    async fn next(body: Option<Self>) -> Option<(Result<Bytes, QueryError>, Option<Self>)> {
        let mut body = body?;
        let mut out = Vec::new();
        Some(match body.write(&mut out).await {
            Ok(more) => (Ok(out.into()), more.then_some(body)),
            Err(error) => (Err(error), None),
        })
    }

    /// Writes the next chunk; false after the tail.
    async fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, QueryError> {
        if !self.begun {
            self.begun = true;
            self.writer.head(&self.batches.schema(), out)?;
            return Ok(true);
        }
        let batch = match self.rest.take() {
            Some(rest) => Some(rest),
            None => self.batches.next().await.transpose()?,
        };
        let Some(batch) = batch else {
            self.writer.tail(out)?;
            return Ok(false);
        };
        let (rows, all) = (self.writer.rows_at_once(), batch.num_rows());
        if rows < all {
            self.writer.batch(&batch.slice(0, rows), out)?;
            self.rest = Some(batch.slice(rows, all - rows));
        } else {
            self.writer.batch(&batch, out)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::TryStreamExt;
    use futures::executor::block_on;
    use projections::{Position, Tenant};

    use super::*;
    use crate::{csv_body, json_body};

    #[test]
    fn the_preferred_format_is_chosen() {
        let cases = [
            (None, Format::Json),
            (Some(""), Format::Json),
            (Some("*/*"), Format::Json),
            (Some("application/*"), Format::Json),
            (Some("text/*"), Format::Csv),
            (Some("TEXT/CSV"), Format::Csv),
            (Some("text/html, text/csv;q=0.5, */*;q=0.1"), Format::Csv),
            (Some("application/json;q=0.2, text/csv;q=0.3"), Format::Csv),
            (Some("application/json;q=0, */*"), Format::Csv),
            (Some("application/vnd.apache.arrow.stream"), Format::ArrowStream),
            (Some("application/vnd.apache.parquet"), Format::Parquet),
            (Some("application/json; charset=utf-8"), Format::Json),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::negotiate(accept).unwrap(), format, "{accept:?}");
        }
    }

    #[test]
    fn what_cannot_be_given_is_said() {
        for accept in ["application/vnd.ms-excel", "nonsense", "text/csv;q=7", "*/*;q=0"] {
            let error = Format::negotiate(Some(accept)).unwrap_err();
            assert!(error.to_string().contains(accept), "{error}");
        }
    }

    #[test]
    fn a_large_batch_leaves_in_several_chunks() {
        let rows: Vec<i64> = (0..2 * CHUNK_ROWS as i64 + 500).chain(0..3).collect();
        let numbers: ArrayRef = Arc::new(Int64Array::from(rows.clone()));
        let all = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let batches = [all.slice(0, rows.len() - 3), all.slice(rows.len() - 3, 3)];
        let answer = || Answer {
            schema: all.schema(),
            position: Position::new(Tenant(1), 1),
            as_of: None,
            batches: Box::pin(RecordBatchStreamAdapter::new(
                all.schema(),
                stream::iter(batches.clone().map(Ok)),
            )),
            grounds: None,
        };
        let parts: Vec<Bytes> = block_on(csv_body(answer(), false).try_collect()).unwrap();
        assert_eq!(parts.len(), 1 + 3 + 1 + 1);
        let lines: String = rows.iter().map(|n| format!("{n}\r\n")).collect();
        assert_eq!(parts.concat(), format!("n\r\n{lines}").into_bytes());
        let parts: Vec<Bytes> = block_on(json_body(answer()).try_collect()).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&parts.concat()).unwrap();
        let rows: Vec<_> = rows.iter().map(|n| serde_json::json!([n])).collect();
        assert_eq!(told["rows"], serde_json::Value::Array(rows));
    }
}
