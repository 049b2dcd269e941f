#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Rows that have gone: what is still read, and what goes on as before.

use futures::TryStreamExt;
use projections::{EventRegistry, Tenant};

use super::tests::{filled, ids, named, row, task_type};
use super::{Frame, Log, LogError};

async fn rows(log: &Log, after: u64) -> Result<Vec<(u64, Frame)>, LogError> {
    log.replay_after(after).try_collect().await
}

async fn offsets(log: &Log, after: u64) -> Vec<u64> {
    rows(log, after).await.unwrap().iter().map(|(offset, _)| *offset).collect()
}

async fn tasks(log: &Log, tenant: u32, after: u64) -> Result<Vec<String>, LogError> {
    let parts = log.history(Tenant(tenant), &task_type(), after, u64::MAX, vec![0]);
    let parts: Vec<_> = parts.try_collect().await?;
    Ok(parts.iter().flat_map(|(_, batches)| ids(batches)).collect())
}

async fn append(log: &Log, of: &[(u32, std::ops::Range<usize>)]) -> u64 {
    let (frame, parts) = row(of);
    log.append(frame.encode().unwrap(), parts).await.unwrap()
}

async fn reopen(folder: &tempfile::TempDir, log: Log) -> Log {
    log.close().await;
    Log::open(&folder.path().join("log.db"), EventRegistry::builtin()).await.unwrap()
}

async fn count(log: &Log, table: &'static str) -> i64 {
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
    count.fetch_one(&log.inner.readers).await.unwrap()
}

#[tokio::test]
async fn what_is_left_is_read_as_before_and_what_has_gone_is_missed_aloud() {
    let (folder, mut log) =
        filled(&[&[(1, 0..3), (2, 0..2)], &[(2, 2..3)], &[(1, 3..4)], &[(1, 4..6)]]).await;
    log.trim(2).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            log = reopen(&folder, log).await;
        }
        assert_eq!(log.trimmed(), 2);
        assert_eq!(offsets(&log, 2).await, [3, 4]);
        assert_eq!(offsets(&log, 3).await, [4]);
        assert_eq!(tasks(&log, 1, 2).await.unwrap(), named(3..6));
        assert_eq!(tasks(&log, 2, 2).await.unwrap(), named(0..0));
        assert_eq!(log.parts(Tenant(1), &task_type(), 2, 4).await.unwrap(), 2);
        assert_eq!((count(&log, "log").await, count(&log, "part").await), (2, 4));
        for after in [0, 1] {
            let error = rows(&log, after).await.unwrap_err();
            assert!(matches!(error, LogError::Trimmed { trimmed: 2, .. }), "{error}");
            let error = tasks(&log, 2, after).await.unwrap_err().to_string();
            assert!(error.contains("behind offset 2") && error.contains("log.db"), "{error}");
        }
    }
}

#[tokio::test]
async fn offsets_go_on_when_no_row_is_left() {
    let (folder, log) = filled(&[&[(1, 0..3)], &[(1, 3..4)], &[(2, 0..1)]]).await;
    log.trim(u64::MAX).await.unwrap();
    assert_eq!((count(&log, "log").await, count(&log, "part").await), (0, 0));
    assert!(offsets(&log, 3).await.is_empty());
    assert_eq!(append(&log, &[(1, 4..5)]).await, 4);
    log.trim(4).await.unwrap();
    let log = reopen(&folder, log).await;
    assert_eq!(log.trimmed(), 4);
    assert_eq!(append(&log, &[(1, 5..7)]).await, 5);
    assert_eq!(tasks(&log, 1, 4).await.unwrap(), named(5..7));
    // An older offset, or the same once more, changes nothing.
    log.trim(2).await.unwrap();
    log.trim(4).await.unwrap();
    assert_eq!(offsets(&log, 4).await, [5]);
}

#[tokio::test]
async fn many_rows_and_parts_go_in_steps() {
    let rows: Vec<Vec<(u32, std::ops::Range<usize>)>> = (0..700)
        .map(|n| (0..8).map(|tenant| (tenant * 7 + n as u32 % 7, n..n + 1)).collect())
        .collect();
    let rows: Vec<&[_]> = rows.iter().map(Vec::as_slice).collect();
    let (_folder, log) = filled(&rows).await;
    assert_eq!(count(&log, "part").await, 700 * 8 * 2);
    log.trim(650).await.unwrap();
    assert_eq!((count(&log, "log").await, count(&log, "part").await), (50, 50 * 8 * 2));
    assert_eq!(offsets(&log, 650).await.len(), 50);
}

#[tokio::test]
async fn the_room_is_used_again_and_a_vacuum_leaves_nothing() {
    let (folder, log) = filled(&[&[(1, 0..5_000)], &[(1, 5_000..10_000)]]).await;
    let path = folder.path().join("log.db");
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(log.inner.writer.lock().await.connection.as_mut().unwrap())
        .await
        .unwrap();
    let full = std::fs::metadata(&path).unwrap().len();
    let holds = |text: &str| {
        ["log.db", "log.db-wal"].iter().any(|file| {
            let bytes = std::fs::read(folder.path().join(file)).unwrap();
            memchr::memmem::find(&bytes, text.as_bytes()).is_some()
        })
    };
    assert!(holds("task-4321"));
    log.trim(2).await.unwrap();
    append(&log, &[(1, 20_000..25_000)]).await;
    append(&log, &[(1, 25_000..30_000)]).await;
    log.trim(4).await.unwrap();
    log.vacuum().await.unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < full / 4);
    assert!(!holds("task-4321") && !holds("task-21000"));
    assert_eq!(append(&log, &[(1, 5..6)]).await, 5);
    assert_eq!(offsets(&log, 4).await, [5]);
}

/// What a crash between the mark and the deletion leaves is not read, and goes with the next trim.
#[tokio::test]
async fn a_trim_that_was_cut_off_is_finished_by_the_next() {
    let (folder, log) = filled(&[&[(1, 0..3)], &[(1, 3..4)], &[(1, 4..5)]]).await;
    sqlx::raw_sql("INSERT INTO meta VALUES ('trimmed', x'0200000000000000')")
        .execute(log.inner.writer.lock().await.connection.as_mut().unwrap())
        .await
        .unwrap();
    let log = reopen(&folder, log).await;
    assert!(matches!(rows(&log, 0).await, Err(LogError::Trimmed { trimmed: 2, .. })));
    assert_eq!(offsets(&log, 2).await, [3]);
    log.trim(3).await.unwrap();
    assert_eq!((count(&log, "log").await, count(&log, "part").await), (0, 0));
}
