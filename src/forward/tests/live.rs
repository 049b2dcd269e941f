//! Event streams and WebSockets by way of another node.

use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

use super::nodes::{Front, OnePlace, Owner, PATIENCE, at, invoice, pair, problem, token};
use crate::forward::Served;

const AGING: &str = "sub=%7B%22id%22%3A%22a%22%2C%22view%22%3A%22ar_aging%22%7D";

/// Reads until the text has come; answers whatever came with it.
async fn until(answer: &mut Response, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let part = timeout(PATIENCE, answer.chunk()).await.expect("something comes").unwrap();
        read.push_str(std::str::from_utf8(&part.expect("the stream goes on")).unwrap());
    }
    read
}

/// An event arrives although nothing follows it.
#[tokio::test(flavor = "multi_thread")]
async fn events_pass_one_by_one() {
    let (owner, front, admin) = pair().await;
    let mut stream = front.get(&format!("/v1/stream?{AGING}"), &admin).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let snapshot = until(&mut stream, "event: snapshot").await;
    assert!(snapshot.contains("retry:"), "{snapshot}");
    for amount in ["100", "200"] {
        front.send(&admin, &[invoice(amount, amount)]).await;
        until(&mut stream, "event: delta").await;
    }
    // Both hold their end: the stream ends when the owner says so.
    let stopping = tokio::spawn(owner.stop());
    while let Ok(Some(_)) = timeout(PATIENCE, stream.chunk()).await.unwrap() {}
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_ends_when_another_node_serves_the_tenant() {
    let owner = Owner::start().await;
    let place = OnePlace::at(owner.address);
    let front = Front::start(&owner, place.clone()).await;
    let admin = owner.tenant("acme").await;
    let mut stream = front.get(&format!("/v1/stream?{AGING}"), &admin).send().await.unwrap();
    until(&mut stream, "event: snapshot").await;
    place.set(Served::Nowhere);
    until(&mut stream, "event: heartbeat").await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    place.set(at(elsewhere.local_addr().unwrap()));
    while timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap().is_some() {}
    owner.stop().await;
}

/// A node that stops does not wait for the streams that it passes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_ends_when_the_node_that_passes_it_on_stops() {
    let (owner, front, admin) = pair().await;
    let mut stream = front.get(&format!("/v1/stream?{AGING}"), &admin).send().await.unwrap();
    until(&mut stream, "event: snapshot").await;
    front.close();
    while timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap().is_some() {}
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_redeemed_where_it_was_issued() {
    let (owner, front, admin) = pair().await;
    let answer = front.post("/v1/tickets", &admin).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let ticket: Value = answer.json().await.unwrap();
    let ticket = ticket["ticket"].as_str().unwrap();
    assert!(ticket.starts_with("0-"), "{ticket}");
    let url = format!("http://{}/v1/stream?{AGING}&ticket={ticket}", front.address);
    let mut stream = reqwest::get(&url).await.unwrap();
    until(&mut stream, "event: snapshot").await;
    problem(reqwest::get(&url).await.unwrap(), 401, "invalid-ticket").await;
    let made_up = url.replace(ticket, "guessed");
    problem(reqwest::get(&made_up).await.unwrap(), 401, "invalid-ticket").await;
    drop(stream);
    owner.stop().await;
}

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) async fn connect(address: SocketAddr, query: &str, token: Option<&str>) -> Socket {
    let mut request = format!("ws://{address}/v1/ws{query}").into_client_request().unwrap();
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
    }
    connect_async(request).await.unwrap().0
}

pub(super) async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message that is no heartbeat.
pub(super) async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        if let Message::Text(text) = message {
            let value: Value = serde_json::from_str(&text).unwrap();
            if value["type"] != "heartbeat" {
                return value;
            }
        }
    }
}

pub(super) async fn hear_close(socket: &mut Socket) -> u16 {
    loop {
        match timeout(PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("no close: {other:?}"),
        }
    }
}

fn subscribe() -> Value {
    json!({"type": "subscribe", "id": "a", "view": "ar_aging"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_passes_both_ways_however_its_caller_is_known() {
    let (owner, front, admin) = pair().await;
    front.open().await;
    let answer: Value =
        front.post("/v1/tickets", &admin).send().await.unwrap().json().await.unwrap();
    let ticket = format!("?ticket={}", answer["ticket"].as_str().unwrap());
    let mut late = connect(front.address, "", None).await;
    say(&mut late, json!({"type": "auth", "token": admin})).await;
    let mut sockets = [
        connect(front.address, "", Some(&admin)).await,
        connect(front.address, &ticket, None).await,
        late,
    ];
    for socket in &mut sockets {
        say(socket, subscribe()).await;
        assert_eq!(hear(socket).await["type"], "snapshot");
        say(socket, json!({"type": "ping"})).await;
        assert_eq!(hear(socket).await["type"], "pong");
        // A frame that is large for a client, and one that the protocol answers itself.
        let long = "x".repeat(60_000);
        say(socket, json!({"type": "unsubscribe", "id": long})).await;
        assert_eq!(hear(socket).await["type"], "error");
        socket.send(Message::Ping(b"there?".as_slice().into())).await.unwrap();
    }
    front.send(&admin, &[invoice("i", "100")]).await;
    for socket in &mut sockets {
        let delta = hear(socket).await;
        assert_eq!((&delta["type"], &delta["id"]), (&json!("delta"), &json!("a")));
        // A new token of the same tenant goes to the owner too.
        say(socket, json!({"type": "auth", "token": admin})).await;
        say(socket, json!({"type": "ping"})).await;
        assert_eq!(hear(socket).await["type"], "pong");
    }
    let [mut first, mut second, mut third] = sockets;
    say(&mut first, json!({"type": "auth", "token": "nonsense"})).await;
    assert_eq!(hear_close(&mut first).await, 4002);
    second.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(hear_close(&mut second).await, 4006);
    // One that closes itself is answered.
    third.close(None).await.unwrap();
    while let Some(Ok(_)) = timeout(PATIENCE, third.next()).await.unwrap() {}
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_ends_a_websocket_with_its_own_code() {
    let (owner, front, admin) = pair().await;
    let mut socket = connect(front.address, "", Some(&admin)).await;
    say(&mut socket, subscribe()).await;
    assert_eq!(hear(&mut socket).await["type"], "snapshot");
    let stopping = tokio::spawn(owner.stop());
    assert_eq!(hear_close(&mut socket).await, 4000);
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_the_owner_refuses_hears_why() {
    let (owner, front, admin) = pair().await;
    front.open().await;
    let service = token(Some("acme"), tenancy::Role::Service);
    let mut socket = connect(front.address, "", None).await;
    say(&mut socket, json!({"type": "auth", "token": service})).await;
    assert_eq!(hear(&mut socket).await["problem"]["status"], 403);
    assert_eq!(hear_close(&mut socket).await, 4002);
    // Refused by the owner alone: its address is right, and it serves nobody.
    let loops = OnePlace::new(Served::Nowhere);
    let behind = Front::start(&owner, loops.clone()).await;
    loops.set(at(behind.address));
    let front = Front::start(&owner, OnePlace::at(behind.address)).await;
    front.open().await;
    let mut socket = connect(front.address, "", None).await;
    say(&mut socket, json!({"type": "auth", "token": admin})).await;
    let told = hear(&mut socket).await;
    assert_eq!(told["problem"]["type"], "urn:tidemark:problem:not-served", "{told}");
    assert_eq!(hear_close(&mut socket).await, 4007);
    owner.stop().await;
}

/// A node that accepts a WebSocket and goes away without a word.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_owner_goes_away_the_client_is_told_to_come_again() {
    let owner = Owner::start().await;
    let admin = owner.tenant("acme").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = OnePlace::at(listener.local_addr().unwrap());
    let front = Front::start(&owner, place.clone()).await;
    let gone = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut far = accept_async(stream).await.unwrap();
        assert_eq!(far.next().await.unwrap().unwrap(), Message::text("hello"));
        far.send(Message::text("{\"type\":\"told\"}")).await.unwrap();
        far
    };
    let here = async {
        let mut socket = connect(front.address, "", Some(&admin)).await;
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(hear(&mut socket).await["type"], "told");
        socket
    };
    let (far, mut socket) = tokio::join!(gone, here);
    drop(far);
    assert_eq!(hear_close(&mut socket).await, 4007);

    // One that only hangs is left when another node serves the tenant.
    let gone = async { accept_async(listener.accept().await.unwrap().0).await.unwrap() };
    let (far, mut socket) = tokio::join!(gone, connect(front.address, "", Some(&admin)));
    place.set(at(owner.address));
    assert_eq!(hear_close(&mut socket).await, 4007);
    drop(far);
    owner.stop().await;
}

/// Who calls is in the audit of the node that answers, whatever the call says of itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_caller_is_recorded_however_its_call_comes() {
    let (owner, front, admin) = pair().await;
    front.open().await;
    let long = "a".repeat(200);
    for (name, value) in [("connection", "x-forwarded-for"), ("x-forwarded-for", &long)] {
        let call = front.get("/v1/views/ar_aging", &admin).header(name, value);
        assert_eq!(call.send().await.unwrap().status(), 200);
    }
    let mut socket = connect(front.address, "", None).await;
    say(&mut socket, json!({"type": "auth", "token": admin})).await;
    say(&mut socket, subscribe()).await;
    assert_eq!(hear(&mut socket).await["type"], "snapshot");

    // But for the token's own record, which the first call brings.
    let is_one = |record: &&Value| {
        let is_read = record["object"] == "GET /v1/views/ar_aging" && record["action"] == "read";
        is_read || record["detail"]["subscriptions"].is_array()
    };
    let recorded = async {
        loop {
            let answer = owner.get("/v1/audit?limit=100", &admin).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            let records: Vec<Value> =
                answer["records"].as_array().unwrap().iter().filter(is_one).cloned().collect();
            if records.len() == 3 {
                return records;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    for record in timeout(PATIENCE, recorded).await.unwrap() {
        let path = record["detail"]["forwarded_for"].as_str().unwrap_or_default();
        assert!(path.ends_with("127.0.0.1"), "{record}");
    }
    owner.stop().await;
}
