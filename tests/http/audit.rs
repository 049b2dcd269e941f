//! The audit: what is recorded of every call, who may read it, and what gives a tampering away.

use std::process::{Command, Output};
use std::sync::Arc;

use reqwest::Response;
use serde_json::{Value, json};
use tenancy::Role;

use crate::live::{connect, hear, hear_close, say};
use crate::service::{Service, command, invoice, of_subject, problem, token};

async fn records(service: &Service, path: &str, token: &str) -> Vec<Value> {
    let answer = service.get(path, token).send().await.unwrap();
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(status, 200, "{answer}");
    answer["records"].as_array().unwrap().clone()
}

/// The records of a tenant once there are those of this action and call.
async fn until(service: &Service, path: &str, token: &str, action: &str, object: &str) -> Value {
    for _ in 0..200 {
        let records = records(service, path, token).await;
        let found = records.iter().find(|r| r["action"] == action && r["object"] == object);
        if let Some(found) = found {
            return found.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("there is no record of {action} {object}");
}

#[tokio::test]
async fn every_call_leaves_its_record() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let receipt =
        service.send(&admin, &[invoice("i1", "c1", "10"), invoice("i2", "c2", "20")]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    service.ask(&admin, "SELECT invoice_id FROM open_invoices ORDER BY 1").await;
    let csv = service.get("/v1/views/ar_aging", &admin).header("accept", "text/csv");
    csv.send().await.unwrap().text().await.unwrap();
    let wrong = json!({ "sql": "SELECT nothing FROM nowhere" });
    let answer = service.post("/v1/query", &admin).json(&wrong).send().await.unwrap();
    let refused = answer.status().as_u16();
    assert!((400..500).contains(&refused));
    let body = json!({ "name": "North" });
    let path = service.url("/v1/tenant");
    service.client.patch(path).bearer_auth(&admin).json(&body).send().await.unwrap();
    let reader = token(Some("acme"), &[Role::Executive]);
    for _ in 0..5 {
        let refused = service.post("/v1/query", &reader).json(&wrong).send().await.unwrap();
        assert_eq!(refused.status(), 403);
    }
    let stream = "/v1/stream?sub=%7B%22id%22%3A%22a%22%2C%22view%22%3A%22ar_aging%22%7D";
    let live: Response = service.get(stream, &admin).send().await.unwrap();
    assert_eq!(live.status(), 200);

    let found = |action: &'static str, object: &'static str| {
        until(&service, "/v1/audit?limit=1000", &admin, action, object)
    };
    let query = found("query", "POST /v1/query").await;
    assert_eq!(query["actor"], "test");
    let source = query["source"].as_str().unwrap();
    assert!(source.starts_with("127.0.0.1:"), "{source}");
    assert!(query["detail"]["ms"].is_u64(), "{query}");
    let all = records(&service, "/v1/audit?action=query", &admin).await;
    let asked: Vec<(&Value, &Value, &Value)> =
        all.iter().map(|r| (&r["detail"]["sql"], &r["status"], &r["detail"]["rows"])).collect();
    let good = json!("SELECT invoice_id FROM open_invoices ORDER BY 1");
    assert_eq!(
        asked,
        [(&wrong["sql"], &json!(refused), &Value::Null), (&good, &json!(200), &json!(2))],
        "{all:?}"
    );
    let read = found("read", "GET /v1/views/open_invoices").await;
    assert_eq!(read["detail"]["rows"], 2);
    let download = found("download", "GET /v1/views/ar_aging").await;
    assert_eq!(
        (&download["detail"]["rows"], &download["detail"]["complete"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(download["detail"]["format"], "text/csv");
    found("change", "PATCH /v1/tenant").await;
    // The platform made the tenant: that is in both chains.
    let made = found("change", "POST /v1/platform/tenants").await;
    assert_eq!(made["detail"]["roles"], json!(["platform"]));
    let refusal = found("refusal", "POST /v1/query").await;
    assert_eq!(refusal["status"], 403);
    assert_eq!(refusal["detail"]["problem"], "urn:tidemark:problem:forbidden");
    let refusals = records(&service, "/v1/audit?action=refusal", &admin).await;
    assert_eq!(refusals.len(), 1, "those like the first are counted: {refusals:?}");
    let followed = found("subscribe", "GET /v1/stream").await;
    assert_eq!(followed["detail"]["subscriptions"], json!([{ "id": "a", "view": "ar_aging" }]));
    let signed = records(&service, "/v1/audit?action=sign_in&actor=test", &admin).await;
    assert_eq!(signed.len(), 2, "two tokens, two sign-ins: {signed:?}");
    found("look", "GET /v1/audit").await;
    drop(live);
}

#[tokio::test]
async fn the_audit_is_filtered_and_paged_and_comes_as_csv() {
    let service = Service::start().await;
    let admin = service.tenant("pages").await;
    for number in 0..25 {
        service.ask(&admin, &format!("SELECT {number} AS n")).await;
    }
    until(&service, "/v1/audit?action=query", &admin, "query", "POST /v1/query").await;
    let mut found = Vec::new();
    for _ in 0..100 {
        found = records(&service, "/v1/audit?action=query&limit=1000", &admin).await;
        if found.len() == 25 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let places: Vec<u64> = found.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(places.len(), 25);
    assert!(places.is_sorted_by(|a, b| a > b), "the newest first: {places:?}");
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/audit?action=query&limit=10{after}");
        let page: Value = service.get(&path, &admin).send().await.unwrap().json().await.unwrap();
        paged.extend(page["records"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(paged, found);
    let at = found[10]["at"].as_str().unwrap();
    let path = format!("/v1/audit?action=query&limit=1000&from={at}");
    assert_eq!(records(&service, &path, &admin).await, found[..=10]);
    let path = format!("/v1/audit?action=query&limit=1000&to={at}");
    assert_eq!(records(&service, &path, &admin).await, found[11..]);
    assert!(records(&service, "/v1/audit?actor=nobody", &admin).await.is_empty());

    service.ask(&admin, "SELECT '=1+1' AS \"=formula\"").await;
    let evil = service.get("/v1/audit", &admin).header("accept", "text/csv").send().await.unwrap();
    assert_eq!(evil.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let text = evil.text().await.unwrap();
    assert!(text.starts_with("seq,at,actor,source,action,object,status,detail,hash\r\n"), "{text}");
    assert!(text.lines().count() > 25, "{text}");
    for (path, accept) in [
        ("/v1/audit?limit=0", "application/json"),
        ("/v1/audit?limit=1001", "application/json"),
        ("/v1/audit?action=delete", "application/json"),
        ("/v1/audit?from=yesterday", "application/json"),
        ("/v1/audit?limit=5", "text/csv"),
        ("/v1/audit?aktor=x", "application/json"),
    ] {
        let answer = service.get(path, &admin).header("accept", accept).send().await.unwrap();
        problem(answer, 400, "invalid-parameter").await;
    }
}

#[tokio::test]
async fn each_reads_its_own_chain_alone() {
    let service = Service::start().await;
    let (one, other) = (service.tenant("one").await, service.tenant("two").await);
    let platform = token(None, &[Role::Platform]);
    service.ask(&one, "SELECT 'of one' AS secret").await;
    service.get("/v1/views", "no.token.at-all").send().await.unwrap();
    until(&service, "/v1/audit", &one, "query", "POST /v1/query").await;
    let refused =
        until(&service, "/v1/platform/audit", &platform, "refusal", "GET /v1/views").await;
    assert_eq!((&refused["actor"], &refused["status"]), (&json!(""), &json!(401)));
    until(&service, "/v1/platform/audit", &platform, "look", "GET /v1/platform/audit").await;
    for (path, token) in [("/v1/audit", &other), ("/v1/platform/audit", &platform)] {
        let text = service.get(path, token).send().await.unwrap().text().await.unwrap();
        assert!(!text.contains("of one"), "{text}");
    }
    problem(service.get("/v1/platform/audit", &one).send().await.unwrap(), 403, "forbidden").await;
    problem(service.get("/v1/audit", &platform).send().await.unwrap(), 403, "forbidden").await;
    for role in [Role::Analyst, Role::Executive, Role::Service] {
        let token = token(Some("one"), &[role]);
        problem(service.get("/v1/audit", &token).send().await.unwrap(), 403, "forbidden").await;
    }
}

/// On a WebSocket each who shows a token has done what comes after it, whoever began.
#[tokio::test]
async fn what_follows_a_new_token_is_recorded_as_its_bearers() {
    let service = Service::start().await;
    let (admin, other) = (service.tenant("ta").await, service.tenant("tb").await);
    let eve = of_subject("eve", "ta", Role::Executive);
    let ann = of_subject("ann", "ta", Role::Analyst);
    let bob = of_subject("bob", "tb", Role::Admin);
    let asked = "SELECT stage, amount FROM pipeline";

    let mut socket = connect(&service, "").await;
    say(&mut socket, json!({ "type": "auth", "token": eve })).await;
    say(&mut socket, json!({ "type": "subscribe", "id": "v", "view": "pipeline" })).await;
    assert_eq!(hear(&mut socket).await["type"], "snapshot");
    say(&mut socket, json!({ "type": "auth", "token": ann })).await;
    say(&mut socket, json!({ "type": "subscribe", "id": "s", "sql": asked })).await;
    let heard = hear(&mut socket).await;
    assert_eq!((&heard["type"], &heard["id"]), (&json!("snapshot"), &json!("s")));
    say(&mut socket, json!({ "type": "auth", "token": bob })).await;
    assert_eq!(hear_close(&mut socket).await, 4002);

    let call = "GET /v1/ws";
    for (actor, role, wanted) in [
        ("eve", "executive", json!([{ "id": "v", "view": "pipeline" }])),
        ("ann", "analyst", json!([{ "id": "s", "sql": asked }])),
    ] {
        let path = format!("/v1/audit?actor={actor}");
        let followed = until(&service, &path, &admin, "subscribe", call).await;
        assert_eq!(followed["detail"]["roles"], json!([role]));
        assert_eq!(followed["detail"]["subscriptions"], wanted);
        let all = records(&service, &path, &admin).await;
        let actions: Vec<&str> = all.iter().map(|r| r["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["subscribe", "sign_in"], "{actor}");
        assert_eq!(all[1]["detail"]["roles"], json!([role]));
    }
    // Whoever has shown a token of another tenant is known to that one alone.
    let signed_in = until(&service, "/v1/audit?actor=bob", &other, "sign_in", call).await;
    assert_eq!(signed_in["detail"]["roles"], json!(["admin"]));
    assert!(records(&service, "/v1/audit?actor=bob", &admin).await.is_empty());

    // Of a token that cannot be verified nobody knows whose it is.
    let mut socket = connect(&service, "").await;
    say(&mut socket, json!({ "type": "auth", "token": eve })).await;
    say(&mut socket, json!({ "type": "auth", "token": "no.token.at-all" })).await;
    assert_eq!(hear_close(&mut socket).await, 4002);
    let platform = token(None, &[Role::Platform]);
    let path = "/v1/platform/audit?action=refusal";
    let refused = until(&service, path, &platform, "refusal", call).await;
    assert_eq!((&refused["actor"], &refused["status"]), (&json!(""), &json!(401)));
    assert!(records(&service, "/v1/audit?action=refusal", &admin).await.is_empty());
}

/// However the platform writes the tenant's id in the address.
#[tokio::test]
async fn a_change_by_the_platform_is_in_the_chain_of_the_tenant() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let platform = token(None, &[Role::Platform]);
    let path = "/v1/platform/tenants/%61cme";
    let change = service.client.patch(service.url(path)).bearer_auth(&platform);
    let answer = change.json(&json!({ "name": "Renamed" })).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let object = format!("PATCH {path}");
    until(&service, "/v1/audit?action=change", &admin, "change", &object).await;
    until(&service, "/v1/platform/audit?action=change", &platform, "change", &object).await;
}

/// What is recorded of a query is bounded, and one tenant's records keep no other waiting.
#[tokio::test]
async fn long_queries_are_recorded_by_their_beginning_and_concern_nobody_else() {
    let service = Service::start().await;
    let (loud, quiet) = (service.tenant("loud").await, service.tenant("quiet").await);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let asking = async {
        let asked = (0..60).map(|turn| {
            let text = "x".repeat(1_000_000);
            // Too long for a statement, and a parameter that nobody asks for.
            let question = match turn % 2 {
                0 => json!({ "sql": text }),
                _ => json!({ "sql": "SELECT 1", "params": [text] }),
            };
            service.post("/v1/query", &loud).json(&question).send()
        });
        for answer in futures::future::join_all(asked).await {
            assert!(answer.unwrap().status().as_u16() < 500);
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let reading = async {
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            let answer = service.get("/v1/views/ar_aging", &quiet).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::join!(asking, reading);
    let mut queries = Vec::new();
    for _ in 0..200 {
        queries = records(&service, "/v1/audit?action=query&limit=1000", &loud).await;
        if queries.len() == 60 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(queries.len(), 60);
    for query in queries {
        let detail = &query["detail"];
        assert!(detail.to_string().len() < 20_000);
        let of_sql = detail["sql"]["bytes"].as_u64();
        let bytes = of_sql.or_else(|| detail["params"]["bytes"].as_u64()).unwrap();
        assert!(bytes >= 1_000_000, "{bytes}");
    }
}

fn audit(data: &tempfile::TempDir, command: &str, more: &[&str]) -> Output {
    let mut tidemark = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    tidemark.args(["audit", command, "--data"]).arg(data.path()).args(more).output().unwrap()
}

fn verify(data: &tempfile::TempDir, more: &[&str]) -> Output {
    audit(data, "verify", more)
}

#[tokio::test]
async fn the_key_is_changed_by_sealing_anew_and_not_otherwise() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_in(Arc::clone(&data)).await;
    let admin = service.tenant("sealed").await;
    service.ask(&admin, "SELECT 1").await;
    until(&service, "/v1/audit", &admin, "query", "POST /v1/query").await;
    let (key, former) = (data.path().join("audit.key"), data.path().join("former.key"));
    std::fs::rename(&key, &former).unwrap();
    std::fs::write(&key, "another key that is long enough to be one").unwrap();
    let former = ["--former-key", former.to_str().unwrap()];
    // Not beside the service, which goes on with the key it has.
    let running = audit(&data, "reseal", &former);
    assert!(String::from_utf8_lossy(&running.stderr).contains("in use by another process"));
    drop(service);
    let refused = command(&data).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("tidemark audit reseal"), "{said}");

    let wrong = data.path().join("wrong.key");
    std::fs::write(&wrong, "neither the former key nor the new one").unwrap();
    let wrong = audit(&data, "reseal", &["--former-key", wrong.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    for _ in 0..2 {
        let done = audit(&data, "reseal", &former);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(verify(&data, &[]).status.success());
    }
    let service = Service::start_in(Arc::clone(&data)).await;
    service.ask(&admin, "SELECT 2").await;
    let platform = token(None, &[Role::Platform]);
    let object = "sealed the audit with another key";
    until(&service, "/v1/platform/audit", &platform, "change", object).await;
    assert!(verify(&data, &[]).status.success());
}

#[tokio::test]
async fn a_tampering_is_found_from_the_command_line() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_in(Arc::clone(&data)).await;
    let admin = service.tenant("watched").await;
    for number in 0..5 {
        service.ask(&admin, &format!("SELECT {number} AS n")).await;
    }
    until(&service, "/v1/audit", &admin, "query", "POST /v1/query").await;
    // Beside the running service.
    let good = verify(&data, &[]);
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success(), "{text} {}", String::from_utf8_lossy(&good.stderr));
    assert!(text.contains("(platform) ") && text.contains("\nwatched "), "{text}");
    let noted = data.path().join("noted");
    std::fs::write(&noted, &text).unwrap();
    let noted = noted.to_str().unwrap().to_owned();
    drop(service);
    assert!(verify(&data, &["--against", &noted]).status.success());

    let key = data.path().join("audit.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::write(&key, "another key that is long enough to be one").unwrap();
    let other = verify(&data, &[]);
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("another key"));
    std::fs::write(&key, kept).unwrap();
    assert!(verify(&data, &[]).status.success());
    std::fs::write(&noted, text.replace("\nwatched ", "\nvanished ")).unwrap();
    let gone = verify(&data, &["--against", &noted]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("vanished: the chain is missing"));
    std::fs::write(&noted, "nonsense").unwrap();
    assert_eq!(verify(&data, &["--against", &noted]).status.code(), Some(2));
}
