//! A viewer's end of a connection: a WebSocket or an event stream, over a pipe.

use futures::stream::SplitStream;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use stream::Close;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How a viewer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A WebSocket, which says who it is with its request or in its first message.
    Socket {
        is_known: bool,
    },
    Events,
}

/// What was heard: a message, and the `id` of its event.
pub(crate) struct Heard {
    pub(crate) message: Value,
    pub(crate) mark: Option<String>,
}

/// How a connection ended: with the code of a WebSocket, if there was one.
pub(crate) struct Ended(pub(crate) Option<u16>);

pub(crate) enum Link {
    Socket(Socket),
    Events(Events),
}

impl Link {
    /// Asks for the subscriptions over a new connection. None if nobody answers, or not now.
    pub(crate) async fn open(
        io: DuplexStream,
        kind: Kind,
        subs: &[Value],
        last_id: Option<&str>,
    ) -> Option<Self> {
        match kind {
            Kind::Socket { is_known } => {
                let socket = Socket::open(io, is_known).await?;
                subs.iter().for_each(|sub| socket.say("subscribe", sub.clone()));
                Some(Self::Socket(socket))
            }
            Kind::Events => Events::open(io, subs, last_id).await.map(Self::Events),
        }
    }

    /// The next message. May be dropped and called again at any time.
    pub(crate) async fn hear(&mut self) -> Result<Heard, Ended> {
        match self {
            Self::Socket(socket) => socket.hear().await,
            Self::Events(events) => events.hear().await.ok_or(Ended(None)),
        }
    }

    /// Sends a message, of a WebSocket.
    pub(crate) fn say(&self, kind: &str, members: Value) {
        if let Self::Socket(socket) = self {
            socket.say(kind, members);
        }
    }
}

pub(crate) struct Socket {
    said: SplitStream<WebSocketStream<DuplexStream>>,
    /// What is said by a task of its own: a server that waits to be read does not listen.
    tell: mpsc::UnboundedSender<Message>,
    telling: AbortHandle,
}

impl Socket {
    async fn open(io: DuplexStream, is_known: bool) -> Option<Self> {
        let url = if is_known { "ws://node/ws?token=1" } else { "ws://node/ws" };
        let (socket, _) = client_async(url, io).await.ok()?;
        let (mut sink, said) = socket.split();
        let (tell, mut told) = mpsc::unbounded_channel::<Message>();
        let telling = tokio::spawn(async move {
            while let Some(message) = told.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        });
        let opened = Self { said, tell, telling: telling.abort_handle() };
        if !is_known {
            opened.say("auth", json!({ "token": "1" }));
        }
        Some(opened)
    }

    fn say(&self, kind: &str, mut members: Value) {
        members["type"] = json!(kind);
        // If nobody takes it any more, the connection has ended, which is heard.
        self.tell.send(Message::text(members.to_string())).ok();
    }

    async fn hear(&mut self) -> Result<Heard, Ended> {
        loop {
            match self.said.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Ok(Heard { message: serde_json::from_str(&text).unwrap(), mark: None });
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    let known =
                        [Close::ShuttingDown, Close::Moved, Close::TooSlow].map(Close::code);
                    assert!(code.is_none_or(|code| known.contains(&code)), "closed with {code:?}");
                    return Err(Ended(code));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Ended(None)),
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

pub(crate) struct Events {
    body: DuplexStream,
    received: Vec<u8>,
}

impl Events {
    async fn open(mut io: DuplexStream, subs: &[Value], last_id: Option<&str>) -> Option<Self> {
        let encode = |byte: u8| format!("%{byte:02x}");
        let query = |sub: &Value| sub.to_string().bytes().map(encode).collect::<String>();
        let query: Vec<String> = subs.iter().map(|sub| format!("sub={}", query(sub))).collect();
        let header = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        // HTTP/1.0, so that the body is not chunked.
        let request =
            format!("GET /stream?{} HTTP/1.0\r\nHost: node\r\n{header}\r\n", query.join("&"));
        io.write_all(request.as_bytes()).await.ok()?;
        let mut opened = Self { body: io, received: Vec::new() };
        let head = loop {
            if let Some(head) = opened.cut(b"\r\n\r\n") {
                break head;
            }
            opened.read().await?;
        };
        let status = head.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "200" | "503"), "{head}");
        (status == "200").then_some(opened)
    }

    async fn hear(&mut self) -> Option<Heard> {
        loop {
            while let Some(event) = self.cut(b"\n\n") {
                let (mut mark, mut message) = (None, None);
                for line in event.lines() {
                    match line.split_once(':') {
                        Some(("id", id)) => mark = Some(id.trim().to_owned()),
                        Some(("data", data)) => message = Some(serde_json::from_str(data).unwrap()),
                        Some(("event" | "retry", _)) => {}
                        _ => panic!("no line of an event: {line}"),
                    }
                }
                if let Some(message) = message {
                    return Some(Heard { message, mark });
                }
            }
            self.read().await?;
        }
    }

    /// What was received up to `end`.
    fn cut(&mut self, end: &[u8]) -> Option<String> {
        let at = self.received.windows(end.len()).position(|bytes| bytes == end)?;
        let rest = self.received.split_off(at + end.len());
        let mut whole = std::mem::replace(&mut self.received, rest);
        whole.truncate(at);
        Some(String::from_utf8(whole).unwrap())
    }

    /// Receives something. None at the end.
    async fn read(&mut self) -> Option<()> {
        let mut piece = [0; 1024];
        match self.body.read(&mut piece).await {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                self.received.extend_from_slice(&piece[..read]);
                Some(())
            }
        }
    }
}
