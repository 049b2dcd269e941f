//! The events between two cuts as files, one or more a type.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;

use super::file::file_schema;
use super::store::{HistoryStore, aside};
use super::write::FileWriter;
use super::{HistoryError, HistoryFile};
use crate::log::{Segment, key};
use crate::stored::{row_bytes, stored_schema, widen};

/// Bytes of rows in memory after which the largest types are written, so that a cut of any size is written
/// with no more than that.
pub(super) const HELD_BYTES: usize = 64 << 20;
/// Rows that are put in order at a time, fewer if they are large.
const SORTED_ROWS: usize = 4096;
const SORTED_BYTES: usize = 4 << 20;

/// Takes the events since the last cut in order of acceptance, and writes them as files.
pub(super) struct CutWriter {
    store: HistoryStore,
    types: BTreeMap<String, Pending>,
    held: usize,
    limit: usize,
    files: Vec<Arc<HistoryFile>>,
}

/// The events of one type that are not yet in a file.
struct Pending {
    /// The columns of its latest form.
    stored: SchemaRef,
    segments: Vec<(u64, UInt32Array, RecordBatch)>,
    bytes: usize,
}

impl CutWriter {
    pub(super) fn new(store: &HistoryStore, limit: usize) -> Self {
        Self { store: store.clone(), types: BTreeMap::new(), held: 0, limit, files: Vec::new() }
    }

    /// Takes the events that were accepted at `offset`.
    pub(super) async fn push(&mut self, offset: u64, segment: Segment) -> Result<(), HistoryError> {
        let bytes = row_bytes(&segment.rows);
        let key = key(&segment.event_type);
        let schema = stored_schema(&segment.event_type);
        let pending = self.types.entry(key.into_owned()).or_insert_with(|| Pending {
            stored: Arc::clone(&schema),
            segments: Vec::new(),
            bytes: 0,
        });
        if pending.stored.fields().len() < schema.fields().len() {
            pending.stored = schema;
        }
        pending.segments.push((offset, segment.tenants, segment.rows));
        pending.bytes += bytes;
        self.held += bytes;
        while self.held > self.limit {
            let largest = self.types.iter().max_by_key(|(_, pending)| pending.bytes);
            let Some(largest) = largest.map(|(key, _)| key.clone()) else { break };
            self.write(largest).await?;
        }
        Ok(())
    }

    /// Writes what is left and gives all files of the cut.
    pub(super) async fn finish(mut self) -> Result<Vec<Arc<HistoryFile>>, HistoryError> {
        while let Some(key) = self.types.keys().next().cloned() {
            self.write(key).await?;
        }
        Ok(self.files)
    }

    async fn write(&mut self, key: String) -> Result<(), HistoryError> {
        let Some(pending) = self.types.remove(&key) else { return Ok(()) };
        self.held -= pending.bytes;
        let store = self.store.clone();
        let file = aside(async move { pending.write(&store, &key).await }).await?;
        self.files.extend(file);
        Ok(())
    }
}

impl Pending {
    async fn write(
        self,
        store: &HistoryStore,
        key: &str,
    ) -> Result<Option<Arc<HistoryFile>>, HistoryError> {
        let Some((first, ..)) = self.segments.first() else { return Ok(None) };
        let mut file = FileWriter::create(store, key, &self.stored, *first)?;
        let batches = self.batches()?;
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let order = self.order();
        let row = (self.bytes / order.len().max(1)).max(1);
        for order in order.chunks((SORTED_BYTES / row).clamp(1, SORTED_ROWS)) {
            let places: Vec<(usize, usize)> =
                order.iter().map(|(_, segment, row)| (*segment as usize, *row as usize)).collect();
            file.write(&interleave_record_batch(&batches, &places)?).await?;
        }
        file.finish().await
    }

    /// The segments with the columns of the file.
    fn batches(&self) -> Result<Vec<RecordBatch>, HistoryError> {
        let schema = file_schema(&self.stored);
        self.segments
            .iter()
            .map(|(offset, tenants, rows)| {
                let rows = widen(rows, &self.stored)?;
                let offsets = UInt64Array::from(vec![*offset; rows.num_rows()]);
                let ahead: [ArrayRef; 2] = [Arc::new(tenants.clone()), Arc::new(offsets)];
                let columns = ahead.into_iter().chain(rows.columns().iter().cloned()).collect();
                Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
            })
            .collect()
    }

    /// Tenant, segment and row of every event, by tenant and then as they were accepted.
    fn order(&self) -> Vec<(u32, u32, u32)> {
        let segments = self.segments.iter().zip(0_u32..);
        let mut order: Vec<(u32, u32, u32)> = segments
            .flat_map(|((_, tenants, _), segment)| {
                let rows = tenants.values().iter().zip(0_u32..);
                rows.map(move |(tenant, row)| (*tenant, segment, row))
            })
            .collect();
        order.sort_unstable();
        order
    }
}
