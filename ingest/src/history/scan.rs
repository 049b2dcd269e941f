//! A tenant's events of one type out of files.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{and, filter_record_batch};
use arrow::datatypes::{SchemaRef, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use projections::{EventType, Tenant};

use super::checked::CheckedFile;
use super::file::{AHEAD, stored_columns};
use super::{HistoryError, HistoryFile, HistoryStore};
use crate::stored::{places, stored_schema};

/// Rows of a batch that a scan hands out.
pub(super) const BATCH_ROWS: usize = 8192;
/// What one file, or one row of the log, counts for when progress is told.
pub(super) const WHOLE: u64 = 1000;

/// What is read.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) tenant: Tenant,
    pub(super) event_type: Arc<EventType>,
    pub(super) up_to: u64,
    /// Places among the stored columns, the relation's first, in the order in which they are wanted.
    pub(super) columns: Vec<usize>,
}

impl Wanted {
    /// The columns of the batches.
    pub(super) fn schema(&self) -> Result<SchemaRef, ArrowError> {
        let stored = stored_schema(&self.event_type);
        let width = stored.fields().len();
        match self.columns.iter().find(|column| **column >= width) {
            Some(column) => Err(ArrowError::SchemaError(format!(
                "{} has {width} columns and no column {column}",
                self.event_type.name()
            ))),
            None => Ok(Arc::new(stored.project(&self.columns)?)),
        }
    }

    /// The wanted columns of stored rows of any form of the type.
    pub(super) fn of_stored(
        &self,
        rows: &RecordBatch,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let places = self.places(rows.schema_ref())?;
        pick(rows, &places, schema)
    }

    /// Where each wanted column stands among the stored columns `from`; none where it came later.
    fn places(&self, from: &arrow::datatypes::Schema) -> Result<Vec<Option<usize>>, ArrowError> {
        let stored = stored_schema(&self.event_type);
        let places = places(from.fields(), stored.fields()).ok_or_else(|| {
            let name = self.event_type.name();
            ArrowError::SchemaError(format!("the columns are not those of {name}"))
        })?;
        Ok(self.columns.iter().map(|column| places[*column]).collect())
    }
}

/// Some columns of `rows` under another schema; null where there is none.
fn pick(
    rows: &RecordBatch,
    places: &[Option<usize>],
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let columns = places.iter().zip(schema.fields()).map(|(place, field)| match place {
        Some(place) => Arc::clone(rows.column(*place)),
        None => new_null_array(field.data_type(), rows.num_rows()),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// The rows of one tenant.
pub(super) fn of_tenant(
    tenant: Tenant,
    tenants: &arrow::array::UInt32Array,
    rows: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    if tenants.values().iter().all(|of_row| *of_row == tenant.0) {
        return Ok(rows.clone());
    }
    let mask = BooleanArray::from_unary(tenants, |of_row| of_row == tenant.0);
    filter_record_batch(rows, &mask)
}

impl HistoryStore {
    /// The wanted rows of those files, one file after the other, each batch with how far it has
    /// come by then: [`WHOLE`] for each file. Files that cannot hold any are not opened.
    pub(super) fn scan(
        &self,
        files: Vec<Arc<HistoryFile>>,
        wanted: Wanted,
    ) -> impl Stream<Item = Result<(u64, RecordBatch), HistoryError>> + Send + 'static + use<> {
        let objects = Arc::clone(self.objects());
        stream::iter(files.into_iter().zip(0_u64..))
            .then(move |(file, number)| {
                let (objects, wanted) = (Arc::clone(&objects), wanted.clone());
                async move {
                    let checked = CheckedFile::open(&objects, &file).await?;
                    let rows = FileScan::new(checked, wanted)?.batches();
                    let rows = rows.map_ok(move |(done, rows)| (number * WHOLE + done, rows));
                    Ok::<_, HistoryError>(rows)
                }
            })
            .try_flatten()
    }
}

/// The scan of one file.
struct FileScan {
    checked: CheckedFile,
    wanted: Wanted,
    schema: SchemaRef,
    mask: ProjectionMask,
    /// Where each wanted column stands among those that are read.
    picks: Vec<Option<usize>>,
    /// The row groups that can hold something of the tenant.
    groups: Vec<usize>,
}

impl FileScan {
    fn new(checked: CheckedFile, wanted: Wanted) -> Result<Self, HistoryError> {
        let damaged = |what: &dyn ToString| HistoryError::damaged(&checked.file.path, what);
        let schema = wanted.schema()?;
        let stored = stored_columns(checked.metadata.schema())
            .ok_or_else(|| damaged(&"its columns are not those of history"))?;
        let places = wanted.places(&stored).map_err(|error| damaged(&error))?;
        let mut read: Vec<usize> = places.iter().flatten().map(|place| place + AHEAD).collect();
        if read.is_empty() {
            // A column is read all the same, so that a batch says how many rows it has.
            read.push(0);
        }
        read.sort_unstable();
        read.dedup();
        let pick = |place: usize| read.partition_point(|column| *column < place + AHEAD);
        let picks = places.iter().map(|place| place.map(pick)).collect();
        let mask = ProjectionMask::roots(checked.metadata.parquet_schema(), read.iter().copied());
        let groups = checked.metadata.metadata().row_groups().iter().enumerate();
        let groups = groups
            .filter(|(_, group)| may_hold(group, wanted.tenant))
            .map(|(number, _)| number)
            .collect();
        Ok(Self { checked, wanted, schema, mask, picks, groups })
    }

    fn batches(
        self,
    ) -> impl Stream<Item = Result<(u64, RecordBatch), HistoryError>> + Send + 'static + use<> {
        let count = self.groups.len() as u64;
        let groups = self.groups.clone();
        stream::iter(groups.into_iter().zip(1_u64..))
            .map(move |(group, number)| {
                let path = self.checked.file.path.clone();
                let rows = self.group(group)?;
                let (picks, schema) = (self.picks.clone(), Arc::clone(&self.schema));
                let done = number * WHOLE / count;
                Ok::<_, HistoryError>(rows.map(move |rows| {
                    let rows = rows.map_err(|error| HistoryError::parquet(&path, error))?;
                    Ok((done, pick(&rows, &picks, &schema)?))
                }))
            })
            .try_flatten()
    }

    fn group(
        &self,
        group: usize,
    ) -> Result<
        impl Stream<Item = parquet::errors::Result<RecordBatch>> + Send + 'static + use<>,
        HistoryError,
    > {
        let (checked, file) = (&self.checked, &self.checked.file);
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
            checked.clone(),
            checked.metadata.clone(),
        )
        .with_row_groups(vec![group])
        .with_projection(self.mask.clone())
        .with_batch_size(file.batch_rows(BATCH_ROWS));
        if let Some(filter) = self.filter() {
            builder = builder.with_row_filter(filter);
        }
        builder.build().map_err(|error| HistoryError::parquet(&file.path, error))
    }

    /// Which rows are the tenant's, and early enough; none if all are.
    fn filter(&self) -> Option<RowFilter> {
        let (tenant, up_to) = (self.wanted.tenant, self.wanted.up_to);
        let file = &self.checked.file;
        let (all_early, only) = (file.last <= up_to, file.tenants.is_only(tenant));
        if all_early && only {
            return None;
        }
        let columns = if all_early { 0..1 } else { 0..AHEAD };
        let mask = ProjectionMask::roots(self.checked.metadata.parquet_schema(), columns);
        let predicate = ArrowPredicateFn::new(mask, move |keys: RecordBatch| {
            let tenants = keys.column(0).as_primitive::<UInt32Type>();
            let ours = BooleanArray::from_unary(tenants, |of_row| of_row == tenant.0);
            if all_early {
                return Ok(ours);
            }
            let offsets = keys.column(1).as_primitive::<UInt64Type>();
            and(&ours, &BooleanArray::from_unary(offsets, |offset| offset <= up_to))
        });
        Some(RowFilter::new(vec![Box::new(predicate)]))
    }
}

/// Whether the statistics of the column of tenants leave it open.
fn may_hold(group: &RowGroupMetaData, tenant: Tenant) -> bool {
    match group.column(0).statistics() {
        Some(Statistics::Int32(bounds)) => {
            let first = bounds.min_opt().is_none_or(|first| first.cast_unsigned() <= tenant.0);
            let last = bounds.max_opt().is_none_or(|last| last.cast_unsigned() >= tenant.0);
            first && last
        }
        _ => true,
    }
}
