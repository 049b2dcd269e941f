//! Nodes that speak TLS with each other.

use super::nodes::{Front, OnePlace, Owner, problem};
use crate::config::Tls;

#[path = "../../../tests/http/certificates.rs"]
mod certificates;

fn tls(name: &str) -> Tls {
    let (certificate, key) = certificates::certificate(name);
    Tls { certificate: Some(certificate), key: Some(key) }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_forwarded_by_tls_to_a_node_whose_certificate_is_trusted() {
    let shared = tls("shared");
    let owner = Owner::start_with(shared.clone()).await;
    let front = Front::start_with(&owner, OnePlace::at(owner.address), &shared).await;
    let stranger = Front::start_with(&owner, OnePlace::at(owner.address), &tls("other")).await;
    let plain = Front::start(&owner, OnePlace::at(owner.address)).await;
    let admin = owner.tenant("acme").await;
    assert_eq!(front.get("/v1/views", &admin).send().await.unwrap().status(), 200);
    let answer = stranger.get("/v1/views", &admin).send().await.unwrap();
    problem(answer, 503, "not-served").await;
    assert!(plain.get("/v1/views", &admin).send().await.unwrap().status().is_server_error());
    owner.stop().await;
}
