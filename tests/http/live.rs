//! Live views over Server-Sent Events and WebSocket, tickets, resuming.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::service::{Service, invoice, payment, problem};

/// Longer than any message takes, heartbeats included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One message of a stream: its type and its object.
pub(crate) type Received = (String, Value);

pub(crate) struct Events {
    answer: Response,
    text: String,
    pub(crate) last_id: String,
}

impl Events {
    pub(crate) async fn open(
        service: &Service,
        token: &str,
        subs: &[Value],
        last_id: Option<&str>,
    ) -> Self {
        let subs: Vec<String> = subs.iter().map(|s| format!("sub={}", escaped(s))).collect();
        let mut request = service.get(&format!("/v1/stream?{}", subs.join("&")), token);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new(), last_id: String::new() }
    }

    async fn next(&mut self) -> Received {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let fields: BTreeMap<String, String> = block
                    .lines()
                    .filter_map(|line| line.split_once(':'))
                    .map(|(name, value)| (name.to_owned(), value.trim_start().to_owned()))
                    .collect();
                self.text = String::from(rest);
                let Some(data) = fields.get("data") else { continue };
                if let Some(id) = fields.get("id") {
                    self.last_id.clone_from(id);
                }
                return (fields["event"].clone(), serde_json::from_str(data).unwrap());
            }
            let part = timeout(PATIENCE, self.answer.chunk()).await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&part.expect("the stream goes on")).unwrap());
        }
    }

    /// Waits until the stream ends by itself, whole.
    pub(crate) async fn end(mut self) {
        while timeout(PATIENCE, self.answer.chunk()).await.unwrap().unwrap().is_some() {}
    }

    /// The next message that is no heartbeat.
    pub(crate) async fn telling(&mut self) -> Received {
        loop {
            let message = self.next().await;
            if message.0 != "heartbeat" {
                return message;
            }
        }
    }
}

/// JSON as a value of a parameter.
pub(crate) fn escaped(value: &Value) -> String {
    value.to_string().bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
}

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn connect(service: &Service, query: &str) -> Socket {
    connect_async(format!("ws://{}/v1/ws{query}", service.address)).await.unwrap().0
}

pub(crate) async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message that is no heartbeat.
pub(crate) async fn hear(socket: &mut Socket) -> Value {
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

/// The code with which the service closes, whatever it says before.
pub(crate) async fn hear_close(socket: &mut Socket) -> u16 {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        if let Message::Close(frame) = message {
            return frame.unwrap().code.into();
        }
    }
}

fn aging() -> Value {
    json!({ "id": "a", "view": "ar_aging" })
}

#[tokio::test]
async fn a_payment_reaches_an_event_stream_and_a_resumed_one() {
    let service = Service::start().await;
    let admin = service.tenant("live").await;
    let sent = service.send(&admin, &[invoice("i1", "c1", "100")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;

    let mut events = Events::open(&service, &admin, &[aging()], None).await;
    let (kind, snapshot) = events.telling().await;
    assert_eq!(kind, "snapshot");
    assert_eq!(snapshot["id"], "a");
    assert_eq!(snapshot["last"], true);
    assert_eq!(snapshot["key"], json!(["customer_id", "currency"]));
    assert_eq!(snapshot["rows"][0][7], "100.0000");
    assert_eq!(snapshot["position"], sent["position"]);

    let paid = service.send(&admin, &[payment("p1", "i1", "30")]).await;
    let (kind, delta) = events.telling().await;
    assert_eq!(kind, "delta");
    assert_eq!(delta["position"], paid["position"]);
    let mut totals: Vec<(i64, &str)> = delta["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change[0].as_i64().unwrap(), change[1][7].as_str().unwrap()))
        .collect();
    totals.sort_unstable();
    assert_eq!(totals, [(-1, "100.0000"), (1, "70.0000")]);
    let held = events.last_id.clone();
    assert_eq!(held, paid["position"].as_str().unwrap());
    drop(events);

    let more = service.send(&admin, &[payment("p2", "i1", "20")]).await;
    let mut resumed = Events::open(&service, &admin, &[aging()], Some(&held)).await;
    let (kind, first) = resumed.telling().await;
    assert_eq!((kind.as_str(), &first["position"]), ("resumed", &json!(held)));
    let (kind, delta) = resumed.telling().await;
    assert_eq!((kind.as_str(), &delta["position"]), ("delta", &more["position"]));
}

#[tokio::test]
async fn a_payment_reaches_a_web_socket() {
    let service = Service::start().await;
    let (admin, other) = (service.tenant("live").await, service.tenant("other").await);
    let sent = service.send(&admin, &[invoice("i1", "c1", "100")]).await;
    service.rows(&admin, "ar_aging", &sent["position"]).await;

    let mut socket = connect(&service, "").await;
    say(&mut socket, json!({ "type": "auth", "token": admin })).await;
    say(
        &mut socket,
        json!({ "type": "subscribe", "id": "b", "view": "ar_aging",
        "where": { "customer_id": "c1" } }),
    )
    .await;
    let mut heard = hear(&mut socket).await;
    while heard["type"] != "snapshot" {
        heard = hear(&mut socket).await;
    }
    assert_eq!((heard["id"].as_str(), heard["rows"][0][7].as_str()), (Some("b"), Some("100.0000")));

    // What happens to another tenant, or another customer, is not heard.
    service.send(&other, &[invoice("i1", "c1", "7")]).await;
    service.send(&admin, &[invoice("i2", "c2", "7")]).await;
    let paid = service.send(&admin, &[payment("p1", "i1", "30")]).await;
    let delta = hear(&mut socket).await;
    assert_eq!(delta["type"], "delta");
    assert_eq!(delta["position"], paid["position"]);
    assert_eq!(delta["changes"].as_array().unwrap().len(), 2);

    say(&mut socket, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut socket).await["type"], "pong");
    say(&mut socket, json!({ "type": "subscribe", "id": "c", "view": "nothing" })).await;
    let error = hear(&mut socket).await;
    assert_eq!((error["type"].as_str(), error["id"].as_str()), (Some("error"), Some("c")));
}

#[tokio::test]
async fn a_ticket_opens_once() {
    let service = Service::start().await;
    let admin = service.tenant("tickets").await;
    let ticket = async || {
        let answer = service.post("/v1/tickets", &admin).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["expires_at"].is_string(), "{answer}");
        answer["ticket"].as_str().unwrap().to_owned()
    };
    let stream = |ticket: &str| {
        let path = format!("/v1/stream?sub={}&ticket={ticket}", escaped(&aging()));
        service.client.get(service.url(&path)).send()
    };
    let first = ticket().await;
    assert_eq!(stream(&first).await.unwrap().status(), 200);
    problem(stream(&first).await.unwrap(), 401, "invalid-ticket").await;
    problem(stream("guessed").await.unwrap(), 401, "invalid-ticket").await;

    let second = ticket().await;
    let mut socket = connect(&service, &format!("?ticket={second}")).await;
    say(&mut socket, json!({ "type": "subscribe", "id": "a", "view": "ar_aging" })).await;
    assert_eq!(hear(&mut socket).await["type"], "snapshot");
    let again = connect_async(format!("ws://{}/v1/ws?ticket={second}", service.address)).await;
    assert!(again.is_err());
    // A ticket is for these two calls alone.
    let third = ticket().await;
    let read = service.client.get(service.url(&format!("/v1/views?ticket={third}")));
    problem(read.send().await.unwrap(), 401, "unauthorized").await;
}

#[tokio::test]
async fn subscriptions_that_cannot_be_are_refused() {
    let service = Service::start().await;
    let admin = service.tenant("subs").await;
    for sub in [json!("nonsense"), json!({}), json!({ "id": "a" })] {
        let path = format!("/v1/stream?sub={}", escaped(&sub));
        let answer = service.get(&path, &admin).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{sub}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let plain = service.get("/v1/ws", &admin).send().await.unwrap();
    assert!(plain.status().is_client_error());
    assert_eq!(plain.headers()["content-type"], "application/problem+json");
    let mut socket = connect(&service, "").await;
    say(&mut socket, json!({ "type": "auth", "token": "nonsense" })).await;
    assert_eq!(hear(&mut socket).await["type"], "error");
}
