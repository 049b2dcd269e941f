//! Calls and their answers by way of another node.

use reqwest::Method;
use serde_json::{Value, json};
use tenancy::{Role, Secret};

use super::nodes::{Front, OnePlace, Owner, invoice, pair, problem, signed, token};
use crate::forward::Served;

/// Whatever is asked, the answer is the owner's: status, headers and body.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_node_that_serves_the_tenant() {
    let (owner, front, admin) = pair().await;
    let events: Vec<Value> = (0..50).map(|n| invoice(&format!("i{n}"), "10.50")).collect();
    let receipt = front.send(&admin, &events).await;
    assert_eq!(receipt["accepted"], 50);
    let wait =
        format!("/v1/views/open_invoices?wait_for={}", receipt["position"].as_str().unwrap());
    let sum = json!({"sql": "SELECT sum(balance) AS s FROM open_invoices"});
    let wrong = json!({"sql": "SELECT nothing FROM open_invoices"});
    let cases = [
        (Method::GET, wait.as_str(), "application/json", None),
        (Method::GET, wait.as_str(), "text/csv", None),
        (Method::GET, wait.as_str(), "application/vnd.apache.arrow.stream", None),
        (Method::GET, "/v1/views", "*/*", None),
        (Method::HEAD, "/v1/views", "*/*", None),
        (Method::GET, "/v1/views/open_invoices?limit=7", "*/*", None),
        (Method::GET, "/v1/views/open_invoices?limit=none", "*/*", None),
        (Method::GET, "/v1/views/nothing", "*/*", None),
        (Method::GET, "/v1/views/open%5Finvoices", "*/*", None),
        (Method::GET, "/v1/views", "image/png", None),
        (Method::GET, "/v1/nothing", "*/*", None),
        (Method::PUT, "/v1/views", "*/*", None),
        (Method::GET, "/v1/tenant", "*/*", None),
        (Method::GET, "/v1/ws", "*/*", None),
        (Method::GET, "/v1/stream", "*/*", None),
        (Method::POST, "/v1/query", "*/*", Some(&sum)),
        (Method::POST, "/v1/query", "text/csv", Some(&sum)),
        (Method::POST, "/v1/query", "*/*", Some(&wrong)),
        (Method::POST, "/v1/query", "*/*", None),
    ];
    for (method, path, accept, body) in cases {
        let mut answers = Vec::new();
        for address in [owner.address, front.address] {
            let url = format!("http://{address}{path}");
            let mut call = reqwest::Client::new().request(method.clone(), url);
            call = call.bearer_auth(&admin).header("accept", accept);
            if let Some(body) = body {
                call = call.json(body);
            }
            let answer = call.send().await.unwrap();
            let mut headers: Vec<(String, String)> = answer
                .headers()
                .iter()
                .filter(|(name, _)| *name != "date")
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            headers.sort();
            answers.push((answer.status(), headers, answer.bytes().await.unwrap()));
        }
        assert_eq!(answers[0], answers[1], "{method} {path} {accept}");
    }
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_go_through_with_a_length_and_without() {
    let (owner, front, admin) = pair().await;
    let events: Vec<Value> = (0..5_000).map(|n| invoice(&format!("i{n}"), "1")).collect();
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let text = lines.join("\n");
    assert!(text.len() > 1 << 20);
    let parts = text.as_bytes().chunks(10_000).map(|part| Ok::<_, std::io::Error>(part.to_vec()));
    let chunked = reqwest::Body::wrap_stream(futures::stream::iter(parts.collect::<Vec<_>>()));
    for (body, accepted, duplicates) in [(chunked, 5_000, 0), (text.into(), 0, 5_000)] {
        let request = front.post("/v1/events", &admin);
        let request = request.header("content-type", "application/x-ndjson").body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let receipt: Value = answer.json().await.unwrap();
        assert_eq!(receipt["accepted"], accepted);
        assert_eq!(receipt["duplicates"], duplicates);
        assert!(receipt["position"].is_string());
    }
    // The bound is the owner's, and so is the refusal.
    let request = front.post("/v1/events", &admin).header("content-type", "application/x-ndjson");
    let answer = request.body(vec![b' '; 17 << 20]).send().await.unwrap();
    problem(answer, 413, "body-too-large").await;
    owner.stop().await;
}

/// The owner asks for a token as if nobody had asked before.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_gets_the_figures_of_its_own_tenant_alone() {
    let (owner, front, acme) = pair().await;
    let globex = owner.tenant("globex").await;
    let first = front.send(&acme, &[invoice("a", "11")]).await;
    let receipt = front.send(&globex, &[invoice("g", "22")]).await;
    let position = receipt["position"].as_str().unwrap();
    for (token, own, at) in [(&acme, "11.0000", &first), (&globex, "22.0000", &receipt)] {
        let at = at["position"].as_str().unwrap();
        let path = &format!("/v1/views/open_invoices?wait_for={at}");
        for (name, value) in
            [("x-tenant", "acme"), ("tidemark-forwarded", "0"), ("connection", "authorization")]
        {
            // What a client adds changes nothing about who it is.
            let answer = front.get(path, token).header(name, value).send().await.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            if status == 200 {
                assert!(text.contains(own), "{name}: {text}");
            } else {
                assert!(matches!(status, 401 | 503), "{name}: {text}");
                assert!(!text.contains(".0000"), "{text}");
            }
        }
        let question = json!({"sql": "SELECT balance FROM open_invoices"});
        let answer = front.post("/v1/query", token).json(&question).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["rows"], json!([[own]]));
    }
    // Another tenant's position, a token of nobody, one of another service, and a ticket of another.
    let path = format!("/v1/views/open_invoices?wait_for={position}");
    problem(front.get(&path, &acme).send().await.unwrap(), 400, "invalid-parameter").await;
    let nobody = token(Some("initech"), Role::Admin);
    problem(front.get("/v1/views", &nobody).send().await.unwrap(), 403, "unknown-tenant").await;
    let other = Secret::new("another secret, just as long as the first").unwrap();
    let foreign = signed(&other, Some("acme"), Role::Admin);
    problem(front.get("/v1/views", &foreign).send().await.unwrap(), 401, "invalid-token").await;
    let executive = token(Some("acme"), Role::Executive);
    let refused = front.post("/v1/query", &executive).json(&json!({"sql": "SELECT 1"}));
    problem(refused.send().await.unwrap(), 403, "forbidden").await;
    owner.stop().await;
}

/// What is served here, and what is the platform's, stays here.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_serves_a_tenant_itself_forwards_nothing() {
    let owner = Owner::start().await;
    let place = OnePlace::new(Served::Here);
    let front = Front::start(&owner, place.clone()).await;
    let admin = owner.tenant("acme").await;
    // It has no source, and says so rather than asking another.
    problem(front.get("/v1/views", &admin).send().await.unwrap(), 503, "starting").await;
    place.set(super::nodes::at(owner.address));
    assert_eq!(front.get("/v1/views", &admin).send().await.unwrap().status(), 200);
    let platform = token(None, Role::Platform);
    let answer = front.get("/v1/platform/tenants/acme", &platform).send().await.unwrap();
    problem(answer, 503, "starting").await;
    owner.stop().await;
}
