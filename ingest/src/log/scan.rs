//! History: a tenant's events of one type, in the order of the log.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::error::ArrowError;
use futures::{Stream, stream};
use projections::{EventType, Tenant};

use super::frame::{Frame, key};
use super::read::{RawRow, blocking};
use super::{Inner, Log, LogError};
use crate::stored::stored_schema;

/// Rows of a batch that a scan hands out.
const BATCH_ROWS: usize = 8192;

/// What is read, and how far it has come.
struct Scan {
    inner: Arc<Inner>,
    tenant: Tenant,
    event_type: Arc<EventType>,
    columns: Vec<usize>,
    after: u64,
    up_to: u64,
    /// The rows of the log that have been read.
    read: u64,
}

impl Log {
    /// The tenant's events of that type beyond the offset `after`, up to and with `up_to`, in the
    /// order of the log, with those columns of [`EventType::relation`]: in parts, each with the
    /// number of rows of the log that have been read by then, out of [`Log::parts`]. It is an
    /// error if rows among them have been let go of.
    ///
    /// Holds a few megabytes and no connection between two parts, however long its reader takes.
    pub(crate) fn history(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        after: u64,
        up_to: u64,
        columns: Vec<usize>,
    ) -> impl Stream<Item = Result<(u64, Vec<RecordBatch>), LogError>> + Send + 'static + use<>
    {
        let (inner, event_type) = (Arc::clone(&self.inner), Arc::clone(event_type));
        let scan = Scan { inner, tenant, event_type, columns, after, up_to, read: 0 };
        stream::try_unfold(scan, |mut scan| async move {
            let batches = scan.next().await?;
            Ok::<_, LogError>(batches.map(|batches| ((scan.read, batches), scan)))
        })
    }

    /// How many rows of the log beyond `after` and up to `up_to` hold events of the tenant and
    /// type.
    pub(crate) async fn parts(
        &self,
        tenant: Tenant,
        event_type: &EventType,
        after: u64,
        up_to: u64,
    ) -> Result<u64, LogError> {
        let parts: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM part WHERE tenant = ? AND event_type = ? AND log > ? AND log <= ?",
        )
        .bind(i64::from(tenant.0))
        .bind(key(event_type).into_owned())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(up_to).unwrap_or(i64::MAX))
        .fetch_one(&self.inner.readers)
        .await
        .map_err(|error| LogError::read(&self.inner.path, error))?;
        Ok(parts as u64)
    }
}

impl Scan {
    /// The batches of the next run of rows; none at the end.
    async fn next(&mut self) -> Result<Option<Vec<RecordBatch>>, LogError> {
        let query = sqlx::query_as(
            "SELECT log.id, log.payload FROM part CROSS JOIN log ON log.id = part.log
             WHERE part.tenant = ? AND part.event_type = ? AND part.log > ? AND part.log <= ?
             ORDER BY part.log LIMIT ?",
        )
        .bind(i64::from(self.tenant.0))
        .bind(key(&self.event_type).into_owned())
        .bind(self.after as i64)
        .bind(i64::try_from(self.up_to).unwrap_or(i64::MAX));
        let run = self.inner.run(query).await?;
        self.inner.check_untrimmed(self.after)?;
        let Some((last, _)) = run.last() else {
            return Ok(None);
        };
        self.after = *last as u64;
        self.read += run.len() as u64;
        let (inner, tenant) = (Arc::clone(&self.inner), self.tenant);
        let (event_type, columns) = (Arc::clone(&self.event_type), self.columns.clone());
        blocking(move || decode(&inner, tenant, &event_type, &columns, &run)).await.map(Some)
    }
}

/// The tenant's rows of a run, in batches of a size that suits a query.
fn decode(
    inner: &Inner,
    tenant: Tenant,
    event_type: &EventType,
    columns: &[usize],
    run: &[RawRow],
) -> Result<Vec<RecordBatch>, LogError> {
    let stored = stored_schema(event_type);
    let width = stored.fields().len();
    if let Some(column) = columns.iter().find(|column| **column >= width) {
        return Err(ArrowError::SchemaError(format!(
            "{} has {width} columns and no column {column}",
            event_type.name()
        ))
        .into());
    }
    let schema = Arc::new(stored.project(columns)?);
    let mut batches = Vec::with_capacity(run.len());
    for (offset, payload) in run {
        let damaged = |what: &dyn ToString| LogError::corrupt(&inner.path, *offset as u64, what);
        let Some((tenants, rows)) =
            Frame::decode_columns(payload, event_type, columns).map_err(|e| damaged(&e))?
        else {
            return Err(damaged(&format!("it should hold events of {}", event_type.name())));
        };
        let rows = of_tenant(tenant, &tenants, rows)?;
        // The file's schema carries no more than this one; sharing it makes the batches joinable.
        batches.push(rows.with_schema(Arc::clone(&schema))?);
    }
    let all = match <[RecordBatch; 1]>::try_from(batches) {
        Ok([batch]) => batch,
        Err(batches) => concat_batches(&schema, &batches)?,
    };
    let starts = (0..all.num_rows()).step_by(BATCH_ROWS);
    Ok(starts.map(|from| all.slice(from, BATCH_ROWS.min(all.num_rows() - from))).collect())
}

fn of_tenant(
    tenant: Tenant,
    tenants: &UInt32Array,
    rows: RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    if tenants.values().iter().all(|t| *t == tenant.0) {
        return Ok(rows);
    }
    let mask = BooleanArray::from_unary(tenants, |t| t == tenant.0);
    filter_record_batch(&rows, &mask)
}
