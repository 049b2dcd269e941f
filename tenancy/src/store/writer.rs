//! How a file of SQLite is written to: by one connection, which those who write have in turns, in the
//! order in which they came.
//!
//! A file has one writer at a time. Who waited for it on a connection of its own would keep that one
//! from readers, and would look now and then whether the file is free, in no order. So whoever waits
//! holds none, and only the first waits for the file itself, which another process may hold.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, Connection, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::LOCK_PATIENCE;

/// How many may wait for their turn.
const WAITING: usize = 4_096;
/// How long a turn is waited for. Whoever comes right behind one who waits for the file in vain can
/// still wait for it as long.
const PATIENCE: Duration = LOCK_PATIENCE.saturating_mul(2);

/// Writes to a file. Cheap to clone; all clones have one connection.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    /// Of one connection. It gives it to whoever has waited for it longest, once what the one before
    /// has left open is rolled back.
    pool: AnyPool,
    room: Arc<Semaphore>,
}

impl Writer {
    /// One that connects, with these options, when something is to be written.
    pub(super) fn new(options: AnyPoolOptions, url: &str) -> Result<Self, sqlx::Error> {
        let options = options.max_connections(1).acquire_timeout(PATIENCE);
        // Where the disk is full SQLite may roll back by itself; a connection that was not told so waits
        // for the end of a transaction that there is no more, and nobody could begin another one.
        let options = options.before_acquire(|connection, _| {
            let is_free = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_free) })
        });
        let pool = options.connect_lazy(url)?;
        Ok(Self { pool, room: Arc::new(Semaphore::new(WAITING)) })
    }

    /// Begins a transaction when it is its turn.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let _waits = self.enter()?;
        // One that begins by reading could not go over to writing when another process has begun to.
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    /// The connection itself, for what cannot be done within a transaction.
    pub(super) async fn connection(&self) -> Result<PoolConnection<Any>, sqlx::Error> {
        let _waits = self.enter()?;
        self.pool.acquire().await
    }

    /// Closes the connection, after what is under way.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Room among those who wait.
    fn enter(&self) -> Result<SemaphorePermit<'_>, sqlx::Error> {
        let full = "too many others wait to write to the file; try again in a moment";
        let busy = |_| sqlx::Error::Io(io::Error::new(io::ErrorKind::ResourceBusy, full));
        self.room.try_acquire().map_err(busy)
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
