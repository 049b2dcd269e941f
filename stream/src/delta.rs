//! The change of one view at one position: its rows, and their JSON or Arrow, written once for all.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use bytes::Bytes;
use projections::encode::RowEncoder;
use projections::{Position, RuntimeError, View, ViewChange};

use crate::body::arrow_rows;

/// Bytes that JSON takes for each value beside the value: quotes, comma, point, sign.
const JSON_OVERHEAD: usize = 4;

/// The change of one view at one position.
#[derive(Debug)]
pub(crate) struct ViewDelta {
    view: Arc<View>,
    rows: RecordBatch,
    weights: Int64Array,
    wire_bytes: usize,
    encoded: OnceLock<Arc<Encoded>>,
    arrow: OnceLock<Result<Bytes, RuntimeError>>,
}

/// The end of a `delta` message, from the position to the last brace: what is the same for
/// every subscription that takes all of it.
#[derive(Debug)]
pub(crate) struct Encoded {
    text: String,
    rows: Vec<Range<usize>>,
}

impl Encoded {
    /// That of rows which are JSON already, each with how many times it comes or goes.
    pub(crate) fn of_rows(position: Position, changes: &[(i64, &str)]) -> Self {
        let mut out = Vec::new();
        let mut rows = Vec::with_capacity(changes.len());
        begin_changes(&mut out, position);
        for (i, (weight, json)) in changes.iter().enumerate() {
            write_change(&mut out, i == 0, *weight, |out| {
                let start = out.len();
                out.extend_from_slice(json.as_bytes());
                rows.push(start..out.len());
            });
        }
        out.extend_from_slice(b"]}");
        Self { text: utf8(out), rows }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The JSON of one row.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        self.rows.get(row).map_or(&[], |range| &self.text.as_bytes()[range.clone()])
    }
}

impl ViewDelta {
    /// Takes the change over. Rows that pin a much larger buffer than their own are copied out.
    pub(crate) fn new(change: &ViewChange) -> Self {
        let rows = own_rows(&change.rows);
        let wire_bytes = slice_bytes(&rows) + rows.num_rows() * rows.num_columns() * JSON_OVERHEAD;
        Self {
            view: change.view.clone(),
            rows,
            weights: change.weights.clone(),
            wire_bytes,
            encoded: OnceLock::new(),
            arrow: OnceLock::new(),
        }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    pub(crate) fn weight(&self, row: usize) -> i64 {
        self.weights.value(row)
    }

    /// About as many bytes as the JSON of all rows takes.
    pub(crate) fn wire_bytes(&self) -> usize {
        self.wire_bytes
    }

    /// About as many bytes as the rows and, once it is written, their JSON take in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        2 * self.wire_bytes
    }

    /// The JSON of the whole change; the first who asks writes it.
    pub(crate) fn encoded(&self, position: Position) -> &Arc<Encoded> {
        self.encoded.get_or_init(|| Arc::new(self.encode(position)))
    }

    /// The JSON of one row, out of the JSON of all.
    pub(crate) fn row_json(&self, position: Position, row: usize) -> &[u8] {
        self.encoded(position).row(row)
    }

    fn encode(&self, position: Position) -> Encoded {
        let encoder = RowEncoder::new(&self.rows);
        let mut out = Vec::with_capacity(self.wire_bytes + 64);
        let mut rows = Vec::with_capacity(self.rows.num_rows());
        begin_changes(&mut out, position);
        for row in 0..self.rows.num_rows() {
            write_change(&mut out, row == 0, self.weight(row), |out| {
                let start = out.len();
                encoder.write_row(out, row);
                rows.push(start..out.len());
            });
        }
        out.extend_from_slice(b"]}");
        Encoded { text: utf8(out), rows }
    }

    /// The whole change as Arrow; the first who asks writes it, and adds its bytes to `written`.
    pub(crate) fn arrow(&self, written: &AtomicUsize) -> Result<Bytes, RuntimeError> {
        let rows = self.arrow.get_or_init(|| {
            let rows = arrow_rows(&self.rows, &self.weights)?;
            written.fetch_add(rows.len(), Ordering::Relaxed);
            Ok(rows)
        });
        rows.clone()
    }

    /// The bytes of the Arrow, once it is written.
    pub(crate) fn arrow_bytes(&self) -> usize {
        self.arrow.get().and_then(|rows| rows.as_ref().ok()).map_or(0, Bytes::len)
    }

    /// The rows at `selected` alone as Arrow.
    pub(crate) fn selected_arrow(&self, selected: &[usize]) -> Result<Bytes, RuntimeError> {
        let places = UInt64Array::from_iter_values(selected.iter().map(|row| *row as u64));
        let rows = take_record_batch(&self.rows, &places)?;
        let weights = Int64Array::from_iter_values(selected.iter().map(|row| self.weight(*row)));
        Ok(arrow_rows(&rows, &weights)?)
    }

    /// The end of a `delta` message with the rows at `selected` alone.
    pub(crate) fn encode_selected(&self, position: Position, selected: &[usize]) -> String {
        let encoder = RowEncoder::new(&self.rows);
        let mut out = Vec::new();
        begin_changes(&mut out, position);
        for (i, row) in selected.iter().enumerate() {
            write_change(&mut out, i == 0, self.weight(*row), |out| encoder.write_row(out, *row));
        }
        out.extend_from_slice(b"]}");
        utf8(out)
    }
}

/// Writes `"position":"…","changes":[`.
pub(crate) fn begin_changes(out: &mut Vec<u8>, position: Position) {
    out.extend_from_slice(b"\"position\":\"");
    out.extend_from_slice(position.to_string().as_bytes());
    out.extend_from_slice(b"\",\"changes\":[");
}

/// Writes `[weight,row]`, with a comma before all but the first.
pub(crate) fn write_change(
    out: &mut Vec<u8>,
    first: bool,
    weight: i64,
    write_row: impl FnOnce(&mut Vec<u8>),
) {
    if !first {
        out.push(b',');
    }
    out.push(b'[');
    out.extend_from_slice(weight.to_string().as_bytes());
    out.push(b',');
    write_row(out);
    out.push(b']');
}

/// Text out of what a row encoder wrote. It writes UTF-8 alone, so nothing is ever replaced.
pub(crate) fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The bytes of the rows themselves, not of the buffers they are a part of.
pub(crate) fn slice_bytes(rows: &RecordBatch) -> usize {
    rows.columns()
        .iter()
        .map(|c| c.to_data().get_slice_memory_size().unwrap_or_else(|_| c.get_array_memory_size()))
        .sum()
}

/// The rows, copied if they are a small part of large buffers that they would keep alive.
fn own_rows(rows: &RecordBatch) -> RecordBatch {
    const WORTH_A_COPY: usize = 4096;
    if rows.get_array_memory_size() <= 4 * slice_bytes(rows) + WORTH_A_COPY {
        return rows.clone();
    }
    let all = UInt64Array::from_iter_values(0..rows.num_rows() as u64);
    let copied: Result<RecordBatch, ArrowError> = take_record_batch(rows, &all);
    // Rows that cannot be copied are kept as they are: right, only larger.
    copied.unwrap_or_else(|_| rows.clone())
}
