//! Letting go of rows that history files hold.

use std::sync::atomic::Ordering;

use sqlx::{Connection, SqliteConnection};

use super::{Log, LogError, Writer};

/// Rows that go in one transaction, so that a commit of the intake never waits for long: at most so
/// many …
const ROWS: i64 = 256;
/// … or with so many bytes (or one row, if that is larger).
const BYTES: i64 = 8 << 20;
/// Entries of `part` that are looked at in one transaction.
const PARTS: i64 = 4096;

/// The place of an entry of `part`: tenant, type, row.
type PartKey = (i64, String, i64);

impl Log {
    /// The last offset that was let go of; 0 if all rows are there.
    pub fn trimmed(&self) -> u64 {
        self.inner.trimmed.load(Ordering::Acquire)
    }

    /// Lets go of the rows up to and with `up_to`. Offsets go on as before, even if no row is
    /// left; the room in the file is used again. Commits go on between its steps.
    ///
    /// # Errors
    /// The file cannot be written. What has not gone goes with the next call.
    pub async fn trim(&self, up_to: u64) -> Result<(), LogError> {
        let mut writer = self.inner.writer.lock().await;
        let up_to = up_to.min(writer.last);
        if up_to <= self.trimmed() {
            return Ok(());
        }
        // Told first: readers must not take a row that has gone for one that never was.
        let mut connection = self.connection(&mut writer).await?;
        let marked = mark(&mut connection, up_to).await;
        self.settle(&mut writer, connection, marked).await?;
        self.inner.trimmed.store(up_to, Ordering::Release);
        drop(writer);
        while self.trim_rows(up_to).await? {}
        let mut after = Some((i64::MIN, String::new(), 0));
        while let Some(from) = after {
            after = self.trim_parts(&from, up_to).await?;
        }
        Ok(())
    }

    /// Rewrites the file so that nothing is left in it of rows that have gone, and makes it as
    /// small as it can be. Commits wait meanwhile: trim first, then there is little to rewrite.
    ///
    /// # Errors
    /// The file cannot be written; nothing is lost.
    pub async fn vacuum(&self) -> Result<(), LogError> {
        let mut writer = self.inner.writer.lock().await;
        let mut connection = self.connection(&mut writer).await?;
        let done = rewrite(&mut connection).await;
        self.settle(&mut writer, connection, done).await
    }

    /// One step of the rows; commits get in before the next. Tells whether more may be left.
    async fn trim_rows(&self, up_to: u64) -> Result<bool, LogError> {
        let mut writer = self.inner.writer.lock().await;
        let mut connection = self.connection(&mut writer).await?;
        let done = rows(&mut connection, up_to).await;
        self.settle(&mut writer, connection, done).await
    }

    /// One step of the parts. Tells where to go on.
    async fn trim_parts(&self, from: &PartKey, up_to: u64) -> Result<Option<PartKey>, LogError> {
        let mut writer = self.inner.writer.lock().await;
        let mut connection = self.connection(&mut writer).await?;
        let done = parts(&mut connection, from, up_to).await;
        self.settle(&mut writer, connection, done).await
    }

    /// Gives the connection back, unless it has failed.
    async fn settle<T>(
        &self,
        writer: &mut Writer,
        connection: SqliteConnection,
        outcome: Result<T, sqlx::Error>,
    ) -> Result<T, LogError> {
        match outcome {
            Ok(done) => {
                writer.connection = Some(connection);
                Ok(done)
            }
            Err(source) => {
                if let Err(error) = connection.close().await {
                    tracing::warn!(%error, "the log's connection did not close cleanly after a failed trim");
                }
                Err(LogError::trim(&self.inner.path, source))
            }
        }
    }
}

/// Writes the file anew and cuts the write-ahead log, which still holds what it was.
async fn rewrite(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("VACUUM").execute(&mut *connection).await?;
    // Waits for readers, which hold their connection only while they fetch.
    let busy: i64 =
        sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
    match busy {
        0 => Ok(()),
        _ => Err(sqlx::Error::Protocol(String::from("a reader holds the write-ahead log"))),
    }
}

/// Notes how far rows have gone. A version that does not know of it must not open the file.
async fn mark(connection: &mut SqliteConnection, up_to: u64) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "INSERT INTO meta VALUES ('trimmed', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    )
    .bind(up_to.to_le_bytes().to_vec())
    .execute(&mut *transaction)
    .await?;
    sqlx::raw_sql("PRAGMA user_version = 2").execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Deletes some rows; tells whether more may be left.
async fn rows(connection: &mut SqliteConnection, up_to: u64) -> Result<bool, sqlx::Error> {
    let bound: Option<i64> = sqlx::query_scalar(
        "SELECT max(id) FROM (
             SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before
             FROM (SELECT id, length(payload) AS bytes FROM log WHERE id <= ? ORDER BY id LIMIT ?)
         ) WHERE before < ?",
    )
    .bind(up_to as i64)
    .bind(ROWS)
    .bind(BYTES)
    .fetch_one(&mut *connection)
    .await?;
    let Some(bound) = bound else { return Ok(false) };
    sqlx::query("DELETE FROM log WHERE id <= ?").bind(bound).execute(connection).await?;
    Ok(bound < up_to as i64)
}

/// Deletes the entries of rows that have gone among some that follow `from`; tells where to go on.
async fn parts(
    connection: &mut SqliteConnection,
    from: &PartKey,
    up_to: u64,
) -> Result<Option<PartKey>, sqlx::Error> {
    let to: Option<PartKey> = sqlx::query_as(
        "SELECT tenant, event_type, log FROM part WHERE (tenant, event_type, log) > (?, ?, ?)
         ORDER BY tenant, event_type, log LIMIT 1 OFFSET ?",
    )
    .bind(from.0)
    .bind(&from.1)
    .bind(from.2)
    .bind(PARTS)
    .fetch_optional(&mut *connection)
    .await?;
    let last = (i64::MAX, String::new(), 0);
    let (tenant, event_type, log) = to.as_ref().unwrap_or(&last);
    sqlx::query(
        "DELETE FROM part WHERE (tenant, event_type, log) > (?, ?, ?)
         AND (tenant, event_type, log) <= (?, ?, ?) AND log <= ?",
    )
    .bind(from.0)
    .bind(&from.1)
    .bind(from.2)
    .bind(tenant)
    .bind(event_type)
    .bind(log)
    .bind(up_to as i64)
    .execute(connection)
    .await?;
    Ok(to)
}
