//! A WebSocket's other end at the node that serves its caller.

use std::future::{pending, ready};

use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes};
use axum::http::header::{
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use stream::Far;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{self, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::ForwardError;
use super::exchange::{Answer, CameFrom, Exchange, Forwarder, Upgrading};

/// The longest message of another node: the part of a snapshot, whose rows may be long.
const MESSAGE: usize = 64 << 20;
/// What is read of one at a time, and what is gathered before it is written.
const BUFFER: usize = 16 << 10;

/// What became of a WebSocket that may be served elsewhere.
pub(crate) enum Connected {
    /// It is served here.
    Here,
    /// Its other end.
    Far(Far),
    /// The node that serves its caller would not have it, with this answer.
    Refused(Response),
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_handshake(headers: &HeaderMap) -> bool {
    let asked = headers.get(UPGRADE).map(HeaderValue::as_bytes);
    asked.is_some_and(|asked| asked.eq_ignore_ascii_case(b"websocket"))
}

impl Forwarder {
    /// Asks the node that serves a partition for a WebSocket at this address, with these headers, for
    /// a caller from there.
    pub(crate) async fn connect(
        &self,
        partition: u32,
        address: Uri,
        mut headers: HeaderMap,
        from: Option<CameFrom>,
    ) -> Result<Connected, ForwardError> {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        for name in [SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_ACCEPT] {
            headers.remove(name);
        }
        // A key is base64.
        let key = HeaderValue::try_from(key).map_err(|_| ForwardError::Unserved)?;
        headers.insert(SEC_WEBSOCKET_KEY, key);
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let mut handshake = Request::new(Body::empty());
        *handshake.uri_mut() = address;
        *handshake.headers_mut() = headers;
        handshake.extensions_mut().insert(Upgrading);
        if let Some(from) = from {
            handshake.extensions_mut().insert(from);
        }
        match self.exchange(partition, handshake).await? {
            Exchange::Here(_) => Ok(Connected::Here),
            Exchange::Answered(answer) => far(answer, &accept).await,
        }
    }
}

async fn far(answer: Answer, accept: &str) -> Result<Connected, ForwardError> {
    if answer.response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Connected::Refused(answer.streamed(pending())));
    }
    let Answer { mut response, moved, seat } = answer;
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accepted != Some(accept.as_bytes()) {
        return Err(ForwardError::Interrupted);
    }
    let upgraded = hyper::upgrade::on(&mut response).await;
    let upgraded = upgraded.map_err(|_| ForwardError::Interrupted)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let io = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await;
    let (told, said) = socket.split();
    Ok(Connected::Far(Far {
        said: said.filter_map(|message| ready(frame(message))).boxed(),
        told: Box::pin(
            told.sink_map_err(axum::Error::new)
                .with(|frame| ready(Ok::<_, axum::Error>(message(frame)))),
        ),
        moved: Box::pin(async move {
            moved.wait().await;
            drop(seat);
        }),
    }))
}

/// A message of the other node as one of this server; none for what is a part of one.
fn frame(message: Result<Message, tungstenite::Error>) -> Option<Result<Frame, axum::Error>> {
    let frame = match message {
        Ok(Message::Text(text)) => match Utf8Bytes::try_from(Bytes::from(text)) {
            Ok(text) => Frame::Text(text),
            Err(error) => return Some(Err(axum::Error::new(error))),
        },
        Ok(Message::Binary(bytes)) => Frame::Binary(bytes),
        Ok(Message::Ping(bytes)) => Frame::Ping(bytes),
        Ok(Message::Pong(bytes)) => Frame::Pong(bytes),
        Ok(Message::Close(frame)) => Frame::Close(frame.map(|frame| CloseFrame {
            code: frame.code.into(),
            reason: frame.reason.as_str().into(),
        })),
        Ok(Message::Frame(_)) => return None,
        Err(error) => return Some(Err(axum::Error::new(error))),
    };
    Some(Ok(frame))
}

/// The same the other way.
fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::text(text.as_str()),
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Ping(bytes) => Message::Ping(bytes),
        Frame::Pong(bytes) => Message::Pong(bytes),
        Frame::Close(frame) => Message::Close(frame.map(|frame| protocol::CloseFrame {
            code: CloseCode::from(frame.code),
            reason: frame.reason.as_str().into(),
        })),
    }
}
