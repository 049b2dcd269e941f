//! Who may watch: decided outside, asked for here.

use std::future::ready;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use projections::Tenant;

use crate::problem::Problem;
use crate::relay::Far;
use crate::subscription::Subscription;

/// Somebody who was let in: one tenant, until its token ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewer {
    /// The tenant whose views it may watch.
    pub tenant: Tenant,
    /// The tenant's id outside.
    pub tenant_id: String,
    /// When its token ends, and with it the stream.
    pub expires_at: DateTime<Utc>,
    /// Whether it may follow SQL; otherwise why not.
    pub asking: Result<(), Problem>,
}

/// Checks the token that a WebSocket sends in its `auth` message, and knows whose views can be
/// watched here.
pub trait Door: Send + Sync {
    /// Lets the bearer of `token` in, or says why not. The problem goes to the client as it is,
    /// so it must not tell a tenant that exists from one that does not.
    fn admit<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Viewer, Problem>>;

    /// The other end, where the viewer's tenant is served by another service; none if it is served
    /// here. `token` is what it was let in by.
    fn elsewhere<'a>(
        &'a self,
        viewer: &'a Viewer,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Option<Far>, Problem>> {
        let _ = (viewer, token);
        Box::pin(ready(Ok(None)))
    }

    /// Told of each message of a WebSocket's viewer before it is followed. With a problem, which is
    /// said, the connection ends.
    fn heard(&self) -> Result<(), Problem> {
        Ok(())
    }

    /// Told of each subscription that the viewer of a WebSocket asks for, before it is answered, and
    /// whether it was taken.
    fn subscribed<'a>(&'a self, wanted: &'a Subscription, is_taken: bool) -> BoxFuture<'a, ()> {
        let _ = (wanted, is_taken);
        Box::pin(ready(()))
    }

    /// Whether the viewer's tenant is served here, and what it was let in by still holds. Asked once its
    /// connection has a seat: one that came while [`Hub::leave`](crate::Hub::leave) or
    /// [`Hub::dismiss`](crate::Hub::dismiss) was at work must not stay.
    fn serves(&self, viewer: &Viewer) -> bool {
        let _ = viewer;
        true
    }
}

impl Viewer {
    /// How long the token still holds; at most a year, which no connection outlives.
    pub(crate) fn remaining(&self) -> std::time::Duration {
        const YEAR: std::time::Duration = std::time::Duration::from_hours(365 * 24);
        let left = self.expires_at.signed_duration_since(Utc::now());
        left.to_std().unwrap_or_default().min(YEAR)
    }
}

/// The problem that ends a stream whose token ended.
pub(crate) fn token_expired() -> Problem {
    Problem::new(
        "token-expired",
        StatusCode::UNAUTHORIZED,
        "Token expired",
        "The token of this stream has ended: connect again with a new one and resume.",
    )
}
