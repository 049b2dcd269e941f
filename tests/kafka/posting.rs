//! Events that are posted go through Kafka, and are in the views at the position of the answer.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::{prefix, send, serve};
use crate::service::{event, invoice, payment, problem, token};
use tenancy::Role;

#[tokio::test(flavor = "multi_thread")]
async fn posted_events_are_in_the_views_and_come_back_after_a_restart() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let prefix = prefix();
    let service = serve(Arc::clone(&data), &prefix).await;
    let mut admins = Vec::new();
    for tenant in ["acme", "globex", "initech", "umbrella"] {
        admins.push(service.tenant(tenant).await);
    }
    for (number, admin) in admins.iter().enumerate() {
        let amount = format!("{}.00", 100 + number);
        let events = [
            invoice("i1", "c1", &amount),
            payment("p1", "i1", "40.00"),
            payment("p1", "i1", "41.00"),
            event("hr.employee_left", "e1", &json!({"employee_id": "x"})),
        ];
        let receipt = service.send(admin, &events).await;
        assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(2), &json!(1)));
        assert_eq!(receipt["rejected"][0]["index"], 3, "{receipt}");
        let rows = service.rows(admin, "open_invoices", &receipt["position"]).await;
        assert_eq!(rows[0][9], format!("{}.0000", 60 + number), "{rows}");
        // Sent again, they have no effect.
        let again = service.send(admin, &events[..2]).await;
        assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(2)));
        // Another tenant's position is none of this one's.
        let path = format!("/v1/views/ar_aging?wait_for={}", receipt["position"].as_str().unwrap());
        let stranger = &admins[(number + 1) % admins.len()];
        let answer = service.get(&path, stranger).send().await.unwrap();
        problem(answer, 400, "invalid-parameter").await;
    }
    // What another producer sends is there too, and in history.
    let text = payment("p2", "i1", "10.00").to_string();
    let topic = format!("{prefix}invoicing.payment_received");
    send(&topic, "acme", text.as_bytes()).await;
    let sum = "SELECT sum(amount) FROM events.\"invoicing.payment_received\"";
    for _ in 0..200 {
        if service.ask(&admins[0], sum).await == json!([["50.0000"]]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(service.ask(&admins[0], sum).await, json!([["50.0000"]]));

    drop(service);
    let service = serve(data, &prefix).await;
    for (number, admin) in admins.iter().enumerate() {
        let rows = service.ask(admin, "SELECT balance FROM open_invoices").await;
        let expected = if number == 0 { 50 } else { 60 + number };
        assert_eq!(rows, json!([[format!("{expected}.0000")]]));
    }
    let metrics = service.client.get(service.url("/metrics")).send().await.unwrap();
    let text = metrics.text().await.unwrap();
    assert!(text.contains("tidemark_kafka_stopped{partition=\"2\"} 0"), "{text}");
    assert!(!text.contains("acme"), "no tenant's name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_registered_later_has_a_topic_of_its_own() {
    let prefix = prefix();
    let service = serve(Arc::new(tempfile::tempdir().unwrap()), &prefix).await;
    let admin = service.tenant("acme").await;
    let schema = json!({"type": "record", "name": "made", "fields": [
        {"name": "widget_id", "type": "string"}, {"name": "count", "type": "long"},
    ]});
    let body = json!({"type": "acme.widget_made", "schema": schema});
    let answer = service.post("/v1/event-types", &admin).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    // Kafka would have no topic for it beside that of `hr.time_logged`.
    let body = json!({"type": "hr_time.logged", "schema": schema});
    let answer = service.post("/v1/event-types", &admin).json(&body).send().await.unwrap();
    problem(answer, 409, "conflict").await;
    let made = event("acme.widget_made", "w1", &json!({"widget_id": "W", "count": 3}));
    let receipt = service.send(&admin, &[made]).await;
    let question = json!({"sql": "SELECT widget_id, count FROM events.\"acme.widget_made\""});
    let path = format!("/v1/query?wait_for={}", receipt["position"].as_str().unwrap());
    let answer = service.post(&path, &admin).json(&question).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["rows"], json!([["W", 3]]), "{answer}");
    let reader = token(Some("acme"), &[Role::Executive]);
    let answer = service.get("/v1/dead-letters", &reader).send().await.unwrap();
    problem(answer, 403, "forbidden").await;
}
