//! Every bound holds, says which it is, and lets go of what it held.

use std::fmt::Write as _;
use std::time::Duration;

use futures::StreamExt;
use query::{LimitKind, QueryError, QueryLimits};
use serde_json::json;

use crate::support::{World, world, world_of};

fn limits() -> QueryLimits {
    QueryLimits { seconds: 1, ..QueryLimits::default() }
}

fn is_limit(error: &QueryError, kind: LimitKind) -> bool {
    matches!(error, QueryError::Limit { which, .. } if *which == kind)
}

/// Waits until no query of the tenant holds its permit any more: until its thread has ended. What is
/// asked is no answer that is kept, which would need no permit.
async fn until_idle(world: &World) {
    loop {
        match world.ask("SELECT random() < 2").await {
            Ok(_) => return,
            Err(QueryError::Busy) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn time_is_bounded_and_the_thread_ends() {
    // One at a time: that the next query is let in shows that the one before has ended.
    let world = world_of(QueryLimits { concurrent: 1, ..limits() }, 20_000);
    let bombs = [
        // Many rows.
        "SELECT sum(a.visits + b.visits + c.visits) FROM balances a, balances b, balances c",
        // Many pairs, none of which fits.
        "SELECT count(*) FROM balances a JOIN balances b ON a.visits + b.visits < 0 \
         JOIN balances c ON c.visits + a.visits < 0",
        "SELECT count(*) FROM balances a JOIN balances b ON a.visits + b.visits > 0 \
         JOIN balances c ON c.visits + a.visits + b.visits < 0",
        "SELECT count(*) FROM balances a LEFT JOIN balances b ON a.visits * 7 > b.visits \
         LEFT JOIN balances c ON b.visits % 7 = c.visits % 7 AND a.visits > c.visits + 1000000",
        "SELECT count(*) FROM generate_series(1, 9000000000000)",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "SELECT count(*) FROM generate_series(1, 9000000000000) WHERE value < 0",
    ];
    for bomb in bombs {
        let error = world.ask(bomb).await.unwrap_err();
        let fits = is_limit(&error, LimitKind::Time) || is_limit(&error, LimitKind::Memory);
        assert!(fits, "{bomb}: {error:?}");
        until_idle(&world).await;
    }
}

#[tokio::test]
async fn time_counts_while_the_reader_reads() {
    let world = world(limits());
    let sql = "SELECT value FROM generate_series(1, 500000)";
    let mut answer = world.answer(sql).await.unwrap();
    assert!(answer.batches.next().await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut last = None;
    while let Some(batch) = answer.batches.next().await {
        last = Some(batch);
    }
    let error = QueryError::from(last.unwrap().unwrap_err());
    assert!(is_limit(&error, LimitKind::Time), "{error:?}");
}

#[tokio::test]
async fn rows_are_bounded() {
    let world = world(QueryLimits { rows: 15, ..QueryLimits::default() });
    let error = world.ask("SELECT * FROM balances").await.unwrap_err();
    assert!(is_limit(&error, LimitKind::Rows), "{error:?}");
    assert!(error.to_string().contains("15 rows"), "{error}");
    let rows = world.ask("SELECT visits FROM balances ORDER BY visits LIMIT 15").await.unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 15);
}

#[tokio::test]
async fn memory_is_bounded() {
    let limits = QueryLimits { memory_bytes: 4 << 20, ..QueryLimits::default() };
    let world = world_of(limits, 5_000);
    let pairs = "balances a, balances b";
    let hungry = [
        format!("SELECT a.customer_id || b.customer_id AS k, count(*) FROM {pairs} GROUP BY 1"),
        format!("SELECT * FROM {pairs} ORDER BY a.amount * b.amount, b.customer_id"),
        format!(
            "SELECT count(*) FROM (SELECT a.visits AS x FROM {pairs}) l \
                 JOIN (SELECT a.visits AS x FROM {pairs}) r ON l.x = r.x"
        ),
        format!("SELECT a.visits, sum(b.amount) OVER () FROM {pairs}"),
        format!("SELECT a.visits, row_number() OVER (PARTITION BY a.visits % 2) FROM {pairs}"),
        format!("SELECT array_agg(a.customer_id) FROM {pairs}"),
        format!("SELECT string_agg(a.customer_id, ',') FROM {pairs}"),
        format!("SELECT count(DISTINCT a.customer_id || b.customer_id) FROM {pairs}"),
    ];
    for sql in hungry {
        let error = world.ask(&sql).await.unwrap_err();
        assert!(is_limit(&error, LimitKind::Memory), "{sql}: {error:?}");
        assert!(error.to_string().contains("4096 KiB"), "{error}");
    }
    let rows =
        world.ask("SELECT count(*), sum(visits) OVER () FROM balances GROUP BY visits LIMIT 1");
    assert_eq!(rows.await.unwrap(), json!([[1, 12_497_500]]));
}

#[tokio::test]
async fn memory_of_all_queries_is_bounded() {
    let limits = QueryLimits { total_memory_bytes: 1 << 20, ..QueryLimits::default() };
    let world = world_of(limits, 5_000);
    let sql = "SELECT a.customer_id || b.customer_id AS k, count(*) FROM balances a, balances b GROUP BY 1";
    let error = world.ask(sql).await.unwrap_err();
    assert_eq!(error, QueryError::Busy);
}

#[tokio::test]
async fn text_made_by_functions_is_bounded() {
    let world = world_of(QueryLimits::default(), 1_000);
    let hungry = [
        "SELECT repeat('x', 2000000000)",
        "SELECT repeat(repeat('x', 60000), 60000)",
        "SELECT length(repeat(customer_id, 100000)) FROM balances",
        "SELECT lpad('x', 1000000000)",
        "SELECT rpad(customer_id, 1000000, 'y') FROM balances",
        "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 10000))",
        "SELECT regexp_replace(repeat('x', 1000000), 'x', repeat('y', 10000), 'g')",
        "SELECT concat(repeat(customer_id, 5000), repeat(customer_id, 10000)) FROM balances",
    ];
    for sql in hungry {
        let error = world.ask(sql).await.unwrap_err();
        assert!(is_limit(&error, LimitKind::Memory), "{sql}: {error:?}");
    }
    // Texts that are the same in every row, and many that are small enough each.
    let columns: Vec<String> =
        (0..100).map(|i| format!("repeat(customer_id, 5000 + {i}) AS c{i}")).collect();
    let (a, b) = ("a".repeat(16_000), "b".repeat(16_000));
    let series = "generate_series(1, 1000000)";
    let many = [
        format!("SELECT repeat('x', 520000) AS x FROM {series}"),
        "SELECT repeat('x', 60000000) FROM generate_series(1, 100)".to_owned(),
        format!("SELECT '{a}' AS a, '{b}' AS b FROM {series}"),
        format!("SELECT max('{a}'), max('{b}'), count(*) FROM {series}"),
        format!("SELECT CASE WHEN value % 2 = 0 THEN repeat('x', 100000) END FROM {series}"),
        format!("SELECT count(*) FROM {series} GROUP BY concat(repeat('x', 100000), value)"),
        "SELECT max(repeat('x', 100000)) FROM balances".to_owned(),
        format!("SELECT {} FROM balances", columns.join(", ")),
        "SELECT to_char(due, repeat('%Y', 5000)) FROM balances".to_owned(),
        "SELECT to_char(now(), repeat('%+', 30000000))".to_owned(),
        "SELECT date_format(now(), repeat('%+', 30000000))".to_owned(),
    ];
    for sql in many {
        let error = world.ask(&sql).await.unwrap_err();
        assert!(is_limit(&error, LimitKind::Memory), "{}…: {error:?}", &sql[..60.min(sql.len())]);
    }
    let sql = "SELECT length(repeat('x', 2000000)), to_char(DATE '2024-02-29', '%d.%m.%Y'), \
               (SELECT sum(length(repeat('x', 20000))) FROM balances)";
    assert_eq!(world.ask(sql).await.unwrap(), json!([[2_000_000, "29.02.2024", 20_000_000]]));
    let mut doubling =
        String::from("WITH t0 AS (SELECT repeat(customer_id, 10) AS x FROM balances)");
    for i in 1..14 {
        write!(doubling, ", t{i} AS (SELECT x || x AS x FROM t{})", i - 1).unwrap();
    }
    let error = world.ask(&format!("{doubling} SELECT length(x) FROM t13")).await.unwrap_err();
    assert!(is_limit(&error, LimitKind::Memory), "{error:?}");
    let sql =
        "SELECT repeat('ab', 3) || lpad('7', 3, '0') || replace('a-b', '-', '+') || concat(1, 'x')";
    assert_eq!(world.ask(sql).await.unwrap(), json!([["ababab007a+b1x"]]));
    let sql = "SELECT concat_ws('-', customer_id, NULL, 'z') || NULL IS NULL FROM balances LIMIT 1";
    assert_eq!(world.ask(sql).await.unwrap(), json!([[true]]));
}

#[tokio::test]
async fn comparisons_of_texts_are_bounded() {
    let world = world_of(QueryLimits::default(), 1_000);
    for sql in [
        "SELECT levenshtein(repeat('a', 20000), repeat('b', 20000))",
        "SELECT levenshtein(repeat(customer_id, 1000), repeat(customer_id, 999)) FROM balances",
    ] {
        let error = world.ask(sql).await.unwrap_err();
        assert!(is_limit(&error, LimitKind::Time), "{sql}: {error:?}");
        assert!(error.to_string().contains("comparisons of characters by levenshtein"), "{error}");
    }
    let sql = "SELECT levenshtein('kitten', 'sitting'), max(levenshtein(customer_id, 'A00001')) \
               FROM balances";
    assert_eq!(world.ask(sql).await.unwrap(), json!([[3, 3]]));
}

#[tokio::test]
async fn values_are_no_wider_and_relations_have_no_more_columns_than_they_may() {
    let world = world(QueryLimits::default());
    let columns: Vec<String> = (0..1_001).map(|i| format!("visits AS c{i}")).collect();
    for (sql, said) in [
        ("SELECT NULL::int[1000000000]".to_owned(), "1024 elements"),
        (
            "SELECT count(*) FROM balances WHERE NULL::int[100000] IS NULL".to_owned(),
            "1024 elements",
        ),
        (format!("SELECT {} FROM balances", columns.join(", ")), "1001 columns"),
    ] {
        let error = world.ask(&sql).await.unwrap_err();
        assert!(matches!(error, QueryError::Invalid { .. }), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn queries_at_once_are_bounded_until_their_answers_end() {
    let world = world(QueryLimits {
        concurrent: 2,
        total_concurrent: 3,
        queue_seconds: 0,
        ..QueryLimits::default()
    });
    let long = "SELECT value FROM generate_series(1, 900000)";
    let first = world.answer(long).await.unwrap();
    let second = world.answer(long).await.unwrap();
    assert_eq!(world.answer("SELECT 1").await.err(), Some(QueryError::Busy));
    let other = world.queries.run(world.other.clone(), long, vec![]).await;
    assert!(other.is_ok(), "another tenant has its own share");
    let too_many = world.queries.run(world.other.clone(), long, vec![]).await;
    assert_eq!(too_many.err(), Some(QueryError::Busy), "and all together have theirs");
    drop(first);
    until_idle(&world).await;
    drop((second, other));
    until_idle(&world).await;
}

#[tokio::test]
async fn deep_and_long_sql_is_refused_or_answered() {
    let world = world(QueryLimits::default());
    let deep = [
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {}1{}", "abs(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {} true", "NOT ".repeat(1_900)),
        format!("SELECT {} 1", "- ".repeat(1_900)),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(200), ")".repeat(200)),
        format!("SELECT {} 1 {}", "CASE WHEN true THEN ".repeat(400), "END ".repeat(400)),
        format!("SELECT 1{}", "::int".repeat(900)),
        format!("SELECT 1 {}", " IS NULL".repeat(900)),
        format!("SELECT 1{}", " + 1".repeat(60_000)),
        format!("SELECT visits FROM balances WHERE true{}", " AND visits <> 0".repeat(900)),
        format!("SELECT customer_id{} FROM balances", " || customer_id".repeat(900)),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(5_000)),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(140)),
        format!("SELECT '{}'", "x".repeat(300_000)),
        format!("SELECT '{}'", "x".repeat(100_000)),
        format!("SELECT $${}$$", "x".repeat(100_000)),
    ];
    for sql in deep {
        match world.ask(&sql).await {
            Ok(_) | Err(QueryError::Invalid { .. } | QueryError::Limit { .. }) => {}
            Err(error) => panic!("{}…: {error:?}", &sql[..60]),
        }
    }
    let sum = format!("SELECT 1{}", " + 1".repeat(600));
    assert_eq!(world.ask(&sum).await.unwrap(), json!([[601]]));
    let either =
        format!("SELECT visits FROM balances WHERE visits = 1{}", " OR visits = 2".repeat(900));
    assert_eq!(world.ask(&either).await.unwrap(), json!([[1], [2]]));
}

#[tokio::test]
async fn deep_nesting_is_refused_alike_wherever_it_begins() {
    let world = world(QueryLimits::default());
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    for begin in ["", "'a', ", "/* ) */ ", "\"customer_id\", ", "1 - 1, "] {
        let error = world.ask(&format!("SELECT {begin}{}", nested(5_000))).await.unwrap_err();
        assert!(error.to_string().starts_with("the SQL is nested too deeply"), "{begin}: {error}");
    }
    assert_eq!(world.ask(&format!("SELECT {}", nested(20))).await.unwrap(), json!([[1]]));
    let open = "(".repeat(5_000);
    let within = format!("SELECT length('{open}') /* {open} */");
    assert_eq!(world.ask(&within).await.unwrap(), json!([[5_000]]));
    let beside = format!("SELECT 1 WHERE 1 IN ({}1)", "(1), ".repeat(60));
    assert_eq!(world.ask(&beside).await.unwrap(), json!([[1]]));
}

#[tokio::test]
async fn a_giant_list_is_answered() {
    let world = world(QueryLimits::default());
    let list: Vec<String> = (0..20_000).map(|i| format!("'A{i:05}'")).collect();
    let sql = format!("SELECT count(*) FROM balances WHERE customer_id IN ({})", list.join(","));
    assert_eq!(world.ask(&sql).await.unwrap(), json!([[20]]));
}

#[tokio::test]
async fn plans_that_grow_by_doubling_are_refused() {
    let world = world(QueryLimits::default());
    let mut joins = String::from("WITH t0 AS (SELECT visits AS x FROM balances)");
    for i in 1..40 {
        let before = i - 1;
        write!(joins, ", t{i} AS (SELECT a.x FROM t{before} a, t{before} b)").unwrap();
    }
    let error = world.ask(&format!("{joins} SELECT count(*) FROM t39")).await.unwrap_err();
    assert!(error.to_string().contains("relations once its WITHs"), "{error}");

    let mut terms = String::from("WITH t0 AS (SELECT visits AS x FROM balances)");
    for i in 1..40 {
        write!(terms, ", t{i} AS (SELECT x * x + x AS x FROM t{})", i - 1).unwrap();
    }
    let error = world.ask(&format!("{terms} SELECT x FROM t39 WHERE x > 0")).await.unwrap_err();
    assert!(error.to_string().contains("terms"), "{error}");

    let window = "SELECT array_agg(visits) OVER (ORDER BY visits) FROM balances";
    let error = world.ask(window).await.unwrap_err();
    assert!(error.to_string().contains("array_agg is not supported"), "{error}");
}

#[tokio::test]
async fn a_dropped_answer_ends_its_query() {
    let world =
        world_of(QueryLimits { concurrent: 1, seconds: 600, ..QueryLimits::default() }, 20_000);
    let sql = "SELECT a.visits FROM balances a JOIN balances b ON a.visits + b.visits < 0 \
               JOIN balances c ON c.visits < 0";
    let asked = tokio::time::timeout(Duration::from_millis(300), world.ask(sql)).await;
    assert!(asked.is_err(), "it would take minutes");
    until_idle(&world).await;
    let answer = world.answer("SELECT value FROM generate_series(1, 900000)").await.unwrap();
    drop(answer);
    until_idle(&world).await;
}
