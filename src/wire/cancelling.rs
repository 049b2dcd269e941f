//! Cancelling a statement from another connection, by the key that its own was given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What cancels statements, by the id and the secret of a connection.
type Senders = HashMap<(i32, i32), watch::Sender<u64>>;

/// The keys of all connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Arc<Mutex<Senders>>);

/// The key of one connection, as long as it lasts.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: i32,
    pub(super) secret: i32,
    cancelled: watch::Receiver<u64>,
    keys: Keys,
}

impl Keys {
    /// A new one, which nobody can guess.
    pub(super) fn make(&self) -> Key {
        let (sender, cancelled) = watch::channel(0);
        let (mut id, mut secret) = (rand::random(), rand::random());
        let mut keys = self.all();
        while keys.contains_key(&(id, secret)) {
            (id, secret) = (rand::random(), rand::random());
        }
        keys.insert((id, secret), sender);
        drop(keys);
        Key { id, secret, cancelled, keys: self.clone() }
    }

    /// Cancels what runs on the connection with this key, if there is one.
    pub(super) fn cancel(&self, id: i32, secret: i32) {
        if let Some(sender) = self.all().get(&(id, secret)) {
            sender.send_modify(|count| *count += 1);
        }
    }

    fn all(&self) -> MutexGuard<'_, Senders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    /// What was cancelled is over: only what is cancelled from now on counts.
    pub(super) fn renew(&mut self) {
        self.cancelled.mark_unchanged();
    }

    /// Returns once the statement that runs is cancelled.
    pub(super) async fn cancelled(&mut self) {
        // The sender is there as long as this.
        if self.cancelled.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.keys.all().remove(&(self.id, self.secret));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_the_right_key_cancels_and_only_what_runs_then() {
        let keys = Keys::default();
        let mut key = keys.make();
        keys.cancel(key.id, key.secret.wrapping_add(1));
        keys.cancel(key.id.wrapping_add(1), key.secret);
        assert!(key.cancelled().now_or_never().is_none());
        keys.cancel(key.id, key.secret);
        assert!(key.cancelled().now_or_never().is_some());
        keys.cancel(key.id, key.secret);
        key.renew();
        assert!(key.cancelled().now_or_never().is_none());
        drop(key);
        assert!(keys.all().is_empty());
    }
}
