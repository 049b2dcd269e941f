//! What tenants and callers may use: a seat for each call, and what the call takes charged to it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use stream::Problem;
use tenancy::access::Route;
use tenancy::limits::{Exceeded, Quota, Seat};

use super::App;
use super::caller::Caller;

/// The seat of a call; it is given back when its last clone goes.
#[derive(Clone, Debug)]
pub(super) struct Seated(Arc<Seat>);

impl Seated {
    /// A seat for a call of this route, if there is one and the caller is in no debt.
    pub(super) fn enter(app: &App, route: &Route, caller: &Caller) -> Result<Self, Exceeded> {
        let is_stream = matches!(route.path, "/v1/stream" | "/v1/ws");
        let (tenant, subject) = (caller.tenant.number, &caller.identity.subject);
        let seat = app.limiter.enter(tenant, subject, is_stream)?;
        seat.check(Quota::Bytes)?;
        Ok(Self(Arc::new(seat)))
    }

    /// Whether events may be sent.
    pub(super) fn may_send(&self) -> Result<(), Exceeded> {
        self.0.check(Quota::Events)
    }

    /// Charges a body of events.
    pub(super) fn sent(&self, events: usize, bytes: usize) {
        self.0.charge(Quota::Events, events as u64);
        self.0.charge(Quota::Bytes, bytes as u64);
    }

    /// The answer, which is charged as it is taken, and has the seat until its end.
    pub(super) fn until_sent(self, response: Response) -> Response {
        if let Some(bytes) = response.body().size_hint().exact() {
            self.0.charge(Quota::Bytes, bytes);
            return response;
        }
        response.map(|body| Body::new(Charged { body, seat: self }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Seated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every call of a tenant has one.
        parts.extensions.get::<Self>().cloned().ok_or_else(super::problems::internal)
    }
}

/// The seat of a call, if its caller has said who it is.
pub(super) struct LateSeat(pub(super) Option<Seated>);

impl<S: Send + Sync> FromRequestParts<S> for LateSeat {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get::<Seated>().cloned()))
    }
}

/// A body that is charged.
struct Charged {
    body: Body,
    seat: Seated,
}

impl HttpBody for Charged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.seat.0.charge(Quota::Bytes, bytes as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
