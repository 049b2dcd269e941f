//! When the server ends a connection, whatever its client does.

use std::time::Instant;

use tokio::sync::watch;

use crate::clock;
use crate::close::Close;
use crate::connection::Connection;
use crate::door::{Viewer, token_expired};
use crate::hub::{Hub, is_set};
use crate::problem::Problem;

/// What ends a connection: the server that shuts down, the tenant or the rights that are gone, the
/// token's end.
pub(crate) struct Ending {
    closing: watch::Receiver<bool>,
    left: watch::Receiver<bool>,
    expiry: Instant,
}

impl Ending {
    /// That of a connection with the token of `viewer`.
    pub(crate) fn new(hub: &Hub, connection: &Connection, viewer: &Viewer) -> Self {
        let (closing, left) = (hub.closing(), connection.left());
        Self { closing, left, expiry: clock::now() + viewer.remaining() }
    }

    /// Takes the token of `viewer` in the place of the one before.
    pub(crate) fn renew(&mut self, viewer: &Viewer) {
        self.expiry = clock::now() + viewer.remaining();
    }

    /// When the token ends.
    pub(crate) fn expiry(&self) -> Instant {
        self.expiry
    }

    /// Why the connection is to end now, if it is.
    pub(crate) fn now(&self) -> Option<Close> {
        if *self.closing.borrow() {
            return Some(Close::ShuttingDown);
        }
        if *self.left.borrow() {
            return Some(Close::Moved);
        }
        (clock::now() >= self.expiry).then_some(Close::TokenExpired)
    }

    /// Waits until it is to end, and answers why. May be dropped and called again at any time.
    pub(crate) async fn come(&mut self) -> Close {
        let expiry = self.expiry.into();
        tokio::select! {
            biased;
            close = self.told() => close,
            () = tokio::time::sleep_until(expiry) => Close::TokenExpired,
        }
    }

    /// The same but for the end of the token, for those who wait for that anyway.
    pub(crate) async fn told(&mut self) -> Close {
        tokio::select! {
            biased;
            () = is_set(&mut self.closing) => Close::ShuttingDown,
            () = is_set(&mut self.left) => Close::Moved,
        }
    }
}

/// What is said before such an end, where its code does not say all.
pub(crate) fn last_words(close: Close) -> Option<Problem> {
    (close == Close::TokenExpired).then(token_expired)
}
