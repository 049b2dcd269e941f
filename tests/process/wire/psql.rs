//! What psql does: statements, its own commands, and Ctrl-C.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::postgres::{Wired, errors};

const SLOW: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x) \
                    CROSS JOIN generate_series(1, 1000000) AS b(y) WHERE x % 7 = y % 11";

#[tokio::test]
async fn psql_reads_views_and_events() {
    let wired = Wired::start().await;
    let sql = "SELECT invoice_id, customer_id, balance, due_date FROM open_invoices ORDER BY 1";
    let rows = "i1|C1|1000.2500|2025-06-10\ni2|C2|20.0000|2025-06-10\ni3|C'3|0.0001|2025-06-10";
    assert_eq!(wired.says(sql), rows);
    let sql = "SELECT occurred_at, subject FROM events.\"invoicing.payment_received\"";
    assert_eq!(wired.says(sql), "2025-06-01 10:00:00+00|");
    assert_eq!(wired.says("SELECT true, 1 = 2, NULL, 0.1::double, 7"), "t|f||0.1|7");
    assert_eq!(wired.says("SELECT 1; ; SELECT 'a;b' -- ;"), "1\na;b");
    assert_eq!(wired.says("VALUES (1), (2)"), "1\n2");
    assert_eq!(wired.says(""), "");
    // Many rows, of which only the last are looked at.
    let many = wired.says("SELECT value FROM generate_series(1, 20000) AS s(value) ORDER BY 1");
    assert_eq!(many.lines().count(), 20_000);
    assert_eq!(many.lines().last(), Some("20000"));
    // Each statement is in the audit, as a call of the query service.
    for _ in 0..200 {
        let recorded = wired.queries().await;
        let is_one = |r: &&Value| r["detail"]["sql"] == "VALUES (1), (2)";
        if let Some(one) = recorded.iter().find(is_one) {
            assert_eq!(one["object"], "POST /v1/query");
            assert_eq!(one["detail"]["rows"], 2);
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the query is not recorded");
}

#[tokio::test]
async fn what_surrounds_queries_is_taken() {
    let wired = Wired::start().await;
    let said = wired.says(
        "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET application_name = 'a b'; \
         SHOW application_name; SAVEPOINT s; SELECT 1; RELEASE s; COMMIT; DISCARD ALL; SHOW application_name",
    );
    let shown: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    let tags = ["BEGIN", "SET", "SET", "a b", "SAVEPOINT", "1", "RELEASE", "COMMIT", "DISCARD ALL"];
    assert!(shown.starts_with(&tags), "{shown:?}");
    assert_eq!(wired.says("SHOW server_version"), "16.0");
    assert!(wired.says("SHOW ALL").contains("search_path|public"));
    assert_eq!(
        wired.says("SELECT current_database(), current_user, current_schema()"),
        "tidemark|tidemark|public"
    );
    assert!(wired.says("SELECT version()").starts_with("PostgreSQL 16.0 (Tidemark"));
    let fetched = wired.says(
        "BEGIN; DECLARE c CURSOR FOR SELECT value FROM generate_series(1, 5) AS s(value) ORDER BY 1; \
         FETCH 2 FROM c; FETCH ALL FROM c; CLOSE c; COMMIT",
    );
    assert_eq!(fetched, "BEGIN\nDECLARE CURSOR\n1\n2\n3\n4\n5\nCLOSE CURSOR\nCOMMIT");
    // With FETCH_COUNT, psql takes a query's rows by such a cursor.
    let sql = "SELECT value FROM generate_series(1, 1000) AS s(value)";
    let arguments = ["-A", "-t", "--set=FETCH_COUNT=100", "-c", sql];
    let asked = wired.psql(&wired.admin, &arguments).output().unwrap();
    assert!(asked.status.success(), "{}", errors(&asked));
    assert_eq!(String::from_utf8_lossy(&asked.stdout).trim().lines().count(), 1_000);
}

#[tokio::test]
async fn errors_have_codes_and_places() {
    let wired = Wired::start().await;
    let refuses = |command: &str| wired.refuses(&wired.admin, command);
    for (command, code) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nothing", "42P01"),
        ("SELECT nothing FROM open_invoices", "42703"),
        ("INSERT INTO open_invoices VALUES (1)", "25006"),
        ("DELETE FROM open_invoices", "25006"),
        ("UPDATE open_invoices SET amount = 0", "25006"),
        ("DROP VIEW open_invoices", "25006"),
        ("CREATE TABLE t (a int)", "25006"),
        ("SET client_encoding TO 'LATIN1'", "22023"),
        ("SHOW nothing", "42704"),
        ("FETCH 1 FROM nothing", "34000"),
    ] {
        let said = refuses(command);
        assert!(said.contains(&format!(" {code}: ")), "{command}: {said}");
    }
    // psql shows the line and points at the place.
    let said = refuses("SELECT 1,\n  nothing FROM open_invoices");
    assert!(said.contains("LINE 2:   nothing FROM open_invoices"), "{said}");
    assert!(said.contains("\n          ^"), "{said}");
    // What follows a failure in a transaction is not done until it ends.
    let mut arguments = vec!["--set=ON_ERROR_STOP=0"];
    for command in ["BEGIN", "SELECT x", "SELECT 1", "ROLLBACK", "SELECT 2"] {
        arguments.extend(["-c", command]);
    }
    let asked = wired.psql(&wired.admin, &arguments).output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&asked.stdout).into_owned(), errors(&asked));
    assert!(failed.contains("25P02"), "{failed}");
    assert!(said.contains("ROLLBACK") && said.contains('2'), "{said}");
}

#[tokio::test]
async fn limits_hold() {
    let variables = [
        ("TIDEMARK_LIMITS_QUERY_SECONDS", "2"),
        ("TIDEMARK_LIMITS_QUERY_ROWS", "1000"),
        ("TIDEMARK_LIMITS_POSTGRES_TENANT_CONNECTIONS", "2"),
        ("TIDEMARK_LIMITS_POSTGRES_MESSAGE_BYTES", "100000"),
    ];
    let wired = Wired::start_with(&variables).await;
    let refuses = |command: &str| wired.refuses(&wired.admin, command);
    assert!(refuses(SLOW).contains(" 57014: "));
    let arguments = ["-c", "SET statement_timeout = '100ms'", "-c", SLOW];
    let timed = errors(&wired.psql(&wired.admin, &arguments).output().unwrap());
    assert!(timed.contains(" 57014: ") && timed.contains("statement_timeout"), "{timed}");
    assert!(refuses("SELECT * FROM generate_series(1, 2000)").contains(" 54000: "));
    let long = format!("SELECT '{}'", "x".repeat(99_999));
    // Of a message that is too long nothing is read.
    refuses(&long);
    let first = wired.connect(&wired.admin).await.unwrap();
    let second = wired.connect(&wired.admin).await.unwrap();
    let third = wired.connect(&wired.admin).await.unwrap_err();
    let code =
        third.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    assert_eq!(code.as_deref(), Some("53300"), "{third}");
    drop((first, second));
    for _ in 0..100 {
        if wired.connect(&wired.admin).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there is no room after the others have gone");
}

#[tokio::test]
async fn ctrl_c_cancels_what_runs() {
    let wired = Wired::start().await;
    let slow = wired.psql(&wired.admin, &["-c", SLOW]).spawn().unwrap();
    // Once it runs.
    for _ in 0..200 {
        let figures = wired.service.client.get(wired.service.url("/metrics")).send().await.unwrap();
        let figures = figures.text().await.unwrap();
        if figures.lines().any(|line| line.trim() == "tidemark_queries_running 1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sent = Command::new("kill").args(["-INT", &slow.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let ended = slow.wait_with_output().unwrap();
    let said = errors(&ended);
    assert!(said.contains("57014") && said.contains("as the user asked"), "{said}");
}

#[tokio::test]
async fn who_says_nothing_for_long_is_sent_away() {
    let wired = Wired::start_with(&[("TIDEMARK_LIMITS_POSTGRES_IDLE_S", "1")]).await;
    let mut connection = wired.connect(&wired.admin).await.unwrap();
    sqlx::query("SELECT 1").fetch_one(&mut connection).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    sqlx::query("SELECT 1").fetch_one(&mut connection).await.unwrap_err();
}
