//! Bodies of requests that were answered before they were read: what has not come yet is read and
//! thrown away before the answer goes, within bounds. A client that sends first and reads then gets
//! its answer so, and its connection can have another request; where it cannot, the answer says it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How much of a body is thrown away, at most: four times the largest that is taken.
const DISCARDED: usize = 64 << 20;
/// For how long, in all.
const DISCARD_TIME: Duration = Duration::from_secs(3);

/// Runs a request, and reads on what of its body is left over.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Such a client does not send before it is told to.
    let sends_unasked = !request.headers().contains_key(EXPECT);
    let (back, mut left) = oneshot::channel();
    let lent = |body| Body::new(Lent { body: Some(body), back: Some(back) });
    let mut response = next.run(request.map(lent)).await;
    let Ok(body) = left.try_recv() else { return response };
    let is_read = sends_unasked && timeout(DISCARD_TIME, discard(body)).await.unwrap_or(false);
    if !is_read && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the end of the body came.
async fn discard(body: Body) -> bool {
    let mut parts = body.into_data_stream();
    let mut read = 0;
    loop {
        match parts.next().await {
            None => return true,
            Some(Ok(part)) if read + part.len() <= DISCARDED => read += part.len(),
            Some(_) => return false,
        }
    }
}

/// A body that comes back if it is dropped before its end.
struct Lent {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(back)) = (left, self.back.take()) {
            // Whoever waits no more has lost its client.
            back.send(body).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::convert::Infallible;
    use std::future::pending;

    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use futures::stream::{iter, once};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    async fn refused(request: Request) -> Response {
        let refuse = || async { StatusCode::FORBIDDEN };
        let router = Router::new().route("/", post(refuse)).layer(from_fn(finish));
        TowerToHyperService::new(router).call(request).await.unwrap()
    }

    fn body(parts: usize) -> Body {
        let part = Bytes::from(vec![b' '; 1 << 20]);
        Body::from_stream(iter((0..parts).map(move |_| Ok::<_, Infallible>(part.clone()))))
    }

    fn request(body: Body) -> Request {
        Request::post("/").body(body).unwrap()
    }

    #[tokio::test]
    async fn what_nobody_read_is_read_before_the_answer() {
        let answer = refused(request(body(3))).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(answer.headers().get(CONNECTION), None);
    }

    #[tokio::test]
    async fn too_much_too_late_or_not_asked_for_ends_the_connection() {
        let never = Body::from_stream(once(pending::<Result<Bytes, Infallible>>()));
        let mut asking = request(body(1));
        asking.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
        for request in [request(body(65)), request(never), asking] {
            let answer = refused(request).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
            assert_eq!(answer.headers()[CONNECTION], "close");
        }
    }
}
