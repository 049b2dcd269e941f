//! Accepting connections: how many, how slow, and how they end.
//!
//! HTTP/1.1 through hyper itself rather than `axum::serve`, which sets no time for headers, no
//! bound on connections and no end to a client that stops reading.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audit::Peer;
use super::strangers::{Stranger, Strangers};
use super::tls::Tls;
use crate::holding::Holding;

/// Connections at a time; those beyond wait in the system's queue. Live streams count.
const CONNECTIONS: usize = 70_000;
/// For a connection without a request to stay open.
const IDLE_TIME: Duration = Duration::from_mins(1);
/// For the head of a request to arrive once it has begun to.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// For a client to take anything of what is being sent to it.
const STALL_TIME: Duration = Duration::from_mins(1);
/// The largest head of a request: an address of 32 KiB, a token, and the rest.
const HEAD_BYTES: usize = 48 * 1024;
/// What is buffered for one connection.
const BUFFER_BYTES: usize = 128 * 1024;
/// After the system refused a connection (no file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `closing`; every connection is a task of `tasks` and ends in order after
/// `closing`: the request in progress is answered, no other begins. An address has at most `share`
/// connections by which nobody was let in yet.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    share: usize,
    closing: CancellationToken,
    tasks: TaskTracker,
) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let strangers = Strangers::new(share);
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return,
            accepted = seat(&listener, &seats) => accepted,
        };
        match accepted {
            Ok((stream, peer, seat)) => {
                let Some(stranger) = strangers.enter(peer.ip()) else {
                    metrics::counter!("tidemark_connections_refused_total").increment(1);
                    tracing::debug!(%peer, "an address has as many connections as it may have");
                    continue;
                };
                let service = TowerToHyperService::new(router.clone());
                let client = Client { peer, stranger, _seat: seat };
                match &tls {
                    None => tasks.spawn(converse(stream, client, service, closing.clone())),
                    Some(tls) => {
                        let (tls, closing) = (Arc::clone(tls), closing.clone());
                        tasks.spawn(converse_secured(tls, stream, client, service, closing))
                    }
                };
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn seat(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // A delta of a few bytes must not wait for more to send.
    stream.set_nodelay(true)?;
    Ok((stream, peer, seat))
}

/// Who is at the other end of a connection, and what it holds.
struct Client {
    peer: SocketAddr,
    stranger: Stranger,
    _seat: OwnedSemaphorePermit,
}

async fn converse_secured(
    tls: Arc<Tls>,
    stream: TcpStream,
    client: Client,
    service: TowerToHyperService<Router>,
    closing: CancellationToken,
) {
    match tls.secure(stream).await {
        Ok(stream) => converse(stream, client, service, closing).await,
        // The client's affair: it does not trust the certificate, or speaks no TLS.
        Err(error) => tracing::debug!(%error, "a client did not agree on TLS"),
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    client: Client,
    service: TowerToHyperService<Router>,
    closing: CancellationToken,
) {
    let (peer, stranger) = (client.peer, client.stranger.clone());
    let stream = Patient::new(stream, STALL_TIME, HEAD_TIME);
    let head = Arc::clone(&stream.head);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        head.came();
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(stranger.clone());
        let (answered, head) = (service.call(request), Arc::clone(&head));
        async move { answered.await.map(|response| until_next(response, head)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIME)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The client went away, was too slow, or spoke no HTTP: its affair, not a fault here.
        tracing::debug!(%error, "a connection ended early");
    }
    drop(client);
}

/// An answer after whose end the head of another request is awaited; after a WebSocket's none is.
fn until_next(response: Response, head: Arc<Head>) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    response.map(|body| Body::new(Holding::new(body, Last { head })))
}

/// Held by the body with which a call ends.
struct Last {
    head: Arc<Head>,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.head.is_awaited.store(true, Ordering::Release);
    }
}

/// Where a connection stands with the head of its next request.
struct Head {
    /// It is what comes next.
    is_awaited: AtomicBool,
    /// It has come since that was looked at last.
    has_come: AtomicBool,
}

impl Head {
    fn came(&self) {
        self.is_awaited.store(false, Ordering::Release);
        self.has_come.store(true, Ordering::Release);
    }
}

/// A stream on which the other side must take something of what is written within `patience`, and
/// finish a head within `hurry`.
struct Patient<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    hurry: Duration,
    head: Arc<Head>,
    /// When it began to come.
    began: Option<Instant>,
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S, patience: Duration, hurry: Duration) -> Self {
        let head = Head { is_awaited: AtomicBool::new(true), has_come: AtomicBool::new(false) };
        let head = Arc::new(head);
        Self { stream, patience, stalled: None, hurry, head, began: None, late: None }
    }

    /// Passes on what a read came to, and runs the clock while a head has come in part.
    fn watch_head(
        &mut self,
        cx: &mut Context<'_>,
        read: Poll<io::Result<()>>,
        has_come: bool,
    ) -> Poll<io::Result<()>> {
        if self.head.has_come.swap(false, Ordering::AcqRel) {
            (self.began, self.late) = (None, None);
        }
        if !self.head.is_awaited.load(Ordering::Acquire) {
            return read;
        }
        if has_come {
            self.began.get_or_insert_with(Instant::now);
        }
        let (Some(began), true) = (self.began, read.is_pending()) else { return read };
        let until = began + self.hurry;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep_until(until)));
        match late.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the head of a request has not come",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Passes on what a write came to, and runs the clock while it comes to nothing.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client has stopped reading",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.watch_head(cx, read, buffer.filled().len() > before)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (here, _there) = tokio::io::duplex(16);
        let mut stream = Patient::new(here, Duration::from_millis(20), HEAD_TIME);
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_that_reads_slowly_is_not() {
        let (here, mut there) = tokio::io::duplex(1);
        let mut stream = Patient::new(here, Duration::from_mins(1), HEAD_TIME);
        let reader = tokio::spawn(async move {
            let mut bytes = Vec::new();
            there.read_to_end(&mut bytes).await.unwrap();
            bytes.len()
        });
        stream.write_all(&[0; 64]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(reader.await.unwrap(), 64);
    }

    #[tokio::test]
    async fn a_head_that_has_begun_and_does_not_come_is_given_up() {
        let (here, mut there) = tokio::io::duplex(64);
        let mut stream = Patient::new(here, STALL_TIME, Duration::from_millis(20));
        let mut part = [0; 64];
        there.write_all(b"GET / HT").await.unwrap();
        assert_eq!(stream.read(&mut part).await.unwrap(), 8);
        let error = stream.read(&mut part).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn bodies_and_connections_without_a_request_may_take_their_time() {
        let (here, mut there) = tokio::io::duplex(64);
        let mut stream = Patient::new(here, STALL_TIME, Duration::from_millis(20));
        let mut part = [0; 64];
        let rest = Duration::from_millis(60);
        // Nothing has begun.
        assert!(timeout(rest, stream.read(&mut part)).await.is_err());
        there.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut part).await.unwrap() > 0);
        stream.head.came();
        assert!(timeout(rest, stream.read(&mut part)).await.is_err());
        there.write_all(b"body").await.unwrap();
        assert_eq!(stream.read(&mut part).await.unwrap(), 4);
        // The next head has not begun; nor the one after a request without a body.
        stream.head.is_awaited.store(true, Ordering::Release);
        assert!(timeout(rest, stream.read(&mut part)).await.is_err());
        there.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut part).await.unwrap() > 0);
        stream.head.came();
        stream.head.is_awaited.store(true, Ordering::Release);
        assert!(timeout(rest, stream.read(&mut part)).await.is_err());
    }
}
