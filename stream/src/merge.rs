//! Several changes of one view or one answer as one: rows that came and went again cancel.

use std::collections::HashMap;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use projections::Position;
use projections::encode::RowEncoder;

use crate::body::{Body, Format, arrow_rows};
use crate::delta::{begin_changes, utf8, write_change};
use crate::filter::Filter;
use crate::ring::Entry;

/// What a row takes beside its JSON.
const ROW_BYTES: usize = 16;

/// The sum of several changes of the same, bounded by the bytes of what is left of it.
pub(crate) struct Merge {
    /// By the JSON of the row.
    weights: HashMap<Box<[u8]>, Row>,
    /// The rows of the changes, for those who want them as Arrow.
    batches: Vec<RecordBatch>,
    /// The number of rows seen so far, which orders those that are left.
    seen: usize,
    bytes: usize,
    bound: usize,
    changes: usize,
}

struct Row {
    weight: i64,
    place: usize,
    /// Where it came first: which batch, and which row of it.
    source: (usize, usize),
}

/// What is left exceeds the bound.
#[derive(Debug)]
pub(crate) enum MergeError {
    TooLarge,
    Filter(ArrowError),
}

impl From<ArrowError> for MergeError {
    fn from(error: ArrowError) -> Self {
        Self::Filter(error)
    }
}

impl Merge {
    pub(crate) fn new(bound: usize) -> Self {
        let (weights, batches) = (HashMap::new(), Vec::new());
        Self { weights, batches, seen: 0, bytes: 0, bound, changes: 0 }
    }

    /// Adds what `entry` changed in `view`, as far as the filter lets it through. While it runs
    /// it may hold the bound and one such change.
    pub(crate) fn add(
        &mut self,
        entry: &Entry,
        view: &str,
        filter: Option<&Filter>,
    ) -> Result<(), MergeError> {
        let Some(change) = entry.change(view) else { return Ok(()) };
        let batch = self.batches.len();
        self.batches.push(change.rows().clone());
        if let Some(filter) = filter {
            let encoder = RowEncoder::new(change.rows());
            let mut json = Vec::new();
            for row in filter.select(change.rows())? {
                json.clear();
                encoder.write_row(&mut json, row);
                self.add_row(&json, change.weight(row), (batch, row));
                // A selection is not known to be small before it is made.
                if self.bytes > 2 * self.bound {
                    return Err(MergeError::TooLarge);
                }
            }
        } else {
            if change.wire_bytes() > self.bound {
                return Err(MergeError::TooLarge);
            }
            for row in 0..change.rows().num_rows() {
                let json = change.row_json(entry.position(), row);
                self.add_row(json, change.weight(row), (batch, row));
            }
        }
        self.changes += 1;
        if self.bytes > self.bound { Err(MergeError::TooLarge) } else { Ok(()) }
    }

    /// Adds a change whose rows are JSON already, each with its weight.
    pub(crate) fn add_rows<'a>(
        &mut self,
        rows: impl Iterator<Item = (&'a [u8], i64)>,
    ) -> Result<(), MergeError> {
        for (json, weight) in rows {
            // They are told as JSON only, so it matters not where they came from.
            self.add_row(json, weight, (0, 0));
            if self.bytes > 2 * self.bound {
                return Err(MergeError::TooLarge);
            }
        }
        self.changes += 1;
        if self.bytes > self.bound { Err(MergeError::TooLarge) } else { Ok(()) }
    }

    fn add_row(&mut self, json: &[u8], weight: i64, source: (usize, usize)) {
        self.seen += 1;
        let place = self.seen;
        if let Some(row) = self.weights.get_mut(json) {
            row.weight += weight;
            if row.weight == 0 {
                self.weights.remove(json);
                self.bytes -= json.len() + ROW_BYTES;
            }
        } else if weight != 0 {
            self.bytes += json.len() + ROW_BYTES;
            self.weights.insert(json.into(), Row { weight, place, source });
        }
    }

    /// How many changes went into it.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// The bytes of what is left.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The end of a `delta` message: the rows that go, then those that come. None if nothing
    /// is left.
    pub(crate) fn finish(
        self,
        position: Position,
        format: Format,
    ) -> Result<Option<Body>, ArrowError> {
        if self.weights.is_empty() {
            return Ok(None);
        }
        let mut rows: Vec<_> = self.weights.into_iter().collect();
        rows.sort_unstable_by_key(|(_, row)| (row.weight > 0, row.place));
        if format == Format::Arrow {
            let batches: Vec<&RecordBatch> = self.batches.iter().collect();
            let sources: Vec<(usize, usize)> = rows.iter().map(|(_, row)| row.source).collect();
            let weights = Int64Array::from_iter_values(rows.iter().map(|(_, row)| row.weight));
            let left = interleave_record_batch(&batches, &sources)?;
            return Ok(Some(Body::arrow_delta(position, arrow_rows(&left, &weights)?)));
        }
        let mut out = Vec::with_capacity(self.bytes + 64);
        begin_changes(&mut out, position);
        for (i, (json, row)) in rows.iter().enumerate() {
            write_change(&mut out, i == 0, row.weight, |out| out.extend_from_slice(json));
        }
        out.extend_from_slice(b"]}");
        Ok(Some(Body::json(utf8(out))))
    }
}
