//! DataFusion's own answer to a query, over all events at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use projections::{EventTypes, Input};

/// What the query `sql` gives over the events of `inputs`, with the columns' types of `schema`.
pub(crate) fn answer(
    types: &EventTypes,
    inputs: &[&Input],
    sql: &str,
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let batches = runtime.block_on(async {
        let session = session(types, inputs)?;
        session.sql(sql).await?.collect().await
    })?;
    batches.iter().map(|batch| typed(batch, schema)).collect()
}

fn session(types: &EventTypes, inputs: &[&Input]) -> Result<SessionContext> {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for function in projections::functions::scalar() {
        session.register_udf(function.as_ref().clone());
    }
    if let Some(catalog) = session.catalog("datafusion") {
        catalog.register_schema("events", Arc::new(MemorySchemaProvider::new()))?;
    }
    let mut rows: BTreeMap<&str, Vec<RecordBatch>> = BTreeMap::new();
    for batch in inputs.iter().flat_map(|input| &input.events) {
        rows.entry(batch.event_type.name()).or_default().push(batch.rows.clone());
    }
    for kind in types.iter() {
        let rows = rows.remove(kind.name()).unwrap_or_default();
        let table = MemTable::try_new(kind.relation().clone(), vec![rows])?;
        session.register_table(format!("events.\"{}\"", kind.name()), Arc::new(table))?;
    }
    Ok(session)
}

/// DataFusion may answer with another type of text than the view has.
fn typed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| cast(column, field.data_type()))
        .collect::<std::result::Result<_, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
