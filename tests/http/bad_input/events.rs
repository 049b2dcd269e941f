//! `POST /v1/events`.

use serde_json::{Value, json};

use super::lines::{Bad, envelopes, fields, malformed};
use crate::service::{Service, invoice, problem};

const LINES: &str = "application/x-ndjson";
const BATCH: &str = "application/cloudevents-batch+json";
const ONE: &str = "application/cloudevents+json";

async fn post(service: &Service, token: &str, kind: &str, body: Vec<u8>) -> Value {
    let answer = service.post("/v1/events", token).header("content-type", kind).body(body);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

/// The reason must say what is wrong and where, and nothing of others.
fn explains(reason: &str, bad: &Bad) {
    let shown = String::from_utf8_lossy(&bad.line[..bad.line.len().min(300)]).into_owned();
    for word in bad.words {
        assert!(reason.contains(word), "'{word}' is missing in '{reason}' for {shown}");
    }
    assert!(reason.len() < 600, "the reason is as long as the event: {reason}");
    assert!(!reason.contains("neighbour") || shown.contains("neighbour"), "{reason}");
    for inner in ["panicked", "Arrow", "serde", "Err("] {
        assert!(!reason.contains(inner), "'{inner}' in '{reason}'");
    }
}

async fn firm(service: &Service) -> String {
    service.tenant("neighbour").await;
    service.tenant("careless").await
}

/// How many invoices there are, once all that was sent is applied.
async fn open_invoices(service: &Service, token: &str, position: &Value) -> usize {
    service.rows(token, "open_invoices", position).await.as_array().unwrap().len()
}

#[tokio::test]
async fn each_bad_line_is_named_and_every_good_one_is_taken() {
    let service = Service::start().await;
    let token = firm(&service).await;
    let cases: Vec<Bad> = [malformed(), envelopes(), fields()].into_iter().flatten().collect();
    let mut body = Vec::new();
    for (i, bad) in cases.iter().enumerate() {
        body.extend_from_slice(invoice(&format!("good-{i}"), "c", "1").to_string().as_bytes());
        body.push(b'\n');
        body.extend_from_slice(&bad.line);
        // Blank lines do not count.
        body.extend_from_slice(b"\r\n\n");
    }
    let receipt = post(&service, &token, LINES, body).await;
    assert_eq!(receipt["accepted"], cases.len());
    let rejected = receipt["rejected"].as_array().unwrap();
    let indices: Vec<u64> = rejected.iter().map(|r| r["index"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (0..cases.len() as u64).map(|i| 2 * i + 1).collect();
    assert_eq!(indices, expected);
    for (entry, bad) in rejected.iter().zip(&cases) {
        explains(entry["reason"].as_str().unwrap(), bad);
    }
    assert_eq!(open_invoices(&service, &token, &receipt["position"]).await, cases.len());
}

#[tokio::test]
async fn each_bad_element_is_named_and_every_good_one_is_taken() {
    let service = Service::start().await;
    let token = firm(&service).await;
    let cases: Vec<Bad> = [envelopes(), fields()].into_iter().flatten().collect();
    let mut body = b"[".to_vec();
    for (i, bad) in cases.iter().enumerate() {
        body.extend_from_slice(invoice(&format!("good-{i}"), "c", "1").to_string().as_bytes());
        body.push(b',');
        body.extend_from_slice(&bad.line);
        body.push(b',');
    }
    body.extend_from_slice(b"7]");
    let receipt = post(&service, &token, BATCH, body).await;
    assert_eq!(receipt["accepted"], cases.len());
    let rejected = receipt["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), cases.len() + 1);
    for (i, (entry, bad)) in rejected.iter().zip(&cases).enumerate() {
        assert_eq!(entry["index"], 2 * i + 1);
        explains(entry["reason"].as_str().unwrap(), bad);
    }
    assert_eq!(open_invoices(&service, &token, &receipt["position"]).await, cases.len());
}

#[tokio::test]
async fn a_single_bad_event_is_rejected_or_its_body_refused() {
    let service = Service::start().await;
    let token = firm(&service).await;
    for bad in [envelopes(), fields()].into_iter().flatten() {
        let receipt = post(&service, &token, ONE, bad.line.clone()).await;
        assert_eq!(
            (&receipt["accepted"], &receipt["rejected"][0]["index"]),
            (&json!(0), &json!(0))
        );
        explains(receipt["rejected"][0]["reason"].as_str().unwrap(), &bad);
    }
    for bad in malformed() {
        let request = service.post("/v1/events", &token).header("content-type", ONE);
        let answer = request.body(bad.line.clone()).send().await.unwrap();
        if answer.status() == 202 {
            // JSON, but no object.
            let receipt: Value = answer.json().await.unwrap();
            assert_eq!(receipt["accepted"], 0, "{receipt}");
            explains(receipt["rejected"][0]["reason"].as_str().unwrap(), &bad);
        } else {
            let refused = problem(answer, 400, "invalid-body").await;
            explains(refused["detail"].as_str().unwrap(), &bad);
        }
    }
    let views: Value = service.get("/v1/views", &token).send().await.unwrap().json().await.unwrap();
    for view in views["views"].as_array().unwrap() {
        assert_eq!((&view["row_count"], &view["state"]), (&json!(0), &json!("live")), "{view}");
    }
}

#[tokio::test]
async fn a_broken_batch_is_refused_whole_and_can_be_sent_again() {
    let service = Service::start().await;
    let token = firm(&service).await;
    let good = format!("[{},{}]", invoice("a", "c", "1"), invoice("b", "c", "1"));
    let mut not_utf8 = good.clone().into_bytes();
    let end = not_utf8.len() - 3;
    not_utf8[end] = 0xfe;
    for body in
        [good[..good.len() - 1].into(), format!("{good},").into(), not_utf8, vec![], b"{}".to_vec()]
    {
        let request = service.post("/v1/events", &token).header("content-type", BATCH).body(body);
        problem(request.send().await.unwrap(), 400, "invalid-body").await;
    }
    let receipt = post(&service, &token, BATCH, good.into_bytes()).await;
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn bodies_over_the_limit_and_of_other_kinds_are_problems() {
    let service = Service::start().await;
    let token = firm(&service).await;
    let line = format!("{}\n", invoice("a", "c", "1"));
    let large = line.repeat((16 << 20) / line.len() + 1).into_bytes();
    let request = service.post("/v1/events", &token).header("content-type", LINES).body(large);
    problem(request.send().await.unwrap(), 413, "body-too-large").await;
    for kind in ["application/json", "text/csv", "x", ""] {
        let request =
            service.post("/v1/events", &token).header("content-type", kind).body(line.clone());
        problem(request.send().await.unwrap(), 415, "unsupported-media-type").await;
    }
    let receipt = post(&service, &token, LINES, line.into_bytes()).await;
    assert_eq!(receipt["accepted"], 1, "nothing of what was refused is there");
}

#[tokio::test]
async fn the_largest_numbers_are_taken_and_absurd_ones_break_no_view() {
    let service = Service::start().await;
    let token = firm(&service).await;
    let most = "9999999999999999999999999999999999.9999";
    let stock = |id: &str, quantity: &str, cost: &str| {
        crate::service::event(
            "inventory.stock_received",
            id,
            &json!({
                "movement_id": id, "product_id": id, "warehouse": "w", "quantity": quantity, "unit_cost": cost,
            }),
        )
    };
    let events =
        [invoice("most", "c", most), stock("absurd", most, most), stock("plain", "2", "1.5")];
    let receipt = service.send(&token, &events).await;
    assert_eq!(receipt["accepted"], 3, "{receipt}");
    let aging = service.rows(&token, "ar_aging", &receipt["position"]).await;
    assert_eq!(aging[0][7], most);
    let levels = service.rows(&token, "inventory_levels", &receipt["position"]).await;
    let figures: Vec<(&str, &Value)> =
        levels.as_array().unwrap().iter().map(|row| (row[0].as_str().unwrap(), &row[4])).collect();
    assert_eq!(figures, [("absurd", &Value::Null), ("plain", &json!("3.0000"))]);
}
