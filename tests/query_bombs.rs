//! Queries that would take everything, against the real process: each ends with a sentence that says
//! why, within its limits, and another tenant is answered all the while.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![expect(clippy::float_cmp, reason = "what is compared are counts")]

#[allow(dead_code, unreachable_pub)]
#[path = "http/service.rs"]
mod service;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use service::{Service, token};
use tenancy::Role;

/// A body of events of one invoice each.
fn invoices(count: usize) -> Vec<Value> {
    let invoice = |n: usize| {
        json!({
            "specversion": "1.0", "id": format!("e{n}"), "source": "/invoicing",
            "type": "invoicing.invoice_issued", "time": "2025-06-01T10:00:00Z",
            "data": {
                "invoice_id": format!("i{n}"), "customer_id": format!("c{}", n % 97),
                "issue_date": "2025-06-01", "due_date": "2025-06-15", "amount": "12.50",
            },
        })
    };
    (0..count).map(invoice).collect()
}

async fn cramped(seconds: &str, rows: &str) -> Service {
    let limits = [
        ("TIDEMARK_LIMITS_QUERY_SECONDS", seconds),
        ("TIDEMARK_LIMITS_QUERY_ROWS", rows),
        ("TIDEMARK_LIMITS_QUERY_MEMORY_BYTES", "67108864"),
        ("TIDEMARK_LIMITS_QUERY_TOTAL_MEMORY_BYTES", "536870912"),
        ("TIDEMARK_LIMITS_QUERY_SPILL_BYTES", "134217728"),
        ("TIDEMARK_LIMITS_QUERY_CONCURRENT", "4"),
        ("TIDEMARK_LIMITS_QUERY_QUEUE_SECONDS", "60"),
    ];
    Service::start_with(Arc::new(tempfile::tempdir().unwrap()), &limits).await
}

/// What it is called, its SQL, and how it may end: a status, and the problem's slug and limit.
type Bomb = (&'static str, String, &'static [(u16, &'static str)]);

/// SQL that is wrong, whatever it would take.
fn wrong() -> Vec<Bomb> {
    const WRONG: &[(u16, &str)] = &[(400, "invalid-query")];
    let mut doubled = "WITH t0 AS (SELECT value AS x FROM generate_series(1, 10))".to_owned();
    for n in 1..40 {
        let before = n - 1;
        doubled.push_str(&format!(", t{n} AS (SELECT a.x FROM t{before} a, t{before} b)"));
    }
    vec![
        ("regex too large", "SELECT 'x' ~ '((a{1000}){1000}){1000}'".to_owned(), WRONG),
        ("nesting", format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000)), WRONG),
        (
            "nested queries",
            format!("{}SELECT 1{}", "SELECT * FROM (".repeat(5_000), ") t".repeat(5_000)),
            WRONG,
        ),
        ("chain of operators", format!("SELECT 1{}", " + 1".repeat(60_000)), WRONG),
        ("doubling", format!("{doubled} SELECT count(*) FROM t39"), WRONG),
        ("a value of any width", "SELECT NULL::int[1000000000]".to_owned(), WRONG),
    ]
}

fn bombs() -> Vec<Bomb> {
    const OVER: &[(u16, &str)] = &[(422, "time"), (422, "memory"), (422, "disk")];
    let million: Vec<String> = (0..1_000_000).map(|n| n.to_string()).collect();
    let million = million.join(",");
    let some: Vec<String> = (0..40_000).map(|n| n.to_string()).collect();
    let some = some.join(",");
    let series = "generate_series(1, 100000000)";
    vec![
        (
            "cross join of views",
            "SELECT count(*) FROM open_invoices a, open_invoices b, open_invoices c, \
             open_invoices d WHERE a.amount + b.amount + c.amount < d.amount"
                .to_owned(),
            OVER,
        ),
        (
            "cross join of events",
            "SELECT sum(a.amount * b.amount) FROM events.\"invoicing.invoice_issued\" a, \
             events.\"invoicing.invoice_issued\" b, events.\"invoicing.invoice_issued\" c"
                .to_owned(),
            OVER,
        ),
        (
            "join that finds nothing",
            format!("SELECT count(*) FROM {series} a JOIN {series} b ON a.value + b.value < 0"),
            OVER,
        ),
        (
            "sort",
            format!("SELECT value FROM {series} ORDER BY value * 7919 % 1000003, value"),
            OVER,
        ),
        (
            "sort of wide rows",
            format!("SELECT repeat('x', 500) || value AS x FROM {series} ORDER BY x DESC"),
            OVER,
        ),
        ("grouping", format!("SELECT value % 99999989, count(*) FROM {series} GROUP BY 1"), OVER),
        (
            "list of everything",
            format!("SELECT length(string_agg(CAST(value AS text), ',')) FROM {series}"),
            OVER,
        ),
        (
            "regex over much text",
            format!(
                "SELECT count(*) FROM {series} WHERE repeat('a', 3000) || value ~ '(a|aa)*(a?){{40}}b$'"
            ),
            OVER,
        ),
        (
            "regex for each row",
            format!(
                "SELECT count(*) FROM {series} WHERE regexp_like('aaaaaaaa', \
                 '(a{{1,30}}){{1,' || (value % 30 + 1) || '}}b')"
            ),
            OVER,
        ),
        (
            "a million items",
            format!("SELECT count(*) FROM open_invoices WHERE days_overdue IN ({million})"),
            &[(413, "body-too-large")],
        ),
        (
            "many items over many rows",
            format!("SELECT count(*) FROM {series} WHERE value * 3 IN ({some})"),
            OVER,
        ),
        (
            "recursion",
            "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n) \
             SELECT count(*) FROM n"
                .to_owned(),
            OVER,
        ),
        (
            "text of constants for every row",
            format!("SELECT repeat('x', 520000) AS x FROM {series}"),
            OVER,
        ),
        (
            "text that no column can hold",
            "SELECT repeat('x', 60000000) FROM generate_series(1, 100)".to_owned(),
            OVER,
        ),
        ("many columns of text", format!("SELECT {} FROM open_invoices", texts(100)), OVER),
        ("formats", "SELECT to_char(now(), repeat('%+', 30000000))".to_owned(), OVER),
        (
            "distances",
            format!(
                "SELECT sum(levenshtein(repeat('a', 3000) || value, repeat('b', 3000) || value)) \
                 FROM {series}"
            ),
            OVER,
        ),
        ("text of nothing", "SELECT repeat(repeat('x', 60000), 60000)".to_owned(), OVER),
        ("rows", format!("SELECT value FROM {series}"), &[(422, "rows")]),
    ]
}

/// So many columns of text of a few megabytes for each thousand rows.
fn texts(count: usize) -> String {
    let columns = (0..count).map(|i| format!("repeat(invoice_id, 5000 + {i}) AS c{i}"));
    columns.collect::<Vec<_>>().join(", ")
}

/// The value of a figure of the process; 0 while it is not there.
async fn figure(service: &Service, name: &str) -> f64 {
    let answer = service.client.get(service.url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn until(service: &Service, name: &str, wanted: f64) {
    for _ in 0..1_200 {
        if figure(service, name).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} does not become {wanted}");
}

/// Throws a bomb, and asserts that it ends as it may.
async fn thrown(service: &Service, bomber: &str, (what, sql, ends): Bomb) {
    let request = service.post("/v1/query", bomber).json(&json!({ "sql": sql }));
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let said: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{what}: {status} {}", &text[..text.len().min(300)]));
    let slug = said["type"].as_str().unwrap().rsplit(':').next().unwrap();
    let why = said["limit"].as_str().unwrap_or(slug);
    assert!(ends.contains(&(status, why)), "{what}: {status} {said}");
    let detail = said["detail"].as_str().unwrap();
    assert!(detail.len() < 2_000 && !detail.contains("panicked"), "{what}: {detail}");
    println!("{what}: {status} {why}");
}

/// That SQL is wrong is said however much it would take. It must be seen before the time is over, also
/// where others take the processors: so there is more of it here than for what runs.
#[tokio::test(flavor = "multi_thread")]
async fn sql_that_is_wrong_is_told_so_whatever_it_would_take() {
    let service = cramped("60", "50000").await;
    let bomber = service.tenant("bomber").await;
    for bomb in wrong() {
        thrown(&service, &bomber, bomb).await;
    }
    until(&service, "tidemark_queries_running", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bomb_ends_within_its_limit_and_others_are_served_meanwhile() {
    // Rows that are there long before the time is over, however busy the machine is.
    let service = Arc::new(cramped("4", "50000").await);
    let (bomber, quiet) = (service.tenant("bomber").await, service.tenant("quiet").await);
    let receipt = service.send(&bomber, &invoices(3_000)).await;
    service.rows(&bomber, "ar_aging", &receipt["position"]).await;
    let receipt = service.send(&quiet, &invoices(50)).await;
    let rows = service.rows(&quiet, "ar_aging", &receipt["position"]).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let beside = tokio::spawn({
        let (service, is_over) = (Arc::clone(&service), Arc::clone(&is_over));
        async move {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                let sql = format!("SELECT count(*), {answered} FROM open_invoices");
                assert_eq!(service.ask(&quiet, &sql).await, json!([[50, answered]]));
                let read = service.rows(&quiet, "ar_aging", &receipt["position"]).await;
                assert_eq!(read, rows);
                answered += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answered
        }
    });
    // All at once: four run, the others wait for their turn.
    let thrown = bombs().into_iter().map(|bomb| thrown(&service, &bomber, bomb));
    futures::future::join_all(thrown).await;
    is_over.store(true, Ordering::Relaxed);
    let answered: usize = beside.await.unwrap();
    println!("the other tenant was answered {answered} times meanwhile");
    assert!(answered > 0);
    until(&service, "tidemark_queries_running", 0.0).await;
    until(&service, "tidemark_query_spill_bytes", 0.0).await;
    assert_eq!(service.ask(&bomber, "SELECT 1").await, json!([[1]]), "who bombs is served again");
}

/// Sends a query and reads nothing of its answer.
fn unread(service: &Service, token: &str, sql: &str) -> TcpStream {
    let body = json!({ "sql": sql }).to_string();
    let mut stream = TcpStream::connect(&service.address).unwrap();
    write!(
        stream,
        "POST /v1/query HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        service.address,
        body.len()
    )
    .unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_answers_that_nobody_reads_end_at_their_limit() {
    let service = cramped("3", "1000000").await;
    let admin = service.tenant("wide").await;
    let wide = "SELECT repeat('x', 4000) AS a, repeat('y', 4000) AS b, value \
                FROM generate_series(1, 900000)";
    let connections: Vec<TcpStream> = (0..4).map(|_| unread(&service, &admin, wide)).collect();
    until(&service, "tidemark_queries_running", 4.0).await;
    let other = service.tenant("other").await;
    assert_eq!(service.ask(&other, "SELECT 1").await, json!([[1]]));
    until(&service, "tidemark_queries_running", 0.0).await;
    assert_eq!(service.ask(&admin, "SELECT 1").await, json!([[1]]));
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().split(' ').next().unwrap().parse().unwrap();
    println!("at most {} MiB resident", peak >> 10);
    // Each answer is 7 GiB.
    assert!(peak < 1 << 20, "{peak} KiB");
    drop(connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_when_its_client_goes_away() {
    let service = cramped("600", "1000000").await;
    let admin = token(Some("leaves"), &[Role::Analyst]);
    service.tenant("leaves").await;
    let computing = "SELECT count(*) FROM generate_series(1, 1000000) a \
                     JOIN generate_series(1, 1000000) b ON a.value + b.value < 0";
    let streaming = "SELECT repeat('x', 4000) AS a, value FROM generate_series(1, 900000)";
    for sql in [computing, streaming] {
        let connection = unread(&service, &admin, sql);
        until(&service, "tidemark_queries_running", 1.0).await;
        drop(connection);
        until(&service, "tidemark_queries_running", 0.0).await;
    }
    // Also one that waits for its turn.
    let running: Vec<TcpStream> = (0..4).map(|_| unread(&service, &admin, computing)).collect();
    until(&service, "tidemark_queries_running", 4.0).await;
    let waiting = unread(&service, &admin, computing);
    until(&service, "tidemark_queries_waiting", 1.0).await;
    drop(waiting);
    until(&service, "tidemark_queries_waiting", 0.0).await;
    assert_eq!(figure(&service, "tidemark_queries_running").await, 4.0);
    drop(running);
    until(&service, "tidemark_queries_running", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_are_told_when_to_come_back() {
    let limits = [
        ("TIDEMARK_LIMITS_QUERY_CONCURRENT", "1"),
        ("TIDEMARK_LIMITS_QUERY_QUEUED", "1"),
        ("TIDEMARK_LIMITS_QUERY_QUEUE_SECONDS", "60"),
    ];
    let service = Service::start_with(Arc::new(tempfile::tempdir().unwrap()), &limits).await;
    let admin = service.tenant("many").await;
    let computing = "SELECT count(*) FROM generate_series(1, 1000000) a \
                     JOIN generate_series(1, 1000000) b ON a.value + b.value < 0";
    let running = unread(&service, &admin, computing);
    until(&service, "tidemark_queries_running", 1.0).await;
    let waiting = unread(&service, &admin, computing);
    until(&service, "tidemark_queries_waiting", 1.0).await;
    let refused = service.post("/v1/query", &admin).json(&json!({ "sql": "SELECT 1" })).send();
    let refused = refused.await.unwrap();
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let said: Value = refused.json().await.unwrap();
    assert_eq!(said["type"], "urn:tidemark:problem:too-many-queries");
    assert_eq!(said["retry_after_s"], seconds);
    let other = service.tenant("other").await;
    assert_eq!(service.ask(&other, "SELECT 1").await, json!([[1]]));
    drop((running, waiting));
}

/// Views that would take everything with an event or a few, and what is said of each.
fn views() -> Vec<(&'static str, String, &'static str)> {
    const TEXT: &str = "more text in one step";
    let issued = "events.\"invoicing.invoice_issued\"";
    let columns = texts(100).replace("5000", "20000000");
    vec![
        ("texts", format!("SELECT event_id, repeat(event_id, 100000000) AS x FROM {issued}"), TEXT),
        ("columns", format!("SELECT {columns} FROM {issued}"), TEXT),
        (
            "formats",
            format!("SELECT to_char(occurred_at, repeat('%Y', 10000000)) AS x FROM {issued}"),
            TEXT,
        ),
        (
            "distances",
            format!(
                "SELECT event_id, levenshtein(repeat('a', 100000), repeat(event_id, 10000)) AS n \
                 FROM {issued}"
            ),
            "compare more characters",
        ),
    ]
}

/// The status of a view once its state is `state`.
async fn becomes(service: &Service, token: &str, view: &str, state: &str) -> Value {
    for _ in 0..1_200 {
        let path = format!("/v1/views/{view}/status");
        let status = service.get(&path, token).send().await.unwrap();
        let status: Value = status.json().await.unwrap();
        if status["state"] == state {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{view} does not become {state}");
}

/// Waits until each of the views has failed, and says so.
async fn all_fail(service: &Service, token: &str) {
    for (name, _, said) in views() {
        let status = becomes(service, token, name, "failed").await;
        assert!(status["error"].as_str().unwrap().contains(said), "{name}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_followed_queries_that_would_take_everything_fail_alone() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_in(Arc::clone(&data)).await;
    let (bomber, quiet) = (service.tenant("bomber").await, service.tenant("quiet").await);
    let mut subs = Vec::new();
    for (name, sql, _) in views() {
        let view = json!({ "name": name, "sql": sql });
        let answer = service.post("/v1/views", &bomber).json(&view).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{name}: {}", answer.text().await.unwrap());
        becomes(&service, &bomber, name, "live").await;
        subs.push(("sub", json!({ "id": name, "sql": sql }).to_string()));
    }
    let mut followed = service.get(&service::stream(&subs), &bomber).send().await.unwrap();
    let receipt = service.send(&bomber, &invoices(20)).await;
    let theirs = service.send(&quiet, &invoices(50)).await;
    let rows = service.rows(&quiet, "ar_aging", &theirs["position"]).await;
    assert_eq!(rows.as_array().unwrap().len(), 50);
    let own = service.rows(&bomber, "ar_aging", &receipt["position"]).await;
    assert_eq!(own.as_array().unwrap().len(), 20);
    all_fail(&service, &bomber).await;
    let mut told = String::new();
    while told.matches("limit-exceeded").count() < subs.len() {
        let part = tokio::time::timeout(Duration::from_mins(1), followed.chunk()).await.unwrap();
        let part = part.unwrap().expect("the stream goes on");
        told.push_str(std::str::from_utf8(&part).unwrap());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().split(' ').next().unwrap().parse().unwrap();
    println!("at most {} MiB resident", peak >> 10);
    assert!(peak < 1 << 20, "{peak} KiB");
    drop((followed, service));

    let again = Service::start_in(data).await;
    all_fail(&again, &bomber).await;
    assert_eq!(again.rows(&quiet, "ar_aging", &theirs["position"]).await, rows);
}
