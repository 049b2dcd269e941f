//! Reports that are made again at a position.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{addresses, prefix, variables};
use crate::service::{Service, invoice};

/// A service that makes no checkpoint unless it is told to end.
async fn serve_rarely_kept(data: &Arc<TempDir>, prefix: &str) -> Service {
    let mut variables = variables(prefix, &addresses().1).to_vec();
    variables.push(("TIDEMARK_CHECKPOINT_MS", "3600000"));
    Service::start_with(Arc::clone(data), &variables).await
}

/// Runs a report and waits for its end.
async fn run(service: &Service, admin: &str, report: &str, body: &Value) -> Value {
    let path = format!("/v1/reports/{report}/run");
    let answer = service.post(&path, admin).json(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let at = answer.headers()["location"].to_str().unwrap().to_owned();
    for _ in 0..600 {
        let run: Value = service.read(&at, admin).await;
        if run["state"] != "queued" && run["state"] != "running" {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the run does not end");
}

/// A kill takes the steps behind the newest checkpoint, and their numbers are given to other events
/// then. A report of a position among them is not made of those.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_a_kill_took_is_not_made_of_other_events() {
    let (data, prefix) = (Arc::new(tempfile::tempdir().unwrap()), prefix());
    let service = serve_rarely_kept(&data, &prefix).await;
    let admin = service.tenant("acme").await;
    let receipt = service.send(&admin, &[invoice("i1", "c1", "100.00")]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    let body = json!({
        "name": "Open", "sql": "SELECT sum(balance) AS open FROM open_invoices",
    });
    let answer = service.post("/v1/reports", &admin).json(&body).send().await.unwrap();
    let report: Value = answer.json().await.unwrap();
    let report = report["id"].as_str().unwrap();
    let first = run(&service, &admin, report, &json!({})).await;
    let receipt = service.send(&admin, &[invoice("i2", "c1", "50.00")]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    let at_first = json!({ "as_of": first["position"] });
    let again = run(&service, &admin, report, &at_first).await;
    assert_eq!((&again["state"], &again["sha256"]), (&json!("done"), &first["sha256"]), "{again}");

    drop(service);
    let service = serve_rarely_kept(&data, &prefix).await;
    let now = run(&service, &admin, report, &json!({})).await;
    assert_eq!(now["state"], "done", "{now}");
    assert_ne!(now["sha256"], first["sha256"], "both invoices are there");
    let again = run(&service, &admin, report, &at_first).await;
    assert_eq!(again["state"], "failed", "{again}");
    assert!(again["error"].as_str().unwrap().contains("nothing was noted"), "{again}");
    // What is noted from here on is found.
    let again = run(&service, &admin, report, &json!({ "as_of": now["position"] })).await;
    assert_eq!((&again["state"], &again["sha256"]), (&json!("done"), &now["sha256"]), "{again}");
}
