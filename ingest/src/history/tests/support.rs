//! Events of made-up types, and the rows of a scan as texts.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::util::display::array_value_to_string;
use futures::{Stream, TryStreamExt};
use object_store::ObjectStore;
use projections::events::{Field, FieldType};
use projections::{EventType, Tenant};

use crate::history::HistoryError;
use crate::log::Segment;
use crate::stored::stored_schema;

pub(super) const NAME: &str = "acme.widget_made";
pub(super) const OTHER: &str = "acme.widget_broken";

/// A type with so many optional fields beyond its first two.
pub(super) fn kind(owner: Option<u32>, name: &str, grown: usize) -> Arc<EventType> {
    let field = |name: &str, kind, optional| Field { name: name.to_owned(), kind, optional };
    // Names that also stand for columns which are no fields.
    let mut fields =
        vec![field("tenant", FieldType::Text, false), field("source", FieldType::Decimal, true)];
    fields.extend((0..grown).map(|n| field(&format!("f{n}"), FieldType::Int, true)));
    Arc::new(EventType::owned(owner.map(Tenant), name, fields))
}

/// A text that says whose event it is, and is long enough to be found again.
pub(super) fn mark(tenant: u32) -> String {
    format!("belongs-to-tenant-{tenant:05}")
}

/// The events numbered `numbers` of those tenants.
pub(super) fn segment(kind: &Arc<EventType>, rows: &[(u32, u64)]) -> Segment {
    let text = |of: &dyn Fn(u32, u64) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(tenant, n)| of(*tenant, *n)).collect::<StringArray>())
    };
    let times = rows.iter().map(|(_, n)| Some(*n as i64)).collect::<TimestampMicrosecondArray>();
    let amounts = rows.iter().map(|(_, n)| n.is_multiple_of(3).then_some(i128::from(*n) * 10_001));
    let amounts = amounts.collect::<Decimal128Array>().with_precision_and_scale(38, 4).unwrap();
    let mut columns: Vec<ArrayRef> = vec![
        text(&|_, n| Some(format!("e{n}"))),
        Arc::new(times.with_timezone("UTC")),
        text(&|_, n| n.is_multiple_of(2).then(|| format!("s{n}"))),
        text(&|tenant, _| Some(mark(tenant))),
        Arc::new(amounts),
    ];
    for field in 2..kind.fields().len() {
        let values = rows.iter().map(|(_, n)| (n % 4 != field as u64).then_some(*n as i64));
        columns.push(Arc::new(values.collect::<Int64Array>()));
    }
    columns.push(text(&|_, _| Some("/test".to_owned())));
    columns.push(text(&|tenant, n| n.is_multiple_of(5).then(|| format!("{{\"x\":{tenant}}}"))));
    let rows_of = RecordBatch::try_new(stored_schema(kind), columns).unwrap();
    let tenants = rows.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>();
    Segment { event_type: Arc::clone(kind), tenants: UInt32Array::from(tenants), rows: rows_of }
}

/// The rows of a batch, a text a column.
pub(super) fn texts(rows: &RecordBatch) -> Vec<Vec<String>> {
    let text = |column: &ArrayRef, row| array_value_to_string(column, row).unwrap();
    (0..rows.num_rows())
        .map(|row| rows.columns().iter().map(|column| text(column, row)).collect())
        .collect()
}

pub(super) async fn all(
    batches: impl Stream<Item = Result<RecordBatch, HistoryError>>,
) -> Result<Vec<Vec<String>>, HistoryError> {
    let batches: Vec<RecordBatch> = batches.try_collect().await?;
    Ok(batches.iter().flat_map(texts).collect())
}

/// The objects of a store, in order.
pub(super) async fn listed(objects: &Arc<dyn ObjectStore>) -> Vec<String> {
    let all = objects.list(None).map_ok(|object| object.location.to_string());
    let mut all: Vec<String> = all.try_collect().await.unwrap();
    all.sort();
    all
}
