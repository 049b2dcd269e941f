//! One request and its answer, by way of the node that serves it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use axum::http::request::Parts;
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use axum::response::Response;
use futures::StreamExt;
use futures::future::select;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::ClientConfig;

use super::body::{Lent, Shelf};
use super::headers::{FORWARDED, ONCE, end_to_end, is_forwarded, is_refusal, say_from_where};
use super::{AGAIN, ForwardError, MOVED, PATIENCE, Places, Served};
use crate::holding::Holding;

/// For a connection to come about.
const CONNECT_TIME: Duration = Duration::from_secs(1);
/// For what was sent to be acknowledged, and between two signs that the other side is there.
const SILENT_TIME: Duration = Duration::from_secs(5);
/// How long a connection is kept without a request; the other side keeps it for longer.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Connections that are kept so, for each node.
const IDLE_CONNECTIONS: usize = 128;
/// Requests that are on their way, live streams among them, each with a connection of its own.
const UNDER_WAY: usize = 16_384;

/// How nodes speak with each other.
pub(crate) struct Speech {
    /// Whom they trust.
    pub(crate) config: ClientConfig,
    /// Whether by TLS; all of them or none.
    pub(crate) is_secure: bool,
}

/// Sends requests to the nodes that serve them.
pub(crate) struct Forwarder {
    places: Arc<dyn Places>,
    client: Client<HttpsConnector<HttpConnector>, Lent>,
    /// How all nodes speak.
    scheme: Scheme,
    seats: Arc<Semaphore>,
}

/// What became of a request.
pub(crate) enum Exchange {
    /// It is served here.
    Here(Request),
    /// Another node answered it.
    Answered(Answer),
}

/// The beginning of another node's answer.
pub(crate) struct Answer {
    pub(super) response: hyper::Response<Incoming>,
    pub(super) moved: Moved,
    pub(super) seat: OwnedSemaphorePermit,
}

/// The request as it is sent, possibly several times.
struct Sent {
    parts: Parts,
    body: Shelf,
}

/// What became of one try.
enum Tried {
    Answered(hyper::Response<Incoming>),
    /// The node was not reached, or did nothing.
    Again,
    /// It had the request, and no answer came.
    Lost,
}

impl Forwarder {
    pub(crate) fn new(places: Arc<dyn Places>, speech: Speech) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME));
        connector.set_keepalive(Some(SILENT_TIME));
        connector.set_keepalive_interval(Some(SILENT_TIME));
        connector.set_keepalive_retries(Some(1));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(2 * SILENT_TIME));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(speech.config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        let scheme = if speech.is_secure { Scheme::HTTPS } else { Scheme::HTTP };
        Self { places, client, scheme, seats: Arc::new(Semaphore::new(UNDER_WAY)) }
    }

    /// Which node serves whom.
    pub(crate) fn places(&self) -> &dyn Places {
        self.places.as_ref()
    }

    /// Gives back a request whose partition is served here, or the answer of the node that serves
    /// it.
    pub(crate) async fn exchange(
        &self,
        partition: u32,
        request: Request,
    ) -> Result<Exchange, ForwardError> {
        let outcome = self.forward(partition, request).await;
        let label = match &outcome {
            Ok(Exchange::Here(_)) => "here",
            Ok(Exchange::Answered(_)) => "answered",
            Err(ForwardError::Unserved) => "unserved",
            Err(ForwardError::Interrupted) => "interrupted",
            Err(ForwardError::Busy) => "busy",
        };
        metrics::counter!("tidemark_forwarded_requests_total", "outcome" => label).increment(1);
        outcome
    }

    async fn forward(&self, partition: u32, request: Request) -> Result<Exchange, ForwardError> {
        let is_forwarded = is_forwarded(request.headers());
        let (parts, body) = request.into_parts();
        let sent = Sent { parts, body: Shelf::new(body) };
        let mut until = Instant::now() + PATIENCE;
        let mut may_repeat = matches!(sent.parts.method, Method::GET | Method::HEAD);
        loop {
            let at = match self.places.of_partition(partition) {
                Served::Here => return sent.back().map(Exchange::Here),
                Served::At(at) if !is_forwarded => at,
                Served::At(_) => return Err(ForwardError::Unserved),
                Served::Nowhere => {
                    wait(until).await?;
                    continue;
                }
            };
            let seat =
                Arc::clone(&self.seats).try_acquire_owned().map_err(|_| ForwardError::Busy)?;
            let moved = Moved { places: Arc::clone(&self.places), partition, at };
            match self.attempt(&sent, &moved).await {
                Tried::Answered(response) => {
                    let answer = Answer { response, moved, seat };
                    return Ok(Exchange::Answered(answer));
                }
                Tried::Again if sent.body.is_whole() => wait(until).await?,
                Tried::Again => return Err(ForwardError::Unserved),
                // Once: what ends one node might end the next.
                Tried::Lost if may_repeat && sent.body.is_whole() => {
                    may_repeat = false;
                    until = Instant::now() + PATIENCE;
                }
                Tried::Lost => return Err(ForwardError::Interrupted),
            }
        }
    }

    async fn attempt(&self, sent: &Sent, moved: &Moved) -> Tried {
        let Some(request) = sent.request(&self.scheme, &moved.at) else { return Tried::Again };
        let answered = tokio::select! {
            answered = self.client.request(request) => answered,
            () = moved.clone().wait() => {
                tracing::warn!(node = %moved.at, "a node lost a partition with a request to answer");
                return Tried::Lost;
            }
        };
        match answered {
            Ok(response)
                if response.status() == StatusCode::SERVICE_UNAVAILABLE
                    && is_refusal(response.headers()) =>
            {
                Tried::Again
            }
            Ok(response) => Tried::Answered(response),
            Err(error) if error.is_connect() => {
                tracing::debug!(node = %moved.at, %error, "a node cannot be reached");
                Tried::Again
            }
            Err(error) => {
                tracing::warn!(node = %moved.at, %error, "a node went away with a request to answer");
                Tried::Lost
            }
        }
    }
}

/// Waits a moment, as long as there is patience.
async fn wait(until: Instant) -> Result<(), ForwardError> {
    if Instant::now() >= until {
        return Err(ForwardError::Unserved);
    }
    sleep(AGAIN).await;
    Ok(())
}

impl Sent {
    /// The request as the node at this address gets it.
    fn request(&self, scheme: &Scheme, at: &str) -> Option<hyper::Request<Lent>> {
        let path = self.parts.uri.path_and_query()?.clone();
        let uri = Uri::builder().scheme(scheme.clone()).authority(at).path_and_query(path).build();
        let uri = uri
            .inspect_err(|error| tracing::error!(node = at, %error, "a node has a bad address"))
            .ok()?;
        let mut request = hyper::Request::new(self.body.lend());
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = uri;
        let mut headers: HeaderMap = self.parts.headers.clone();
        end_to_end(&mut headers);
        headers.insert(FORWARDED, ONCE);
        // After what the caller would have removed: who it is, it does not decide.
        if let Some(CameFrom(address)) = self.parts.extensions.get() {
            say_from_where(&mut headers, *address);
        }
        if self.parts.extensions.get::<Upgrading>().is_some() {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        *request.headers_mut() = headers;
        Some(request)
    }

    /// The request as it came.
    fn back(self) -> Result<Request, ForwardError> {
        let body = self.body.take().ok_or(ForwardError::Unserved)?;
        Ok(Request::from_parts(self.parts, body))
    }
}

impl Answer {
    /// The answer as the caller gets it, streamed. Events end when another node serves the tenant,
    /// and when this one is `closing`.
    pub(crate) fn streamed(self, closing: impl Future<Output = ()> + Send + 'static) -> Response {
        let Self { response, moved, seat } = self;
        let (mut parts, body) = response.into_parts();
        end_to_end(&mut parts.headers);
        parts.headers.remove(FORWARDED);
        parts.version = Version::HTTP_11;
        // Only the head of what another node wrote is passed on, nothing that is this process' own.
        parts.extensions.clear();
        let kind = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_live = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
        let body = Body::new(Holding::new(body, seat));
        let body = if is_live {
            let end = select(Box::pin(moved.wait()), Box::pin(closing));
            Body::from_stream(body.into_data_stream().take_until(end))
        } else {
            body
        };
        Response::from_parts(parts, body)
    }
}

/// From where a request came to this node, which the node that answers it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CameFrom(pub(crate) IpAddr);

/// Marks a request that is to become a WebSocket.
#[derive(Clone, Copy)]
pub(super) struct Upgrading;

/// Tells when a partition is served by another node than the one at this address.
#[derive(Clone)]
pub(super) struct Moved {
    places: Arc<dyn Places>,
    partition: u32,
    at: Arc<str>,
}

impl Moved {
    pub(super) async fn wait(self) {
        loop {
            sleep(MOVED).await;
            match self.places.of_partition(self.partition) {
                // Nobody has it yet: then the answer may still come.
                Served::Nowhere => {}
                Served::At(at) if at == self.at => {}
                Served::Here | Served::At(_) => return,
            }
        }
    }
}
