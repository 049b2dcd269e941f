//! WebSockets that another service serves: every message goes on as it is, in both directions.

use std::pin::Pin;
use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Sink, SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::close::Close;
use crate::hub::{Hub, is_set};
use crate::meter;
use crate::problem::Problem;
use crate::websocket::{GOODBYE, answer_close, bounded, say_goodbye};

/// The other end of a WebSocket that is served elsewhere.
pub struct Far {
    /// What the other service says. Its end without a close frame means that the service went away.
    pub said: BoxStream<'static, Result<Frame, Error>>,
    /// What it is told.
    pub told: Pin<Box<dyn Sink<Frame, Error = Error> + Send>>,
    /// Comes to its end when the other service no longer serves the tenant.
    pub moved: BoxFuture<'static, ()>,
}

/// How a relayed connection ends.
enum End {
    /// The client closed, or is gone.
    Client(Option<CloseFrame>),
    /// The other service closed.
    Service(Option<CloseFrame>),
    /// This one closes.
    Close(Close),
}

/// Answers a WebSocket's handshake and relays it to `far`, within the bounds of [`crate::upgrade`].
pub fn upgrade_relayed(hub: &Hub, handshake: WebSocketUpgrade, far: Far) -> Response {
    let place = match hub.enter() {
        Ok(place) => place,
        Err(refused) => return refused.problem.into_response(),
    };
    let (closing, stall) = (hub.closing(), hub.shared.limits.stall());
    bounded(hub, handshake).on_upgrade(move |mut socket| async move {
        relay(&mut socket, far, closing, stall).await;
        drop(place);
    })
}

/// Relays a socket until one side ends. At most one message is under way in each direction: a side
/// that does not read keeps the other from being read.
pub(crate) async fn relay(
    socket: &mut WebSocket,
    far: Far,
    mut closing: watch::Receiver<bool>,
    stall: Duration,
) {
    let Far { said, mut told, moved } = far;
    let end = {
        let (mut to_client, from_client) = socket.split();
        tokio::select! {
            biased;
            () = is_set(&mut closing) => End::Close(Close::ShuttingDown),
            end = up(from_client, &mut told) => end,
            end = down(said, &mut to_client, stall) => end,
            () = moved => End::Close(Close::Moved),
        }
    };
    match end {
        End::Client(frame) => {
            // Whether it hears that or not: its socket closes with this.
            timeout(GOODBYE, told.send(Frame::Close(frame))).await.ok();
            answer_close(socket).await;
        }
        End::Service(frame) => {
            let goodbye = async {
                socket.send(Frame::Close(frame)).await?;
                while let Some(Ok(_)) = socket.recv().await {}
                Ok::<(), Error>(())
            };
            if let Ok(Err(error)) = timeout(GOODBYE, goodbye).await {
                tracing::debug!(%error, "the client left before it was told");
            }
        }
        End::Close(close) => {
            if close == Close::TooSlow {
                meter::stalled();
            }
            drop(told);
            say_goodbye(socket, close, None).await;
        }
    }
}

/// Carries what the client says. Pings are answered on each way by itself.
async fn up(
    mut from_client: impl futures::Stream<Item = Result<Frame, Error>> + Unpin,
    told: &mut Pin<Box<dyn Sink<Frame, Error = Error> + Send>>,
) -> End {
    loop {
        match from_client.next().await {
            Some(Ok(frame @ (Frame::Text(_) | Frame::Binary(_)))) => {
                if told.send(frame).await.is_err() {
                    return End::Close(Close::Moved);
                }
            }
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
            Some(Ok(Frame::Close(frame))) => return End::Client(frame),
            None => return End::Client(None),
            Some(Err(error)) => {
                tracing::debug!(%error, "a message could not be read");
                return End::Close(Close::BadMessage);
            }
        }
    }
}

/// Carries what the other service says.
async fn down(
    mut said: BoxStream<'static, Result<Frame, Error>>,
    to_client: &mut (impl Sink<Frame, Error = Error> + Unpin),
    stall: Duration,
) -> End {
    loop {
        match said.next().await {
            Some(Ok(frame @ (Frame::Text(_) | Frame::Binary(_)))) => {
                match timeout(stall, to_client.send(frame)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return End::Client(None),
                    Err(_) => return End::Close(Close::TooSlow),
                }
            }
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
            Some(Ok(Frame::Close(frame))) => return End::Service(frame),
            None => return End::Close(Close::Moved),
            Some(Err(error)) => {
                tracing::debug!(%error, "the service that serves a WebSocket went away");
                return End::Close(Close::Moved);
            }
        }
    }
}

/// The code that tells a client why another service would not have it.
pub(crate) fn refusal(problem: &Problem) -> Close {
    match problem.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Close::TokenRefused,
        StatusCode::TOO_MANY_REQUESTS => Close::TooManyConnections,
        _ => Close::Moved,
    }
}
