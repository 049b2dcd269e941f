//! For how long a client may stay: as long as its token holds.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::sleep;

use super::failure::Failure;
use crate::http::App;

/// The longest sleep until it is looked at the clock again, which may be put.
const LOOK: Duration = Duration::from_mins(1);

/// The token of a connection, and until when it holds.
pub(super) struct Stay {
    app: Arc<App>,
    token: String,
    expires_at: DateTime<Utc>,
    /// How many secrets and keys were withdrawn when the token was checked.
    withdrawals: u64,
    /// Tells of sign-ins that were ended since.
    ended: watch::Receiver<u64>,
}

impl Stay {
    pub(super) fn new(
        app: Arc<App>,
        token: String,
        expires_at: DateTime<Utc>,
        withdrawals: u64,
        ended: watch::Receiver<u64>,
    ) -> Self {
        Self { app, token, expires_at, withdrawals, ended }
    }

    /// Returns once the token does not hold any more. May be dropped and called again.
    pub(super) async fn over(&mut self) -> Failure {
        loop {
            let left = (self.expires_at - Utc::now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return Failure::fatal("28000", "the token has expired; connect with a new one");
            }
            let verifier = self.app.verifier();
            let withdrawals = tokio::select! {
                () = sleep(left.min(LOOK)) => continue,
                count = verifier.withdrawn(self.withdrawals) => count,
                // The app has the sender.
                Ok(()) = self.ended.changed() => self.withdrawals,
            };
            match self.app.identify(&self.token).await {
                Ok(identity) => self.expires_at = identity.expires_at,
                Err(problem) => return Failure::fatal("28000", problem.detail),
            }
            self.withdrawals = withdrawals;
        }
    }
}
