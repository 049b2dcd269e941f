//! `GET /v1/views…` and `POST /v1/query`.

use serde_json::{Value, json};

use crate::service::{Service, invoice, problem};

#[tokio::test]
async fn unknown_views_are_not_found() {
    let service = Service::start().await;
    service.tenant("neighbour").await;
    let token = service.tenant("careless").await;
    for name in [
        "ar_agin",
        "AR_AGING",
        "standing_invoices",
        "events",
        "neighbour",
        "..%2F..%2Fetc%2Fpasswd",
        "ar_aging%00",
        "%20",
        "%27%20OR%201%3D1",
    ] {
        for rest in ["", "/status"] {
            let path = format!("/v1/views/{name}{rest}");
            let said =
                problem(service.get(&path, &token).send().await.unwrap(), 404, "unknown-view")
                    .await;
            let detail = said["detail"].as_str().unwrap();
            assert!(name == "neighbour" || !detail.contains("neighbour"), "{detail}");
        }
    }
    let unknown = service.get("/v1/view", &token).send().await.unwrap();
    problem(unknown, 404, "not-found").await;
}

async fn ask(service: &Service, token: &str, sql: &str) -> Value {
    let answer =
        service.post("/v1/query", token).json(&json!({ "sql": sql })).send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(status, 400, "{sql}: {}", answer.text().await.unwrap());
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{sql}");
    let said: Value = answer.json().await.unwrap();
    let detail = said["detail"].as_str().unwrap();
    assert!(!detail.is_empty() && detail.len() < 2_000, "{sql}: {detail}");
    assert!(!detail.contains("panicked") && !detail.contains("backtrace"), "{sql}: {detail}");
    said
}

#[tokio::test]
async fn sql_that_writes_or_reaches_outside_is_refused_and_changes_nothing() {
    let service = Service::start().await;
    service.tenant("neighbour").await;
    let token = service.tenant("careless").await;
    let receipt = service.send(&token, &[invoice("i", "c", "10")]).await;
    let before = service.rows(&token, "open_invoices", &receipt["position"]).await;
    for sql in [
        "INSERT INTO ar_aging VALUES ('c', 'EUR', 1, 1, 1, 1, 1, 1)",
        "INSERT INTO events.\"invoicing.invoice_voided\" SELECT * FROM events.\"invoicing.invoice_voided\"",
        "DELETE FROM open_invoices",
        "UPDATE open_invoices SET amount = 0",
        "TRUNCATE TABLE open_invoices",
        "DROP TABLE open_invoices",
        "DROP VIEW ar_aging",
        "DROP SCHEMA events CASCADE",
        "ALTER TABLE open_invoices ADD COLUMN x INT",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT * FROM ar_aging",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "COPY ar_aging TO '/tmp/out.csv'",
        "COPY (SELECT 1) TO '/tmp/out.parquet'",
        "SET datafusion.execution.target_partitions = 64",
        "RESET datafusion.execution.target_partitions",
        "BEGIN",
        "COMMIT",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW ar_aging",
        "WITH gone AS (DELETE FROM open_invoices) SELECT 1",
        "EXPLAIN ANALYZE INSERT INTO ar_aging SELECT * FROM ar_aging",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM 'https://127.0.0.1/x.parquet'",
        "SELECT * FROM neighbour.ar_aging",
        "SELECT * FROM other.public.ar_aging",
        "SELECT * FROM standing_invoices",
        "SELECT * FROM tenants",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM events.\"no.such\"",
        "SELECT * FROM nothing",
    ] {
        let said = ask(&service, &token, sql).await;
        let kind = said["type"].as_str().unwrap();
        let known = ["urn:tidemark:problem:query-refused", "urn:tidemark:problem:invalid-query"];
        assert!(known.contains(&kind), "{sql}: {said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(sql.contains("neighbour") || !detail.contains("neighbour"), "{sql}: {detail}");
    }
    assert_eq!(service.rows(&token, "open_invoices", &receipt["position"]).await, before);
}

#[tokio::test]
async fn sql_that_is_wrong_is_a_problem_that_says_where() {
    let service = Service::start().await;
    let token = service.tenant("careless").await;
    for (sql, word) in [
        ("SELEC 1", "SELEC"),
        ("SELECT * FROM", ""),
        ("SELECT (1", ""),
        ("SELECT 'abc", ""),
        ("SELECT nothing FROM ar_aging", "nothing"),
        ("SELECT no_such_function(1)", "no_such_function"),
        ("SELECT customer_id FROM ar_aging GROUP BY currency", "customer_id"),
        ("SELECT CAST('x' AS INT)", "x"),
        ("", ""),
        (" ; ", ""),
    ] {
        let said = ask(&service, &token, sql).await;
        assert_eq!(said["type"], "urn:tidemark:problem:invalid-query", "{sql}: {said}");
        assert!(said["detail"].as_str().unwrap().contains(word), "{sql}: {said}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    ask(&service, &token, &deep).await;
    let answer =
        service.post("/v1/query", &token).json(&json!({ "sql": "SELECT 1 AS one" })).send();
    let rows: Value = answer.await.unwrap().json().await.unwrap();
    assert_eq!(rows["rows"], json!([[1]]), "the service goes on");
}
