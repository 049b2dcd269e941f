//! The log: one SQLite file, one row a group commit, on disk before anybody is told.
//!
//! `log` holds the rows (see [`frame`]), numbered without a gap from 1: the number is the offset.
//! `part` tells which rows hold something of a tenant and type, so that a history scan reads no
//! others. `meta` holds the key of the id hashes, drawn once for each file, and up to which offset
//! rows have been let go of ([`trim`](Log::trim)).

mod error;
mod frame;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod trim;
#[cfg(test)]
mod trim_tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use projections::EventRegistry;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::Mutex;

pub use error::LogError;
pub(crate) use frame::{Frame, Segment, key};
pub(crate) use read::blocking;

/// The layout of a new file.
const VERSION: i64 = 1;
/// The same once rows have been let go of.
const TRIMMED_VERSION: i64 = 2;

/// Larger than SQLite's default, since most of the file is long blobs.
const PAGE_BYTES: u32 = 8192;

/// Readers at once: scans, which hold a connection only while they fetch.
const READERS: u32 = 4;

/// Rows in flight between SQLite's thread and the reader. A row can have tens of megabytes.
const ROWS_BUFFERED: usize = 1;

const SCHEMA: &str = "
CREATE TABLE log (id INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;
CREATE TABLE part (
    tenant INTEGER NOT NULL, event_type TEXT NOT NULL, log INTEGER NOT NULL,
    PRIMARY KEY (tenant, event_type, log)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
INSERT INTO meta VALUES ('id_key', randomblob(16));
PRAGMA user_version = 1;
";

/// The log of one data folder; cheap to clone. One process at a time may hold it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    types: EventRegistry,
    id_key: [u8; 16],
    /// The last offset whose row may have gone.
    trimmed: AtomicU64,
    readers: SqlitePool,
    writer: Mutex<Writer>,
}

struct Writer {
    /// None after a failure: what state it left behind is not asked, a new one is opened.
    connection: Option<SqliteConnection>,
    /// The last offset that was recorded.
    last: u64,
}

impl Log {
    /// Opens the log at `path`, creating it if there is none. `types` must hold every type in it by
    /// the time it is replayed.
    ///
    /// # Errors
    /// The file cannot be opened, is no log, or has a layout this version does not know.
    pub async fn open(path: &Path, types: impl Into<EventRegistry>) -> Result<Self, LogError> {
        let failed = |source| LogError::open(path, source);
        let mut writer = options(path).connect().await.map_err(failed)?;
        prepare(&mut writer, path).await?;
        let row = sqlx::query(
            "SELECT (SELECT value FROM meta WHERE name = 'id_key'),
                    (SELECT value FROM meta WHERE name = 'trimmed'),
                    (SELECT coalesce(max(id), 0) FROM log)",
        )
        .fetch_one(&mut writer)
        .await
        .map_err(failed)?;
        let damaged = |what| LogError::corrupt(path, 0, what);
        let id_key: Vec<u8> = row.try_get(0).map_err(failed)?;
        let id_key =
            id_key.try_into().map_err(|_| damaged("the key of the id hashes is damaged"))?;
        let trimmed: Option<Vec<u8>> = row.try_get(1).map_err(failed)?;
        let trimmed = match trimmed.map(<[u8; 8]>::try_from) {
            Some(Ok(bytes)) => u64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(damaged("how far it was trimmed is damaged")),
            None => 0,
        };
        let last: i64 = row.try_get(2).map_err(failed)?;
        // Every row may have gone; offsets go on all the same.
        let last = (last as u64).max(trimmed);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options(path).read_only(true))
            .await
            .map_err(failed)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                types: types.into(),
                id_key,
                trimmed: AtomicU64::new(trimmed),
                readers,
                writer: Mutex::new(Writer { connection: Some(writer), last }),
            }),
        })
    }

    /// Makes sure that the log has come as far as `offset`: it may not be older than what was
    /// computed from it.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if it has not.
    pub async fn expect(&self, offset: u64) -> Result<(), LogError> {
        let last = self.inner.writer.lock().await.last;
        if last >= offset {
            return Ok(());
        }
        let what =
            format!("it ends at {last}, and a checkpoint has more; restore both from one backup");
        Err(LogError::corrupt(&self.inner.path, offset, &what))
    }

    /// The offset of the last row; 0 if there never was one.
    pub(crate) async fn last(&self) -> u64 {
        self.inner.writer.lock().await.last
    }

    /// The key of the hashes of event ids.
    pub fn id_key(&self) -> &[u8; 16] {
        &self.inner.id_key
    }

    /// Records a row that holds events of `parts`, a JSON array of `[tenant, key of the type]`, and returns
    /// its offset once it is on disk. After an error nothing of it is there.
    pub(crate) async fn append(&self, payload: Vec<u8>, parts: String) -> Result<u64, LogError> {
        let mut writer = self.inner.writer.lock().await;
        let offset = writer.last + 1;
        let mut connection = self.connection(&mut writer).await?;
        match insert(&mut connection, offset, payload, parts).await {
            Ok(()) => {
                writer.last = offset;
                writer.connection = Some(connection);
                Ok(offset)
            }
            Err(source) => {
                if let Err(error) = connection.close().await {
                    tracing::warn!(%error, "the log's connection did not close cleanly after a failed write");
                }
                Err(LogError::write(&self.inner.path, source))
            }
        }
    }

    /// The writer's connection, or a new one after a failure.
    async fn connection(&self, writer: &mut Writer) -> Result<SqliteConnection, LogError> {
        match writer.connection.take() {
            Some(connection) => Ok(connection),
            None => self.reconnect(writer.last).await,
        }
    }

    /// Opens a connection after a failure, and makes sure that what was reported as failed is not there.
    async fn reconnect(&self, last: u64) -> Result<SqliteConnection, LogError> {
        let failed = |source| LogError::write(&self.inner.path, source);
        let mut connection = options(&self.inner.path).connect().await.map_err(failed)?;
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM log WHERE id > ?")
            .bind(last as i64)
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        if left > 0 {
            let mut transaction = connection.begin().await.map_err(failed)?;
            for delete in ["DELETE FROM log WHERE id > ?", "DELETE FROM part WHERE log > ?"] {
                let delete = sqlx::query(delete).bind(last as i64);
                delete.execute(&mut *transaction).await.map_err(failed)?;
            }
            transaction.commit().await.map_err(failed)?;
        }
        Ok(connection)
    }

    /// Closes the file. Clones of the log can do no more after it.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        if let Some(connection) = self.inner.writer.lock().await.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the log did not close cleanly; what it holds is on disk all the same");
        }
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Pages (32 MiB) after which the log is carried over into the file, and what stays of it.
        .pragma("wal_autocheckpoint", "4096")
        .pragma("journal_size_limit", "67108864")
        .row_buffer_size(ROWS_BUFFERED)
        .disable_statement_logging()
}

/// Creates the tables of a new file; checks the layout of one that is there.
async fn prepare(connection: &mut SqliteConnection, path: &Path) -> Result<(), LogError> {
    let failed = |source| LogError::open(path, source);
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    match found {
        VERSION | TRIMMED_VERSION => Ok(()),
        0 => {
            let mut transaction = connection.begin().await.map_err(failed)?;
            sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)
        }
        found => Err(LogError::Version { path: path.to_owned(), found, known: TRIMMED_VERSION }),
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    offset: u64,
    payload: Vec<u8>,
    parts: String,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("INSERT INTO log (id, payload) VALUES (?, ?)")
        .bind(offset as i64)
        .bind(payload)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT INTO part (tenant, event_type, log)
         SELECT value ->> 0, value ->> 1, ? FROM json_each(?)",
    )
    .bind(offset as i64)
    .bind(parts)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
