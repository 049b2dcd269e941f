//! Reports from the first query to a file that is delivered.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tenancy::Role;
use tokio::sync::mpsc;

use crate::service::{Service, invoice, of_subject, payment, problem, token};

pub(crate) async fn create(service: &Service, token: &str, report: &Value) -> Value {
    let answer = service.post("/v1/reports", token).json(report).send().await.unwrap();
    let status = answer.status();
    let (at, tag) =
        (answer.headers().get("location").cloned(), answer.headers().get("etag").cloned());
    let made: Value = answer.json().await.unwrap();
    assert_eq!(status, 201, "{made}");
    assert_eq!(at.unwrap(), format!("/v1/reports/{}", made["id"].as_str().unwrap()).as_str());
    assert_eq!(tag.unwrap(), "\"1\"");
    made
}

/// Runs a report and waits for its end.
pub(crate) async fn run(service: &Service, token: &str, report: &Value, body: &Value) -> Value {
    let path = format!("/v1/reports/{}/run", report["id"].as_str().unwrap());
    let answer = service.post(&path, token).json(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let at = answer.headers()["location"].to_str().unwrap().to_owned();
    let queued: Value = answer.json().await.unwrap();
    assert!(at.ends_with(&format!("/runs/{}", queued["run_id"].as_str().unwrap())));
    ended(service, token, &at).await
}

async fn ended(service: &Service, token: &str, at: &str) -> Value {
    for _ in 0..600 {
        let run: Value = service.get(at, token).send().await.unwrap().json().await.unwrap();
        let waits = run["deliveries"]
            .as_array()
            .is_some_and(|all| all.iter().any(|delivery| delivery["state"] == "waiting"));
        if !waits && run["state"] != "queued" && run["state"] != "running" {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the run does not end");
}

async fn download(service: &Service, token: &str, run: &Value, query: &str) -> Response {
    let path = format!("{}{query}", run["download"].as_str().unwrap());
    let answer = service.get(&path, token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer
}

async fn text(service: &Service, token: &str, run: &Value) -> String {
    download(service, token, run, "").await.text().await.unwrap()
}

#[tokio::test]
async fn a_report_is_made_and_its_file_read_in_every_way() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let analyst = token(Some("acme"), &[Role::Analyst]);
    let events =
        [invoice("i1", "=cmd", "100.5"), invoice("i2", "c2", "7"), payment("p1", "i1", "40")];
    let receipt = service.send(&admin, &events).await;
    service.rows(&admin, "ar_aging", &receipt["position"]).await;
    let report = create(
        &service,
        &analyst,
        &json!({
            "name": "Open of a customer", "keep_days": 7,
            "sql": "SELECT invoice_id, customer_id, balance FROM open_invoices \
                    WHERE balance >= $1 AND issue_date >= $2 ORDER BY invoice_id",
            "params": [
                { "name": "least", "type": "decimal", "default": "10" },
                { "name": "from", "type": "date", "default": "{{last_month.start}}" },
            ],
        }),
    )
    .await;
    let done = run(&service, &analyst, &report, &json!({})).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["position"], receipt["position"]);
    assert_eq!(done["as_of"], "2025-06-30");
    assert_eq!(done["params"], json!(["10", "2025-05-01"]));
    assert_eq!(
        (&done["rows"], &done["file"]),
        (&json!(1), &json!("open-of-a-customer-2025-06-30.csv"))
    );
    let whole = "invoice_id,customer_id,balance\r\ni1,'=cmd,60.5000\r\n";
    let answer = download(&service, &analyst, &done, "").await;
    let headers = answer.headers().clone();
    assert_eq!(answer.text().await.unwrap(), whole);
    let hash = Sha256::digest(whole.as_bytes());
    assert_eq!(headers["digest"], format!("sha-256={}", STANDARD.encode(hash)).as_str());
    assert_eq!(headers["tidemark-rows"], "1");
    assert_eq!(headers["tidemark-position"], receipt["position"].as_str().unwrap());
    assert_eq!(headers["tidemark-as-of"], "2025-06-30");
    assert_eq!(headers["content-length"], whole.len().to_string().as_str());
    assert!(headers["content-disposition"].to_str().unwrap().contains("open-of-a-customer-2025"));
    assert!(headers["sunset"].to_str().unwrap().ends_with("GMT"));
    let tag = headers["etag"].to_str().unwrap();
    let path = done["download"].as_str().unwrap();
    // A part, what comes after it, what is not there, and what one has already.
    let with =
        |name: &'static str, value: String| service.get(path, &analyst).header(name, value).send();
    let part = with("range", "bytes=10-19".into()).await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 10-19/{}", whole.len()).as_str());
    assert_eq!(part.text().await.unwrap(), whole[10..20]);
    let rest = with("range", "bytes=20-".into()).await.unwrap();
    assert_eq!(rest.text().await.unwrap(), whole[20..]);
    let beyond = with("range", "bytes=9999-".into()).await.unwrap();
    assert_eq!(beyond.headers()["content-range"], format!("bytes */{}", whole.len()).as_str());
    problem(beyond, 416, "range-not-satisfiable").await;
    assert_eq!(with("if-none-match", tag.to_owned()).await.unwrap().status(), 304);
    let packed = download(&service, &analyst, &done, "?gzip=true").await;
    assert_eq!(packed.headers()["content-type"], "application/gzip");
    assert_ne!(packed.headers()["etag"], tag);
    let packed = packed.bytes().await.unwrap();
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, whole);
    // With other parameters, and with ones that are not right.
    let more = run(&service, &analyst, &report, &json!({ "params": { "least": "1" } })).await;
    assert_eq!(more["rows"], 2);
    let path = format!("/v1/reports/{}/run", report["id"].as_str().unwrap());
    for params in [json!({ "least": "much" }), json!({ "from": "2025-02-30" }), json!({ "to": 1 })]
    {
        let answer = service.post(&path, &analyst).json(&json!({ "params": params })).send().await;
        problem(answer.unwrap(), 400, "invalid-report").await;
    }
    let runs = format!("/v1/reports/{}/runs", report["id"].as_str().unwrap());
    let listed: Value = service.get(&runs, &analyst).send().await.unwrap().json().await.unwrap();
    let ids: Vec<&Value> =
        listed["runs"].as_array().unwrap().iter().map(|r| &r["run_id"]).collect();
    assert_eq!(ids, [&more["run_id"], &done["run_id"]]);
    // It is for those who may ask, and for their own.
    let executive = token(Some("acme"), &[Role::Executive]);
    service.tenant("other").await;
    let other = token(Some("other"), &[Role::Analyst]);
    let path = done["download"].as_str().unwrap();
    problem(service.get(path, &executive).send().await.unwrap(), 403, "forbidden").await;
    problem(service.get(path, &other).send().await.unwrap(), 404, "unknown-run").await;
    // It outlives the process.
    let data = Arc::clone(&service.data);
    drop(service);
    let service = Service::start_in(data).await;
    assert_eq!(text(&service, &analyst, &done).await, whole);
}

/// Files go before it is noted that they have gone.
#[tokio::test]
async fn a_file_that_has_just_gone_was_kept_for_its_time() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let report = create(&service, &admin, &json!({ "name": "Ones", "sql": "SELECT 1 AS n" })).await;
    let done = run(&service, &admin, &report, &json!({})).await;
    assert_eq!(done["state"], "done", "{done}");
    std::fs::remove_dir_all(service.data.path().join("objects/reports")).unwrap();
    for query in ["", "?gzip=true"] {
        let path = format!("{}{query}", done["download"].as_str().unwrap());
        problem(service.get(&path, &admin).send().await.unwrap(), 410, "run-expired").await;
    }
}

#[tokio::test]
async fn reports_are_listed_replaced_and_deleted() {
    let service = Service::start().await;
    service.tenant("acme").await;
    let jo = of_subject("jo", "acme", Role::Analyst);
    let ann = of_subject("ann", "acme", Role::Analyst);
    let definition = json!({
        "name": "Debts", "view": "ar_aging", "format": "parquet",
        "schedule": { "cron": "0 7 * * MON" },
    });
    let report = create(&service, &jo, &definition).await;
    assert_eq!((&report["owner"], &report["version"]), (&json!("jo"), &json!(1)));
    assert_eq!(report["schedule"]["timezone"], "Europe/Berlin");
    assert!(report["next_run_at"].as_str().unwrap().ends_with(":00Z"), "{report}");
    let path = format!("/v1/reports/{}", report["id"].as_str().unwrap());
    let put = |tag: Option<&'static str>, body: Value| {
        let mut request = service.client.put(service.url(&path)).bearer_auth(&ann).json(&body);
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        request.send()
    };
    let other = json!({ "name": "Debts", "view": "ar_aging" });
    problem(put(None, other.clone()).await.unwrap(), 428, "if-match-missing").await;
    problem(put(Some("\"7\""), other.clone()).await.unwrap(), 412, "changed-meanwhile").await;
    let answer = put(Some("\"1\""), other.clone()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["etag"]),
        (200, &"\"2\"".parse().unwrap())
    );
    let replaced: Value = answer.json().await.unwrap();
    assert_eq!((&replaced["owner"], &replaced["next_run_at"]), (&json!("ann"), &Value::Null));
    problem(put(Some("\"1\""), other).await.unwrap(), 412, "changed-meanwhile").await;
    for (body, slug) in [
        (json!({ "name": "Debts" }), "invalid-report"),
        (json!({ "name": "Debts", "sql": "SELECT x" }), "invalid-query"),
        (json!({ "name": "Debts", "sql": "DROP TABLE x" }), "query-refused"),
        (json!({ "name": "Debts", "nmae": "x", "view": "ar_aging" }), "invalid-body"),
    ] {
        problem(put(Some("*"), body).await.unwrap(), 400, slug).await;
    }
    let listed: Value = service.get("/v1/reports", &jo).send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["reports"], json!([replaced]));
    // What was read can be changed and sent back.
    let mut changed = replaced.clone();
    changed["keep_days"] = json!(3);
    let answer = put(Some("\"2\""), changed).await.unwrap();
    let changed: Value = answer.json().await.unwrap();
    assert_eq!((&changed["keep_days"], &changed["version"]), (&json!(3), &json!(3)));
    let executive = token(Some("acme"), &[Role::Executive]);
    problem(service.get("/v1/reports", &executive).send().await.unwrap(), 403, "forbidden").await;
    let gone = service.client.delete(service.url(&path)).bearer_auth(&jo).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    problem(service.get(&path, &jo).send().await.unwrap(), 404, "unknown-report").await;
}

#[tokio::test]
async fn an_earlier_position_and_day_give_the_same_file_again() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let own = json!({
        "name": "debts", "key": ["customer_id"],
        "sql": "SELECT customer_id, sum(balance) AS debt FROM open_invoices GROUP BY customer_id",
    });
    let answer = service.post("/v1/views", &admin).json(&own).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let first = service.send(&admin, &[invoice("i1", "c1", "100"), invoice("i2", "c2", "7")]).await;
    service.rows(&admin, "debts", &first["position"]).await;
    let reports = [
        json!({ "name": "a", "view": "open_invoices" }),
        json!({ "name": "b", "view": "debts", "format": "parquet" }),
        json!({ "name": "c", "format": "xlsx", "sql":
            "SELECT event_id, amount, current_date AS today FROM events.\"invoicing.invoice_issued\" \
             ORDER BY event_id" }),
    ];
    let mut made = Vec::new();
    for report in &reports {
        let report = create(&service, &admin, report).await;
        let run = run(&service, &admin, &report, &json!({})).await;
        assert_eq!(
            (&run["state"], &run["position"]),
            (&json!("done"), &first["position"]),
            "{run}"
        );
        made.push((report, run));
    }
    let second = service.send(&admin, &[payment("p1", "i1", "40"), invoice("i3", "c1", "9")]).await;
    service.rows(&admin, "debts", &second["position"]).await;
    for (report, before) in &made {
        let now = run(&service, &admin, report, &json!({})).await;
        assert_ne!(now["sha256"], before["sha256"], "what came after shows");
        let as_of = json!({ "as_of": first["position"] });
        let again = run(&service, &admin, report, &as_of).await;
        assert_eq!(again["state"], "done", "{again}");
        for what in ["sha256", "rows", "position", "as_of"] {
            assert_eq!(again[what], before[what], "{what} of {report}");
        }
    }
    // With another day as today.
    let as_of = format!("{}@2025-08", first["position"].as_str().unwrap());
    let later = run(&service, &admin, &made[0].0, &json!({ "as_of": as_of })).await;
    assert_eq!((&later["as_of"], &later["rows"]), (&json!("2025-08-31"), &json!(2)));
    let csv = text(&service, &admin, &later).await;
    assert!(csv.contains(",82,d61_90\r\n"), "82 days after 10 June: {csv}");
    let early = run(&service, &admin, &made[0].0, &json!({ "as_of": "2025-06-12" })).await;
    assert!(text(&service, &admin, &early).await.contains(",2,d1_30\r\n"));
    // What is no moment, and what is another's.
    let path = format!("/v1/reports/{}/run", made[0].0["id"].as_str().unwrap());
    for as_of in ["last year", "p00", "2025-02-30"] {
        let answer = service.post(&path, &admin).json(&json!({ "as_of": as_of })).send().await;
        problem(answer.unwrap(), 400, "invalid-report").await;
    }
    let tomorrow = run(&service, &admin, &made[0].0, &json!({ "as_of": "2025-07-01" })).await;
    assert_eq!(tomorrow["state"], "failed");
    assert!(tomorrow["error"].as_str().unwrap().contains("has not come yet"));
}

/// The mail server, which scripts/services starts if it does not run: its address and its Maildir.
pub(crate) fn mail_server() -> (String, PathBuf) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
    let output = Command::new(script).args(["start", "smtp"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/services start smtp: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    (words[1].to_owned(), words[2].into())
}

/// The messages to an address.
pub(crate) fn mail_to(maildir: &std::path::Path, address: &str) -> Vec<String> {
    let all = std::fs::read_dir(maildir.join("new")).unwrap();
    let read = all.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    read.filter(|text| text.lines().any(|line| line == format!("To: {address}"))).collect()
}

#[tokio::test]
async fn a_file_comes_by_mail_or_where_to_find_it() {
    let (address, maildir) = mail_server();
    let url = format!("smtp://{address}");
    let variables = [
        ("TIDEMARK_SMTP_URL", url.as_str()),
        ("TIDEMARK_SMTP_FROM", "Figures <figures@tidemark.example>"),
        ("TIDEMARK_PUBLIC_URL", "https://figures.example/"),
        ("TIDEMARK_LIMITS_REPORTS_ATTACH_BYTES", "100"),
    ];
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(data, &variables).await;
    let admin = service.tenant("acme").await;
    let branding = json!({ "branding": { "name": "Acme Works" } });
    let patch = service.client.patch(service.url("/v1/tenant")).bearer_auth(&admin);
    assert_eq!(patch.json(&branding).send().await.unwrap().status(), 200);
    // The server is shared with other runs.
    let to = format!("{}@acme.example", std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let deliver = json!([{ "kind": "email", "to": [to], "subject": "Ones of {{this_month}}" }]);
    let small = json!({ "name": "Ones", "sql": "SELECT 1 AS n", "deliver": deliver });
    let small = create(&service, &admin, &small).await;
    let done = run(&service, &admin, &small, &json!({})).await;
    assert_eq!(done["deliveries"][0]["state"], "done", "{done}");
    let [mail]: [String; 1] = mail_to(&maildir, &to).try_into().unwrap();
    assert!(mail.contains("Subject: Ones of 2025-06") && mail.contains("From: "), "{mail}");
    assert!(mail.contains("filename=\"ones-2025-06-30.csv\""), "{mail}");
    let file = text(&service, &admin, &done).await;
    let is_inside =
        mail.contains(&STANDARD.encode(&file)) || mail.replace('\r', "").contains("n\n1\n");
    assert!(is_inside, "{mail}");
    assert!(mail.contains("Acme Works, as of 2025-06-30"), "{mail}");
    // Without a subject of its own it says whose it is.
    let plain = json!([{ "kind": "email", "to": [to] }]);
    let plain = json!({ "name": "Twos", "sql": "SELECT 2 AS n", "deliver": plain });
    let plain = create(&service, &admin, &plain).await;
    run(&service, &admin, &plain, &json!({})).await;
    let mails = mail_to(&maildir, &to);
    assert!(mails.iter().any(|mail| mail.contains("Subject: Acme Works: Twos")), "{mails:?}");
    let large = json!({
        "name": "Many", "deliver": deliver, "sql": "SELECT event_id FROM events.\"hr.time_logged\" \
         UNION ALL SELECT repeat('x', 200)",
    });
    let large = create(&service, &admin, &large).await;
    let done = run(&service, &admin, &large, &json!({})).await;
    assert_eq!(done["deliveries"][0]["state"], "done", "{done}");
    let mails = mail_to(&maildir, &to);
    let link = format!("https://figures.example/v1/exports/{}", done["run_id"].as_str().unwrap());
    let linked = mails.iter().find(|mail| mail.contains(&link)).unwrap();
    assert!(!linked.contains("filename="), "{linked}");
}

/// The password of a mail server is part of its address, which is read anew.
#[tokio::test]
async fn messages_go_by_the_mail_server_of_now() {
    let (address, maildir) = mail_server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("smtp");
    // Nobody listens there.
    std::fs::write(&file, "smtp://me:one@127.0.0.1:9").unwrap();
    let variables = [
        ("TIDEMARK_SMTP_URL_FILE", file.to_str().unwrap()),
        ("TIDEMARK_SMTP_FROM", "Figures <figures@tidemark.example>"),
    ];
    let service = Service::start_with(Arc::new(tempfile::tempdir().unwrap()), &variables).await;
    let admin = service.tenant("acme").await;
    std::fs::write(&file, format!("smtp://{address}")).unwrap();
    service.hang_up();
    service.until_logged("were read anew", 1).await;
    let to = format!("{}@acme.example", std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let deliver = json!([{ "kind": "email", "to": [to] }]);
    let report = json!({ "name": "Ones", "sql": "SELECT 1 AS n", "deliver": deliver });
    let report = create(&service, &admin, &report).await;
    let done = run(&service, &admin, &report, &json!({})).await;
    assert_eq!(done["deliveries"][0]["state"], "done", "{done}");
    assert_eq!(mail_to(&maildir, &to).len(), 1);
}

type Calls = mpsc::UnboundedSender<(HeaderMap, String)>;

async fn take(State(calls): State<Calls>, headers: HeaderMap, body: String) -> StatusCode {
    calls.send((headers, body)).unwrap();
    StatusCode::NO_CONTENT
}

/// A receiver of webhooks.
pub(crate) async fn receiver() -> (String, mpsc::UnboundedReceiver<(HeaderMap, String)>) {
    let (calls, received) = mpsc::unbounded_channel();
    let router = Router::new().route("/hook", post(take)).with_state(calls);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, received)
}

#[tokio::test]
async fn a_webhook_is_called_with_a_signature_and_never_into_private_networks() {
    let (url, mut received) = receiver().await;
    let secret = "a secret of the receiver";
    let report = json!({
        "name": "Ones", "sql": "SELECT 1 AS n",
        "deliver": [{ "kind": "webhook", "url": url, "secret": secret }],
    });
    let data = Arc::new(tempfile::tempdir().unwrap());
    let allowed = [("TIDEMARK_REPORTS_PRIVATE_WEBHOOKS", "true")];
    let service = Service::start_with(data, &allowed).await;
    let admin = service.tenant("acme").await;
    let made = create(&service, &admin, &report).await;
    assert!(!made.to_string().contains(secret), "{made}");
    let done = run(&service, &admin, &made, &json!({})).await;
    assert_eq!(done["deliveries"][0]["state"], "done", "{done}");
    let (headers, body) = received.recv().await.unwrap();
    let signature = headers["tidemark-signature"].to_str().unwrap();
    let parts: BTreeMap<&str, &str> =
        signature.split(',').map(|part| part.split_once('=').unwrap()).collect();
    // As a receiver would check it, with a tool of its own.
    let signed = format!("{}.{body}", parts["t"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("signed"), signed).unwrap();
    let checked = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret])
        .arg(folder.path().join("signed"))
        .output()
        .unwrap();
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.trim().rsplit(' ').next().unwrap(), parts["v1"]);
    let told: Value = serde_json::from_str(&body).unwrap();
    for what in ["run_id", "position", "sha256", "rows", "as_of"] {
        assert_eq!(told[what], done[what], "{what}");
    }
    drop(service);

    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let made = create(&service, &admin, &report).await;
    let done = run(&service, &admin, &made, &json!({})).await;
    assert_eq!(
        (&done["state"], &done["deliveries"][0]["state"]),
        (&json!("done"), &json!("failed"))
    );
    let why = done["deliveries"][0]["error"].as_str().unwrap();
    assert!(why.contains("private network"), "{why}");
    assert!(received.try_recv().is_err(), "it was not called");
}
