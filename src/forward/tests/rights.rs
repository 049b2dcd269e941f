//! Rights that are taken away on one node, and the live streams of another.

use reqwest::Client;
use serde_json::json;
use tenancy::Role;

use super::live::{connect, hear, hear_close, say};
use super::nodes::{Front, OnePlace, Owner, problem, token};
use crate::forward::Served;

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_are_ended_by_another_node_are_ended_here() {
    let owner = Owner::start().await;
    let front = Front::start(&owner, OnePlace::new(Served::Here)).await;
    front.open().await;
    let following = front.follow();
    let admin = owner.tenant("acme").await;
    let mut socket = connect(front.address, "", Some(&admin)).await;
    say(&mut socket, json!({"type": "subscribe", "id": "o", "view": "open_invoices"})).await;
    assert_eq!(hear(&mut socket).await["type"], "snapshot");

    let end = Client::new().post(format!("http://{}/v1/tenant/revocations", owner.address));
    let end = end.bearer_auth(&admin).json(&json!({"subject": "test"}));
    assert_eq!(end.send().await.unwrap().status(), 200);
    assert_eq!(hear_close(&mut socket).await, 4007);
    problem(front.get("/v1/views", &admin).send().await.unwrap(), 401, "signed-out").await;
    following.abort();
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_takes_away_is_followed_no_more() {
    let owner = Owner::start().await;
    let front = Front::start(&owner, OnePlace::new(Served::Here)).await;
    front.open().await;
    let following = front.follow();
    let admin = owner.tenant("acme").await;
    let mut socket = connect(front.address, "", Some(&admin)).await;
    for (id, view) in [("p", "pipeline"), ("o", "open_invoices")] {
        say(&mut socket, json!({"type": "subscribe", "id": id, "view": view})).await;
        assert_eq!(hear(&mut socket).await["type"], "snapshot");
    }

    let settings = Client::new().patch(format!("http://{}/v1/tenant", owner.address));
    let settings = settings.bearer_auth(&admin).json(&json!({"modules": ["invoicing"]}));
    assert_eq!(settings.send().await.unwrap().status(), 200);
    let told = hear(&mut socket).await;
    assert_eq!(told["id"], "p", "{told}");
    assert_eq!(told["problem"]["type"], "urn:tidemark:problem:module-off");
    // The other one goes on.
    say(&mut socket, json!({"type": "unsubscribe", "id": "o"})).await;
    say(&mut socket, json!({"type": "ping"})).await;
    assert_eq!(hear(&mut socket).await["type"], "pong");

    let address = format!("http://{}/v1/platform/tenants/acme", owner.address);
    let deletion = Client::new().delete(address).bearer_auth(token(None, Role::Platform));
    assert_eq!(deletion.send().await.unwrap().status(), 202);
    assert_eq!(hear_close(&mut socket).await, 4007);
    let again = front.get("/v1/stream?sub=%7B%22id%22:%22a%22,%22view%22:%22o%22%7D", &admin);
    problem(again.send().await.unwrap(), 403, "unknown-tenant").await;
    following.abort();
    owner.stop().await;
}
