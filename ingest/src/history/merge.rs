//! Many files of one type as one, in order of tenant and offset.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Schema, SchemaRef, UInt32Type, UInt64Type};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use projections::Tenant;

use super::checked::CheckedFile;
use super::file::{AHEAD, file_schema, stored_columns};
use super::store::HistoryStore;
use super::write::FileWriter;
use super::{HistoryError, HistoryFile};
use crate::stored::widen;

/// Rows of each file that are in memory at a time, beside its row group.
const READ_ROWS: usize = 1024;
/// Rows that are put together before they are written, fewer if they are large.
const OUT_ROWS: usize = 4096;

/// Merges files of one type, leaving out the rows of a tenant if one is named. Nothing comes of it
/// if no row is left.
pub(super) async fn merge(
    store: &HistoryStore,
    files: &[Arc<HistoryFile>],
    without: Option<Tenant>,
) -> Result<Option<Arc<HistoryFile>>, HistoryError> {
    let mut files: Vec<&Arc<HistoryFile>> = files.iter().collect();
    // Rows of one offset that are in two files come in the order in which those were written.
    files.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    let Some(first) = files.first() else { return Ok(None) };
    let mut opened = Vec::with_capacity(files.len());
    for file in &files {
        let checked = CheckedFile::open(store.objects(), file).await?;
        let stored = stored_columns(checked.metadata.schema()).ok_or_else(|| {
            HistoryError::damaged(&file.path, "its columns are not those of history")
        })?;
        opened.push((checked, stored));
    }
    let widest = opened.iter().map(|(_, stored)| stored).max_by_key(|s| s.fields().len());
    let Some(widest) = widest.cloned() else { return Ok(None) };
    let mut out = FileWriter::create(store, &first.event_type, &widest, first.first)?;
    let widest = Arc::new(widest);
    let out_rows = files.iter().map(|file| file.batch_rows(OUT_ROWS)).min().unwrap_or(OUT_ROWS);
    let mut inputs = Vec::with_capacity(opened.len());
    for (checked, stored) in opened {
        inputs.push(Input::open(checked, stored, &widest).await?);
    }
    Merge::new(inputs, out_rows).run(&mut out, without).await?;
    out.finish().await
}

/// One file that is read from its beginning to its end.
struct Input {
    batches: BoxStream<'static, Result<RecordBatch, HistoryError>>,
    batch: Option<RecordBatch>,
    tenants: UInt32Array,
    offsets: UInt64Array,
    at: usize,
}

impl Input {
    async fn open(
        checked: CheckedFile,
        stored: Schema,
        widest: &SchemaRef,
    ) -> Result<Self, HistoryError> {
        let path = checked.file.path.clone();
        let damaged = {
            let path = path.clone();
            move |error| HistoryError::parquet(&path, error)
        };
        let metadata = checked.metadata.clone();
        let rows = checked.file.batch_rows(READ_ROWS);
        let batches = ParquetRecordBatchStreamBuilder::new_with_metadata(checked, metadata)
            .with_batch_size(rows)
            .build()
            .map_err(&damaged)?;
        let (stored, widest) = (Arc::new(stored), Arc::clone(widest));
        let schema = file_schema(&widest);
        let batches = batches.map(move |batch| {
            let batch = batch.map_err(&damaged)?;
            let (ahead, rows) = batch.columns().split_at(AHEAD);
            let rows = RecordBatch::try_new(Arc::clone(&stored), rows.to_vec())?;
            let rows =
                widen(&rows, &widest).map_err(|error| HistoryError::damaged(&path, &error))?;
            let columns: Vec<ArrayRef> = ahead.iter().chain(rows.columns()).cloned().collect();
            Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
        });
        let mut input = Self {
            batches: batches.boxed(),
            batch: None,
            tenants: UInt32Array::from(Vec::<u32>::new()),
            offsets: UInt64Array::from(Vec::<u64>::new()),
            at: 0,
        };
        input.load().await?;
        Ok(input)
    }

    /// The next batch that has rows; none at the end.
    async fn load(&mut self) -> Result<(), HistoryError> {
        self.batch = None;
        self.at = 0;
        while let Some(batch) = self.batches.try_next().await? {
            if batch.num_rows() > 0 {
                self.tenants = batch.column(0).as_primitive::<UInt32Type>().clone();
                self.offsets = batch.column(1).as_primitive::<UInt64Type>().clone();
                self.batch = Some(batch);
                break;
            }
        }
        Ok(())
    }

    fn key(&self) -> (u32, u64) {
        (self.tenants.value(self.at), self.offsets.value(self.at))
    }
}

struct Merge {
    inputs: Vec<Input>,
    /// The next row of each input that has one.
    next: BinaryHeap<Reverse<((u32, u64), usize)>>,
    /// The batches that rows are taken from, and which of them is each input's present one.
    batches: Vec<RecordBatch>,
    present: Vec<usize>,
    /// The rows to be written next, and how many they may be.
    rows: Vec<(usize, usize)>,
    out_rows: usize,
}

impl Merge {
    fn new(inputs: Vec<Input>, out_rows: usize) -> Self {
        let heads = inputs.iter().enumerate().filter(|(_, input)| input.batch.is_some());
        let next = heads.map(|(number, input)| Reverse((input.key(), number))).collect();
        let present = vec![0; inputs.len()];
        let (batches, rows) = (Vec::new(), Vec::new());
        let mut merge = Self { inputs, next, batches, present, rows, out_rows };
        merge.begin();
        merge
    }

    /// Batches that are kept until the next write: more than all inputs have at once, and bounded
    /// even if their rows are few or to be left out.
    fn most_batches(&self) -> usize {
        2 * self.inputs.len() + 16
    }

    /// Lets go of the batches that are used up.
    fn begin(&mut self) {
        self.rows.clear();
        self.batches.clear();
        for (input, present) in self.inputs.iter().zip(&mut self.present) {
            if let Some(batch) = &input.batch {
                *present = self.batches.len();
                self.batches.push(batch.clone());
            }
        }
    }

    async fn run(
        &mut self,
        out: &mut FileWriter,
        without: Option<Tenant>,
    ) -> Result<(), HistoryError> {
        while let Some(Reverse((_, number))) = self.next.pop() {
            let bound = self.next.peek().map(|Reverse(bound)| *bound);
            self.take(number, bound, without).await?;
            if self.rows.len() >= self.out_rows || self.batches.len() >= self.most_batches() {
                self.write(out).await?;
            }
        }
        self.write(out).await
    }

    /// Takes rows of one input up to the next row of another.
    async fn take(
        &mut self,
        number: usize,
        bound: Option<((u32, u64), usize)>,
        without: Option<Tenant>,
    ) -> Result<(), HistoryError> {
        let most_batches = self.most_batches();
        let input = &mut self.inputs[number];
        loop {
            let key = input.key();
            let full = self.rows.len() >= self.out_rows || self.batches.len() >= most_batches;
            if full || bound.is_some_and(|bound| (key, number) > bound) {
                self.next.push(Reverse((key, number)));
                return Ok(());
            }
            if without != Some(Tenant(key.0)) {
                self.rows.push((self.present[number], input.at));
            }
            input.at += 1;
            if input.at == input.tenants.len() {
                input.load().await?;
                let Some(batch) = &input.batch else { return Ok(()) };
                self.present[number] = self.batches.len();
                self.batches.push(batch.clone());
            }
        }
    }

    async fn write(&mut self, out: &mut FileWriter) -> Result<(), HistoryError> {
        if !self.rows.is_empty() {
            let batches: Vec<&RecordBatch> = self.batches.iter().collect();
            out.write(&interleave_record_batch(&batches, &self.rows)?).await?;
        }
        self.begin();
        Ok(())
    }
}
