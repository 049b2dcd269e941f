//! The ids of the events in a file, for a checkpoint that has to hold all of them again.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::datatypes::UInt32Type;
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::checked::CheckedFile;
use super::file::AHEAD;
use super::scan::BATCH_ROWS;
use super::{HistoryError, HistoryFile, HistoryStore};
use crate::IdNotes;

impl HistoryStore {
    /// Notes all events of a file.
    ///
    /// # Errors
    /// It is missing, damaged, or the store refuses.
    pub async fn note(
        &self,
        file: &Arc<HistoryFile>,
        notes: &mut IdNotes,
    ) -> Result<(), HistoryError> {
        let failed = |error| HistoryError::parquet(&file.path, error);
        let checked = CheckedFile::open(self.objects(), file).await?;
        let metadata = checked.metadata.clone();
        let columns = [0, AHEAD, AHEAD + 1];
        let mask = ProjectionMask::roots(metadata.parquet_schema(), columns);
        let rows = ParquetRecordBatchStreamBuilder::new_with_metadata(checked, metadata)
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(failed)?;
        let event_type =
            file.event_type.split_once('/').map_or(&*file.event_type, |(_, name)| name);
        let mut rows = std::pin::pin!(rows);
        while let Some(rows) = rows.try_next().await.map_err(failed)? {
            let tenants = rows.column(0).as_primitive::<UInt32Type>().clone();
            notes.note(event_type, &tenants, &rows.project(&[1, 2])?);
        }
        Ok(())
    }
}
