//! What a session can read and what it cannot: one tenant's relations, by one statement.

use std::sync::Arc;

use projections::{EventBatch, EventTypes, Input, Partition, ViewDefinition};
use query::{Queries, QueryError, QueryLimits};
use serde_json::{Value, json};

use crate::support::{self, ACME, balances, snapshot, view, world};

fn message(result: Result<Value, QueryError>) -> String {
    result.expect_err("an error").to_string()
}

#[tokio::test]
async fn a_view_and_history_are_read() {
    let world = world(QueryLimits::default());
    let rows =
        world.ask("SELECT customer_id, amount FROM balances WHERE visits < 2").await.unwrap();
    assert_eq!(rows, json!([["A00000", "1.0000"], ["A00001", "2.0000"]]));
    let rows = world
        .ask(r#"SELECT sum(amount), count(*) FROM events."invoicing.payment_received""#)
        .await
        .unwrap();
    assert_eq!(rows, json!([["31.5000", 3]]));
    let rows =
        world.ask(r#"SELECT count(*) FROM events."invoicing.payment_received""#).await.unwrap();
    assert_eq!(rows, json!([[3]]), "what came after the snapshot is not in it");
    let rows = world.ask(r#"SELECT * FROM events."hr.employee_left""#).await.unwrap();
    assert_eq!(rows, json!([]));
}

#[tokio::test]
async fn an_answer_states_its_position_and_date() {
    let world = world(QueryLimits::default());
    let body = support::json(world.answer("SELECT 1 AS one").await.unwrap()).await.unwrap();
    assert_eq!(body["position"], world.acme.position().to_string());
    assert_eq!(body["as_of"], "2024-02-29");
    assert_eq!(body["columns"], json!([{"name": "one", "type": "int"}]));
}

#[tokio::test]
async fn the_date_is_the_tenants() {
    let world = world(QueryLimits::default());
    let sql = "SELECT current_date, today(), now() = TIMESTAMP '2024-02-29T00:00:00Z', \
               (SELECT count(*) FROM balances WHERE current_date = DATE '2024-02-29')";
    assert_eq!(world.ask(sql).await.unwrap(), json!([["2024-02-29", "2024-02-29", true, 20]]));
    assert!(message(world.ask("SELECT current_time()").await).contains("current_time"));
}

#[tokio::test]
async fn another_tenants_relations_do_not_exist() {
    let world = world(QueryLimits::default());
    let rows = world.ask("SELECT customer_id FROM balances WHERE customer_id LIKE 'B%'").await;
    assert_eq!(rows.unwrap(), json!([]));
    let foreign = message(world.ask("SELECT * FROM secret_plans").await);
    let nowhere = message(world.ask("SELECT * FROM secret_plant").await);
    assert_eq!(foreign, nowhere.replace("secret_plant", "secret_plans"));
    let other = world.queries.run(world.other.clone(), "SELECT count(*) FROM balances", vec![]);
    let body = support::json(other.await.unwrap()).await.unwrap();
    assert_eq!(body["rows"], json!([[4]]));
}

#[tokio::test]
async fn nothing_outside_the_catalog_can_be_named() {
    let world = world(QueryLimits::default());
    for relation in [
        "'/etc/passwd'",
        "\"/etc/passwd\"",
        "\"file:///etc/passwd\"",
        "\"s3://bucket/x.csv\"",
        "\"Cargo.toml\"",
        "datafusion.public.balances",
        "other.balances",
        "tidemark.private.balances",
        "information_schema.df_settings",
        "information_schema.parameters",
        "pg_catalog.pg_authid",
        "read_csv('/etc/passwd')",
        "parquet_metadata('x')",
    ] {
        let error = world.ask(&format!("SELECT * FROM {relation}")).await.unwrap_err();
        assert!(matches!(error, QueryError::Invalid { .. }), "{relation}: {error:?}");
    }
}

#[tokio::test]
async fn a_pattern_that_is_none_is_the_fault_of_the_sql() {
    let world = world(QueryLimits::default());
    for sql in [
        "SELECT 'a' ~ '('",
        "SELECT 'a' ~* '['",
        "SELECT regexp_like('a', '(')",
        "SELECT regexp_replace('a', '(', 'x')",
        "SELECT 'a' SIMILAR TO '('",
    ] {
        let error = match world.ask(sql).await {
            Err(error) => error,
            Ok(answer) => panic!("{sql} is answered: {answer:?}"),
        };
        assert!(matches!(error, QueryError::Invalid { .. }), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn only_one_statement_that_reads_is_run() {
    let world = world(QueryLimits::default());
    let cases = [
        ("INSERT INTO balances VALUES ('x', 1, NULL, 1)", "INSERT"),
        ("UPDATE balances SET visits = 1", "UPDATE"),
        ("DELETE FROM balances", "DELETE"),
        ("TRUNCATE balances", "TRUNCATE"),
        ("MERGE INTO balances USING balances b ON true WHEN MATCHED THEN DELETE", "MERGE"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("CREATE VIEW v AS SELECT 1", "CREATE"),
        ("SELECT * FROM balances TABLESAMPLE (10)", "TABLESAMPLE"),
        (
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM balances b TABLESAMPLE BERNOULLI (1))",
            "TABLESAMPLE",
        ),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL TABLE"),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", "CREATE"),
        ("DROP TABLE balances", "DROP"),
        ("ALTER TABLE balances ADD COLUMN x INT", "ALTER"),
        ("COPY balances TO '/tmp/x.csv'", "COPY"),
        ("COPY (SELECT 1) TO '/tmp/x.csv' STORED AS CSV", "COPY"),
        ("SET datafusion.execution.batch_size = 1", "SET"),
        ("RESET datafusion.execution.batch_size", "RESET"),
        ("SHOW TABLES", "SHOW"),
        ("SHOW ALL", "SHOW"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXECUTE p", "EXECUTE"),
        ("BEGIN", "BEGIN"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN ANALYZE"),
        ("EXPLAIN INSERT INTO balances SELECT * FROM balances", "INSERT"),
        ("EXPLAIN COPY balances TO '/tmp/x.csv'", "COPY"),
        ("SELECT * INTO t FROM balances", "SELECT INTO"),
        ("WITH w AS (SELECT * FROM balances) DELETE FROM balances", "DELETE"),
        ("WITH w AS (INSERT INTO balances SELECT * FROM balances) SELECT 1", "INSERT"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1; DROP TABLE balances", "more than one statement"),
    ];
    for (sql, kind) in cases {
        match world.ask(sql).await {
            Err(QueryError::Refused { statement }) => {
                assert!(statement.eq_ignore_ascii_case(kind), "{sql}: {statement}");
            }
            // A form that the parser does not know is as harmless as one that is refused.
            Err(QueryError::Invalid { message, .. }) => {
                assert!(message.contains("does not parse"), "{sql}: {message}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    for sql in ["INSERT INTO balances SELECT 1", "SET a = 1", "SHOW TABLES", "DROP TABLE t"] {
        let error = world.ask(sql).await.unwrap_err();
        assert!(matches!(error, QueryError::Refused { .. }), "{sql}: {error:?}");
    }
    for sql in ["SELECT 1", "VALUES (1)", "WITH w AS (SELECT 1) SELECT * FROM w;", "(SELECT 1)"] {
        assert_eq!(world.ask(sql).await.unwrap(), json!([[1]]), "{sql}");
    }
    let plan = world.ask("EXPLAIN SELECT * FROM balances").await.unwrap().to_string();
    assert!(plan.contains("balances"), "{plan}");
}

#[tokio::test]
async fn the_information_schema_lists_the_tenants_own() {
    let world = world(QueryLimits::default());
    let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(world.ask(sql).await.unwrap(), json!([["balances"]]));
    let sql = "SELECT column_name, data_type, is_nullable FROM information_schema.columns \
               WHERE table_name = 'balances' ORDER BY ordinal_position";
    assert_eq!(
        world.ask(sql).await.unwrap(),
        json!([
            ["customer_id", "text", "NO"],
            ["amount", "numeric", "YES"],
            ["due", "date", "YES"],
            ["visits", "bigint", "NO"]
        ])
    );
    let sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'events'";
    let types = EventTypes::builtin().iter().count();
    assert_eq!(world.ask(sql).await.unwrap(), json!([[types]]));
}

#[tokio::test]
async fn errors_say_what_and_where() {
    let world = world(QueryLimits::default());
    let error = world.ask("SELECT 1,\n  FROM balances WHERE").await.unwrap_err();
    let end = QueryError::Invalid { line: Some(2), column: Some(22), message: error.to_string() };
    assert_eq!(error, end);
    let error = world.ask("SELECT visits,\n       custmer_id FROM balances").await.unwrap_err();
    let QueryError::Invalid { message, line, column } = error else { panic!("{error:?}") };
    assert!(message.contains("'customer_id'"), "{message}");
    assert_eq!((line, column), (Some(2), Some(8)));
    assert!(message_of(&world, "SELECT * FROM balance").await.contains("did you mean 'balances'"));
    let event = message_of(&world, "SELECT * FROM invoicing.payment_received").await;
    assert!(event.contains("events.\"invoicing.payment_received\""), "{event}");
    let function = message_of(&world, "SELECT summ(visits) FROM balances").await;
    assert!(function.contains("summ"), "{function}");
    assert!(message_of(&world, "").await.contains("no statement"));
    assert!(message_of(&world, "SELECT visits / 0 FROM balances").await.contains("ivide by zero"));
}

#[tokio::test]
async fn errors_point_at_names() {
    let world = world(QueryLimits::default());
    let cases = [
        (
            "SELECT 1\nFROM balances b\nJOIN balanses c USING (visits)",
            json!([]),
            (3, 6),
            "'balances'",
        ),
        ("SELECT 1 FROM\n  events.\"invoicing.payment\"", json!([]), (2, 3), "payment_received"),
        ("SELECT visits\n FROM balances WHERE due = $1", json!(["x"]), (2, 28), "$1: 'x'"),
        ("SELECT visits FROM balances\nWHERE visits > $1 + $2", json!([1]), (2, 21), "uses $2"),
        ("SELECT\n  summ(visits) FROM balances", json!([]), (2, 3), "sum"),
        ("SELECT\n  visits FROM balances a, balances b", json!([]), (2, 3), "more than one"),
        ("SELECT b.vists FROM balances b", json!([]), (1, 8), "'visits'"),
    ];
    for (sql, params, place, word) in cases {
        let params = params.as_array().unwrap().clone();
        let error = world.ask_with(sql, params).await.unwrap_err();
        let QueryError::Invalid { message, line, column } = error else {
            panic!("{sql}: {error:?}")
        };
        assert!(message.contains(word), "{sql}: {message}");
        assert_eq!((line, column), (Some(place.0), Some(place.1)), "{sql}: {message}");
    }
}

async fn message_of(world: &support::World, sql: &str) -> String {
    message(world.ask(sql).await)
}

#[tokio::test]
async fn parameters_are_values() {
    let world = world(QueryLimits::default());
    let hostile = "A00000' OR 1=1; DROP TABLE balances --";
    let sql = "SELECT count(*) FROM balances WHERE customer_id = $1";
    assert_eq!(world.ask_with(sql, vec![json!(hostile)]).await.unwrap(), json!([[0]]));
    assert_eq!(world.ask_with(sql, vec![json!("A00003")]).await.unwrap(), json!([[1]]));

    let sql = "SELECT count(*) FROM balances WHERE amount = $1";
    for exact in [json!("3.0000"), json!("3"), json!(3), json!(3.0), json!("3.00")] {
        let rows = world.ask_with(sql, vec![exact.clone()]).await.unwrap();
        assert_eq!(rows, json!([[1]]), "{exact}");
    }
    let rows = world.ask_with(sql, vec![json!("3.00001")]).await.unwrap();
    assert_eq!(rows, json!([[0]]), "nothing is rounded to the column's places");

    let sql = "SELECT customer_id FROM balances WHERE due >= $1 AND visits <= $2 LIMIT $3";
    let params = vec![json!("2024-10-05"), json!(5), json!(1)];
    assert_eq!(world.ask_with(sql, params).await.unwrap(), json!([["A00001"]]));

    let sql = "SELECT $1, $2, $3, $4 IS NULL, $1 || '!'";
    let params = vec![json!("text"), json!(true), json!(0.1), json!(null)];
    assert_eq!(
        world.ask_with(sql, params).await.unwrap(),
        json!([["text", true, "0.1", true, "text!"]])
    );
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_named() {
    let world = world(QueryLimits::default());
    let by_date = "SELECT count(*) FROM balances WHERE due = $1";
    let by_amount = "SELECT count(*) FROM balances WHERE amount = $1";
    let cases = [
        (by_date, vec![json!("2024-13-01")], "$1: '2024-13-01' is no date"),
        (by_amount, vec![json!("twelve")], "$1: 'twelve' is no decimal"),
        (by_amount, vec![json!("1e99")], "no decimal"),
        (by_amount, vec![json!(0.123_456_789_012_345_67)], "send it as text"),
        (by_amount, vec![], "uses $1, but 0 parameters"),
        (by_amount, vec![json!(1), json!(2)], "does not use $2"),
        (by_amount, vec![json!([1])], "$1: a list"),
        (by_amount, vec![json!({"a": 1})], "$1: an object"),
        ("SELECT $name", vec![json!(1)], "'$name' is no parameter"),
        ("SELECT $0", vec![json!(1)], "zero is not a valid index"),
    ];
    for (sql, params, expected) in cases {
        let error = message(world.ask_with(sql, params).await);
        assert!(error.contains(expected), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_number_with_a_point_is_exact() {
    let world = world(QueryLimits::default());
    assert_eq!(world.ask("SELECT 0.1 + 0.2").await.unwrap(), json!([["0.3"]]));
    let rows = world.ask("SELECT amount * 1.1 FROM balances WHERE visits = 2").await.unwrap();
    assert_eq!(rows, json!([["3.30000"]]));
}

#[tokio::test]
async fn pages_follow_each_other() {
    let rows = balances("A", 25);
    let snapshot = snapshot(ACME, vec![view("balances", &rows), view("other", &rows)]);
    let (mut seen, mut after) = (Vec::new(), None);
    for _ in 0..3 {
        let page = query::read_view(&snapshot, "balances", after.as_deref(), 10).unwrap();
        let body: Value = serde_json::from_slice(&page.json()).unwrap();
        seen.extend(body["rows"].as_array().unwrap().iter().map(|r| r[3].as_i64().unwrap()));
        assert_eq!(body["position"], snapshot.position().to_string());
        assert_eq!(body["as_of"], "2024-02-29");
        assert_eq!(body["next"].as_str(), page.next.as_deref());
        after = page.next;
    }
    assert_eq!(after, None);
    assert_eq!(seen, (0..25).collect::<Vec<_>>());

    let first = query::read_view(&snapshot, "balances", None, 10).unwrap();
    for wrong in ["", "nonsense", "====", first.next.as_deref().unwrap()] {
        let error = query::read_view(&snapshot, "other", Some(wrong), 10).unwrap_err();
        assert!(error.to_string().contains("cursor"), "{error}");
    }
    for limit in [0, query::MAX_PAGE + 1] {
        assert!(query::read_view(&snapshot, "balances", None, limit).is_err());
    }
    let error = query::read_view(&snapshot, "balance", None, 10).unwrap_err();
    let QueryError::UnknownView { nearest, .. } = error else { panic!("{error:?}") };
    assert_eq!(nearest, ["balances"]);
    let whole = query::view_answer(&snapshot, "balances").unwrap();
    let body = support::json(whole).await.unwrap();
    assert_eq!(body["rows"].as_array().unwrap().len(), 25);
}

/// A view that divides by zero for one payment, kept by the engine itself.
#[tokio::test]
async fn a_failed_view_says_so_and_the_others_go_on() {
    let types = EventTypes::builtin();
    let text = |name: &str, sql: &str| ViewDefinition::parse(name, sql);
    let payments = "SELECT payment_id, 10 / (CASE invoice_id WHEN 'p-1' THEN 0 ELSE 1 END) AS x \
                    FROM events.\"invoicing.payment_received\"";
    let views = vec![
        text("broken", payments),
        text("whole", "SELECT payment_id, amount FROM events.\"invoicing.payment_received\""),
    ];
    let mut partition = Partition::new(&types, views).unwrap();
    let (event_type, rows) = support::payments(&types, "p", 3);
    let mut history = support::MemoryHistory::default();
    history.add(ACME, &event_type, 5, rows.clone());
    let tenants = vec![ACME.0; rows.num_rows()].into();
    let events = vec![EventBatch { event_type, tenants, rows, extra: None }];
    partition.apply(Input { events, ticks: vec![], offset: 5 });
    let snapshot = partition.readers().snapshot(ACME);
    let queries = Queries::new(types, Arc::new(history), QueryLimits::default()).unwrap();

    let failed = queries.run(snapshot.clone(), "SELECT count(*) FROM broken", vec![]).await;
    let error = failed.err().unwrap();
    assert!(matches!(&error, QueryError::ViewFailed { view, .. } if view == "broken"), "{error:?}");
    let page = query::read_view(&snapshot, "broken", None, 10);
    assert!(matches!(page, Err(QueryError::ViewFailed { .. })));
    let whole = query::view_answer(&snapshot, "broken");
    assert!(matches!(whole, Err(QueryError::ViewFailed { .. })));

    let sql = "SELECT count(*), sum(e.amount - w.amount), current_date IS NULL FROM whole w \
               JOIN events.\"invoicing.payment_received\" e USING (payment_id), \
               (SELECT count(*) FROM information_schema.columns) c";
    let answer = queries.run(snapshot.clone(), sql, vec![]).await.unwrap();
    let body = support::json(answer).await.unwrap();
    assert_eq!(body["rows"], json!([[3, "0.0000", true]]));
    assert_eq!(body["as_of"], Value::Null);
    assert_eq!(body["position"], snapshot.position().to_string());
}

/// DataFusion takes the key of an aggregated relation to determine every column of a grouping by
/// it and more, and drops them.
#[tokio::test]
async fn grouping_by_a_key_and_more_keeps_every_column() {
    let world = world(QueryLimits::default());
    let sql = "WITH t (a, c) AS (VALUES (1, 5), (2, 6)), \
               e (a, p) AS (VALUES (1, 1), (1, 2), (1, 4), (2, 3)), \
               tasks AS (SELECT a, max(c) AS c FROM t GROUP BY a), \
               joined AS (SELECT tasks.a, tasks.c, e.p FROM tasks JOIN e ON e.a = tasks.a), \
               once AS (SELECT a, c, p FROM joined GROUP BY a, c, p) \
               SELECT a, c, p % 2 AS odd, count(*) AS n FROM once GROUP BY a, c, p % 2 \
               ORDER BY a, odd";
    let rows = world.ask(sql).await.unwrap();
    assert_eq!(rows, json!([[1, 5, 0, 2], [1, 5, 1, 1], [2, 6, 1, 1]]));
}

/// What an order leaves equal is decided by the rest, not by the order of arrival.
#[tokio::test]
async fn equal_rows_have_an_order_too() {
    let world = world(QueryLimits::default());
    for rows in ["(1, 'x'), (1, 'z'), (1, 'y')", "(1, 'z'), (1, 'y'), (1, 'x')"] {
        let t = format!("(VALUES {rows}) AS t (a, b)");
        let aggregates = format!(
            "SELECT last_value(b ORDER BY a), first_value(b ORDER BY a), \
             string_agg(b, '' ORDER BY a) FROM {t}"
        );
        assert_eq!(world.ask(&aggregates).await.unwrap(), json!([["z", "z", "xyz"]]));
        let limit = format!("SELECT b FROM {t} ORDER BY a DESC LIMIT 2");
        assert_eq!(world.ask(&limit).await.unwrap(), json!([["x"], ["y"]]));
        let numbers = format!(
            "SELECT b, row_number() OVER (ORDER BY a) AS n, rank() OVER (ORDER BY a) AS r \
             FROM {t} ORDER BY b"
        );
        let numbered = json!([["x", 1, 1], ["y", 2, 1], ["z", 3, 1]]);
        assert_eq!(world.ask(&numbers).await.unwrap(), numbered);
        let distinct = format!("SELECT DISTINCT ON (a) a, b FROM {t} ORDER BY a");
        assert_eq!(world.ask(&distinct).await.unwrap(), json!([[1, "z"]]));
    }
}

/// A column that is unique on its side of a join does not determine what the join puts beside it.
#[tokio::test]
async fn an_order_keeps_all_its_keys() {
    let world = world(QueryLimits::default());
    let sql = "SELECT r.a, s.b, count(c.customer_id) AS n \
               FROM (SELECT DISTINCT visits % 3 AS a FROM balances) AS r \
               CROSS JOIN (SELECT DISTINCT 9 - visits % 5 AS b FROM balances) AS s \
               LEFT JOIN (SELECT visits % 3 AS a, 9 - visits % 5 AS b, customer_id FROM balances) AS c \
               ON c.a = r.a AND c.b = s.b GROUP BY r.a, s.b ORDER BY r.a, s.b";
    let rows = world.ask(sql).await.unwrap();
    let keys: Vec<(i64, i64)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].as_i64().unwrap(), row[1].as_i64().unwrap()))
        .collect();
    assert_eq!(keys.len(), 15);
    assert!(keys.is_sorted(), "{keys:?}");
}

#[tokio::test]
async fn the_engines_functions_are_there() {
    let world = world(QueryLimits::default());
    let days = "SELECT business_days(DATE '2025-02-28', DATE '2025-03-05'), \
                business_days('2025-03-05', '2025-02-28', make_array('2025-03-03')), \
                fiscal_year(DATE '2024-10-01', 10), fiscal_quarter(DATE '2024-12-31', 10), \
                fiscal_period(DATE '2024-09-30', 10)";
    assert_eq!(world.ask(days).await.unwrap(), json!([[3, -2, 2025, 1, 12]]));
    let windows = "SELECT unnest(hop(TIMESTAMP '2025-03-01T10:20:00Z', INTERVAL '30 minutes', \
                   INTERVAL '1 hour')) AS begun";
    let begun = json!([["2025-03-01T09:30:00Z"], ["2025-03-01T10:00:00Z"]]);
    assert_eq!(world.ask(windows).await.unwrap(), begun);
    let month = "SELECT fiscal_year(DATE '2025-01-01', 13)";
    assert!(message(world.ask(month).await).contains("1 to 12"));
}
