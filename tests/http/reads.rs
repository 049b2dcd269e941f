//! What is read: views by pages and whole, queries, positions.

use serde_json::{Value, json};

use crate::service::{Service, invoice, payment, problem};

#[tokio::test]
async fn a_view_is_read_by_pages_and_whole() {
    let service = Service::start().await;
    let admin = service.tenant("pages").await;
    let events: Vec<Value> =
        (0..25).map(|i| invoice(&format!("i{i:02}"), &format!("=c{i:02}"), "10.5")).collect();
    let receipt = service.send(&admin, &events).await;
    let position = receipt["position"].as_str().unwrap();

    let mut path = format!("/v1/views/open_invoices?limit=10&wait_for={position}");
    let (mut rows, mut pages) = (Vec::new(), 0);
    loop {
        let answer = service.get(&path, &admin).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["tidemark-position"].to_str().unwrap(), position);
        let page: Value = answer.json().await.unwrap();
        assert_eq!(page["columns"][0], json!({ "name": "invoice_id", "type": "text" }));
        assert_eq!(page["position"], position);
        assert_eq!(page["as_of"], "2025-06-30");
        rows.extend(page["rows"].as_array().unwrap().clone());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/views/open_invoices?limit=10&after={next}"),
            None => break,
        }
    }
    assert_eq!((rows.len(), pages), (25, 3));
    let ids: Vec<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
    let wanted: Vec<String> = (0..25).map(|i| format!("i{i:02}")).collect();
    assert_eq!(ids, wanted);

    let csv = |path: &str| service.get(path, &admin).header("accept", "text/csv").send();
    let answer = csv("/v1/views/open_invoices").await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert_eq!(answer.headers()["tidemark-position"].to_str().unwrap(), position);
    let text = answer.text().await.unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines.len(), 27);
    assert!(lines[0].starts_with("invoice_id,customer_id,"), "{}", lines[0]);
    assert!(lines[1].starts_with("i00,'=c00,"), "{}", lines[1]);
    let raw = csv("/v1/views/open_invoices?raw=true").await.unwrap().text().await.unwrap();
    assert!(raw.contains("\r\ni00,=c00,"), "{raw}");
    problem(csv("/v1/views/open_invoices?limit=3").await.unwrap(), 400, "invalid-parameter").await;

    let arrow = service.get("/v1/views/open_invoices", &admin);
    let arrow = arrow.header("accept", "application/vnd.apache.arrow.stream").send().await.unwrap();
    let bytes = arrow.bytes().await.unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 25);

    let file = service.get("/v1/views/open_invoices", &admin);
    let file = file.header("accept", "application/vnd.apache.parquet").send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "application/vnd.apache.parquet");
    let bytes = file.bytes().await.unwrap();
    assert_eq!((&bytes[..4], &bytes[bytes.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));

    let other = service.get("/v1/views/open_invoices", &admin).header("accept", "image/png");
    problem(other.send().await.unwrap(), 406, "not-acceptable").await;
    let bad = service.get("/v1/views/open_invoices?after=%21", &admin).send().await.unwrap();
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn views_are_listed_and_have_a_state() {
    let service = Service::start().await;
    let admin = service.tenant("list").await;
    let receipt = service.send(&admin, &[invoice("i1", "c1", "5")]).await;
    let path = format!("/v1/views?wait_for={}", receipt["position"].as_str().unwrap());
    let list: Value = service.get(&path, &admin).send().await.unwrap().json().await.unwrap();
    let aging = list["views"].as_array().unwrap().iter().find(|v| v["name"] == "ar_aging").unwrap();
    assert_eq!(aging["key"], json!(["customer_id", "currency"]));
    assert_eq!(aging["row_count"], 1);
    assert_eq!(aging["state"], "live");
    assert!(aging["sql"].as_str().unwrap().to_lowercase().contains("select"));
    let path = path.replace("/views", "/views/ar_aging/status");
    let status = service.get(&path, &admin).send().await.unwrap();
    let status: Value = status.json().await.unwrap();
    assert_eq!(status, json!({ "state": "live", "filled": 1.0 }));
    for path in ["/v1/views/ar_agin", "/v1/views/ar_agin/status"] {
        problem(service.get(path, &admin).send().await.unwrap(), 404, "unknown-view").await;
    }
}

#[tokio::test]
async fn queries_read_views_and_history_of_one_tenant() {
    let service = Service::start().await;
    let (ours, theirs) = (service.tenant("ours").await, service.tenant("theirs").await);
    let receipt =
        service.send(&ours, &[invoice("i1", "c1", "12.34"), payment("p1", "i1", "2.34")]).await;
    service.send(&theirs, &[invoice("i2", "c2", "99")]).await;
    let path = format!("/v1/query?wait_for={}", receipt["position"].as_str().unwrap());
    let ask = |body: Value| service.post(&path, &ours).json(&body).send();

    let answer: Value = ask(json!({
        "sql": "SELECT a.customer_id, a.total, i.amount FROM ar_aging a \
                JOIN events.\"invoicing.invoice_issued\" i ON i.customer_id = a.customer_id \
                WHERE i.invoice_id = $1",
        "params": ["i1"],
    }))
    .await
    .unwrap()
    .json()
    .await
    .unwrap();
    assert_eq!(answer["rows"], json!([["c1", "10.0000", "12.3400"]]), "{answer}");
    assert_eq!(answer["position"], receipt["position"]);

    let count = ask(json!({ "sql": "SELECT count(*) FROM events.\"invoicing.invoice_issued\"" }));
    let count: Value = count.await.unwrap().json().await.unwrap();
    assert_eq!(count["rows"], json!([[1]]), "the other tenant's is not there");

    let bomb = "SELECT a.a FROM (SELECT 1 AS a UNION ALL SELECT 2) a";
    let bomb = (0..21).fold(bomb.to_owned(), |sql, i| {
        format!("{sql} CROSS JOIN (SELECT 1 AS b UNION ALL SELECT 2) b{i}")
    });
    let over = problem(ask(json!({ "sql": bomb })).await.unwrap(), 422, "limit-exceeded").await;
    assert!(over["limit"].is_string(), "{over}");
    problem(ask(json!({ "sql": "SELECT * FROM nothing" })).await.unwrap(), 400, "invalid-query")
        .await;
    for sql in ["COPY ar_aging TO 'x'", "SET a = 1", "INSERT INTO ar_aging VALUES (1)"] {
        problem(ask(json!({ "sql": sql })).await.unwrap(), 400, "query-refused").await;
    }
}

#[tokio::test]
async fn a_position_is_waited_for_and_another_tenants_refused() {
    let service = Service::start().await;
    let (ours, theirs) = (service.tenant("ours").await, service.tenant("theirs").await);
    let receipt = service.send(&ours, &[invoice("i1", "c1", "1")]).await;
    let position = receipt["position"].as_str().unwrap();
    let path = format!("/v1/views/ar_aging?wait_for={position}");
    problem(service.get(&path, &theirs).send().await.unwrap(), 400, "invalid-parameter").await;
    // One that no answer has given yet.
    let tenant = service.send(&theirs, &[]).await;
    assert_eq!(tenant["accepted"], 0);
    let far = service.send(&ours, &[invoice("i2", "c1", "1")]).await;
    assert_ne!(far["position"], receipt["position"]);
    let answer = service.get(&path, &ours).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// A total that its type cannot hold is not known; it never comes out as another figure.
#[tokio::test]
async fn a_total_beyond_the_decimals_is_null_in_views_and_in_sql() {
    let service = Service::start().await;
    let admin = service.tenant("large").await;
    let largest = "9".repeat(34);
    let events = ["i1", "i2", "i3", "i4"].map(|id| invoice(id, "c1", &largest));
    let receipt = service.send(&admin, &events).await;
    assert_eq!(receipt["accepted"], 4, "{receipt}");
    let rows = service.rows(&admin, "ar_aging", &receipt["position"]).await;
    assert_eq!(rows[0][7], Value::Null, "{rows}");
    for sql in [
        "SELECT sum(amount) FROM open_invoices",
        "SELECT sum(amount) OVER () FROM open_invoices LIMIT 1",
        "SELECT sum(amount) FROM events.\"invoicing.invoice_issued\" GROUP BY customer_id",
    ] {
        let answer = service.post("/v1/query", &admin).json(&json!({ "sql": sql }));
        let answer: Value = answer.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["rows"], json!([[null]]), "{sql}");
    }
    let gone = ["i2", "i3", "i4"].map(|id| payment(&format!("p{id}"), id, &largest));
    let receipt = service.send(&admin, &gone).await;
    let rows = service.rows(&admin, "ar_aging", &receipt["position"]).await;
    assert_eq!(rows[0][7], format!("{largest}.0000"), "a total that fits again is exact");
}

#[tokio::test]
async fn a_query_is_described_without_being_run() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let describe = |sql: &str| {
        let body = json!({ "sql": sql, "describe": true });
        service.post("/v1/query", &admin).json(&body).send()
    };
    let sql = "SELECT invoice_id, balance, due_date FROM open_invoices WHERE balance > $1";
    let answer = describe(sql).await.unwrap();
    assert_eq!(answer.status(), 200);
    let said: Value = answer.json().await.unwrap();
    assert_eq!(
        said["columns"],
        json!([
            { "name": "invoice_id", "type": "text", "arrow": "Utf8" },
            { "name": "balance", "type": "decimal", "arrow": "Decimal128(38, 4)" },
            { "name": "due_date", "type": "date", "arrow": "Date32" },
        ])
    );
    assert_eq!(said["params"][0]["type"], "decimal", "{said}");
    let wrong =
        problem(describe("SELECT * FROM nothing").await.unwrap(), 400, "invalid-query").await;
    assert_eq!(wrong["sqlstate"], "42P01");
    let writes = problem(describe("DROP VIEW ar_aging").await.unwrap(), 400, "query-refused").await;
    assert_eq!(writes["sqlstate"], "25006");
}
