//! SQL that looks for what is another's, in queries and in own views, and the same SQL by both.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::answers::Said;
use crate::firms::{FIRM, Firms, MARK, NO_FIRM, NOBODYS, THEIRS};

/// Statements with `{name}` and `{firm}` for what is another's, and `{data}` for the folder of the
/// service.
const ATTEMPTS: &[&str] = &[
    // Names of another, as tables of all kinds.
    "SELECT * FROM {name}",
    "SELECT * FROM \"{name}\"",
    "SELECT * FROM public.{name}",
    "SELECT * FROM \"{firm}\".{name}",
    "SELECT * FROM \"{firm}\".public.{name}",
    "SELECT * FROM \"{firm}\".public.open_invoices",
    "SELECT * FROM \"{firm}\".open_invoices",
    "SELECT * FROM \"{firm}\".events.\"invoicing.invoice_issued\"",
    "SELECT * FROM \"{firm}\"",
    "SELECT * FROM tidemark.\"{firm}\".open_invoices",
    "SELECT * FROM tenant_1.public.open_invoices",
    "SELECT * FROM \"1\".public.open_invoices",
    "SELECT * FROM datafusion.public.open_invoices",
    "SELECT * FROM events.\"{name}.kept\"",
    "SELECT zqx_secret FROM events.\"{name}.kept\"",
    "SELECT count(*) FROM events.\"{name}.kept\"",
    "SELECT * FROM events.\"../{firm}/invoicing.invoice_issued\"",
    "SELECT * FROM history.\"{firm}\"",
    "SELECT * FROM open_invoices WHERE tenant = '{firm}'",
    "SELECT * FROM open_invoices WHERE tenant_id = '{firm}'",
    "SELECT tenant FROM open_invoices",
    "SELECT tenant_id, * FROM ar_aging",
    "SELECT \"_tenant\" FROM events.\"invoicing.invoice_issued\"",
    "SELECT o.tenant FROM open_invoices AS o",
    // Columns of what everybody has, which another has declared.
    "SELECT zqx_note FROM events.\"invoicing.payment_received\"",
    "SELECT {name} FROM events.\"hr.employee_left\"",
    "SELECT * FROM events.\"hr.employee_left\"",
    "SELECT extra FROM events.\"invoicing.payment_received\"",
    "SELECT source FROM events.\"invoicing.payment_received\"",
    "SELECT zqx_notes FROM events.\"invoicing.payment_received\"",
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'hr.employee_left'",
    // All rows of what everybody has.
    "SELECT * FROM open_invoices",
    "SELECT * FROM events.\"invoicing.invoice_issued\"",
    "SELECT * FROM open_invoices WHERE customer_id LIKE 'zq%' OR 1 = 1",
    "SELECT count(*), min(customer_id), max(customer_id) FROM open_invoices",
    "SELECT string_agg(customer_id, ',') FROM open_invoices",
    "SELECT * FROM open_invoices a CROSS JOIN open_invoices b",
    "SELECT * FROM open_invoices UNION ALL SELECT * FROM open_invoices",
    "WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 3) SELECT * FROM n, open_invoices",
    "SELECT * FROM (SELECT * FROM open_invoices) AS \"{firm}\"",
    "SELECT (SELECT max(customer_id) FROM open_invoices)",
    // Catalogs.
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM information_schema.views",
    "SELECT * FROM information_schema.schemata",
    "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM information_schema.routines",
    "SELECT * FROM information_schema.parameters",
    "SELECT * FROM \"{firm}\".information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM pg_catalog.pg_database",
    "SELECT * FROM pg_catalog.pg_roles",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM pg_catalog.pg_attribute",
    "SELECT * FROM pg_catalog.pg_views",
    "SELECT * FROM pg_catalog.pg_rewrite",
    "SELECT '{name}'::regclass",
    "SELECT pg_get_viewdef(to_regclass('{name}'))",
    "SELECT relname FROM pg_class WHERE oid = (SELECT max(ev_class) FROM pg_rewrite)",
    "SELECT * FROM pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM tenants",
    "SELECT * FROM audit",
    "SELECT * FROM platform_audit_chain",
    "SELECT * FROM own_views",
    "SELECT * FROM event_types",
    "SHOW TABLES",
    "SHOW ALL",
    "SHOW CATALOGS",
    "SHOW SCHEMAS",
    "SHOW DATABASES",
    "SHOW COLUMNS FROM {name}",
    "SHOW CREATE TABLE {name}",
    "SHOW FUNCTIONS",
    "DESCRIBE {name}",
    "DESCRIBE TABLE \"{firm}\".public.open_invoices",
    "EXPLAIN SELECT * FROM {name}",
    "EXPLAIN SELECT * FROM open_invoices",
    "EXPLAIN ANALYZE SELECT * FROM open_invoices",
    "EXPLAIN VERBOSE SELECT * FROM events.\"invoicing.invoice_issued\"",
    // Files and addresses.
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM '{data}/control.db'",
    "SELECT * FROM '{data}/log.db'",
    "SELECT * FROM '{data}/audit.key'",
    "SELECT * FROM '{data}/objects'",
    "SELECT * FROM '{data}/objects/'",
    "SELECT * FROM 'file://{data}/objects/'",
    "SELECT * FROM 'http://127.0.0.1:1/'",
    "SELECT * FROM 's3://bucket/key'",
    "SELECT * FROM read_parquet('{data}/objects/')",
    "SELECT * FROM parquet_scan('{data}/objects/')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_json('{data}/x')",
    "SELECT * FROM parquet_metadata('{data}/objects/x.parquet')",
    "SELECT * FROM metadata_cache()",
    "SELECT * FROM statistics_cache()",
    "SELECT * FROM list_files_cache()",
    "SELECT * FROM glob('{data}/*')",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT * FROM range(3)",
    "SELECT * FROM unnest([1, 2])",
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT getenv('TIDEMARK_JWT_SECRET')",
    "COPY open_invoices TO '{data}/leak.csv'",
    "COPY (SELECT * FROM open_invoices) TO '{data}/leak.parquet' STORED AS PARQUET",
    "COPY open_invoices FROM '/etc/passwd'",
    "CREATE EXTERNAL TABLE leak STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE EXTERNAL TABLE leak STORED AS PARQUET LOCATION '{data}/objects/'",
    "CREATE UNBOUNDED EXTERNAL TABLE leak (a int) STORED AS CSV LOCATION '{data}/'",
    "ATTACH '{data}/control.db' AS control",
    // Settings and the session.
    "SET app.current_tenant = '{firm}'",
    "SET datafusion.catalog.default_catalog = '{firm}'",
    "SET datafusion.catalog.information_schema = true",
    "SET datafusion.execution.target_partitions = 1",
    "SET search_path TO \"{firm}\"",
    "SET ROLE postgres",
    "SET TIME ZONE 'UTC'",
    "RESET ALL",
    "RESET datafusion.catalog.default_catalog",
    "USE \"{firm}\"",
    "SELECT current_setting('app.current_tenant')",
    "SELECT set_config('app.current_tenant', '{firm}', true)",
    "SELECT current_user",
    "SELECT current_catalog",
    "SELECT current_schema()",
    "SELECT version()",
    "SELECT pg_sleep(0)",
    "PREPARE leak AS SELECT * FROM {name}",
    "EXECUTE leak",
    "DEALLOCATE leak",
    "BEGIN",
    "COMMIT",
    "START TRANSACTION",
    // Writing.
    "CREATE TABLE leak AS SELECT * FROM open_invoices",
    "CREATE VIEW leak AS SELECT * FROM {name}",
    "CREATE OR REPLACE VIEW open_invoices AS SELECT 1",
    "CREATE SCHEMA \"{firm}\"",
    "CREATE DATABASE \"{firm}\"",
    "CREATE FUNCTION leak() RETURNS INT RETURN 1",
    "CREATE CATALOG \"{firm}\"",
    "DROP VIEW {name}",
    "DROP TABLE open_invoices",
    "DROP TABLE \"{firm}\".public.open_invoices",
    "DROP SCHEMA public CASCADE",
    "INSERT INTO open_invoices SELECT * FROM open_invoices",
    "INSERT INTO events.\"invoicing.invoice_issued\" VALUES ('x')",
    "INSERT INTO {name} VALUES (1)",
    "UPDATE open_invoices SET amount = 0",
    "UPDATE {name} SET zqx_count = 0",
    "DELETE FROM open_invoices",
    "DELETE FROM {name}",
    "TRUNCATE TABLE {name}",
    "ALTER TABLE {name} RENAME TO mine",
    "GRANT ALL ON {name} TO seeker",
    "ANALYZE TABLE open_invoices",
    "VACUUM",
    "PRAGMA table_info(tenants)",
    "CALL leak()",
    "SELECT 1; SELECT * FROM {name}",
    "SELECT 1; DROP VIEW {name}",
    "-- {firm}\nSELECT * FROM open_invoices",
    "SELECT '{name}' FROM open_invoices WHERE 1 = 0 UNION SELECT customer_id FROM open_invoices",
    // Errors that might quote what they found.
    "SELECT CAST(customer_id AS INT) FROM open_invoices",
    "SELECT 1 / 0 FROM open_invoices",
    "SELECT zqx_count FROM {name}",
    "SELECT zqx_count FROM open_invoices",
    "SELECT customer_idd FROM open_invoices",
    "SELECT * FROM open_invoicess",
    "SELECT * FROM their_hoar",
    "SELECT * FROM events.\"their_hoard.kep\"",
    "SELECT * FROM events.\"their\"",
    "SELECT arrow_typeof(*) FROM {name}",
];

fn with(attempt: &str, name: &str, firm: &str, data: &str) -> String {
    attempt.replace("{name}", name).replace("{firm}", firm).replace("{data}", data)
}

/// What an attempt is answered, without the words of the attempt itself.
async fn tried(firms: &Firms, path: &str, body: &Value, accept: &str) -> Said {
    let request = firms.service.post(path, &firms.seeker).json(body).header("accept", accept);
    let mut said = Said::of(request.send().await.unwrap()).await;
    // What was asked for by name may be echoed: the columns of the firm's are known to the seeker here.
    for echoed in ["zqx_secret", "zqx_count", "zqx_notes", "zqx_note"] {
        said.body = said.body.replace(echoed, "COLUMN");
    }
    said
}

#[tokio::test]
async fn sql_finds_nothing_of_another() {
    let firms = Firms::new().await;
    let before = firms.own().await;
    let data = firms.service.data.path().to_str().unwrap().to_owned();
    let mut attempts = 0;
    for attempt in ATTEMPTS {
        for accept in ["application/json", "text/csv"] {
            let mut answers = Vec::new();
            for (name, firm) in [(THEIRS, FIRM), (NOBODYS, NO_FIRM)] {
                let sql = with(attempt, name, firm, &data);
                let said = tried(&firms, "/v1/query", &json!({ "sql": sql }), accept).await;
                said.keeps_secret(&sql);
                assert!(said.status < 500, "{sql}: {said:?}");
                assert!(!said.body.contains("root:"), "{sql}: {said:?}");
                answers.push(said);
                attempts += 1;
            }
            if !attempt.contains("EXPLAIN ANALYZE") {
                assert_eq!(answers[0], answers[1], "{attempt}");
            }
        }
    }
    // Only described, and not run.
    for attempt in ATTEMPTS {
        let mut answers = Vec::new();
        for (name, firm) in [(THEIRS, FIRM), (NOBODYS, NO_FIRM)] {
            let sql = with(attempt, name, firm, &data);
            let body = json!({ "sql": sql, "describe": true });
            let said = tried(&firms, "/v1/query", &body, "application/json").await;
            said.keeps_secret(&sql);
            assert!(said.status < 500, "{sql}: {said:?}");
            answers.push(said);
            attempts += 1;
        }
        assert_eq!(answers[0], answers[1], "described: {attempt}");
    }
    // As the SQL of a view, where it might be compiled otherwise.
    for (number, attempt) in ATTEMPTS.iter().enumerate() {
        let mut answers = Vec::new();
        for (name, firm) in [(THEIRS, FIRM), (NOBODYS, NO_FIRM)] {
            let sql = with(attempt, name, firm, &data);
            let view = format!("attempt_{number}");
            let body = json!({ "name": view, "sql": sql });
            let mut said = tried(&firms, "/v1/views", &body, "application/json").await;
            said.keeps_secret(&sql);
            assert!(said.status < 500, "{sql}: {said:?}");
            if said.status < 300 {
                let path = format!("/v1/views/{view}");
                let read = format!("{path}?wait_ms=20000");
                let read = firms.service.get(&read, &firms.seeker).send().await.unwrap();
                let read = Said::of(read).await;
                read.keeps_secret(&sql);
                said.body.clone_from(&read.body);
                let delete = firms.service.client.delete(firms.service.url(&path));
                let deleted = delete.bearer_auth(&firms.seeker).send().await.unwrap();
                assert_eq!(deleted.status(), 204);
            }
            answers.push(said);
            attempts += 1;
        }
        assert_eq!(answers[0], answers[1], "as a view: {attempt}");
    }
    assert_eq!(firms.own().await, before, "what the firm has is as it was");
    assert!(!firms.service.data.path().join("leak.csv").exists());
    println!("{attempts} attempts by SQL, no leak");
}

/// Parameters are values, also those that look like SQL.
#[tokio::test]
async fn parameters_are_no_sql() {
    let firms = Firms::new().await;
    for text in [
        "x' OR '1'='1",
        "x'; SELECT * FROM their_hoard; --",
        "' UNION SELECT * FROM their_hoard --",
        FIRM,
    ] {
        let body = json!({ "sql": "SELECT * FROM open_invoices WHERE customer_id = $1", "params": [text] });
        let said = tried(&firms, "/v1/query", &body, "application/json").await;
        assert_eq!(said.status, 200, "{said:?}");
        said.keeps_secret(text);
        assert!(said.body.contains("\"rows\":[]"), "{said:?}");
    }
}

/// The same SQL and the same views by two tenants, in turn and at once: whatever is cached is each
/// one's own.
#[tokio::test]
async fn what_is_cached_is_each_ones_own() {
    let firms = Firms::new().await;
    let questions = [
        "SELECT customer_id, count(*) FROM open_invoices GROUP BY customer_id ORDER BY 1",
        "SELECT * FROM events.\"invoicing.invoice_issued\" ORDER BY event_id",
        "SELECT table_name FROM information_schema.tables ORDER BY 1",
        "SELECT * FROM ar_aging ORDER BY 1",
    ];
    let ask = |is_firm: bool, question: &'static str| {
        let token = if is_firm { &firms.firm } else { &firms.seeker };
        let request = firms.service.post("/v1/query", token).json(&json!({ "sql": question }));
        async move {
            let answer = request.send().await.unwrap();
            // At once there may be more than a tenant is allowed, and then nothing is answered.
            (is_firm, question, answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let check = |(is_firm, question, status, text): (bool, &str, u16, String)| {
        assert!(status == 200 || status == 429, "{question}: {status} {text}");
        let is_names = question.contains("information_schema");
        if status == 200 && is_firm {
            assert!(
                text.contains(MARK) || (is_names && text.contains(THEIRS)),
                "{question}: {text}"
            );
            assert!(!text.contains("own-"), "{question}: {text}");
        } else if status == 200 {
            assert!(!text.contains(MARK) && !text.contains(THEIRS), "{question}: {text}");
            assert!(text.contains("own-") || is_names, "{question}: {text}");
        }
    };
    let mut attempts = 0;
    for question in questions {
        for turn in 0..6 {
            check(ask(turn % 2 == 0, question).await);
            attempts += 1;
        }
    }
    for _ in 0..5 {
        let mut calls = JoinSet::new();
        for turn in 0..24 {
            calls.spawn(ask(turn % 2 == 0, questions[turn / 2 % questions.len()]));
        }
        while let Some(answer) = calls.join_next().await {
            check(answer.unwrap());
            attempts += 1;
        }
    }
    println!("{attempts} attempts by the same SQL, no leak");
}
