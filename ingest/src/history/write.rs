//! Writing one file.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, UInt32Type, UInt64Type};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use projections::events::ENVELOPE;
use tokio::io::AsyncWriteExt;

use super::checked::Sums;
use super::file::file_schema;
use super::store::{HistoryStore, Writing};
use super::{HistoryError, HistoryFile, Tenants};

/// A row group ends with so many rows …
const GROUP_ROWS: usize = 1 << 16;
/// … or bytes as they are written. A reader holds one group of a file at a time.
const GROUP_BYTES: usize = 8 << 20;
/// Rows of a page: what is decoded for a tenant that has a few of them.
const PAGE_ROWS: usize = 4096;
/// The largest dictionary of a column in a row group.
const DICTIONARY_BYTES: usize = 128 << 10;
/// Parts that are uploaded at once, and their size.
const PARTS: usize = 2;
const PART_BYTES: usize = 8 << 20;

/// A file on its way. Rows come sorted by tenant and offset.
pub(super) struct FileWriter {
    writer: ArrowWriter<Vec<u8>>,
    upload: BufWriter,
    sums: Sums,
    store: HistoryStore,
    writing: Writing,
    event_type: String,
    rows: u64,
    memory: u64,
    tenants: Tenants,
    offsets: Option<(u64, u64)>,
}

impl FileWriter {
    /// A file of the type with that key, whose rows have the columns `stored`. `first` is an
    /// offset that helps to tell files apart.
    pub(super) fn create(
        store: &HistoryStore,
        event_type: &str,
        stored: &Schema,
        first: u64,
    ) -> Result<Self, HistoryError> {
        let writing = store.begin(event_type, first);
        let path = Path::from(writing.path.as_str());
        let upload = BufWriter::with_capacity(Arc::clone(store.objects()), path, PART_BYTES)
            .with_max_concurrency(PARTS);
        let writer = ArrowWriter::try_new(Vec::new(), file_schema(stored), Some(properties()))
            .map_err(|error| HistoryError::layout(event_type, error))?;
        Ok(Self {
            writer,
            upload,
            sums: Sums::default(),
            store: store.clone(),
            writing,
            event_type: event_type.to_owned(),
            rows: 0,
            memory: 0,
            tenants: Tenants::default(),
            offsets: None,
        })
    }

    /// Adds rows with the columns of the file.
    pub(super) async fn write(&mut self, rows: &RecordBatch) -> Result<(), HistoryError> {
        let tenants = rows.column(0).as_primitive::<UInt32Type>().values();
        self.tenants.extend(tenants);
        let offsets = rows.column(1).as_primitive::<UInt64Type>().values();
        for offset in offsets {
            let (first, last) = self.offsets.unwrap_or((*offset, *offset));
            self.offsets = Some((first.min(*offset), last.max(*offset)));
        }
        self.rows += rows.num_rows() as u64;
        self.memory += rows.columns().iter().map(sliced_bytes).sum::<u64>();
        let groups = self.writer.flushed_row_groups().len();
        self.writer.write(rows).map_err(|error| self.layout(error))?;
        if self.writer.flushed_row_groups().len() > groups {
            self.send().await?;
        }
        Ok(())
    }

    /// Ends the file; none if it has no rows, and then nothing is left of it.
    pub(super) async fn finish(mut self) -> Result<Option<Arc<HistoryFile>>, HistoryError> {
        let Some((first, last)) = self.offsets else {
            return Ok(None);
        };
        self.writer.flush().map_err(|error| self.layout(error))?;
        self.send().await?;
        let blocks = self.sums.begin_end();
        self.writer.append_key_value_metadata(blocks);
        self.writer.finish().map_err(|error| self.layout(error))?;
        self.send().await?;
        let done = self.upload.shutdown().await;
        done.map_err(|error| HistoryError::writing(&self.writing.path, error.into()))?;
        let bytes = self.sums.bytes;
        let (end_bytes, end_crc, crc) = self.sums.finish();
        let file = HistoryFile {
            path: self.writing.path.clone(),
            event_type: self.event_type,
            rows: self.rows,
            bytes,
            memory: self.memory,
            tenants: self.tenants,
            first,
            last,
            end_bytes,
            end_crc,
            crc,
        };
        Ok(Some(self.store.written(file)))
    }

    /// Sends on what has been laid out so far.
    async fn send(&mut self) -> Result<(), HistoryError> {
        self.writer.sync().map_err(|error| self.layout(error.into()))?;
        let bytes = std::mem::take(self.writer.inner_mut());
        self.sums.add(&bytes);
        let sent = self.upload.put(bytes.into()).await;
        sent.map_err(|error| HistoryError::store(&self.writing.path, "written", error))
    }

    fn layout(&self, error: ParquetError) -> HistoryError {
        HistoryError::layout(&self.event_type, error)
    }
}

/// What the rows of a column take, without what they share with others.
fn sliced_bytes(column: &ArrayRef) -> u64 {
    column.to_data().get_slice_memory_size().unwrap_or_default() as u64
}

fn properties() -> WriterProperties {
    let sorting =
        |column| SortingColumn { column_idx: column, descending: false, nulls_first: false };
    let tenant = ColumnPath::from("#tenant");
    let [id, at, _] = ENVELOPE.map(ColumnPath::from);
    WriterProperties::builder()
        .set_created_by(String::from("tidemark"))
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(1024)
        // A dictionary is read whole, however few rows are wanted; ids and times hardly repeat.
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_column_dictionary_enabled(id, false)
        .set_column_dictionary_enabled(at, false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(tenant, EnabledStatistics::Page)
        .set_sorting_columns(Some(vec![sorting(0), sorting(1)]))
        .build()
}
