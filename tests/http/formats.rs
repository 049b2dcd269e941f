//! Live rows in other forms than JSON text: Arrow on a WebSocket, gzip on an event stream.

use std::io::Write;

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use flate2::write::GzDecoder;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::live::{PATIENCE, Socket, connect, escaped, hear, say};
use crate::service::{Service, invoice, payment};

/// The rows that follow a message.
async fn rows(socket: &mut Socket) -> RecordBatch {
    match timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
        Message::Binary(rows) => {
            let mut reader = StreamReader::try_new(&rows[..], None).unwrap();
            let batch = reader.next().unwrap().unwrap();
            assert!(reader.next().is_none());
            batch
        }
        other => panic!("no rows: {other:?}"),
    }
}

/// The weight, the customer and the total of each row of `ar_aging`, whatever it was sent as.
type Line = (i64, String, String);

fn of_json(weight: &Value, row: &Value) -> Line {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (weight.as_i64().unwrap(), text(&row[0]), text(&row[7]))
}

fn of_arrow(batch: &RecordBatch) -> Vec<Line> {
    let weights = batch.column_by_name("tidemark.weight").unwrap().as_primitive::<Int64Type>();
    let customers = batch.column_by_name("customer_id").unwrap().as_string::<i32>();
    let totals = batch.column_by_name("total").unwrap().as_primitive::<Decimal128Type>();
    (0..batch.num_rows())
        .map(|row| {
            assert!(weights.is_valid(row));
            (weights.value(row), customers.value(row).to_owned(), totals.value_as_string(row))
        })
        .collect()
}

#[tokio::test]
async fn arrow_says_what_json_says() {
    let service = Service::start().await;
    let admin = service.tenant("arrow").await;
    let sent = service.send(&admin, &[invoice("i1", "c1", "100"), invoice("i2", "c2", "7")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;
    let mut socket = connect(&service, "").await;
    say(&mut socket, json!({ "type": "auth", "token": admin })).await;
    let wanted = json!({ "type": "subscribe", "view": "ar_aging" });
    for (id, format) in [("j", "json"), ("a", "arrow")] {
        let mut wanted = wanted.clone();
        wanted["id"] = json!(id);
        wanted["format"] = json!(format);
        say(&mut socket, wanted).await;
    }
    let json = hear(&mut socket).await;
    let mut expected: Vec<Line> =
        json["rows"].as_array().unwrap().iter().map(|row| of_json(&json!(1), row)).collect();
    let arrow = hear(&mut socket).await;
    let mut found = of_arrow(&rows(&mut socket).await);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(expected.len(), 2);
    assert_eq!((&arrow["type"], &arrow["id"]), (&json!("snapshot"), &json!("a")));
    for member in ["position", "columns", "key", "last"] {
        assert_eq!(arrow[member], json[member], "{member}");
    }

    service.send(&admin, &[payment("p1", "i1", "30")]).await;
    let json = hear(&mut socket).await;
    let changes = json["changes"].as_array().unwrap().iter();
    let expected: Vec<Line> = changes.map(|change| of_json(&change[0], &change[1])).collect();
    let arrow = hear(&mut socket).await;
    assert_eq!((&arrow["type"], &arrow["position"]), (&json!("delta"), &json["position"]));
    let found = of_arrow(&rows(&mut socket).await);
    assert_eq!(found, expected);
    let totals: Vec<&str> = found.iter().map(|(_, _, total)| total.as_str()).collect();
    assert_eq!(totals, ["100.0000", "70.0000"]);
}

#[tokio::test]
async fn an_event_stream_comes_as_gzip_to_who_takes_it() {
    let service = Service::start().await;
    let admin = service.tenant("packed").await;
    let invoices: Vec<Value> =
        (0..500).map(|n| invoice(&format!("invoice {n}"), "one customer", "100")).collect();
    let sent = service.send(&admin, &invoices).await;
    service.rows(&admin, "open_invoices", &sent["position"]).await;
    let path =
        format!("/v1/stream?sub={}", escaped(&json!({ "id": "o", "view": "open_invoices" })));
    let request = service.get(&path, &admin).header("accept-encoding", "gzip");
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let mut decoder = GzDecoder::new(Vec::new());
    let mut packed = 0;
    for text in ["\"last\":true}\n\n", "event: delta\n"] {
        while !String::from_utf8_lossy(decoder.get_ref()).contains(text) {
            let part = timeout(PATIENCE, answer.chunk()).await.unwrap().unwrap();
            let part = part.expect("the stream goes on");
            packed += part.len();
            decoder.write_all(&part).unwrap();
            decoder.flush().unwrap();
        }
        if text.contains("last") {
            assert!(packed < decoder.get_ref().len() / 3, "{packed}");
            // What comes now is not held back.
            service.send(&admin, &[payment("p1", "invoice 7", "30")]).await;
        }
    }
}
