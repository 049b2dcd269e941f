//! What is sent in: bodies, content types, parameters.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::service::{Service, event, invoice, payment, problem};

#[tokio::test]
async fn events_come_in_three_forms() {
    let service = Service::start().await;
    let admin = service.tenant("forms").await;
    let one = invoice("i1", "c1", "10.50");
    let two =
        [invoice("i2", "c1", "1"), invoice("i1", "c1", "10.50"), event("no.type", "x", &json!({}))];
    let lines = format!("{}\n\n{}\nnonsense\n", invoice("i3", "c1", "2"), invoice("i4", "c1", "3"));
    let cases = [
        ("application/cloudevents+json", one.to_string(), (1, 0, vec![])),
        (
            "application/cloudevents-batch+json; charset=utf-8",
            json!(two).to_string(),
            (1, 1, vec![2]),
        ),
        ("application/x-ndjson", lines, (2, 0, vec![2])),
    ];
    let mut position = Value::Null;
    for (kind, body, (accepted, duplicates, rejected)) in cases {
        let answer = service.post("/v1/events", &admin).header("content-type", kind).body(body);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let receipt: Value = answer.json().await.unwrap();
        assert_eq!(receipt["accepted"], accepted, "{receipt}");
        assert_eq!(receipt["duplicates"], duplicates, "{receipt}");
        let indices: Vec<u64> = receipt["rejected"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["index"].as_u64().unwrap())
            .collect();
        assert_eq!(indices, rejected, "{receipt}");
        position = receipt["position"].clone();
    }
    assert_eq!(service.rows(&admin, "open_invoices", &position).await.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn bodies_that_cannot_be_taken_are_problems() {
    let service = Service::start().await;
    let admin = service.tenant("bodies").await;
    let send = |path: &str, kind: &str, body: Vec<u8>| {
        service.post(path, &admin).header("content-type", kind).body(body).send()
    };
    let one = "application/cloudevents+json";
    problem(
        send("/v1/events", "text/plain", b"{}".to_vec()).await.unwrap(),
        415,
        "unsupported-media-type",
    )
    .await;
    problem(send("/v1/events", one, b"{".to_vec()).await.unwrap(), 400, "invalid-body").await;
    let coded = service.post("/v1/events", &admin).header("content-type", "application/x-ndjson");
    let coded = coded.header("content-encoding", "gzip").body(vec![0x1f, 0x8b, 0x08]);
    problem(coded.send().await.unwrap(), 415, "unsupported-media-type").await;
    let large = vec![b' '; (16 << 20) + 1];
    problem(send("/v1/events", one, large.clone()).await.unwrap(), 413, "body-too-large").await;
    // Without a length, the bound holds all the same.
    let parts: Vec<Result<Vec<u8>, std::io::Error>> =
        large.chunks(1 << 20).map(|part| Ok(part.to_vec())).collect();
    let streamed = reqwest::Body::wrap_stream(futures::stream::iter(parts));
    let answer = service.post("/v1/events", &admin).header("content-type", one).body(streamed);
    problem(answer.send().await.unwrap(), 413, "body-too-large").await;

    let query = |body: &str| send("/v1/query", "application/json", body.as_bytes().to_vec());
    problem(
        send("/v1/query", "text/plain", b"{}".to_vec()).await.unwrap(),
        415,
        "unsupported-media-type",
    )
    .await;
    problem(query("[").await.unwrap(), 400, "invalid-body").await;
    problem(query("{}").await.unwrap(), 400, "invalid-body").await;
    let unknown =
        problem(query(r#"{"sql":"SELECT 1","limit":1}"#).await.unwrap(), 400, "invalid-body").await;
    assert!(unknown["detail"].as_str().unwrap().contains("limit"), "{unknown}");
    problem(query(r#"{"sql":"SELEC 1"}"#).await.unwrap(), 400, "invalid-query").await;
    problem(query(r#"{"sql":"DROP VIEW ar_aging"}"#).await.unwrap(), 400, "query-refused").await;
    let huge = json!({ "sql": "x".repeat(2 << 20) }).to_string();
    problem(query(&huge).await.unwrap(), 413, "body-too-large").await;
}

#[tokio::test]
async fn parameters_are_known_and_of_their_kind() {
    let service = Service::start().await;
    let admin = service.tenant("params").await;
    for path in [
        "/v1/views?wait_fro=x",
        "/v1/views?wait_ms=soon",
        "/v1/views?wait_ms=60001",
        "/v1/views?wait_for=p1&wait_for=p1",
        "/v1/views?wait_for=nonsense",
        "/v1/views/ar_aging?limit=0",
        "/v1/views/ar_aging?limit=100001",
        "/v1/views/ar_aging?limit=-1",
        "/v1/views/ar_aging?raw=perhaps",
        "/v1/stream",
    ] {
        let answer = service.get(path, &admin).send().await.unwrap();
        problem(answer, 400, "invalid-parameter").await;
    }
    problem(service.get("/v1/views/%ff", &admin).send().await.unwrap(), 400, "bad-request").await;
}

#[tokio::test]
async fn what_is_rejected_is_named_and_the_rest_taken() {
    let service = Service::start().await;
    let admin = service.tenant("mixed").await;
    let mut foreign = invoice("i9", "c", "1");
    foreign["tenantid"] = json!("somebody-else");
    let receipt = service
        .send(&admin, &[payment("p1", "i1", "1.00001"), foreign, payment("p2", "i1", "1.0001")])
        .await;
    assert_eq!(receipt["accepted"], 1, "{receipt}");
    let reasons: Vec<&str> = receipt["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert!(reasons[0].contains("amount"), "{reasons:?}");
    assert!(reasons[1].contains("tenantid"), "{reasons:?}");
    let rows = service.rows(&admin, "ar_aging", &receipt["position"]).await;
    assert_eq!(rows, json!([]), "a payment without its invoice opens nothing");
}

#[tokio::test]
async fn event_types_have_avro_schemas() {
    let service = Service::start().await;
    let admin = service.tenant("types").await;
    let answer: Value =
        service.get("/v1/event-types", &admin).send().await.unwrap().json().await.unwrap();
    let types = answer["event_types"].as_array().unwrap();
    let paid = types.iter().find(|t| t["type"] == "invoicing.payment_received").unwrap();
    assert_eq!(paid["schema"]["type"], "record");
    let fields = paid["schema"]["fields"].as_array().unwrap();
    let names: Vec<&str> = fields.iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["payment_id", "invoice_id", "amount", "currency", "paid_on"]);
    assert_eq!(fields[2]["type"]["logicalType"], "decimal");
    assert_eq!(fields[3]["type"], json!(["null", "string"]));
}

/// Bodies that never end take the room of their own tenant only.
#[tokio::test]
async fn a_tenant_that_sends_slowly_keeps_nobody_else_waiting() {
    let service = Service::start().await;
    let (slow, other) = (service.tenant("slow").await, service.tenant("other").await);
    let address = service.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut held = Vec::new();
    for _ in 0..24 {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slow}\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n ",
            16 << 20
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        held.push(socket);
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let receipt = service.send(&other, &[invoice("i1", "c1", "10")]).await;
    assert_eq!(receipt["accepted"], 1, "{receipt}");
    drop(held);
}

/// A drop now and then does not hold room for minutes.
#[tokio::test]
async fn a_body_that_drips_is_given_up_before_its_end() {
    let service = Service::start().await;
    let slow = service.tenant("slow").await;
    let socket = tokio::net::TcpStream::connect(&service.address).await.unwrap();
    let (mut answer, mut body) = socket.into_split();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slow}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        16 << 20
    );
    body.write_all(head.as_bytes()).await.unwrap();
    let drip = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            if body.write_all(b" ").await.is_err() {
                return std::future::pending::<()>().await;
            }
        }
    };
    let mut part = [0; 64];
    let read = tokio::time::timeout(std::time::Duration::from_mins(1), answer.read(&mut part));
    let read = tokio::select! {
        () = drip => unreachable!("it drips until the answer is there"),
        read = read => read,
    };
    let count = read.expect("it is given up within a minute").unwrap();
    assert!(part[..count].starts_with(b"HTTP/1.1 408"), "{:?}", &part[..count]);
}

#[tokio::test]
async fn a_connection_lives_on_after_a_body_that_was_refused_unread() {
    let service = Service::start().await;
    let address = service.address.clone();
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer none\r\n\
         content-type: application/x-ndjson\r\ncontent-length: 200000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // Only once it is refused for its token the body comes, in two parts.
    for _ in 0..2 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        socket.write_all(&vec![b'\n'; 100_000]).await.unwrap();
    }
    let next = format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(next.as_bytes()).await.unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).await.unwrap();
    assert!(answers.starts_with("HTTP/1.1 401 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 "), "{answers}");
}
