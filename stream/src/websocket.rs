//! The edge for WebSockets: `GET /v1/ws`.

use std::sync::Arc;
use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use futures::SinkExt;
use projections::Tenant;
use tokio::time::timeout;

use crate::clock;
use crate::close::Close;
use crate::connection::{Connection, Step};
use crate::door::{Door, Viewer};
use crate::ending::{Ending, last_words};
use crate::hub::{Hub, Place, Refused, is_set};
use crate::message::Message;
use crate::meter;
use crate::problem::Problem;
use crate::relay::{Far, refusal, relay};
use crate::request::Request;

/// Messages written before the client is listened to again.
const BURST: usize = 16;
/// What a socket reads at once: clients say little. Each socket keeps so much, and clears it whenever
/// it is looked at; what is longer is read in several goes.
const READ_BUFFER: usize = 1 << 10;
/// What is gathered before it is written: a burst of small changes. Each socket keeps what it once
/// took.
const WRITE_BUFFER: usize = 4 << 10;
/// How long a client may take to answer a close.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

/// Answers a WebSocket's handshake, with buffers and limits that suit many quiet clients, and
/// serves it as [`websocket`] does.
pub fn upgrade(
    hub: Hub,
    door: Arc<dyn Door>,
    viewer: Option<Viewer>,
    handshake: WebSocketUpgrade,
) -> Response {
    bounded(&hub, handshake).on_upgrade(move |socket| websocket(hub, door, viewer, socket))
}

/// A handshake with the bounds of all sockets.
pub(crate) fn bounded(hub: &Hub, handshake: WebSocketUpgrade) -> WebSocketUpgrade {
    let longest = hub.shared.limits.message_bytes;
    handshake
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(longest)
        .max_frame_size(longest)
}

/// Serves one WebSocket until it ends. Without a viewer it must send `auth` first, in time.
/// A later `auth` of the same tenant renews the token of the connection, and with it what it may
/// follow.
pub async fn websocket(
    hub: Hub,
    door: Arc<dyn Door>,
    viewer: Option<Viewer>,
    mut socket: WebSocket,
) {
    match open(&hub, door.as_ref(), viewer, &mut socket).await {
        Ok(Opened::Here(connection, viewer)) => {
            let session = Session {
                ending: Ending::new(&hub, &connection, &viewer),
                stall: hub.shared.limits.stall(),
                longest: hub.shared.limits.message_bytes,
                tenant: viewer.tenant,
                door,
                connection: *connection,
                socket,
            };
            session.run().await;
        }
        Ok(Opened::Elsewhere(far, place)) => {
            relay(&mut socket, far, hub.closing(), hub.shared.limits.stall()).await;
            drop(place);
        }
        Err(End::Gone) => {}
        Err(End::Left) => answer_close(&mut socket).await,
        Err(End::Close(close, problem)) => say_goodbye(&mut socket, close, problem).await,
    }
}

/// How a connection ends.
enum End {
    /// The client is gone.
    Gone,
    /// The client closes.
    Left,
    /// The server closes, having said the problem first.
    Close(Close, Option<Problem>),
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close, last_words(close))
    }
}

impl From<Error> for End {
    fn from(_: Error) -> Self {
        Self::Gone
    }
}

/// A connection that was let in.
enum Opened {
    Here(Box<Connection>, Viewer),
    Elsewhere(Far, Place),
}

/// Lets the client in.
async fn open(
    hub: &Hub,
    door: &dyn Door,
    viewer: Option<Viewer>,
    socket: &mut WebSocket,
) -> Result<Opened, End> {
    let refused = |r: Refused| End::Close(r.close, Some(r.problem));
    let place: Place = hub.enter().map_err(refused)?;
    let viewer = match viewer {
        Some(viewer) => viewer,
        None => match authenticate(hub, door, socket).await? {
            (viewer, None) => viewer,
            (_, Some(far)) => return Ok(Opened::Elsewhere(far, place)),
        },
    };
    let seat = hub.attach(viewer.tenant, place).map_err(refused)?;
    if !door.serves(&viewer) {
        return Err(End::Close(Close::Moved, None));
    }
    let connection = Connection::new(hub.clone(), seat, viewer.asking.clone(), clock::now());
    Ok(Opened::Here(Box::new(connection), viewer))
}

/// Waits for the first message, which must be `auth`; answers also the other end, where its sender
/// is served elsewhere.
async fn authenticate(
    hub: &Hub,
    door: &dyn Door,
    socket: &mut WebSocket,
) -> Result<(Viewer, Option<Far>), End> {
    let mut closing = hub.closing();
    let first = tokio::select! {
        () = is_set(&mut closing) => {
            return Err(End::Close(Close::ShuttingDown, None));
        }
        first = timeout(hub.shared.limits.auth(), next_text(socket)) => first,
    };
    let unauthenticated = || End::Close(Close::Unauthenticated, Some(unauthenticated()));
    let text = first.map_err(|_| unauthenticated())??;
    let Ok(Request::Auth { token }) = Request::parse(&text) else { return Err(unauthenticated()) };
    let viewer = door.admit(&token).await;
    let viewer = viewer.map_err(|problem| End::Close(Close::TokenRefused, Some(problem)))?;
    let far = door.elsewhere(&viewer, &token).await;
    let far = far.map_err(|problem| End::Close(refusal(&problem), Some(problem)))?;
    Ok((viewer, far))
}

/// The next text from the client.
async fn next_text(socket: &mut WebSocket) -> Result<Utf8Bytes, End> {
    loop {
        match socket.recv().await {
            Some(Ok(Frame::Text(text))) => return Ok(text),
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
            Some(Ok(Frame::Binary(_))) => return Err(End::Close(Close::BadMessage, None)),
            Some(Ok(Frame::Close(_))) => return Err(End::Left),
            None => return Err(End::Gone),
            Some(Err(error)) => return Err(unreadable(&error)),
        }
    }
}

/// A message that is too long or no UTF-8 leaves a socket that can still be told so; where it
/// cannot, the attempt ends at once.
fn unreadable(error: &Error) -> End {
    tracing::debug!(%error, "a message could not be read");
    End::Close(Close::BadMessage, None)
}

/// One connection that has been let in.
struct Session {
    door: Arc<dyn Door>,
    tenant: Tenant,
    connection: Connection,
    socket: WebSocket,
    ending: Ending,
    stall: Duration,
    longest: usize,
}

impl Session {
    async fn run(mut self) {
        let end = loop {
            match self.turn().await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        // What it holds is given back before the client is waited for.
        drop(self.connection);
        match end {
            End::Gone => {}
            End::Left => answer_close(&mut self.socket).await,
            End::Close(close, problem) => {
                if close == Close::TooSlow {
                    meter::stalled();
                }
                say_goodbye(&mut self.socket, close, problem).await;
            }
        }
    }

    /// Listens or waits, whichever comes first, then says what there is.
    async fn turn(&mut self) -> Result<(), End> {
        let expiry = self.ending.expiry();
        let heard = tokio::select! {
            biased;
            close = self.ending.told() => return Err(close.into()),
            text = next_text(&mut self.socket) => Some(text?),
            () = self.connection.ready(expiry) => None,
        };
        if let Some(close) = self.ending.now() {
            return Err(close.into());
        }
        if let Some(text) = heard {
            self.hear(&text).await?;
        }
        self.speak().await?;
        // A client that takes everything at once must not keep others waiting.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn hear(&mut self, text: &str) -> Result<(), End> {
        if text.len() > self.longest {
            return Err(End::Close(Close::BadMessage, None));
        }
        let heard = self.door.heard();
        heard.map_err(|problem| End::Close(Close::TooManyMessages, Some(problem)))?;
        match Request::parse(text) {
            Ok(Request::Subscribe(wanted)) => {
                let is_taken = self.connection.subscribe(wanted.clone(), clock::now());
                self.door.subscribed(&wanted, is_taken).await;
            }
            Ok(Request::Unsubscribe { id }) => self.connection.unsubscribe(&id),
            Ok(Request::Ping) => self.connection.say(Message::pong()),
            Ok(Request::Auth { token }) => self.renew(&token).await?,
            Err(bad) => {
                self.connection.say(Message::error(bad.id.as_deref(), &bad.problem));
            }
        }
        Ok(())
    }

    /// Takes a new token for the connection; it must be one of the same tenant. What it gives no
    /// right to is followed no more.
    async fn renew(&mut self, token: &str) -> Result<(), End> {
        match self.door.admit(token).await {
            Ok(viewer) if viewer.tenant == self.tenant => {
                self.ending.renew(&viewer);
                self.connection.may_ask(viewer.asking);
                Ok(())
            }
            Ok(_) => Err(End::Close(Close::TokenRefused, Some(other_tenant()))),
            Err(problem) => Err(End::Close(Close::TokenRefused, Some(problem))),
        }
    }

    /// Says what there is, up to a burst.
    async fn speak(&mut self) -> Result<(), End> {
        let mut said = 0;
        while said < BURST {
            match self.connection.step(clock::now()) {
                Step::Message(mut message) => {
                    // Asked after it was made: of a tenant that has left there is no snapshot.
                    if let Some(close) = self.ending.now() {
                        return Err(close.into());
                    }
                    let rows = message.take_rows();
                    self.write(Some(Frame::Text(message.into_json().into()))).await?;
                    if let Some(rows) = rows {
                        self.write(Some(Frame::Binary(rows))).await?;
                    }
                    said += 1;
                }
                Step::Again | Step::Idle => break,
                Step::Stalled => return Err(End::Close(Close::TooSlow, None)),
            }
        }
        if said > 0 {
            self.write(None).await?;
        }
        Ok(())
    }

    /// Writes a frame, or all that is still to be written. It waits for the client to read, but not
    /// for ever, and not once the connection is to end.
    async fn write(&mut self, frame: Option<Frame>) -> Result<(), End> {
        let Self { socket, ending, stall, .. } = self;
        let writing = async {
            match frame {
                Some(frame) => socket.feed(frame).await,
                None => socket.flush().await,
            }
        };
        tokio::select! {
            biased;
            written = timeout(*stall, writing) => match written {
                Ok(written) => Ok(written?),
                Err(_) => Err(End::Close(Close::TooSlow, None)),
            },
            close = ending.come() => Err(close.into()),
        }
    }
}

/// Says the problem and the close code, and waits a moment for the client to close too, so that
/// what was said is not lost. A client that does not read any more just loses its socket.
pub(crate) async fn say_goodbye(socket: &mut WebSocket, close: Close, problem: Option<Problem>) {
    let goodbye = async {
        if let Some(problem) = problem {
            socket.feed(Frame::Text(Message::error(None, &problem).into_json().into())).await?;
        }
        let frame = CloseFrame { code: close.code(), reason: close.reason().into() };
        socket.send(Frame::Close(Some(frame))).await?;
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<(), Error>(())
    };
    if let Ok(Err(error)) = timeout(GOODBYE, goodbye).await {
        tracing::debug!(%error, code = close.code(), "the client left before it was told");
    }
}

/// Answers the close of a client: the answer is written while its socket is read (RFC 6455, 5.5.1).
pub(crate) async fn answer_close(socket: &mut WebSocket) {
    // Who does not wait for it has gone without it.
    timeout(GOODBYE, async { while let Some(Ok(_)) = socket.recv().await {} }).await.ok();
}

fn unauthenticated() -> Problem {
    Problem::new(
        "unauthenticated",
        StatusCode::UNAUTHORIZED,
        "Not authenticated",
        "Send {\"type\":\"auth\",\"token\":\"…\"} first and in time, or connect with a ticket or \
         the Authorization header.",
    )
}

fn other_tenant() -> Problem {
    Problem::new(
        "token-refused",
        StatusCode::FORBIDDEN,
        "Token refused",
        "A connection stays with the tenant it began with: open another connection.",
    )
}
