//! What the platform is told of tenants that other nodes serve.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tenancy::Role;
use tokio::net::TcpListener;

use super::nodes::{Front, OnePlace, Owner, at, token};

async fn overview(front: &Front) -> Value {
    let platform = token(None, Role::Platform);
    let answer = front.get("/v1/platform/overview", &platform).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_is_that_of_all_nodes() {
    let owner = Owner::start().await;
    let place = OnePlace::at(owner.address);
    let front = Front::start(&owner, place.clone()).await;
    front.open().await;
    owner.tenant("acme").await;
    let told = overview(&front).await;
    let node = |address: SocketAddr, reachable: bool, tenants: usize| json!({ "address": address.to_string(), "reachable": reachable, "tenants": tenants });
    let nodes = json!([node(front.address, true, 0), node(owner.address, true, 1)]);
    assert_eq!(told["nodes"], nodes);
    let tenant = &told["tenants"][0];
    assert_eq!((&tenant["id"], &tenant["state"]), (&json!("acme"), &json!("live")));
    assert_eq!(tenant["node"], owner.address.to_string());
    assert_eq!((&tenant["events"], &told["totals"]["tenants"]), (&json!(1), &json!(1)));

    // A node that does not answer is told of, with its tenants.
    let platform = token(None, Role::Platform);
    let known = front.get("/v1/platform/tenants/acme", &platform).send().await.unwrap();
    assert_eq!(known.status(), 200);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    place.set(at(gone));
    let told = overview(&front).await;
    assert_eq!(told["nodes"], json!([node(front.address, true, 0), node(gone, false, 0)]));
    let tenant = &told["tenants"][0];
    assert_eq!((&tenant["state"], &tenant["node"]), (&json!("unserved"), &Value::Null));
    owner.stop().await;
}
