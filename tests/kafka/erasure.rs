//! A tenant that is deleted while topics still hold its events and another node has its partition.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenancy::Role;

use crate::cluster::send;
use crate::nodes::{Shared, until_shared};
use crate::service::{Service, event, invoice, payment, problem, token};
use crate::traces::traces;

/// Stands in everything that the tenant has, and nowhere else.
const MARKER: &str = "qzxmarker";
const ISSUED: &str = "invoicing.invoice_issued";

fn invoices(count: usize) -> Vec<Value> {
    let invoice = |number| invoice(&format!("{MARKER}-{number}"), MARKER, "10.00");
    (0..count).map(invoice).collect()
}

/// Counts of events by their outcome, of both nodes.
async fn counted(nodes: &[&Service], outcome: &str) -> u64 {
    let name = format!("tidemark_events_total{{outcome=\"{outcome}\"}} ");
    let mut sum = 0;
    for node in nodes {
        let answer = node.client.get(node.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix(&name));
        sum += count.map_or(0, |count| count.parse().unwrap());
    }
    sum
}

async fn status(node: &Service, path: &str, token: &str) -> u16 {
    node.get(path, token).send().await.unwrap().status().as_u16()
}

/// Waits for what must come about.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} does not come about");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_is_erased_by_the_node_that_has_it_and_its_messages_are_dropped() {
    let shared = Shared::new();
    let (first, second) =
        (Arc::new(tempfile::tempdir().unwrap()), Arc::new(tempfile::tempdir().unwrap()));
    let one = shared.node(&first).await;
    let other = shared.node(&second).await;
    let admins = [one.tenant("kept").await, one.tenant("gone").await, one.tenant("gone2").await];
    let [kept, gone, gone2] = admins;
    until_shared([&one, &other], 3).await;
    for admin in [&kept, &gone, &gone2] {
        until("its node is known", async || status(&one, "/v1/views", admin).await == 200).await;
    }
    for admin in [&gone, &gone2] {
        one.send(admin, &invoices(30)).await;
    }
    let receipt = one.send(&kept, &[invoice("i1", "c1", "70.00")]).await;
    let before = one.rows(&kept, "ar_aging", &receipt["position"]).await;
    let topic = format!("{}{ISSUED}", shared.prefix);
    send(&topic, "gone", br#"{"id":"no event, but qzxmarker"}"#).await;
    let letters = async || {
        let answer = one.get("/v1/dead-letters", &gone).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["dead_letters"].as_array().is_some_and(|letters| letters.len() == 1)
    };
    until("the dead letter", letters).await;

    // By any of the nodes, whichever has the partition.
    let platform = token(None, &[Role::Platform]);
    for (node, id) in [(&one, "gone"), (&other, "gone2")] {
        let url = node.url(&format!("/v1/platform/tenants/{id}"));
        let answer = node.client.delete(url).bearer_auth(&platform).send().await.unwrap();
        assert_eq!(answer.status(), 202);
    }
    let answer = one.get("/v1/views", &gone).send().await.unwrap();
    problem(answer, 403, "unknown-tenant").await;
    let answer = other.get("/v1/views", &gone2).send().await.unwrap();
    problem(answer, 403, "unknown-tenant").await;
    for node in [&one, &other] {
        for admin in [&gone, &gone2] {
            until("the refusal", async || status(node, "/v1/views", admin).await == 403).await;
        }
    }
    // What still comes, and what was dead, is dropped.
    let mut late = event(ISSUED, "late", &json!({ "invoice_id": MARKER }));
    late["data"]["customer_id"] = json!(MARKER);
    send(&topic, "gone", late.to_string().as_bytes()).await;
    send(&topic, "gone2", b"no event, but qzxmarker").await;
    until("the count", async || counted(&[&one, &other], "deleted").await >= 2).await;
    for id in ["gone", "gone2"] {
        let path = format!("/v1/platform/tenants/{id}");
        for node in [&one, &other] {
            until("the end", async || status(node, &path, &platform).await == 410).await;
        }
    }
    let letters = one.get("/v1/platform/dead-letters", &platform).send().await.unwrap();
    let letters: Value = letters.json().await.unwrap();
    assert_eq!(letters["dead_letters"], json!([]), "{letters}");
    let folders = [shared.folder.path(), first.path(), second.path()];
    let left: Vec<String> = folders.iter().flat_map(|folder| traces(folder, MARKER)).collect();
    assert_eq!(left, Vec::<String>::new());

    let receipt = other.send(&kept, &[payment("p1", "i1", "20.00")]).await;
    let after = other.rows(&kept, "ar_aging", &receipt["position"]).await;
    assert_ne!(after, before);
    assert_eq!(after[0][7], json!("50.0000"), "{after}");
    // Read again from the beginning they would be dropped again.
    drop((one, other));
    let again = shared.node(&first).await;
    until("the start", async || status(&again, "/v1/views", &kept).await == 200).await;
    let answer = again.get("/v1/views", &gone).send().await.unwrap();
    problem(answer, 403, "unknown-tenant").await;
    let left: Vec<String> = folders.iter().flat_map(|folder| traces(folder, MARKER)).collect();
    assert_eq!(left, Vec::<String>::new());
}
