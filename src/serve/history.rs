//! All accepted events as the history that queries read.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use ingest::history::Accepted;
use ingest::stored_schema;
use projections::{EventType, Tenant};
use query::{History, QueryError};

use super::slots::{Home, Slots};

/// [`History`] over the history files of the partitions that are held, and what came since; cheap
/// to clone.
#[derive(Clone)]
pub(crate) struct EventHistory {
    accepted: Slots<Accepted>,
    /// How often a partition was taken or given up.
    takings: Arc<AtomicU64>,
}

impl EventHistory {
    /// The events of so many partitions, of which none is held yet; `home` says in which a tenant
    /// lives.
    pub(crate) fn new(count: usize, home: Home) -> Self {
        Self { accepted: Slots::new(count, home), takings: Arc::default() }
    }

    /// The events of a partition from now on; none if it is not held any more.
    pub(crate) fn set(&self, number: usize, accepted: Option<Accepted>) {
        self.accepted.set(number, accepted);
        self.takings.fetch_add(1, Ordering::Release);
    }

    /// The events among which a tenant's are, if its partition is held.
    pub(crate) fn of(&self, tenant: Tenant) -> Option<Accepted> {
        self.accepted.of(tenant)
    }
}

impl History for EventHistory {
    fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> SendableRecordBatchStream {
        let schema = projected(event_type, columns.as_deref());
        let Some(accepted) = self.of(tenant) else {
            let gone = DataFusionError::External(Box::new(QueryError::NotServed));
            let gone = stream::once(ready(Err(gone)));
            return Box::pin(RecordBatchStreamAdapter::new(schema, gone));
        };
        let batches = accepted
            .scan(tenant, event_type, up_to, columns)
            .map_err(|error| DataFusionError::External(Box::new(error)));
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }

    fn version(&self) -> u64 {
        self.takings.load(Ordering::Acquire)
    }
}

/// The relation's schema, or `columns` of what is stored; the caller takes them from that schema.
fn projected(event_type: &EventType, columns: Option<&[usize]>) -> SchemaRef {
    match columns.map(|columns| stored_schema(event_type).project(columns)) {
        Some(Ok(narrow)) => Arc::new(narrow),
        Some(Err(_)) | None => Arc::clone(event_type.relation()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::StreamExt;
    use projections::EventTypes;

    use super::*;
    use crate::serve::alone;

    /// The sum of no events is a figure, and a wrong one.
    #[tokio::test]
    async fn events_that_are_not_held_are_an_error_and_not_none() {
        let history = EventHistory::new(1, alone());
        history.set(0, None);
        let types = EventTypes::builtin();
        let issued = types.get("invoicing.invoice_issued").unwrap();
        let mut batches = history.scan(Tenant(1), issued, u64::MAX, Some(vec![0]));
        let error = batches.next().await.unwrap().unwrap_err();
        assert_eq!(QueryError::from(error), QueryError::NotServed);
    }
}
