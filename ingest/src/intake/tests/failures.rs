//! Commits that fail, and listeners that go.

use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::LogError;

/// Runs a statement on the log's file from outside.
async fn outside(folder: &Path, statements: &'static str) {
    let path = folder.join("log.db");
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// What a disk that is full does at the insert, and at the commit.
const FAULTS: [(&str, &str); 2] = [
    (
        "CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
        "DROP TRIGGER full",
    ),
    (
        "CREATE TABLE parent (id INTEGER PRIMARY KEY);
         CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER full AFTER INSERT ON part BEGIN INSERT INTO child VALUES (1); END",
        "DROP TRIGGER full",
    ),
];

#[tokio::test]
async fn a_commit_that_fails_leaves_nothing() {
    for (fault, repair) in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::open(folder.path()).await;
        let clock = Sender { events_clock: Some(chrono_tz::UTC), ..sender(1) };
        assert_eq!(running.counts(&clock, &payments(&["a"])).await, (1, 0, 0, 2));
        outside(folder.path(), fault).await;
        for _ in 0..2 {
            let body = payments(&["a"]) + &payment("b", "2024-05-01T00:00:00Z");
            let error = running.submit(&clock, &body).await.unwrap_err();
            assert!(matches!(error, IntakeError::Log(LogError::Write { .. })), "{error}");
            assert!(error.to_string().contains("log.db"), "{error}");
            assert_eq!(running.intake.sequence(Tenant(1)), 2);
            assert_eq!(running.intake.last_date(Tenant(1)), Some(date("2024-01-01")));
        }
        // Without anything new nothing is written, so nothing fails.
        assert_eq!(running.counts(&clock, &payments(&["a"])).await, (0, 1, 0, 2));
        outside(folder.path(), repair).await;
        let body = payments(&["a"]) + &payment("b", "2024-05-01T00:00:00Z");
        assert_eq!(running.counts(&clock, &body).await, (1, 1, 0, 4));
        let inputs = running.close().await;
        assert_eq!(inputs.iter().map(|i| i.offset).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(ids(&inputs, 1, "invoicing.payment_received"), ["a", "b"]);
        let again = Running::open(folder.path()).await;
        assert_eq!(again.intake.sequence(Tenant(1)), 4);
        assert_eq!(contents(&again.close().await), contents(&inputs));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_among_many_senders_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    // Every other attempt fails, so that commits fail under groups prepared on top of them.
    outside(
        folder.path(),
        "CREATE TRIGGER sometimes BEFORE INSERT ON log WHEN random() % 2 = 0 BEGIN
             SELECT RAISE(ABORT, 'database or disk is full');
         END",
    )
    .await;
    let mut submissions = tokio::task::JoinSet::new();
    for number in 0..40_u32 {
        let (intake, sender) = (running.intake.clone(), sender(number % 2));
        // Large enough to be prepared ahead.
        submissions.spawn(async move {
            let ids: Vec<String> =
                (0..5_000).map(|i| format!("e{}", number / 2 * 2_500 + i)).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let body = payments(&ids);
            loop {
                match intake.submit(&sender, read(&sender, &body)).await {
                    Ok(receipt) => {
                        assert_eq!(receipt.accepted + receipt.duplicates, ids.len());
                        return (sender.tenant, receipt.accepted);
                    }
                    Err(IntakeError::Log(LogError::Write { .. })) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    let accepted = submissions.join_all().await;
    let sequences = [0, 1].map(|tenant| running.intake.sequence(Tenant(tenant)));
    let inputs = running.close().await;
    for tenant in 0..2 {
        let mut forwarded = ids(&inputs, tenant, "invoicing.payment_received");
        let all = forwarded.len();
        forwarded.sort();
        forwarded.dedup();
        assert_eq!(forwarded.len(), all);
        assert_eq!(sequences[tenant as usize], all as u64);
        let told =
            accepted.iter().filter(|(of, _)| *of == Tenant(tenant)).map(|(_, n)| n).sum::<usize>();
        assert_eq!(told, all);
        // 20 bodies, each half a body further: 19 * 2,500 + 5,000 ids.
        assert_eq!(all, 52_500);
    }
    let offsets: Vec<u64> = inputs.iter().map(|i| i.offset).collect();
    assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_a_listener_the_writer_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::open(folder.path()).await;
    running.inputs.close();
    let receipt = running.submit(&sender(1), &payments(&["a"])).await.unwrap();
    assert_eq!(receipt.accepted, 1);
    running.intake.ended().await;
    let late = running.submit(&sender(1), &payments(&["b"])).await;
    assert!(matches!(late, Err(IntakeError::Closed)), "{late:?}");
    running.log.close().await;

    let log = Log::open(&folder.path().join("log.db"), EventRegistry::builtin()).await.unwrap();
    let (forward, inputs) = mpsc::channel(1);
    drop(inputs);
    assert!(matches!(Intake::start(log, forward).await, Err(LogError::Stopped)));
}
