//! WebSockets that are served elsewhere, over real sockets; the other service is at hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures::channel::{mpsc, oneshot};
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::json;
use stream::{Close, Door, Far, Hub, Problem, StreamLimits, Viewer};
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Tokens, WebSocket, until};
use crate::support::World;

/// The other service's side of a socket.
struct Service {
    says: mpsc::Sender<Result<Frame, axum::Error>>,
    hears: mpsc::Receiver<Frame>,
    moves: oneshot::Sender<()>,
}

fn pair() -> (Far, Service) {
    let (says, said) = mpsc::channel(0);
    let (told, hears) = mpsc::channel(0);
    let (moves, moved) = oneshot::channel();
    let far = Far {
        said: said.boxed(),
        told: Box::pin(told.sink_map_err(axum::Error::new)),
        moved: moved.map(drop).boxed(),
    };
    (far, Service { says, hears, moves })
}

/// Everybody is served elsewhere; each finds the next of these.
struct Elsewhere(Mutex<Vec<Far>>);

impl Door for Elsewhere {
    fn admit<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Viewer, Problem>> {
        Box::pin(async move { Tokens::viewer(token) })
    }

    fn elsewhere<'a>(
        &'a self,
        _: &'a Viewer,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Far>, Problem>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().pop()) })
    }

    fn serves(&self, _: &Viewer) -> bool {
        false
    }
}

/// A server; who comes by `/ws` says who it is first, who comes by `/known` is known.
async fn serve(hub: &Hub, fars: Vec<Far>) -> String {
    type Parts = (Hub, Arc<Elsewhere>);
    async fn late(State((hub, door)): State<Parts>, handshake: WebSocketUpgrade) -> Response {
        stream::upgrade(hub, door, None, handshake)
    }
    async fn known(State((hub, door)): State<Parts>, handshake: WebSocketUpgrade) -> Response {
        let far = door.0.lock().unwrap().pop().unwrap();
        stream::upgrade_relayed(&hub, handshake, far)
    }
    let door = Arc::new(Elsewhere(Mutex::new(fars)));
    let app = Router::new()
        .route("/ws", get(late))
        .route("/known/ws", get(known))
        .with_state((hub.clone(), door));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn text(text: &str) -> Frame {
    Frame::Text(text.into())
}

/// A client, known or not yet, with the other side of its socket.
async fn connected(hub: &Hub, is_known: bool) -> (WebSocket, Service) {
    let (far, mut service) = pair();
    let address = serve(hub, vec![far]).await;
    let mut socket = if is_known {
        WebSocket::connect(&format!("{address}/known"), "").await
    } else {
        WebSocket::connect(&address, "").await
    };
    if !is_known {
        socket.say(&json!({"type": "auth", "token": "1"})).await;
    }
    socket.say(&json!({"type": "hello"})).await;
    assert_eq!(service.hears.next().await, Some(text("{\"type\":\"hello\"}")));
    (socket, service)
}

fn hub(limits: StreamLimits) -> Hub {
    Hub::new(World::shared(), limits)
}

#[tokio::test]
async fn messages_and_closes_go_both_ways() {
    let hub = hub(StreamLimits::default());
    for is_known in [true, false] {
        let (mut socket, mut service) = connected(&hub, is_known).await;
        service.says.send(Ok(text("{\"type\":\"told\"}"))).await.unwrap();
        assert_eq!(socket.hear().await, json!({"type": "told"}));
        socket.say_raw(Message::binary(vec![7])).await;
        assert_eq!(service.hears.next().await, Some(Frame::Binary(vec![7].into())));
        // Pings are answered on each way by itself.
        service.says.send(Ok(Frame::Ping(vec![1].into()))).await.unwrap();
        let frame = CloseFrame { code: 4321, reason: "as it says".into() };
        service.says.send(Ok(Frame::Close(Some(frame)))).await.unwrap();
        assert_eq!(socket.hear_close().await, (4321, "as it says".to_owned()));

        let (mut socket, mut service) = connected(&hub, is_known).await;
        socket.say_raw(Message::Close(None)).await;
        assert_eq!(service.hears.next().await, Some(Frame::Close(None)));
        assert_eq!(service.hears.next().await, None);
    }
    until("all are gone", || hub.connections() == 0).await;
}

#[tokio::test]
async fn whatever_ends_it_the_client_knows_whether_to_come_again() {
    let limits = StreamLimits { message_bytes: 1_000, ..StreamLimits::default() };
    let hub = hub(limits);
    let (mut gone, service) = connected(&hub, true).await;
    drop(service);
    assert_eq!(gone.hear_close().await.0, Close::Moved.code());
    let (mut broken, mut service) = connected(&hub, false).await;
    service.says.send(Err(axum::Error::new("broken"))).await.unwrap();
    assert_eq!(broken.hear_close().await.0, Close::Moved.code());
    let (mut moved, service) = connected(&hub, true).await;
    service.moves.send(()).unwrap();
    assert_eq!(moved.hear_close().await.0, Close::Moved.code());
    let (mut long, _service) = connected(&hub, true).await;
    long.say_raw(Message::text("x".repeat(1_001))).await;
    assert_eq!(long.hear_close().await.0, Close::BadMessage.code());
    let (mut here, mut service) = connected(&hub, true).await;
    hub.close();
    assert_eq!(here.hear_close().await.0, Close::ShuttingDown.code());
    assert_eq!(service.hears.next().await, None);
    hub.closed().await;
}

/// Whoever is served neither here nor elsewhere, as its tenant has just left, comes again.
#[tokio::test]
async fn who_came_while_its_tenant_left_comes_again() {
    let hub = hub(StreamLimits::default());
    let address = serve(&hub, Vec::new()).await;
    let mut socket = WebSocket::connect(&address, "").await;
    socket.say(&json!({"type": "auth", "token": "1"})).await;
    assert_eq!(socket.hear_close().await.0, Close::Moved.code());
    until("it is gone", || hub.connections() == 0).await;
}

/// A client that does not read keeps the other service from being read, and is given up.
#[tokio::test]
async fn a_client_that_does_not_read_holds_nothing_up_for_long() {
    let hub = hub(StreamLimits { stall_s: 2, ..StreamLimits::default() });
    let (mut far, service) = pair();
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let long = "x".repeat(1 << 20);
    let endless = futures::stream::repeat_with(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(text(&long))
    });
    far.said = endless.boxed();
    let address = serve(&hub, vec![far]).await;
    let socket = WebSocket::connect(&format!("{address}/known"), "").await;
    until("it is given up", || hub.connections() == 0 && read.load(Ordering::SeqCst) > 0).await;
    // What the system's buffers take, and no more.
    assert!(read.load(Ordering::SeqCst) < 64, "{read:?} messages were read");
    drop((socket, service));
}

#[tokio::test]
async fn relayed_connections_count() {
    let hub = hub(StreamLimits { connections: 1, ..StreamLimits::default() });
    let ((first, _one), (second, _two)) = (pair(), pair());
    let address = serve(&hub, vec![second, first]).await;
    let socket = WebSocket::connect(&format!("{address}/known"), "").await;
    until("it is there", || hub.connections() == 1).await;
    let request = format!("ws://{address}/known/ws");
    let refused = tokio_tungstenite::connect_async(request).await.unwrap_err();
    assert!(refused.to_string().contains("429"), "{refused}");
    drop(socket);
    let gone = async { hub.closed().await };
    tokio::time::timeout(Duration::from_mins(1), gone).await.unwrap();
}
