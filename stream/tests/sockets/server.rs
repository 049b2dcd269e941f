//! A real server on a free port of this machine, and clients for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use projections::Tenant;
use serde_json::Value;
use stream::{Door, Hub, Problem, Subscription, Viewer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// Tokens are `<tenant>` or `<tenant>:<seconds left>`.
pub(crate) struct Tokens;

impl Tokens {
    pub(crate) fn viewer(token: &str) -> Result<Viewer, Problem> {
        let (tenant, left) = token.split_once(':').unwrap_or((token, "3600"));
        let (Ok(tenant), Ok(left)) = (tenant.parse(), left.parse()) else {
            let status = StatusCode::UNAUTHORIZED;
            return Err(Problem::new("bad-token", status, "Bad token", "The token is not valid."));
        };
        Ok(Viewer {
            tenant: Tenant(tenant),
            tenant_id: format!("tenant {tenant}"),
            expires_at: chrono::Utc::now() + chrono::TimeDelta::seconds(left),
            asking: Ok(()),
        })
    }
}

impl Door for Tokens {
    fn admit<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Viewer, Problem>> {
        async move { Self::viewer(token) }.boxed()
    }
}

type Pairs = Query<Vec<(String, String)>>;

fn value<'a>(query: &'a Pairs, name: &str) -> Option<&'a str> {
    query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

async fn events(State(hub): State<Hub>, query: Pairs, headers: HeaderMap) -> Response {
    let viewer = Tokens::viewer(value(&query, "token").unwrap_or("1")).unwrap();
    let texts = query.iter().filter(|(name, _)| name == "sub");
    let subs = texts.map(|(_, text)| Subscription::parse(text)).collect::<Result<Vec<_>, _>>();
    match subs {
        Ok(subs) => stream::sse(&hub, viewer, subs, &headers),
        Err(problem) => problem.into_response(),
    }
}

async fn socket(State(hub): State<Hub>, query: Pairs, handshake: WebSocketUpgrade) -> Response {
    let viewer = value(&query, "token").map(|token| Tokens::viewer(token).unwrap());
    stream::upgrade(hub, Arc::new(Tokens), viewer, handshake)
}

/// Serves the hub; answers its address.
pub(crate) async fn serve(hub: &Hub) -> String {
    let app = Router::new()
        .route("/stream", get(events))
        .route("/ws", get(socket))
        .with_state(hub.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// Waits until something is so, for a minute at most.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .unwrap_or_else(|_| panic!("never so: {what}"));
}

pub(crate) struct WebSocket(
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>,
);

impl WebSocket {
    pub(crate) async fn connect(address: &str, query: &str) -> Self {
        let (socket, _) =
            tokio_tungstenite::connect_async(format!("ws://{address}/ws{query}")).await.unwrap();
        Self(socket)
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(crate) async fn say_raw(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next JSON message.
    pub(crate) async fn hear(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next message, which is rows.
    pub(crate) async fn hear_rows(&mut self) -> bytes::Bytes {
        match self.next().await {
            Message::Binary(rows) => rows,
            other => panic!("no rows: {other:?}"),
        }
    }

    /// The code and the reason with which the server closes.
    pub(crate) async fn hear_close(&mut self) -> (u16, String) {
        match self.next().await {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("no close: {other:?}"),
        }
    }

    async fn next(&mut self) -> Message {
        tokio::time::timeout(Duration::from_mins(1), self.0.next())
            .await
            .expect("nothing came for a minute")
            .expect("the socket ended")
            .unwrap()
    }
}

/// One event of an event stream, as its lines say.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: Option<Value>,
}

/// A plain client: one request, then line after line.
pub(crate) struct EventStream {
    pub(crate) status: u16,
    pub(crate) headers: String,
    body: BufReader<TcpStream>,
}

impl EventStream {
    pub(crate) async fn connect(address: &str, subs: &[Value], extra: &str, header: &str) -> Self {
        let encode = |b: u8| format!("%{b:02x}");
        let subs: Vec<String> = subs
            .iter()
            .map(|s| format!("sub={}", s.to_string().bytes().map(encode).collect::<String>()))
            .collect();
        let query = subs.join("&");
        let mut socket = TcpStream::connect(address).await.unwrap();
        // HTTP/1.0, so that the body is not chunked.
        let request = format!("GET /stream?{query}{extra} HTTP/1.0\r\nHost: here\r\n{header}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut body = BufReader::new(socket);
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            assert!(body.read_line(&mut headers).await.unwrap() > 0, "no answer");
        }
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, headers: headers.to_lowercase(), body }
    }

    /// The next event; none at the end of the stream.
    pub(crate) async fn hear(&mut self) -> Option<Event> {
        let reading = async {
            let mut event = Event::default();
            loop {
                let mut line = String::new();
                if self.body.read_line(&mut line).await.unwrap() == 0 {
                    return None;
                }
                let line = line.trim_end_matches('\n');
                if line.is_empty() {
                    return Some(event);
                }
                let (name, value) = line.split_once(':').unwrap();
                let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
                match name {
                    "event" => event.kind = Some(value),
                    "id" => event.id = Some(value),
                    "retry" => event.retry = Some(value),
                    "data" => event.data = Some(serde_json::from_str(&value).unwrap()),
                    other => panic!("unknown field {other}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), reading)
            .await
            .expect("nothing came for a minute")
    }

    pub(crate) async fn rest(mut self) -> String {
        let mut rest = String::new();
        self.body.read_to_string(&mut rest).await.unwrap();
        rest
    }

    /// The next bytes, as they come; none at the end of the stream.
    pub(crate) async fn bytes(&mut self) -> Vec<u8> {
        let mut piece = vec![0; 64 << 10];
        let reading = self.body.read(&mut piece);
        let length = tokio::time::timeout(Duration::from_mins(1), reading).await;
        piece.truncate(length.expect("nothing came for a minute").unwrap());
        piece
    }
}
