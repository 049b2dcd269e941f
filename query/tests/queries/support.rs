//! Two tenants with a view and events each, and a history in memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::NaiveDate;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use projections::events::DECIMAL;
use projections::{EventType, EventTypes, Tenant, TenantSnapshot, View, ViewSnapshot};
use query::{Answer, History, Queries, QueryError, QueryLimits};
use serde_json::Value;

/// The tenant that asks.
pub(crate) const ACME: Tenant = Tenant(1);
/// The tenant whose data nobody else may see.
pub(crate) const OTHER: Tenant = Tenant(2);

/// Events by tenant and type, each batch with its row in the log.
#[derive(Default)]
pub(crate) struct MemoryHistory(HashMap<(Tenant, String), Vec<(u64, RecordBatch)>>);

impl MemoryHistory {
    pub(crate) fn add(
        &mut self,
        tenant: Tenant,
        event_type: &EventType,
        offset: u64,
        rows: RecordBatch,
    ) {
        self.0.entry((tenant, event_type.name().to_owned())).or_default().push((offset, rows));
    }
}

impl History for MemoryHistory {
    fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> SendableRecordBatchStream {
        let columns =
            columns.unwrap_or_else(|| (0..event_type.relation().fields().len()).collect());
        assert!(!columns.is_empty(), "the list of columns is never empty");
        let schema = Arc::new(stored_schema(event_type).project(&columns).unwrap());
        let batches: Vec<_> = self
            .0
            .get(&(tenant, event_type.name().to_owned()))
            .into_iter()
            .flatten()
            .filter(|(offset, _)| *offset <= up_to)
            .map(|(_, batch)| Ok(batch.project(&columns).unwrap()))
            .collect();
        Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches)))
    }
}

/// The columns that an event is kept with.
fn stored_schema(event_type: &EventType) -> Schema {
    let mut fields = event_type.relation().fields().to_vec();
    fields.push(Arc::new(Field::new("source", DataType::Utf8, false)));
    fields.push(Arc::new(Field::new("extra", DataType::Utf8, true)));
    Schema::new(fields)
}

/// Rows of a relation as they are kept, each with what it carried in its data beyond its type.
pub(crate) fn stored(event_type: &EventType, rows: &RecordBatch, data: &[&str]) -> RecordBatch {
    let source = StringArray::from(vec!["/test"; rows.num_rows()]);
    let extra = data.iter().map(|data| format!("{{\"data\":{data}}}"));
    let extra = StringArray::from_iter_values(extra);
    let mut columns = rows.columns().to_vec();
    columns.extend([Arc::new(source) as ArrayRef, Arc::new(extra)]);
    RecordBatch::try_new(Arc::new(stored_schema(event_type)), columns).unwrap()
}

/// Payments `<prefix>-0`, `<prefix>-1`, … of 10.5000 each.
pub(crate) fn payments(
    types: &EventTypes,
    prefix: &str,
    count: usize,
) -> (Arc<EventType>, RecordBatch) {
    let event_type = types.get("invoicing.payment_received").unwrap().clone();
    let columns = event_type
        .relation()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 if field.name() == "subject" => new_null_array(&DataType::Utf8, count),
            DataType::Utf8 => {
                Arc::new(StringArray::from_iter_values((0..count).map(|i| format!("{prefix}-{i}"))))
                    as ArrayRef
            }
            DataType::Timestamp(..) => Arc::new(
                TimestampMicrosecondArray::from(vec![1_000_000; count]).with_timezone("UTC"),
            ),
            DataType::Date32 => Arc::new(Date32Array::from(vec![20_000; count])),
            _ => Arc::new(
                Decimal128Array::from(vec![105_000; count])
                    .with_precision_and_scale(38, 4)
                    .unwrap(),
            ),
        })
        .collect();
    let rows = RecordBatch::try_new(event_type.relation().clone(), columns).unwrap();
    (event_type, rows)
}

/// The schema of `balances`: `customer_id` text (key), amount decimal?, due date?, visits int.
fn balances_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("customer_id", DataType::Utf8, false),
        Field::new("amount", DECIMAL, true),
        Field::new("due", DataType::Date32, true),
        Field::new("visits", DataType::Int64, false),
    ]))
}

/// `count` rows of `balances`: customer `<prefix>00000`, amount 1.0000, 2.0000, …
pub(crate) fn balances(prefix: &str, count: usize) -> RecordBatch {
    let amounts = (1..=count).map(|i| Some(10_000 * i as i128));
    RecordBatch::try_new(
        balances_schema(),
        vec![
            Arc::new(StringArray::from_iter_values((0..count).map(|i| format!("{prefix}{i:05}")))),
            Arc::new(amounts.collect::<Decimal128Array>().with_precision_and_scale(38, 4).unwrap()),
            Arc::new((0..count).map(|i| Some(20_000 + i as i32)).collect::<Date32Array>()),
            Arc::new(Int64Array::from_iter_values(0..count as i64)),
        ],
    )
    .unwrap()
}

pub(crate) fn view(name: &str, rows: &RecordBatch) -> ViewSnapshot {
    let view = View::new(name, "SELECT …", rows.schema(), vec![0]);
    ViewSnapshot::from_batch(Arc::new(view), rows).unwrap()
}

pub(crate) fn snapshot(tenant: Tenant, views: Vec<ViewSnapshot>) -> Arc<TenantSnapshot> {
    let today = NaiveDate::from_ymd_opt(2024, 2, 29);
    Arc::new(TenantSnapshot::with_views(tenant, 7, today, views))
}

/// Both tenants' world.
pub(crate) struct World {
    pub(crate) queries: Queries,
    pub(crate) acme: Arc<TenantSnapshot>,
    pub(crate) other: Arc<TenantSnapshot>,
}

pub(crate) fn world(limits: QueryLimits) -> World {
    world_of(limits, 20)
}

/// A world whose view `balances` has `rows` rows.
pub(crate) fn world_of(limits: QueryLimits, rows: usize) -> World {
    let types = EventTypes::builtin();
    let mut history = MemoryHistory::default();
    let (payment, batch) = payments(&types, "acme", 3);
    history.add(ACME, &payment, 0, batch);
    let (_, later) = payments(&types, "later", 5);
    history.add(ACME, &payment, 1, later);
    let (_, foreign) = payments(&types, "other", 4);
    history.add(OTHER, &payment, 0, foreign);
    World {
        queries: Queries::new(types, Arc::new(history), limits).unwrap(),
        acme: snapshot(ACME, vec![view("balances", &balances("A", rows))]),
        other: snapshot(
            OTHER,
            vec![view("balances", &balances("B", 4)), view("secret_plans", &balances("S", 1))],
        ),
    }
}

impl World {
    pub(crate) async fn answer(&self, sql: &str) -> Result<Answer, QueryError> {
        self.queries.run(self.acme.clone(), sql, vec![]).await
    }

    /// The rows as JSON.
    pub(crate) async fn ask(&self, sql: &str) -> Result<Value, QueryError> {
        self.ask_with(sql, vec![]).await
    }

    pub(crate) async fn ask_with(
        &self,
        sql: &str,
        params: Vec<Value>,
    ) -> Result<Value, QueryError> {
        let answer = self.queries.run(self.acme.clone(), sql, params).await?;
        Ok(json(answer).await?["rows"].take())
    }
}

/// The whole body as JSON.
pub(crate) async fn json(answer: Answer) -> Result<Value, QueryError> {
    Ok(serde_json::from_slice(&collect(query::json_body(answer)).await?).unwrap())
}

pub(crate) async fn collect(
    body: impl futures::Stream<Item = Result<bytes::Bytes, QueryError>>,
) -> Result<Vec<u8>, QueryError> {
    let mut body = std::pin::pin!(body);
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}
