//! Types that tenants have registered: each for itself, and growing while events come.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use projections::EventType;
use projections::events::{Field, FieldType};

use super::*;

const NAME: &str = "acme.widget_made";

fn event_type(owner: u32, fields: &[(&str, FieldType, bool)]) -> EventType {
    let field = |(name, kind, optional): &(&str, FieldType, bool)| Field {
        name: (*name).to_owned(),
        kind: *kind,
        optional: *optional,
    };
    EventType::owned(Some(Tenant(owner)), NAME, fields.iter().map(field).collect())
}

fn event(id: &str, data: &serde_json::Value) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/acme", "type": NAME,
        "time": "2024-01-01T00:00:00Z", "data": data})
    .to_string()
}

async fn open(folder: &Path, types: &EventRegistry) -> Running {
    let log = Log::open(&folder.join("log.db"), types.clone()).await.unwrap();
    let (forward, inputs) = mpsc::channel(100_000);
    let intake = Intake::start(log.clone(), forward).await.unwrap();
    Running { intake, log, inputs }
}

fn decoded(types: &EventRegistry, tenant: u32, body: &str) -> Decoded {
    let visible = types.visible(Tenant(tenant));
    let limits = Limits::default();
    decode(&visible, &limits, &sender(tenant), Format::Ndjson, body.as_bytes(), now()).unwrap()
}

async fn scanned(log: &Log, tenant: u32, event_type: &Arc<EventType>) -> RecordBatch {
    let columns = (0..event_type.relation().fields().len()).collect();
    let batches = columns_of(log, tenant, event_type, columns).await;
    arrow::compute::concat_batches(event_type.relation(), &batches).unwrap()
}

async fn columns_of(
    log: &Log,
    tenant: u32,
    event_type: &Arc<EventType>,
    columns: Vec<usize>,
) -> Vec<RecordBatch> {
    let parts = log.history(Tenant(tenant), event_type, 0, u64::MAX, columns);
    let parts: Vec<(u64, Vec<RecordBatch>)> = parts.try_collect().await.unwrap();
    parts.into_iter().flat_map(|(_, batches)| batches).collect()
}

fn shown(rows: &RecordBatch) -> String {
    pretty_format_batches(std::slice::from_ref(rows)).unwrap().to_string()
}

#[tokio::test]
async fn two_tenants_have_each_their_own_type_of_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let types = EventRegistry::builtin();
    types.put(event_type(1, &[("grade", FieldType::Text, false)]));
    types.put(event_type(2, &[("grade", FieldType::Int, false), ("made", FieldType::Date, true)]));
    let running = open(folder.path(), &types).await;
    let of_one = decoded(&types, 1, &event("a", &json!({"grade": "A"})));
    let of_two = decoded(&types, 2, &event("a", &json!({"grade": 7, "made": "2024-02-29"})));
    assert_eq!(decoded(&types, 2, &event("b", &json!({"grade": "A"}))).rejected.len(), 1);
    let unknown = decoded(&types, 3, &event("a", &json!({"grade": "A"}))).rejected;
    assert!(!unknown[0].reason.contains("did you mean"), "{unknown:?}");
    let (one, two) = (sender(1), sender(2));
    let both =
        tokio::join!(running.intake.submit(&one, of_one), running.intake.submit(&two, of_two));
    assert_eq!((both.0.unwrap().accepted, both.1.unwrap().accepted), (1, 1));
    let own = |tenant| types.find(Some(Tenant(tenant)), NAME).unwrap();
    for _ in 0..2 {
        let (one, two) =
            (scanned(&running.log, 1, &own(1)).await, scanned(&running.log, 2, &own(2)).await);
        assert!(shown(&one).contains("| A "), "{}", shown(&one));
        assert!(shown(&two).contains("| 7     | 2024-02-29 |"), "{}", shown(&two));
        assert_eq!((one.num_rows(), two.num_rows()), (1, 1));
    }
    let inputs = running.close().await;
    let owners = |inputs: &[Input]| {
        let batches = inputs.iter().flat_map(|input| &input.events);
        let mut owners: Vec<_> = batches
            .map(|batch| {
                let rows: Vec<u32> = batch.tenants.values().to_vec();
                (batch.event_type.owner().unwrap().0, rows, batch.rows.num_columns())
            })
            .collect();
        owners.sort();
        owners
    };
    assert_eq!(owners(&inputs), [(1, vec![1], 4), (2, vec![2], 5)]);
    let again = open(folder.path(), &types).await;
    assert_eq!(contents(&again.close().await), contents(&inputs));
}

#[tokio::test]
async fn a_log_with_a_type_that_nobody_registered_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let types = EventRegistry::builtin();
    types.put(event_type(1, &[("grade", FieldType::Text, false)]));
    let running = open(folder.path(), &types).await;
    let decoded = decoded(&types, 1, &event("a", &json!({"grade": "A"})));
    running.intake.submit(&sender(1), decoded).await.unwrap();
    running.close().await;
    let log = Log::open(&folder.path().join("log.db"), EventRegistry::builtin()).await.unwrap();
    let (forward, _inputs) = mpsc::channel(10);
    let error = Intake::start(log, forward).await.err().unwrap().to_string();
    assert!(error.contains("1/acme.widget_made"), "{error}");
}

#[tokio::test]
async fn a_type_grows_while_events_of_it_come() {
    let folder = tempfile::tempdir().unwrap();
    let types = EventRegistry::builtin();
    // Columns named as the log's own ones must not be taken for them.
    let first = [("source", FieldType::Text, false)];
    let then = [("source", FieldType::Text, false), ("source_2", FieldType::Text, true)];
    let last = [
        ("source", FieldType::Text, false),
        ("source_2", FieldType::Text, true),
        ("extra", FieldType::Text, true),
    ];
    types.put(event_type(1, &first));
    let running = open(folder.path(), &types).await;
    let one = sender(1);
    let early = types.find(Some(Tenant(1)), NAME).unwrap();
    let body = |id: &str| event(id, &json!({"source": "s", "source_2": "t", "extra": "u"}));
    running.intake.submit(&one, decoded(&types, 1, &body("a"))).await.unwrap();
    let under_way = decoded(&types, 1, &body("b"));
    types.put(event_type(1, &then));
    let later = decoded(&types, 1, &body("c"));
    types.put(event_type(1, &last));
    let latest = decoded(&types, 1, &body("d"));
    // Three forms of the type at once, the longest in between.
    let (b, d, c) = tokio::join!(
        running.intake.submit(&one, under_way),
        running.intake.submit(&one, latest),
        running.intake.submit(&one, later),
    );
    assert_eq!(b.unwrap().accepted + c.unwrap().accepted + d.unwrap().accepted, 3);
    let now = types.find(Some(Tenant(1)), NAME).unwrap();
    let wide = scanned(&running.log, 1, &now).await;
    let text = |rows: &RecordBatch, column: usize| {
        let ids = rows.column(0).as_string::<i32>();
        let values = rows.column(column).as_string::<i32>();
        let mut pairs: Vec<String> = ids
            .iter()
            .zip(values)
            .map(|(id, value)| format!("{}{}", id.unwrap(), value.unwrap_or("-")))
            .collect();
        pairs.sort();
        pairs.join(" ")
    };
    assert_eq!(text(&wide, 3), "as bs cs ds");
    assert_eq!(text(&wide, 4), "a- b- ct dt");
    assert_eq!(text(&wide, 5), "a- b- c- du");
    // A query that was planned before reads what its columns are.
    assert_eq!(text(&scanned(&running.log, 1, &early).await, 3), "as bs cs ds");
    let columns = columns_of(&running.log, 1, &now, vec![5, 0, 4]).await;
    let columns = arrow::compute::concat_batches(&columns[0].schema(), &columns).unwrap();
    assert_eq!(columns.schema().field(0).name(), "extra");
    assert_eq!(columns.column(0).null_count(), 3);
    running.close().await;
    let replayed = open(folder.path(), &types).await.close().await;
    let rows: usize = replayed.iter().flat_map(|i| &i.events).map(|b| b.rows.num_rows()).sum();
    assert_eq!(rows, 4);
    let batches = replayed.iter().flat_map(|input| &input.events);
    assert!(batches.into_iter().all(|batch| batch.rows.schema() == *now.relation()));
}
