//! The edge for Server-Sent Events: `GET /v1/stream`.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::body::Format;
use crate::clock;
use crate::connection::{Connection, Step};
use crate::door::Viewer;
use crate::ending::{Ending, last_words};
use crate::gzip::{self, Gzip};
use crate::hub::Hub;
use crate::message::Message;
use crate::meter;
use crate::problem::Problem;
use crate::subscription::Subscription;
use crate::websocket::GOODBYE;

/// Messages are handed to the socket in pieces of about this many bytes.
const PIECE_BYTES: usize = 32 << 10;

/// Answers with an event stream of the subscriptions. Of the request's headers it takes
/// `Last-Event-ID`, which goes before `resume` as it is newer than whatever the address says, and
/// `Accept-Encoding`, of which it knows gzip.
///
/// An unknown view and the like do not end the stream: its subscription gets an `error`, and
/// the others go on. The stream ends with the token, when the server shuts down, dismisses it or no
/// longer serves the tenant, and when the client does not read.
#[allow(clippy::needless_pass_by_value)] // a viewer is let in once
pub fn sse(
    hub: &Hub,
    viewer: Viewer,
    mut subs: Vec<Subscription>,
    headers: &HeaderMap,
) -> Response {
    if let Err(problem) = check(hub, &subs) {
        return problem.into_response();
    }
    let last_event_id = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    if let Some(position) = last_event_id.filter(|id| !id.is_empty()) {
        for sub in &mut subs {
            sub.resume = Some(position.to_owned());
        }
    }
    let seat = hub.enter().and_then(|place| hub.attach(viewer.tenant, place));
    let seat = match seat {
        Ok(seat) => seat,
        Err(refused) => return refused.problem.into_response(),
    };
    let now = clock::now();
    let mut connection = Connection::new(hub.clone(), seat, viewer.asking.clone(), now);
    for sub in subs {
        if sub.format == Format::Arrow {
            connection.refuse(sub.id(), &no_arrow());
        } else {
            connection.subscribe(sub, now);
        }
    }
    // One piece waits here while the socket takes the one before.
    let (pieces, body) = mpsc::channel(1);
    let retry = retry_ms(hub.connections());
    let gzip = gzip::is_accepted(headers).then(Gzip::new);
    let is_packed = gzip.is_some();
    let writer = Writer {
        ending: Ending::new(hub, &connection, &viewer),
        connection,
        pieces,
        stall: hub.shared.limits.stall(),
        piece: format!("retry: {retry}\n\n").into_bytes(),
        is_own: false,
        gzip,
    };
    tokio::spawn(writer.run());
    let body = futures::stream::unfold(body, |mut body| async move {
        body.recv().await.map(|piece: Bytes| (piece, body))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer would hold events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let body = Body::from_stream(body.map(Ok::<_, Infallible>));
    let mut response = (headers, body).into_response();
    if is_packed {
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    response
}

fn no_arrow() -> Problem {
    let detail = "An event stream is text: subscribe with \"format\":\"arrow\" on a WebSocket, or \
                  leave the format out.";
    Problem::new("invalid-subscription", StatusCode::BAD_REQUEST, "Invalid subscription", detail)
}

fn check(hub: &Hub, subs: &[Subscription]) -> Result<(), Problem> {
    let bound = hub.shared.limits.subscriptions;
    let detail = if subs.is_empty() {
        "There is nothing to watch: add ?sub= with a URL-encoded subscription, such as \
         {\"id\":\"a\",\"view\":\"ar_aging\"}."
            .to_owned()
    } else if subs.len() > bound {
        format!("A stream can have {bound} subscriptions: open another one for the rest.")
    } else {
        let mut ids = HashSet::new();
        match subs.iter().find(|sub| !ids.insert(sub.id())) {
            Some(twice) => format!("Two subscriptions have the id '{}'.", twice.id()),
            None => return Ok(()),
        }
    };
    let (slug, title) = ("invalid-subscription", "Invalid subscription");
    Err(Problem::new(slug, StatusCode::BAD_REQUEST, title, detail))
}

/// When a browser tries again after a drop: spread over two seconds, so that not all come at once.
fn retry_ms(connections: usize) -> u64 {
    1000 + (connections as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 2000
}

/// Writes the events of one connection.
struct Writer {
    connection: Connection,
    pieces: mpsc::Sender<Bytes>,
    ending: Ending,
    stall: Duration,
    /// Events that are to be handed over.
    piece: Vec<u8>,
    /// Whether there is something among them that no other connection is sent.
    is_own: bool,
    gzip: Option<Gzip>,
}

impl Writer {
    async fn run(mut self) {
        let expiry = self.ending.expiry();
        let close = loop {
            tokio::select! {
                biased;
                close = self.ending.told() => break close,
                // The client is gone.
                () = self.pieces.closed() => return,
                () = self.connection.ready(expiry) => {}
            }
            if !self.fill() {
                meter::stalled();
                return;
            }
            // Asked after it was made: of a tenant that has left there is no snapshot.
            if let Some(close) = self.ending.now() {
                self.piece.clear();
                break close;
            }
            if !self.piece.is_empty() && !self.hand_over().await {
                return;
            }
            // A client that takes everything at once must not keep others waiting.
            tokio::task::yield_now().await;
        };
        if let Some(problem) = last_words(close) {
            Message::error(None, &problem).write_event(&mut self.piece);
        }
        self.finish().await;
    }

    /// Fills a piece with what there is. False if the client is to be given up.
    fn fill(&mut self) -> bool {
        while self.piece.len() < PIECE_BYTES {
            match self.connection.step(clock::now()) {
                Step::Message(message) => {
                    self.is_own |= message.is_snapshot();
                    message.write_event(&mut self.piece);
                }
                Step::Again | Step::Idle => break,
                Step::Stalled => return false,
            }
        }
        true
    }

    /// Hands the piece over. False if the client is gone, or has not read for too long.
    async fn hand_over(&mut self) -> bool {
        let Some(piece) = self.packed() else { return false };
        self.send(piece).await
    }

    /// Hands over what is left, and the end of what is packed.
    async fn finish(mut self) {
        let Some(mut rest) = self.packed() else { return };
        if let Some(gzip) = &mut self.gzip {
            rest.extend(gzip.finish());
        }
        if !rest.is_empty() {
            self.send(rest).await;
        }
    }

    /// Takes the piece as it goes out; none if it cannot be packed.
    fn packed(&mut self) -> Option<Vec<u8>> {
        let (piece, is_own) = (std::mem::take(&mut self.piece), std::mem::take(&mut self.is_own));
        let Some(gzip) = &mut self.gzip else { return Some(piece) };
        match gzip.pack(&piece, is_own) {
            Ok(packed) => Some(packed),
            Err(error) => {
                tracing::error!(%error, "an event stream cannot be packed; it ends");
                None
            }
        }
    }

    /// Waits for the client to read, but not for ever, and only for a moment once the stream is to
    /// end. False if it has not.
    async fn send(&mut self, piece: Vec<u8>) -> bool {
        let Self { pieces, ending, stall, .. } = self;
        let patience = async {
            tokio::select! {
                _ = ending.come() => tokio::time::sleep(GOODBYE).await,
                () = tokio::time::sleep(*stall) => meter::stalled(),
            }
        };
        tokio::select! {
            biased;
            sent = pieces.send(Bytes::from(piece)) => sent.is_ok(),
            () = patience => false,
        }
    }
}
