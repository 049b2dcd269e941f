//! What tenants and callers may use: a seat for each call, and what the call takes charged to it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use stream::Problem;
use tenancy::access::Route;
use tenancy::limits::{Exceeded, Quota, Seat};

use super::App;
use super::caller::Caller;

/// What of a body is given away at once.
const PART: usize = 64 << 10;

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

    /// Charges the events of a body.
    pub(super) fn sent(&self, events: usize) {
        self.0.charge(Quota::Events, events as u64);
    }

    /// Charges a message of a WebSocket as the call that it stands for, if there is any left.
    pub(super) fn heard(&self) -> Result<(), Exceeded> {
        self.0.check(Quota::Requests)?;
        self.0.charge(Quota::Requests, 1);
        Ok(())
    }

    /// The request, whose body is charged as it is read, whatever becomes of it.
    pub(super) fn charged(&self, request: Request) -> Request {
        if request.body().is_end_stream() {
            return request;
        }
        let seat = self.clone();
        request.map(|body| Body::new(Charged { body, rest: Bytes::new(), seat }))
    }

    /// The answer, which is charged as it is taken, and has the seat until its end.
    pub(super) fn until_sent(self, response: Response) -> Response {
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| Body::new(Charged { body, rest: Bytes::new(), seat: self }))
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

/// A body that is charged. It comes in parts of at most [`PART`]: of one that is given away in one
/// piece nobody could tell when it is sent.
struct Charged {
    body: Body,
    /// What of the last piece is still to come.
    rest: Bytes,
    seat: Seated,
}

impl HttpBody for Charged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(piece) => self.rest = piece,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let bytes = self.rest.len().min(PART);
        let part = self.rest.split_to(bytes);
        self.seat.0.charge(Quota::Bytes, bytes as u64);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::response::IntoResponse;
    use futures::StreamExt;
    use tenancy::limits::{Allowance, Limiter, UseLimits};

    use super::*;

    fn limiter() -> Arc<Limiter> {
        let few = Allowance { calls: 1, bytes_per_s: 1_000, ..UseLimits::default().tenant };
        Limiter::new(UseLimits { tenant: few, token: few })
    }

    fn seat(limiter: &Arc<Limiter>) -> Seated {
        Seated(Arc::new(limiter.enter(1, "anna", false).unwrap()))
    }

    #[tokio::test]
    async fn an_answer_in_one_piece_has_its_seat_until_it_is_taken() {
        let limiter = limiter();
        let whole = vec![7; 5 * PART + 3];
        let answer = seat(&limiter).until_sent(whole.clone().into_response());
        assert_eq!(answer.body().size_hint().exact(), Some(whole.len() as u64));
        assert!(limiter.enter(1, "anna", false).is_err());
        let mut parts = answer.into_body().into_data_stream();
        let mut taken = Vec::new();
        for _ in 0..5 {
            taken.extend(parts.next().await.unwrap().unwrap());
            let left = (whole.len() - taken.len()) as u64;
            assert_eq!(HttpBody::size_hint(&parts).exact(), Some(left));
            assert!(limiter.enter(1, "anna", false).is_err(), "after {} bytes", taken.len());
        }
        taken.extend(parts.next().await.unwrap().unwrap());
        assert!(parts.next().await.is_none());
        drop(parts);
        assert_eq!(taken, whole);
        // What was taken is owed, and the seat is given back.
        let seat = seat(&limiter);
        assert!(seat.0.check(Quota::Bytes).is_err());
    }

    #[tokio::test]
    async fn an_answer_without_a_body_gives_its_seat_back_at_once() {
        let limiter = limiter();
        let _answer = seat(&limiter).until_sent(axum::http::StatusCode::NO_CONTENT.into_response());
        seat(&limiter);
    }

    #[tokio::test]
    async fn a_body_is_charged_as_far_as_it_is_read() {
        let limiter = limiter();
        let seat = seat(&limiter);
        let parts = [vec![1; 1_500], vec![2; 1_500]].map(Ok::<_, std::io::Error>);
        let body = Body::from_stream(futures::stream::iter(parts));
        let mut read = seat.charged(Request::new(body)).into_body().into_data_stream();
        seat.0.check(Quota::Bytes).unwrap();
        read.next().await.unwrap().unwrap();
        seat.0.check(Quota::Bytes).unwrap();
        read.next().await.unwrap().unwrap();
        assert!(seat.0.check(Quota::Bytes).is_err());
    }
}
