//! Live streams whose rights are taken away, renewed or end while they run.

use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};
use tenancy::Role;

use crate::live::{Events, Socket, connect, escaped, hear, hear_close, say};
use crate::service::{Service, expiring, invoice, of_subject, problem, stream, token};

const MODULE_OFF: &str = "urn:tidemark:problem:module-off";

/// A WebSocket that has shown this token.
async fn admitted(service: &Service, token: &str) -> Socket {
    let mut socket = connect(service, "").await;
    say(&mut socket, json!({ "type": "auth", "token": token })).await;
    socket
}

async fn subscribe(socket: &mut Socket, id: &str, view: &str) -> Value {
    say(socket, json!({ "type": "subscribe", "id": id, "view": view })).await;
    hear(socket).await
}

async fn switch(service: &Service, admin: &str, modules: &Value) {
    let patch = service.client.patch(service.url("/v1/tenant")).bearer_auth(admin);
    let answer = patch.json(&json!({ "modules": modules })).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_module_that_is_switched_off_ends_what_is_of_it_and_nothing_else() {
    let service = Service::start().await;
    let admin = service.tenant("narrow").await;
    let mut socket = admitted(&service, &admin).await;
    for (id, view) in [("p", "pipeline"), ("c", "call_activity"), ("o", "open_invoices")] {
        assert_eq!(subscribe(&mut socket, id, view).await["type"], "snapshot");
    }
    switch(&service, &admin, &json!(["invoicing"])).await;
    let mut ended = Vec::new();
    for _ in 0..2 {
        let told = hear(&mut socket).await;
        assert_eq!(told["problem"]["type"], MODULE_OFF, "{told}");
        assert_eq!(told["problem"]["module"], "crm");
        ended.push(told["id"].as_str().unwrap().to_owned());
    }
    ended.sort_unstable();
    assert_eq!(ended, ["c", "p"]);
    service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    let told = hear(&mut socket).await;
    assert_eq!((&told["type"], &told["id"]), (&json!("delta"), &json!("o")));
    // What was ended can be asked for again, on the same connection, once it is shown again.
    assert_eq!(subscribe(&mut socket, "p", "pipeline").await["problem"]["type"], MODULE_OFF);
    switch(&service, &admin, &Value::Null).await;
    assert_eq!(subscribe(&mut socket, "p", "pipeline").await["type"], "snapshot");
}

#[tokio::test]
async fn the_streams_of_a_deleted_tenant_end() {
    let service = Service::start().await;
    let (admin, other) = (service.tenant("gone").await, service.tenant("stays").await);
    let aging = json!({ "id": "a", "view": "ar_aging" });
    let mut socket = admitted(&service, &admin).await;
    assert_eq!(subscribe(&mut socket, "a", "ar_aging").await["type"], "snapshot");
    let mut events = Events::open(&service, &admin, std::slice::from_ref(&aging), None).await;
    assert_eq!(events.telling().await.0, "snapshot");
    let mut beside = admitted(&service, &other).await;
    assert_eq!(subscribe(&mut beside, "a", "ar_aging").await["type"], "snapshot");

    let url = service.url("/v1/platform/tenants/gone");
    let platform = token(None, &[Role::Platform]);
    let answer = service.client.delete(url).bearer_auth(platform).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(hear_close(&mut socket).await, 4007);
    events.end().await;
    // Whoever comes again is refused.
    let path = format!("/v1/stream?sub={}", escaped(&aging));
    problem(service.get(&path, &admin).send().await.unwrap(), 403, "unknown-tenant").await;
    let mut again = admitted(&service, &admin).await;
    assert_eq!(hear(&mut again).await["problem"]["type"], "urn:tidemark:problem:unknown-tenant");
    assert_eq!(hear_close(&mut again).await, 4002);
    say(&mut beside, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut beside).await["type"], "pong");
}

#[tokio::test]
async fn a_token_that_ends_ends_its_stream_unless_another_renews_it() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(data, &[("TIDEMARK_JWT_LEEWAY_S", "0")]).await;
    let admin = service.tenant("brief").await;
    let aging = json!({ "id": "a", "view": "ar_aging" });
    let brief = expiring(Some("brief"), &[Role::Executive], Duration::seconds(6));
    let mut ending = admitted(&service, &brief).await;
    let mut renewed = admitted(&service, &brief).await;
    for socket in [&mut ending, &mut renewed] {
        assert_eq!(subscribe(socket, "a", "ar_aging").await["type"], "snapshot");
    }
    let mut events = Events::open(&service, &brief, &[aging], None).await;
    assert_eq!(events.telling().await.0, "snapshot");
    say(&mut renewed, json!({ "type": "auth", "token": admin })).await;

    let expired = "urn:tidemark:problem:token-expired";
    assert_eq!(hear(&mut ending).await["problem"]["type"], expired);
    assert_eq!(hear_close(&mut ending).await, 4003);
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), message["problem"]["type"].as_str()), ("error", Some(expired)));
    events.end().await;
    // What happens from then on reaches the renewed one.
    service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    assert_eq!(hear(&mut renewed).await["type"], "delta");
}

#[tokio::test]
async fn a_new_token_takes_away_what_its_roles_do_not_allow() {
    let service = Service::start().await;
    let admin = service.tenant("roles").await;
    let of = |role: Role| token(Some("roles"), &[role]);
    let mut socket = admitted(&service, &of(Role::Analyst)).await;
    assert_eq!(subscribe(&mut socket, "a", "ar_aging").await["type"], "snapshot");
    say(&mut socket, json!({ "type": "auth", "token": of(Role::Executive) })).await;
    let sql = json!({ "type": "subscribe", "id": "s", "sql": "SELECT 1" });
    say(&mut socket, sql).await;
    let told = hear(&mut socket).await;
    assert_eq!((&told["type"], &told["id"]), (&json!("error"), &json!("s")));
    assert_eq!(told["problem"]["type"], "urn:tidemark:problem:forbidden");
    // Views are for both.
    service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    assert_eq!(hear(&mut socket).await["type"], "delta");
    say(&mut socket, json!({ "type": "auth", "token": of(Role::Service) })).await;
    assert_eq!(hear(&mut socket).await["problem"]["status"], 403);
    assert_eq!(hear_close(&mut socket).await, 4002);

    let subs = [json!({ "id": "s", "sql": "SELECT 1" }), json!({ "id": "a", "view": "ar_aging" })];
    let mut events = Events::open(&service, &of(Role::Executive), &subs, None).await;
    let (kind, message) = events.telling().await;
    assert_eq!((kind.as_str(), &message["id"]), ("error", &json!("s")));
    assert_eq!(message["problem"]["type"], "urn:tidemark:problem:forbidden");
    assert_eq!(events.telling().await.0, "snapshot");
}

/// A token of somebody who has just signed in, once it holds: tokens say the second of their issue, and one
/// that was issued in the second in which sign-ins were ended may have been issued before.
async fn signed_in_anew(service: &Service, subject: &str, tenant: &str) -> String {
    for _ in 0..100 {
        let token = of_subject(subject, tenant, Role::Executive);
        if service.get("/v1/views", &token).send().await.unwrap().status() == 200 {
            return token;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("a new token does not hold");
}

/// As when a role was taken from somebody at the issuer, and stands in the token until it ends.
#[tokio::test]
async fn ended_sign_ins_end_what_runs_and_let_nobody_in_again() {
    let service = Service::start().await;
    let (admin, other) = (service.tenant("ended").await, service.tenant("spared").await);
    let aging = json!({ "id": "a", "view": "ar_aging" });
    let jo = of_subject("jo", "ended", Role::Analyst);
    let namesake = of_subject("jo", "spared", Role::Analyst);
    let mut sockets = [admitted(&service, &jo).await, admitted(&service, &admin).await];
    let mut beside = admitted(&service, &other).await;
    for socket in sockets.iter_mut().chain([&mut beside]) {
        assert_eq!(subscribe(socket, "a", "ar_aging").await["type"], "snapshot");
    }
    let mut events = Events::open(&service, &jo, std::slice::from_ref(&aging), None).await;
    assert_eq!(events.telling().await.0, "snapshot");
    let ticket: Value =
        service.post("/v1/tickets", &jo).send().await.unwrap().json().await.unwrap();

    let end = service.post("/v1/tenant/revocations", &admin).json(&json!({ "subject": "jo" }));
    let ended = end.send().await.unwrap();
    assert_eq!(ended.status(), 200);
    let ended: Value = ended.json().await.unwrap();
    assert_eq!((&ended["subject"], &ended["ended_by"]), (&json!("jo"), &json!("test")));

    // All streams of the tenant end; who may comes again.
    for socket in &mut sockets {
        assert_eq!(hear_close(socket).await, 4007);
    }
    events.end().await;
    let mut again = admitted(&service, &admin).await;
    assert_eq!(subscribe(&mut again, "a", "ar_aging").await["type"], "snapshot");
    problem(service.get("/v1/views", &jo).send().await.unwrap(), 401, "signed-out").await;
    let ticket = ticket["ticket"].as_str().unwrap().to_owned();
    let path = stream(&[("ticket", ticket), ("sub", aging.to_string())]);
    let late = service.client.get(service.url(&path)).send().await.unwrap();
    problem(late, 401, "signed-out").await;
    let mut refused = admitted(&service, &jo).await;
    let told = hear(&mut refused).await;
    assert_eq!(told["problem"]["type"], "urn:tidemark:problem:signed-out");
    assert_eq!(hear_close(&mut refused).await, 4002);
    // Nobody else notices, not even who is called so elsewhere.
    say(&mut beside, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut beside).await["type"], "pong");
    assert_eq!(service.get("/v1/views", &namesake).send().await.unwrap().status(), 200);
    // With the roles of now.
    let anew = signed_in_anew(&service, "jo", "ended").await;
    let query = service.post("/v1/query", &anew).json(&json!({ "sql": "SELECT 1" }));
    problem(query.send().await.unwrap(), 403, "forbidden").await;

    let listed = service.read("/v1/tenant/revocations", &admin).await;
    assert_eq!(listed, json!({ "revocations": [ended] }));
    let listed = service.read("/v1/tenant/revocations", &other).await;
    assert_eq!(listed, json!({ "revocations": [] }));
    let producer = json!({ "subject": "service-token:x" });
    let refused = service.post("/v1/tenant/revocations", &admin).json(&producer);
    problem(refused.send().await.unwrap(), 400, "invalid-body").await;
    let audit = service.read("/v1/audit?action=change&limit=5", &admin).await;
    let recorded = audit["records"].as_array().unwrap().iter();
    let recorded = recorded.filter(|record| record["detail"]["subject"] == "jo").count();
    assert_eq!(recorded, 1, "{audit}");

    // After a restart too.
    let data = Arc::clone(&service.data);
    drop(service);
    let service = Service::start_in(data).await;
    problem(service.get("/v1/views", &jo).send().await.unwrap(), 401, "signed-out").await;
    assert_eq!(service.get("/v1/views", &anew).send().await.unwrap().status(), 200);
}

/// A producer's token has nothing to follow, so revoking it ends no stream.
#[tokio::test]
async fn a_producers_token_follows_nothing_before_or_after_it_is_revoked() {
    let service = Service::start().await;
    let admin = service.tenant("shop").await;
    let create = service.post("/v1/service-tokens", &admin).json(&json!({ "name": "the till" }));
    let made: Value = create.send().await.unwrap().json().await.unwrap();
    let till = made["token"].as_str().unwrap();
    let path = format!("/v1/stream?sub={}", escaped(&json!({ "id": "a", "view": "ar_aging" })));
    problem(service.get(&path, till).send().await.unwrap(), 403, "forbidden").await;
    problem(service.post("/v1/tickets", till).send().await.unwrap(), 403, "forbidden").await;
    let mut socket = admitted(&service, till).await;
    assert_eq!(hear_close(&mut socket).await, 4002);
    // Nor can it take the place of a token that may.
    let mut socket = admitted(&service, &admin).await;
    assert_eq!(subscribe(&mut socket, "a", "ar_aging").await["type"], "snapshot");
    say(&mut socket, json!({ "type": "auth", "token": till })).await;
    assert_eq!(hear_close(&mut socket).await, 4002);

    let url = service.url(&format!("/v1/service-tokens/{}", made["id"].as_str().unwrap()));
    let revoked = service.client.delete(url).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    problem(service.get(&path, till).send().await.unwrap(), 401, "invalid-token").await;
    let mut socket = admitted(&service, till).await;
    assert_eq!(hear(&mut socket).await["problem"]["status"], 401);
    assert_eq!(hear_close(&mut socket).await, 4002);
}
