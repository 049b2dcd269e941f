//! What a restart brings back, and what it refuses.

use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::LogError;

async fn fill(running: &Running) {
    let clock = Sender { events_clock: Some(chrono_tz::Europe::Berlin), ..sender(1) };
    for number in 0..20 {
        let body = payment(&format!("p{number}"), &format!("2024-01-{:02}T23:30:00Z", number + 1));
        running.submit(&clock, &body).await.unwrap();
        running.submit(&sender(2), &(voided(&format!("v{number}")) + "\n" + &body)).await.unwrap();
    }
    let tick = Tick { tenant: Tenant(2), today: date("2024-03-01") };
    running.intake.tick(vec![tick]).await.unwrap();
}

#[tokio::test]
async fn a_restart_forwards_the_same_and_knows_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::open(folder.path()).await;
    fill(&first).await;
    let known = |running: &Running| {
        [1, 2, 3].map(|t| {
            let (intake, tenant) = (&running.intake, Tenant(t));
            (intake.sequence(tenant), intake.last_date(tenant), intake.newest_event(tenant))
        })
    };
    let before = known(&first);
    assert_eq!(before[0].0, 40);
    assert_eq!(before[0].1, Some(date("2024-01-21")));
    assert_eq!(before[1].0, 41);
    let inputs = first.close().await;
    let second = Running::open(folder.path()).await;
    assert_eq!(known(&second), before);
    assert_eq!(second.counts(&sender(1), &payments(&["p0", "p19", "new"])).await, (1, 2, 0, 41));
    let mut replayed = second.close().await;
    assert_eq!(replayed.pop().map(|i| i.offset), Some(inputs.len() as u64 + 1));
    assert_eq!(contents(&replayed), contents(&inputs));
}

/// What is on disk at a moment is what a killed process leaves: the files are copied while it runs.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    fill(&running).await;
    let left = tempfile::tempdir().unwrap();
    for file in ["log.db", "log.db-wal"] {
        std::fs::copy(folder.path().join(file), left.path().join(file)).unwrap();
    }
    let inputs = running.close().await;
    let restarted = Running::open(left.path()).await;
    assert_eq!(restarted.intake.sequence(Tenant(1)), 40);
    assert_eq!(contents(&restarted.close().await), contents(&inputs));
}

async fn start(folder: &Path, types: EventTypes) -> LogError {
    let started = async {
        let log = Log::open(&folder.join("log.db"), types).await?;
        let (forward, _inputs) = mpsc::channel(1_000);
        Intake::start(log, forward).await
    };
    started.await.err().expect("a damaged log was taken")
}

async fn outside(folder: &Path, statement: &'static str) {
    let path = folder.join("log.db");
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

type Change = fn(&mut Vec<u8>);

/// Changes the bytes of a row.
async fn rewrite(folder: &Path, offset: i64, change: Change) {
    let path = folder.join("log.db");
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let read = sqlx::query_scalar("SELECT payload FROM log WHERE id = ?").bind(offset);
    let mut payload: Vec<u8> = read.fetch_one(&mut connection).await.unwrap();
    change(&mut payload);
    let write = sqlx::query("UPDATE log SET payload = ? WHERE id = ?").bind(payload).bind(offset);
    write.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    fill(&running).await;
    running.close().await;
    folder
}

#[tokio::test]
async fn damage_is_named_and_never_skipped() {
    let damages: [(i64, Change, &str); 5] = [
        (7, |bytes| bytes[200] ^= 1, "checksum"),
        (3, |bytes| bytes.truncate(500), "checksum"),
        (4, Vec::clear, "cut short"),
        (1, |bytes| bytes.push(0), "checksum"),
        (2, |bytes| bytes[0] = b'X', "another format"),
    ];
    for (offset, change, what) in damages {
        let folder = filled().await;
        rewrite(folder.path(), offset, change).await;
        let error = start(folder.path(), EventTypes::builtin()).await;
        assert!(matches!(error, LogError::Corrupt { .. }), "{error}");
        let (text, place) = (error.to_string(), format!("offset {offset}: "));
        assert!(text.contains(&place) && text.contains(what) && text.contains("log.db"), "{text}");
    }
    let folder = filled().await;
    outside(folder.path(), "DELETE FROM log WHERE id = 5").await;
    let text = start(folder.path(), EventTypes::builtin()).await.to_string();
    assert!(text.contains("offset 5: the row is missing"), "{text}");
}

#[tokio::test]
async fn unknown_types_layouts_and_files_are_refused() {
    let folder = filled().await;
    let error = start(folder.path(), EventTypes::default()).await.to_string();
    assert!(error.contains("invoicing.payment_received") && error.contains("offset 1"), "{error}");
    outside(folder.path(), "PRAGMA user_version = 99").await;
    let error = start(folder.path(), EventTypes::builtin()).await;
    assert!(matches!(error, LogError::Version { found: 99, .. }), "{error}");
    std::fs::write(
        folder.path().join("log.db"),
        "this is no database at all, but a text".repeat(50),
    )
    .unwrap();
    let error = start(folder.path(), EventTypes::builtin()).await;
    assert!(matches!(error, LogError::Open { .. }), "{error}");
    let error = start(&folder.path().join("absent"), EventTypes::builtin()).await;
    assert!(matches!(error, LogError::Open { .. }), "{error}");
}
