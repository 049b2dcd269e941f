//! The end of the process and its next start, and a folder that is in use.

use std::io::Read;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use crate::service::{Service, command, invoice};

#[tokio::test]
async fn a_stop_is_in_order_and_the_next_start_has_everything() {
    let mut service = Service::start().await;
    let admin = service.tenant("stops").await;
    let sub = "%7b%22id%22:%22a%22,%22view%22:%22ar_aging%22%7d";
    let mut live = service.get(&format!("/v1/stream?sub={sub}"), &admin).send().await.unwrap();
    let receipt = service.send(&admin, &[invoice("i1", "c1", "5")]).await;
    let before = service.rows(&admin, "ar_aging", &receipt["position"]).await;

    let id = service.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    // The stream ends by itself, whole: an error would be a cut.
    while live.chunk().await.unwrap().is_some() {}
    assert_eq!(service.process.wait().unwrap().code(), Some(0));

    let again = Service::start_in(Arc::clone(&service.data)).await;
    let list = again.get("/v1/views", &admin).send().await.unwrap();
    assert_eq!(list.headers()["tidemark-position"].to_str().unwrap(), receipt["position"]);
    assert_eq!(again.rows(&admin, "ar_aging", &receipt["position"]).await, before);
    let repeated = again.send(&admin, &[invoice("i1", "c1", "5")]).await;
    assert_eq!(repeated["duplicates"], json!(1));
    assert_eq!(repeated["position"], receipt["position"]);
}

#[tokio::test]
async fn a_folder_serves_one_process() {
    let service = Service::start().await;
    let mut second = command(&service.data).spawn().unwrap();
    let mut said = String::new();
    second.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    assert!(said.contains("in use by another process"), "{said}");
    let alive = service.client.get(service.url("/livez")).send().await.unwrap();
    assert_eq!(alive.status(), 200);
}
