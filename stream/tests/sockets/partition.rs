//! The hub behind a real partition.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use projections::{EventBatch, EventTypes, Input, Partition, ViewDefinition};
use serde_json::json;
use stream::{Hub, StreamLimits};

use crate::server::{WebSocket, serve};

fn voided(types: &EventTypes, rows: &[(u32, &str, &str)]) -> EventBatch {
    let event_type = types.get("invoicing.invoice_voided").unwrap().clone();
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let at = TimestampMicrosecondArray::from(vec![0; rows.len()]).with_timezone("UTC");
    let columns = vec![
        text(rows.iter().map(|r| r.1).collect()),
        Arc::new(at) as ArrayRef,
        Arc::new(StringArray::new_null(rows.len())) as ArrayRef,
        text(rows.iter().map(|r| r.1).collect()),
        text(rows.iter().map(|r| r.2).collect()),
    ];
    let rows_batch = RecordBatch::try_new(event_type.relation().clone(), columns).unwrap();
    let tenants = rows.iter().map(|r| r.0).collect::<Vec<_>>();
    EventBatch { event_type, tenants: UInt32Array::from(tenants), rows: rows_batch, extra: None }
}

fn view(name: &str, sql: &str, key: &str) -> ViewDefinition {
    ViewDefinition::parse(name, &format!("-- key: {key}\n{sql}"))
}

#[tokio::test]
async fn events_arrive_as_deltas_of_their_tenant_alone() {
    let types = EventTypes::builtin();
    let views = vec![
        view(
            "reasons",
            "SELECT reason, COUNT(*) AS invoices FROM events.\"invoicing.invoice_voided\" GROUP BY reason",
            "reason",
        ),
        view(
            "numbers",
            "SELECT invoice_id, CAST(reason AS BIGINT) AS number FROM events.\"invoicing.invoice_voided\"",
            "invoice_id",
        ),
    ];
    let mut partition = Partition::new(&types, views).unwrap();
    let hub = Hub::new(partition.readers(), StreamLimits::default());
    let address = serve(&hub).await;
    let mut step = |offset, rows: &[(u32, &str, &str)]| {
        let events = vec![voided(&types, rows)];
        hub.publish(&partition.apply(Input { events, ticks: Vec::new(), offset }));
    };
    step(1, &[(1, "a", "7"), (2, "b", "7")]);
    let mut socket = WebSocket::connect(&address, "?token=1").await;
    socket.say(&json!({"type": "subscribe", "id": "r", "view": "reasons"})).await;
    let told = socket.hear().await;
    assert_eq!(told["rows"], json!([["7", 1]]));
    assert_eq!(told["columns"][1], json!({"name": "invoices", "type": "int"}));
    socket.say(&json!({"type": "subscribe", "id": "n", "view": "numbers"})).await;
    assert_eq!(socket.hear().await["rows"], json!([["a", 7]]));

    step(2, &[(2, "c", "7")]);
    step(3, &[(1, "d", "7"), (1, "e", "8"), (2, "f", "not a number")]);
    let told = socket.hear().await;
    assert_eq!((&told["type"], &told["id"]), (&json!("delta"), &json!("r")));
    assert_eq!(told["changes"], json!([[-1, ["7", 1]], [1, ["7", 2]], [1, ["8", 1]]]));
    assert_eq!(socket.hear().await["changes"], json!([[1, ["d", 7]], [1, ["e", 8]]]));

    step(4, &[(1, "g", "not a number")]);
    let first = socket.hear().await;
    let second = socket.hear().await;
    let (error, delta) = if first["type"] == "error" { (first, second) } else { (second, first) };
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("n")));
    assert_eq!(error["problem"]["type"], "urn:tidemark:problem:view-failed");
    assert_eq!(delta["changes"], json!([[1, ["not a number", 1]]]));
}
