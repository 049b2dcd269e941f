//! All accepted events as the history that queries read.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use ingest::history::Accepted;
use projections::{EventType, Tenant};
use query::History;

/// [`History`] over the history files and what came since.
pub(super) struct EventHistory(pub(super) Accepted);

impl History for EventHistory {
    fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> SendableRecordBatchStream {
        let schema = projected(event_type, columns.as_deref());
        let batches = self
            .0
            .scan(tenant, event_type, up_to, columns)
            .map_err(|error| DataFusionError::External(Box::new(error)));
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// The relation's schema, narrowed to `columns`; the caller takes them from that schema.
fn projected(event_type: &EventType, columns: Option<&[usize]>) -> SchemaRef {
    let relation = event_type.relation();
    match columns.map(|columns| relation.project(columns)) {
        Some(Ok(narrow)) => Arc::new(narrow),
        Some(Err(_)) | None => Arc::clone(relation),
    }
}
