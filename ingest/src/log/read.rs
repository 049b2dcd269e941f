//! Reading rows in runs of bounded size, and the replay of all of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use sqlx::Sqlite;
use sqlx::query::QueryAs;
use sqlx::sqlite::SqliteArguments;

use super::{Frame, Inner, Log, LogError};

/// A run ends with the row that brings it to so many bytes …
const RUN_BYTES: usize = 4 << 20;
/// … or rows.
const RUN_ROWS: i64 = 512;
/// Runs that are decoded while the one before is being applied.
const RUNS_AHEAD: usize = 2;

/// A row: its offset and its bytes.
pub(super) type RawRow = (i64, Vec<u8>);

impl Inner {
    /// Rows behind `after` are asked for: whether they are all there.
    pub(super) fn check_untrimmed(&self, after: u64) -> Result<(), LogError> {
        let trimmed = self.trimmed.load(Ordering::Acquire);
        if after < trimmed {
            return Err(LogError::Trimmed { path: self.path.clone(), trimmed, after });
        }
        Ok(())
    }

    /// The first rows that the query finds, by offset; `?` is bound to `RUN_ROWS` last.
    pub(super) async fn run(
        &self,
        query: QueryAs<'_, Sqlite, RawRow, SqliteArguments>,
    ) -> Result<Vec<RawRow>, LogError> {
        let mut rows = query.bind(RUN_ROWS).fetch(&self.readers);
        let (mut run, mut bytes) = (Vec::new(), 0);
        while bytes < RUN_BYTES
            && let Some(row) = rows.try_next().await.map_err(|e| LogError::read(&self.path, e))?
        {
            bytes += row.1.len();
            run.push(row);
        }
        Ok(run)
    }

    /// Decodes a run of rows that must follow `after` without a gap.
    fn frames(&self, after: u64, run: Vec<RawRow>) -> Result<VecDeque<(u64, Frame)>, LogError> {
        let mut expected = after;
        run.into_iter()
            .map(|(offset, payload)| {
                let offset = offset as u64;
                expected += 1;
                if offset != expected {
                    return Err(LogError::corrupt(&self.path, expected, "the row is missing"));
                }
                let frame = Frame::decode(&payload, &self.types)
                    .map_err(|error| LogError::corrupt(&self.path, offset, &error))?;
                Ok((offset, frame))
            })
            .collect()
    }
}

impl Log {
    /// Every row that follows `offset`, in order, with its offset. Ends with the first error.
    pub(crate) fn replay_after(
        &self,
        offset: u64,
    ) -> impl Stream<Item = Result<(u64, Frame), LogError>> + Send + 'static + use<> {
        self.rows(offset, u64::MAX)
    }

    /// The rows beyond the offset `after`, up to and with `up_to`, in order. It is an error, and
    /// not the end, if one of them has been let go of.
    pub(crate) fn rows(
        &self,
        after: u64,
        up_to: u64,
    ) -> impl Stream<Item = Result<(u64, Frame), LogError>> + Send + 'static + use<> {
        let up_to = i64::try_from(up_to).unwrap_or(i64::MAX);
        let inner = Arc::clone(&self.inner);
        let runs = stream::try_unfold((inner, after), move |(inner, after)| async move {
            let query = sqlx::query_as(
                "SELECT id, payload FROM log WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            );
            let run = inner.run(query.bind(after as i64).bind(up_to)).await?;
            inner.check_untrimmed(after)?;
            let Some((last, _)) = run.last() else {
                return Ok::<_, LogError>(None);
            };
            let last = *last as u64;
            let decoding = (Arc::clone(&inner), after, run);
            Ok(Some((decoding, (inner, last))))
        });
        runs.map_ok(|(inner, after, run)| blocking(move || inner.frames(after, run)))
            .try_buffered(RUNS_AHEAD)
            .map_ok(|frames| stream::iter(frames).map(Ok))
            .try_flatten()
    }
}

/// Runs CPU-bound work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(LogError::Stopped))
}
