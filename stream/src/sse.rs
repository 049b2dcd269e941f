//! The edge for Server-Sent Events: `GET /v1/stream`.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{mpsc, watch};

use crate::connection::{Connection, Step};
use crate::door::{Viewer, token_expired};
use crate::hub::{Hub, is_set};
use crate::message::Message;
use crate::meter;
use crate::problem::Problem;
use crate::subscription::Subscription;

/// Messages are handed to the socket in pieces of about this many bytes.
const PIECE_BYTES: usize = 32 << 10;

/// Answers with an event stream of the subscriptions. `last_event_id` is the header
/// `Last-Event-ID`; as it is newer than whatever the address says, it goes before `resume`.
///
/// An unknown view and the like do not end the stream: its subscription gets an `error`, and
/// the others go on. The stream ends with the token, when the server shuts down, dismisses it or no
/// longer serves the tenant, and when the client does not read.
#[allow(clippy::needless_pass_by_value)] // a viewer is let in once
pub fn sse(
    hub: &Hub,
    viewer: Viewer,
    mut subs: Vec<Subscription>,
    last_event_id: Option<String>,
) -> Response {
    if let Err(problem) = check(hub, &subs) {
        return problem.into_response();
    }
    let last_event_id = last_event_id.filter(|id| !id.is_empty());
    if let Some(position) = &last_event_id {
        for sub in &mut subs {
            sub.resume = Some(position.clone());
        }
    }
    let seat = hub.enter().and_then(|place| hub.attach(viewer.tenant, place));
    let seat = match seat {
        Ok(seat) => seat,
        Err(refused) => return refused.problem.into_response(),
    };
    let now = Instant::now();
    let mut connection = Connection::new(hub.clone(), seat, viewer.asking.clone(), now);
    for sub in subs {
        connection.subscribe(sub, now);
    }
    // One piece waits here while the socket takes the one before.
    let (pieces, body) = mpsc::channel(1);
    let retry = retry_ms(hub.connections());
    let writer = Writer {
        left: connection.left(),
        connection,
        pieces,
        closing: hub.closing(),
        stall: hub.shared.limits.stall(),
        piece: format!("retry: {retry}\n\n").into_bytes(),
    };
    tokio::spawn(writer.run(viewer.remaining()));
    let body = futures::stream::unfold(body, |mut body| async move {
        body.recv().await.map(|piece: Bytes| (piece, body))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer would hold events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(body.map(Ok::<_, Infallible>))).into_response()
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
    closing: watch::Receiver<bool>,
    /// Becomes true when the connection is to end.
    left: watch::Receiver<bool>,
    stall: Duration,
    piece: Vec<u8>,
}

impl Writer {
    async fn run(mut self, token_holds: Duration) {
        let expiry = Instant::now() + token_holds;
        loop {
            if Instant::now() >= expiry {
                Message::error(None, &token_expired()).write_event(&mut self.piece);
                break;
            }
            tokio::select! {
                biased;
                () = is_set(&mut self.closing) => break,
                () = is_set(&mut self.left) => break,
                // The client is gone.
                () = self.pieces.closed() => return,
                () = self.connection.ready(expiry) => {}
            }
            if !self.fill() {
                meter::stalled();
                return;
            }
            // Asked after it was made: of a tenant that has left there is no snapshot.
            if *self.left.borrow() {
                self.piece.clear();
                break;
            }
            if !self.piece.is_empty() && !self.hand_over().await {
                return;
            }
            // A client that takes everything at once must not keep others waiting.
            tokio::task::yield_now().await;
        }
        if !self.piece.is_empty() {
            self.hand_over().await;
        }
    }

    /// Fills a piece with what there is. False if the client is to be given up.
    fn fill(&mut self) -> bool {
        while self.piece.len() < PIECE_BYTES {
            match self.connection.step(Instant::now()) {
                Step::Message(message) => message.write_event(&mut self.piece),
                Step::Again | Step::Idle => break,
                Step::Stalled => return false,
            }
        }
        true
    }

    /// Hands the piece over. False if the client is gone, or has not read for too long.
    async fn hand_over(&mut self) -> bool {
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        if let Ok(sent) = tokio::time::timeout(self.stall, self.pieces.send(piece)).await {
            return sent.is_ok();
        }
        meter::stalled();
        false
    }
}
