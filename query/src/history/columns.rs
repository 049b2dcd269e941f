//! Which columns of history the columns of a plan are made of.

use arrow::array::cast::AsArray;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use projections::EventType;
use projections::events::{Field, declared_columns};

/// Where the columns of a plan come from.
#[derive(Debug)]
pub(super) struct Columns {
    /// The columns of history that are read; the last is `extra` if something is taken out of it.
    read: Vec<usize>,
    /// The declared fields that are taken out of `extra`.
    declared: Vec<Field>,
    /// Of each column of the plan its place among those that are read without `extra`, and behind them
    /// those that are taken out of it.
    places: Vec<usize>,
}

impl Columns {
    /// Those of a plan that wants these columns of [`EventType::columns`], or all of them.
    pub(super) fn new(event_type: &EventType, wanted: Option<&[usize]>) -> Self {
        let width = event_type.relation().fields().len();
        let all = || (0..event_type.columns().fields().len()).collect::<Vec<usize>>();
        let wanted: Vec<usize> = wanted.map_or_else(all, <[usize]>::to_vec);
        let mut read: Vec<usize> =
            wanted.iter().copied().filter(|column| *column < width).collect();
        let field = |column: &usize| event_type.declared().get(column.checked_sub(width)?);
        let declared: Vec<Field> = wanted.iter().filter_map(field).cloned().collect();
        let (mut of_type, mut of_extra) = (0, read.len());
        let mut places = Vec::with_capacity(wanted.len());
        for column in wanted {
            let next = if column < width { &mut of_type } else { &mut of_extra };
            places.push(*next);
            *next += 1;
        }
        if !declared.is_empty() {
            read.push(event_type.extra_place());
        }
        // `count(*)` wants no column at all. A column is asked for all the same, so that a batch always
        // says by itself how many rows it has.
        if read.is_empty() {
            read.push(0);
        }
        Self { read, declared, places }
    }

    /// The columns of history that are read, never none.
    pub(super) fn read(&self) -> &[usize] {
        &self.read
    }

    /// What the plan wants of a batch of what is read; an error when the history kept something else.
    pub(super) fn of(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let misfit = || DataFusionError::Internal("history does not fit its event type".to_owned());
        let mut columns = batch.columns().to_vec();
        if !self.declared.is_empty() {
            let extra = columns.pop().ok_or_else(misfit)?;
            let extra = extra.as_string_opt::<i32>().ok_or_else(misfit)?;
            columns.extend(declared_columns(&self.declared, Some(extra), batch.num_rows()));
        }
        let picked = self.places.iter().map(|place| columns.get(*place).cloned());
        let picked: Vec<ArrayRef> = picked.collect::<Option<_>>().ok_or_else(misfit)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema.clone(), picked, &options).map_err(|error| {
            DataFusionError::Internal(format!("history does not fit its event type: {error}"))
        })
    }
}
