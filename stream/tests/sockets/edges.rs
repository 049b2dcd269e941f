//! Both edges over real sockets.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::ipc::reader::StreamReader;
use flate2::write::GzDecoder;
use projections::{Position, Tenant, TenantSnapshot};
use serde_json::{Value, json};
use stream::{Close, Hub, Snapshots, StreamLimits};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::server::{EventStream, WebSocket, serve, until};
use crate::support::{Shared, World};

const TENANT: Tenant = Tenant(1);

async fn start(limits: StreamLimits) -> (Shared, Hub, String) {
    let world = World::shared();
    let hub = Hub::new(world.clone(), limits);
    let address = serve(&hub).await;
    (world, hub, address)
}

fn put(world: &Shared, hub: &Hub, item: &str, amount: i128) -> Position {
    let delta = world.0.apply(TENANT, 1, &[(0, item, Some((None, amount)))]);
    hub.publish(std::slice::from_ref(&delta));
    delta.snapshot.position()
}

fn items() -> Value {
    json!({"type": "subscribe", "id": "x", "view": "items"})
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let (_, hub, address) = start(StreamLimits::default()).await;
    for query in ["?token=1", ""] {
        let mut socket = WebSocket::connect(&address, query).await;
        let frame = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
        socket.say_raw(Message::Close(Some(frame))).await;
        assert_eq!(socket.hear_close().await, (1000, "done".to_owned()));
    }
    until("all are gone", || hub.connections() == 0).await;
}

#[tokio::test]
async fn a_websocket_from_auth_to_the_end() {
    let (world, hub, address) = start(StreamLimits::default()).await;
    let mut socket = WebSocket::connect(&address, "").await;
    socket.say(&json!({"type": "auth", "token": "1"})).await;
    socket.say(&items()).await;
    let told = socket.hear().await;
    assert_eq!((&told["type"], &told["rows"]), (&json!("snapshot"), &json!([])));
    let position = put(&world, &hub, "a", 10_000);
    assert_eq!(
        socket.hear().await,
        json!({
            "type": "delta", "id": "x", "position": position.to_string(),
            "changes": [[1, ["a", null, "1.0000"]]],
        })
    );
    socket.say(&json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong"}));
    socket.say_raw(Message::text("{\"type\":")).await;
    let told = socket.hear().await;
    assert_eq!(told["problem"]["type"], "urn:tidemark:problem:invalid-message");
    assert_eq!(told["problem"]["status"], 400);
    socket.say(&json!({"type": "unsubscribe", "id": "x"})).await;
    socket.say(&json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong"}));
    put(&world, &hub, "a", 20_000);
    let resumed = json!({
        "type": "subscribe", "id": "x", "view": "items", "resume": position.to_string(),
    });
    socket.say(&resumed).await;
    assert_eq!(socket.hear().await["type"], "resumed");
    assert_eq!(socket.hear().await["type"], "delta");
    hub.close();
    assert_eq!(socket.hear_close().await.0, Close::ShuttingDown.code());
    hub.closed().await;
}

#[tokio::test]
async fn a_websocket_must_show_a_token_of_one_tenant() {
    let limits = StreamLimits { auth_s: 1, ..StreamLimits::default() };
    let (_, hub, address) = start(limits).await;
    let mut silent = WebSocket::connect(&address, "").await;
    assert_eq!(silent.hear().await["problem"]["status"], 401);
    assert_eq!(silent.hear_close().await.0, Close::Unauthenticated.code());

    let mut hasty = WebSocket::connect(&address, "").await;
    hasty.say(&items()).await;
    assert_eq!(hasty.hear().await["type"], "error");
    assert_eq!(hasty.hear_close().await.0, Close::Unauthenticated.code());

    let mut refused = WebSocket::connect(&address, "").await;
    refused.say(&json!({"type": "auth", "token": "?"})).await;
    assert_eq!(refused.hear().await["problem"]["type"], "urn:tidemark:problem:bad-token");
    assert_eq!(refused.hear_close().await.0, Close::TokenRefused.code());

    let mut turncoat = WebSocket::connect(&address, "?token=1").await;
    turncoat.say(&json!({"type": "auth", "token": "2"})).await;
    assert_eq!(turncoat.hear().await["problem"]["status"], 403);
    assert_eq!(turncoat.hear_close().await.0, Close::TokenRefused.code());
    drop((silent, hasty, refused, turncoat));
    until("all are gone", || hub.connections() == 0).await;
}

#[tokio::test]
async fn a_token_ends_its_stream_unless_it_is_renewed() {
    let (_, hub, address) = start(StreamLimits::default()).await;
    let mut socket = WebSocket::connect(&address, "?token=1:1").await;
    socket.say(&items()).await;
    assert_eq!(socket.hear().await["type"], "snapshot");
    let told = socket.hear().await;
    assert_eq!(told["problem"]["type"], "urn:tidemark:problem:token-expired");
    assert_eq!(socket.hear_close().await.0, Close::TokenExpired.code());

    let mut renewed = WebSocket::connect(&address, "?token=1:2").await;
    renewed.say(&json!({"type": "auth", "token": "1:3600"})).await;
    renewed.say(&items()).await;
    assert_eq!(renewed.hear().await["type"], "snapshot");
    // The old token's stream, begun later, ends; the renewed one is still there.
    let mut stream = EventStream::connect(&address, &[items()], "&token=1:2", "").await;
    let mut last = None;
    while let Some(event) = stream.hear().await {
        last = Some(event);
    }
    assert_eq!(last.unwrap().kind.as_deref(), Some("error"));
    renewed.say(&json!({"type": "ping"})).await;
    assert_eq!(renewed.hear().await["type"], "pong");
    drop((socket, renewed));
    until("all are gone", || hub.connections() == 0).await;
}

#[tokio::test]
async fn what_is_no_message_closes_the_websocket() {
    let limits = StreamLimits { message_bytes: 1_000, ..StreamLimits::default() };
    let (_, _, address) = start(limits).await;
    let too_long = "x".repeat(1_001);
    for message in [Message::text(too_long), Message::binary(vec![1])] {
        let mut socket = WebSocket::connect(&address, "?token=1").await;
        socket.say_raw(message).await;
        assert_eq!(socket.hear_close().await.0, Close::BadMessage.code());
    }
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    let limits = StreamLimits { tenant_connections: 1, ..StreamLimits::default() };
    let (_, _, address) = start(limits).await;
    let mut first = WebSocket::connect(&address, "?token=1").await;
    first.say(&json!({"type": "ping"})).await;
    assert_eq!(first.hear().await["type"], "pong");
    let mut second = WebSocket::connect(&address, "?token=1").await;
    assert_eq!(second.hear().await["problem"]["status"], 429);
    assert_eq!(second.hear_close().await.0, Close::TooManyConnections.code());
    let refused = EventStream::connect(&address, &[items()], "", "").await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains("application/problem+json"));
    let other = EventStream::connect(&address, &[items()], "&token=2", "").await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn an_event_stream_and_its_resume() {
    let (world, hub, address) = start(StreamLimits::default()).await;
    let first = put(&world, &hub, "a", 1);
    let subs = [
        json!({"id": "x", "view": "items"}),
        json!({"id": "n", "view": "nothing"}),
        json!({"id": "y", "view": "others", "resume": "void"}),
    ];
    let mut stream = EventStream::connect(&address, &subs, "", "").await;
    assert_eq!(stream.status, 200);
    assert!(stream.headers.contains("content-type: text/event-stream\r\n"));
    assert!(stream.headers.contains("cache-control: no-store\r\n"));
    assert!(stream.hear().await.unwrap().retry.is_some());
    let error = stream.hear().await.unwrap();
    assert_eq!((error.kind.as_deref(), error.id.as_deref()), (Some("error"), Some("")));
    assert_eq!(error.data.unwrap()["id"], "n");
    let reset = stream.hear().await.unwrap();
    assert_eq!((reset.kind.as_deref(), reset.id.as_deref()), (Some("reset"), Some("")));
    for _ in 0..2 {
        let snapshot = stream.hear().await.unwrap();
        assert_eq!((snapshot.kind.as_deref(), snapshot.id), (Some("snapshot"), None));
    }
    drop(stream);

    // Only where all that is asked for is followed is there something to resume from.
    let mut stream =
        EventStream::connect(&address, &[subs[0].clone(), subs[2].clone()], "", "").await;
    stream.hear().await.unwrap();
    let reset = stream.hear().await.unwrap();
    assert_eq!((reset.kind.as_deref(), reset.id.as_deref()), (Some("reset"), Some("")));
    let snapshot = stream.hear().await.unwrap();
    assert_eq!((snapshot.kind.as_deref(), snapshot.id), (Some("snapshot"), None));
    let snapshot = stream.hear().await.unwrap();
    assert_eq!(snapshot.id, Some(first.to_string()));
    let second = put(&world, &hub, "a", 2);
    let delta = stream.hear().await.unwrap();
    assert_eq!(delta.kind.as_deref(), Some("delta"));
    assert_eq!(delta.id, Some(second.to_string()));
    assert_eq!(delta.data.unwrap()["position"], second.to_string());
    drop(stream);
    until("it is noticed", || hub.connections() == 0).await;

    put(&world, &hub, "a", 3);
    let header = format!("Last-Event-ID: {second}\r\n");
    let mut stream = EventStream::connect(&address, &[subs[0].clone()], "", &header).await;
    stream.hear().await.unwrap();
    assert_eq!(stream.hear().await.unwrap().kind.as_deref(), Some("resumed"));
    assert_eq!(stream.hear().await.unwrap().kind.as_deref(), Some("delta"));
    hub.close();
    assert_eq!(stream.hear().await, None);
    hub.closed().await;
    let refused = EventStream::connect(&address, &subs, "", "").await;
    assert_eq!(refused.status, 503);
}

#[tokio::test]
async fn an_event_stream_that_cannot_begin_is_a_problem() {
    let limits = StreamLimits { subscriptions: 2, ..StreamLimits::default() };
    let (_, hub, address) = start(limits).await;
    let named = |id: &str| json!({"id": id, "view": "items"});
    for (subs, said) in [
        (vec![], "There is nothing to watch"),
        (vec![json!({"id": "x"})], "names nothing to watch"),
        (vec![named("x"), named("x")], "Two subscriptions have the id 'x'"),
        (vec![named("x"), named("y"), named("z")], "A stream can have 2 subscriptions"),
    ] {
        let answer = EventStream::connect(&address, &subs, "", "").await;
        assert_eq!(answer.status, 400);
        assert!(answer.headers.contains("application/problem+json"));
        let body = answer.rest().await;
        assert!(body.contains(said), "{body}");
    }
    assert_eq!(hub.connections(), 0);
}

/// Publishes large changes until the server has given the client up.
async fn flood(world: &Shared, hub: &Hub) {
    let mut round = 0;
    until("the client is given up", || {
        round += 1;
        put(world, hub, &"x".repeat(100_000), round);
        hub.connections() == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let limits = StreamLimits { stall_s: 1, ..StreamLimits::default() };
    let (world, hub, address) = start(limits).await;
    let mut socket = WebSocket::connect(&address, "?token=1").await;
    socket.say(&items()).await;
    assert_eq!(socket.hear().await["type"], "snapshot");
    flood(&world, &hub).await;
    drop(socket);
    let mut stream = EventStream::connect(&address, &[items()], "", "").await;
    stream.hear().await.unwrap();
    flood(&world, &hub).await;
}

/// Whoever does not read is not waited for when its token ends.
#[tokio::test]
async fn a_token_ends_the_stream_of_a_client_that_does_not_read_too() {
    let limits = StreamLimits { stall_s: 3_600, ..StreamLimits::default() };
    let (world, hub, address) = start(limits).await;
    let mut socket = WebSocket::connect(&address, "?token=1:3").await;
    socket.say(&items()).await;
    assert_eq!(socket.hear().await["type"], "snapshot");
    flood(&world, &hub).await;
    drop(socket);
    let mut stream = EventStream::connect(&address, &[items()], "&token=1:3", "").await;
    stream.hear().await.unwrap();
    flood(&world, &hub).await;
}

#[tokio::test]
async fn rows_as_arrow_follow_their_message_on_a_websocket_alone() {
    let (world, hub, address) = start(StreamLimits::default()).await;
    put(&world, &hub, "a", 10_000);
    let mut wanted = items();
    wanted["format"] = json!("arrow");
    let mut socket = WebSocket::connect(&address, "?token=1").await;
    socket.say(&wanted).await;
    let count = |rows: &[u8]| -> usize {
        let reader = StreamReader::try_new(rows, None).unwrap();
        reader.map(|batch| batch.unwrap().num_rows()).sum()
    };
    let told = socket.hear().await;
    assert_eq!((&told["type"], &told["format"]), (&json!("snapshot"), &json!("arrow")));
    let rows = socket.hear_rows().await;
    assert_eq!((&told["bytes"], count(&rows)), (&json!(rows.len()), 1));
    let position = put(&world, &hub, "a", 20_000);
    let told = socket.hear().await;
    let rows = socket.hear_rows().await;
    assert_eq!(
        told,
        json!({
            "type": "delta", "id": "x", "position": position.to_string(), "format": "arrow",
            "bytes": rows.len(),
        })
    );
    assert_eq!(count(&rows), 2);

    let plain = json!({"id": "y", "view": "items"});
    let mut stream = EventStream::connect(&address, &[wanted, plain], "", "").await;
    stream.hear().await.unwrap();
    let error = stream.hear().await.unwrap();
    assert_eq!(error.kind.as_deref(), Some("error"));
    let error = error.data.unwrap();
    assert_eq!(error["id"], "x");
    assert_eq!(error["problem"]["type"], "urn:tidemark:problem:invalid-subscription");
    assert_eq!(stream.hear().await.unwrap().kind.as_deref(), Some("snapshot"));
}

#[tokio::test]
async fn an_event_stream_is_packed_for_who_takes_gzip() {
    let (world, hub, address) = start(StreamLimits::default()).await;
    for n in 0..200 {
        put(&world, &hub, &format!("an item with a long name, number {n}"), n);
    }
    let header = "Accept-Encoding: gzip, br\r\n";
    let mut stream = EventStream::connect(&address, &[items()], "", header).await;
    assert!(stream.headers.contains("content-encoding: gzip\r\n"));
    let mut decoder = GzDecoder::new(Vec::new());
    let mut packed = 0;
    let mut until = async |decoder: &mut GzDecoder<Vec<u8>>, text: &str| {
        while !String::from_utf8_lossy(decoder.get_ref()).contains(text) {
            let piece = stream.bytes().await;
            assert!(!piece.is_empty(), "the stream goes on");
            packed += piece.len();
            decoder.write_all(&piece).unwrap();
            decoder.flush().unwrap();
        }
    };
    until(&mut decoder, "\"last\":true}\n\n").await;
    // Nothing waits for what comes after it.
    let position = put(&world, &hub, "a", 1);
    until(&mut decoder, &format!("id: {position}\n")).await;
    assert!(packed < decoder.get_ref().len() / 2, "{packed}");
    hub.close();
    loop {
        let piece = stream.bytes().await;
        if piece.is_empty() {
            break;
        }
        decoder.write_all(&piece).unwrap();
    }
    // Whole, with the right checksum.
    let text = String::from_utf8(decoder.finish().unwrap()).unwrap();
    assert!(text.starts_with("retry: ") && text.contains("event: delta\n"), "{text}");
}

#[test]
fn close_codes_are_in_the_private_range_and_tell_apart() {
    let codes: std::collections::BTreeSet<u16> = Close::ALL.iter().map(|c| c.code()).collect();
    assert_eq!(codes.len(), Close::ALL.len());
    assert!(codes.iter().all(|code| (4000..5000).contains(code)));
    // A close frame has room for 123 bytes.
    assert!(Close::ALL.iter().all(|c| c.reason().len() <= 123));
}

/// Whoever watches a tenant that goes elsewhere comes again; whoever watches another one stays.
#[tokio::test]
async fn connections_of_tenants_that_leave_end() {
    let (world, hub, address) = start(StreamLimits::default()).await;
    put(&world, &hub, "a", 10_000);
    let mut socket = WebSocket::connect(&address, "?token=1").await;
    socket.say(&items()).await;
    let before = socket.hear().await["position"].clone();
    let mut stream = EventStream::connect(&address, &[items()], "&token=1", "").await;
    let mut other = WebSocket::connect(&address, "?token=2").await;
    other.say(&items()).await;
    assert_eq!(other.hear().await["type"], "snapshot");
    until("all are there", || hub.connections() == 3).await;

    hub.leave(|tenant| tenant == TENANT);
    assert_eq!(socket.hear_close().await.0, Close::Moved.code());
    while let Some(event) = stream.hear().await {
        assert_ne!(event.kind.as_deref(), Some("error"));
    }
    other.say(&json!({"type": "ping"})).await;
    assert_eq!(other.hear().await["type"], "pong");
    until("one is left", || hub.connections() == 1).await;

    // What happened elsewhere meanwhile was not published here, so nothing of before is resumed.
    world.0.apply(TENANT, 1, &[(0, "b", Some((None, 20_000)))]);
    let mut again = WebSocket::connect(&address, "?token=1").await;
    let mut resuming = items();
    resuming["resume"] = before;
    again.say(&resuming).await;
    let mut told = again.hear().await;
    if told["type"] == "reset" {
        told = again.hear().await;
    }
    assert_eq!(told["type"], "snapshot");
    assert_eq!(told["rows"], json!([["a", null, "1.0000"], ["b", null, "2.0000"]]));
    let position = put(&world, &hub, "c", 30_000);
    assert_eq!(again.hear().await["position"], position.to_string());
}

/// Whoever has a good token comes again and misses nothing.
#[tokio::test]
async fn connections_that_are_dismissed_resume() {
    let (world, hub, address) = start(StreamLimits::default()).await;
    put(&world, &hub, "a", 10_000);
    let mut socket = WebSocket::connect(&address, "?token=1").await;
    socket.say(&items()).await;
    let held = socket.hear().await["position"].clone();
    let mut stream = EventStream::connect(&address, &[items()], "&token=1", "").await;
    until("both are there", || hub.connections() == 2).await;

    hub.dismiss(|_| true);
    assert_eq!(socket.hear_close().await.0, Close::Moved.code());
    while let Some(event) = stream.hear().await {
        assert_ne!(event.kind.as_deref(), Some("error"));
    }
    let missed = put(&world, &hub, "b", 20_000);
    let mut again = WebSocket::connect(&address, "?token=1").await;
    let mut resuming = items();
    resuming["resume"] = held;
    again.say(&resuming).await;
    assert_eq!(again.hear().await["type"], "resumed");
    let delta = again.hear().await;
    assert_eq!(delta["type"], "delta");
    assert_eq!(delta["position"], missed.to_string());
    // It is not dismissed with those of before.
    again.say(&json!({"type": "ping"})).await;
    assert_eq!(again.hear().await["type"], "pong");
}

/// A tenant whose partition is given up in the moment in which a snapshot is taken to be sent.
#[derive(Clone)]
struct GivenUp(Arc<Leaving>);

struct Leaving {
    world: Shared,
    nothing: Shared,
    asked: AtomicUsize,
    hub: OnceLock<Hub>,
}

impl Snapshots for GivenUp {
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        let Self(leaving) = self;
        // For its ring, for the view of the subscription, and to be sent.
        if leaving.asked.fetch_add(1, Ordering::SeqCst) < 2 {
            return leaving.world.0.snapshot(tenant);
        }
        leaving.hub.get().unwrap().leave(|_| true);
        leaving.nothing.0.snapshot(tenant)
    }
}

#[tokio::test]
async fn a_tenant_that_leaves_while_its_snapshot_is_taken_is_not_shown_as_empty() {
    for is_socket in [true, false] {
        let (world, nothing) = (World::shared(), World::shared());
        world.0.apply(TENANT, 1, &[(0, "a", Some((None, 10_000)))]);
        let (asked, hub) = (AtomicUsize::new(0), OnceLock::new());
        let given_up = GivenUp(Arc::new(Leaving { world, nothing, asked, hub }));
        let hub = Hub::new(given_up.clone(), StreamLimits::default());
        assert!(given_up.0.hub.set(hub.clone()).is_ok());
        let address = serve(&hub).await;
        if is_socket {
            let mut socket = WebSocket::connect(&address, "?token=1").await;
            socket.say(&items()).await;
            assert_eq!(socket.hear_close().await.0, Close::Moved.code());
        } else {
            let stream = EventStream::connect(&address, &[items()], "&token=1", "").await;
            let rest = stream.rest().await;
            assert!(!rest.contains("snapshot"), "{rest}");
        }
        assert!(given_up.0.asked.load(Ordering::SeqCst) > 2);
    }
}
