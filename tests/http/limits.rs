//! What a tenant and a token may use, and what is said when it is used up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use reqwest::Response;
use serde_json::json;
use tenancy::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::service::{Service, event, invoice, of_subject, problem, stream};

async fn bounded(variables: &[(&str, &str)]) -> Service {
    Service::start_with(Arc::new(tempfile::tempdir().unwrap()), variables).await
}

/// Checks a refusal, and gives back how long it says to wait.
async fn refused(answer: Response, limit: &str, of: &str) -> u64 {
    let after = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let problem = problem(answer, 429, "too-many-requests").await;
    assert_eq!((&problem["limit"], &problem["of"]), (&json!(limit), &json!(of)), "{problem}");
    assert_eq!(problem["retry_after_s"], after);
    assert!(after >= 1);
    after
}

#[tokio::test]
async fn requests_are_bounded_for_a_token_and_for_its_tenant() {
    let service = bounded(&[
        ("TIDEMARK_LIMITS_TOKEN_REQUESTS_PER_S", "3"),
        ("TIDEMARK_LIMITS_TENANT_REQUESTS_PER_S", "4"),
    ])
    .await;
    let (busy, quiet) = (service.tenant("busy").await, service.tenant("quiet").await);
    let until_refused = |token: String| {
        let service = &service;
        async move {
            for _ in 0..200 {
                let answer = service.get("/v1/tenant", &token).send().await.unwrap();
                if answer.status() == 429 {
                    return answer;
                }
                assert_eq!(answer.status(), 200);
            }
            panic!("two hundred calls were let in");
        }
    };
    let after = refused(until_refused(busy.clone()).await, "requests", "token").await;
    // Another one of the tenant uses what is left of the tenant's.
    let other = of_subject("another", "busy", Role::Admin);
    refused(until_refused(other).await, "requests", "tenant").await;
    // Another tenant does not notice.
    assert_eq!(service.get("/v1/tenant", &quiet).send().await.unwrap().status(), 200);
    tokio::time::sleep(Duration::from_secs(after + 2)).await;
    assert_eq!(service.get("/v1/tenant", &busy).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn events_and_bytes_are_charged_whole_and_then_waited_for() {
    let service = bounded(&[
        ("TIDEMARK_LIMITS_TENANT_EVENTS_PER_S", "10"),
        ("TIDEMARK_LIMITS_TOKEN_BYTES_PER_S", "20000"),
    ])
    .await;
    let (busy, quiet) = (service.tenant("busy").await, service.tenant("quiet").await);
    let events: Vec<_> = (0..60).map(|n| invoice(&format!("i{n}"), "c", "1")).collect();
    let send = |token: String| {
        let kind = "application/cloudevents-batch+json";
        let request = service.post("/v1/events", &token).header("content-type", kind);
        request.body(serde_json::to_vec(&events).unwrap()).send()
    };
    // More than a second's worth at once is taken; what follows waits for it to come back.
    assert_eq!(send(busy.clone()).await.unwrap().status(), 202);
    let after = refused(send(busy.clone()).await.unwrap(), "events", "tenant").await;
    assert!((2..=5).contains(&after), "{after}");
    // Reading is another allowance.
    assert_eq!(service.get("/v1/views", &busy).send().await.unwrap().status(), 200);
    assert_eq!(send(quiet.clone()).await.unwrap().status(), 202);
    let mut last = service.get("/v1/views", &busy).send().await.unwrap();
    for _ in 0..50 {
        if last.status() == 429 {
            break;
        }
        last.text().await.unwrap();
        last = service.get("/v1/views", &busy).send().await.unwrap();
    }
    refused(last, "bytes", "token").await;
    assert_eq!(service.get("/v1/tenant", &quiet).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn streams_and_calls_at_once_are_bounded() {
    let service =
        bounded(&[("TIDEMARK_LIMITS_TOKEN_STREAMS", "2"), ("TIDEMARK_LIMITS_TOKEN_CALLS", "1")])
            .await;
    let busy = service.tenant("busy").await;
    let follow = || {
        let sub = json!({ "id": "a", "view": "ar_aging" }).to_string();
        service.get(&stream(&[("sub", sub)]), &busy).send()
    };
    let one = follow().await.unwrap();
    let two = follow().await.unwrap();
    assert_eq!((one.status().as_u16(), two.status().as_u16()), (200, 200));
    refused(follow().await.unwrap(), "streams", "token").await;
    drop(one);
    let mut third = follow().await.unwrap();
    for _ in 0..200 {
        if third.status() == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        third = follow().await.unwrap();
    }
    assert_eq!(third.status(), 200, "a stream that has ended gives its seat back");
    // A call whose body is still to come is a call at once; live streams are not counted with it. The
    // call before may still have the seat when it comes: then another one is tried.
    let head = format!(
        "POST /v1/query HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {busy}\r\n\
         content-type: application/json\r\ncontent-length: 18\r\nconnection: close\r\n\r\n"
    );
    let (mut late, seen) = 'tried: {
        for pause in 1..50 {
            let mut late = TcpStream::connect(&service.address).await.unwrap();
            late.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20 * pause)).await;
            let seen = service.get("/v1/tenant", &busy).send().await.unwrap();
            if seen.status() == 429 {
                break 'tried (late, seen);
            }
        }
        panic!("a call with a body that has not come has no seat");
    };
    refused(seen, "calls", "token").await;
    late.write_all(b"{\"sql\":\"SELECT 1\"}").await.unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(service.get("/v1/tenant", &busy).send().await.unwrap().status(), 200);
}

/// Figures of a page of some megabytes, which fits into no buffer on the way to a client that does
/// not read.
fn long_names() -> Vec<serde_json::Value> {
    let project = |number: u32| {
        let name = "n".repeat(60_000);
        let data = json!({ "project_id": format!("p{number}"), "name": name });
        event("projects.project_created", &format!("e{number}"), &data)
    };
    (0..250).map(project).collect()
}

#[tokio::test]
async fn an_answer_that_is_not_read_keeps_its_seat() {
    let service = bounded(&[("TIDEMARK_LIMITS_TOKEN_CALLS", "2")]).await;
    let busy = service.tenant("busy").await;
    let receipt = service.send(&busy, &long_names()).await;
    let rows = service.rows(&busy, "project_profitability", &receipt["position"]).await;
    assert_eq!(rows.as_array().unwrap().len(), 250);
    let mut unread = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(&service.address).await.unwrap();
        let head = format!(
            "GET /v1/views/project_profitability HTTP/1.1\r\nHost: x\r\n\
             Authorization: Bearer {busy}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // It has begun, and is whole in the service's memory.
        let mut begun = [0; 15];
        socket.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200 OK");
        unread.push(socket);
    }
    let answer = service.get("/v1/tenant", &busy).send().await.unwrap();
    refused(answer, "calls", "token").await;
    drop(unread);
    for _ in 0..200 {
        let answer = service.get("/v1/tenant", &busy).send().await.unwrap();
        if answer.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("clients that went away keep their seats");
}

#[tokio::test]
async fn a_body_is_charged_whatever_becomes_of_it() {
    let service = bounded(&[("TIDEMARK_LIMITS_TOKEN_BYTES_PER_S", "1000")]).await;
    service.tenant("busy").await;
    let malformed = "{".repeat(100_000);
    for (subject, path, kind) in [
        ("one", "/v1/events", "application/cloudevents+json"),
        ("two", "/v1/query", "application/json"),
    ] {
        let token = of_subject(subject, "busy", Role::Admin);
        let request = service.post(path, &token).header("content-type", kind);
        let answer = request.body(malformed.clone()).send().await.unwrap();
        problem(answer, 400, "invalid-body").await;
        let answer = service.get("/v1/tenant", &token).send().await.unwrap();
        refused(answer, "bytes", "token").await;
    }
}

#[tokio::test]
async fn events_are_charged_whether_they_are_taken_or_not() {
    let service = bounded(&[("TIDEMARK_LIMITS_TOKEN_EVENTS_PER_S", "10")]).await;
    let busy = service.tenant("busy").await;
    let bad: Vec<_> = (0..100).map(|n| event("no.type", &format!("e{n}"), &json!({}))).collect();
    let receipt = service.send(&busy, &bad).await;
    assert_eq!(receipt["accepted"], 0);
    let kind = "application/cloudevents-batch+json";
    let again = service.post("/v1/events", &busy).header("content-type", kind).body("[]");
    refused(again.send().await.unwrap(), "events", "token").await;
}

#[tokio::test]
async fn the_messages_of_a_socket_are_calls() {
    let service = bounded(&[("TIDEMARK_LIMITS_TOKEN_REQUESTS_PER_S", "5")]).await;
    service.tenant("busy").await;
    let busy = of_subject("busy", "busy", Role::Executive);
    let url = format!("ws://{}/v1/ws", service.address);
    let (mut socket, _) = connect_async(url).await.unwrap();
    let auth = json!({ "type": "auth", "token": busy });
    socket.send(Message::text(auth.to_string())).await.unwrap();
    let wanted = json!({ "type": "subscribe", "id": "a", "view": "nope" }).to_string();
    let mut code = None;
    for _ in 0..2_000 {
        // What it has said stays to be read, also where nothing can be sent any more.
        socket.feed(Message::text(wanted.clone())).await.ok();
    }
    socket.flush().await.ok();
    let mut said = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => said.push(serde_json::from_str(&text).unwrap()),
            Message::Close(frame) => code = frame.map(|frame| u16::from(frame.code)),
            _ => {}
        }
    }
    let last: serde_json::Value = said.pop().unwrap();
    assert_eq!(last["problem"]["type"], "urn:tidemark:problem:too-many-requests", "{last}");
    assert_eq!(code, Some(4008));
    let reader = of_subject("reader", "busy", Role::Admin);
    let path = "/v1/audit?actor=busy&action=subscribe&limit=1000";
    let answer = service.get(path, &reader).send().await.unwrap();
    let records: serde_json::Value = answer.json().await.unwrap();
    let count = records["records"].as_array().unwrap().len();
    assert!(count < 50, "{count} records");
}

/// Figures of a tenant beside one that calls as fast as it can and is refused; what they are is
/// printed and not judged.
#[tokio::test]
async fn a_tenant_at_its_limit_keeps_nobody_else_waiting() {
    let service = bounded(&[("TIDEMARK_LIMITS_TENANT_REQUESTS_PER_S", "50")]).await;
    let (noisy, quiet) = (service.tenant("noisy").await, service.tenant("quiet").await);
    let receipt = service.send(&quiet, &[invoice("i1", "c1", "10")]).await;
    service.rows(&quiet, "ar_aging", &receipt["position"]).await;
    let figures = |what: &'static str| {
        let (service, quiet) = (&service, &quiet);
        async move {
            let mut times = Vec::new();
            for _ in 0..60 {
                let begun = Instant::now();
                let answer = service.get("/v1/views/ar_aging", quiet).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                assert!(answer.text().await.unwrap().contains("c1"));
                times.push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            times.sort();
            let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
            println!("{what}: p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
        }
    };
    figures("alone").await;
    let mut calls = tokio::task::JoinSet::new();
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for _ in 0..8 {
        let (client, url) = (service.client.clone(), service.url("/v1/views"));
        let (noisy, is_over) = (noisy.clone(), Arc::clone(&is_over));
        calls.spawn(async move {
            let (mut taken, mut refused) = (0_u64, 0_u64);
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let answer = client.get(&url).bearer_auth(&noisy).send().await.unwrap();
                match answer.status().as_u16() {
                    200 => taken += 1,
                    429 => refused += 1,
                    other => panic!("{other}"),
                }
                answer.bytes().await.unwrap();
            }
            (taken, refused)
        });
    }
    figures("beside one at its limit").await;
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    let done = calls.join_all().await;
    let (taken, refused) = done.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("the other: {taken} calls answered, {refused} refused");
    assert!(refused > 0);
}

/// Whoever has no token holds no more than its share; who has one is not counted for its address.
#[tokio::test]
async fn an_address_has_few_connections_without_a_token() {
    let service = bounded(&[("TIDEMARK_LIMITS_CONNECTIONS_ADDRESS", "2")]).await;
    let admin = service.tenant("quiet").await;
    // Whatever the client of this test has open, a token came by it.
    let read = async |socket: &mut TcpStream| {
        let mut part = [0; 1024];
        timeout(Duration::from_secs(10), socket.read(&mut part)).await.unwrap().unwrap_or(0)
    };
    let ask = async |token: Option<&str>| {
        let mut socket = TcpStream::connect(&service.address).await.unwrap();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        let head = format!("GET /v1/tenant HTTP/1.1\r\nhost: here\r\n{token}\r\n");
        // One that is closed at once may not even take this.
        socket.write_all(head.as_bytes()).await.ok();
        let answered = read(&mut socket).await > 0;
        (socket, answered)
    };
    let mut open = Vec::new();
    for _ in 0..4 {
        let (socket, answered) = ask(Some(&admin)).await;
        assert!(answered);
        open.push(socket);
    }
    let mut strangers = [ask(None).await, ask(None).await];
    assert!(strangers.iter().all(|(_, answered)| *answered));
    assert!(!ask(None).await.1);
    assert!(!ask(Some(&admin)).await.1, "it is closed before it can say who it is");
    // One of them shows a good token: then there is a place again.
    let (socket, _) = &mut strangers[0];
    let head =
        format!("GET /v1/tenant HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {admin}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    assert!(read(socket).await > 0);
    assert!(ask(Some(&admin)).await.1);
}
