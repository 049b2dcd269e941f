//! Who is let in, and for how long.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sqlx::postgres::{PgConnection, PgSslMode};
use sqlx::{Connection, Row};
use tenancy::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::postgres::Wired;
use crate::certificates::certificate;
use crate::service::{Service, expiring, signed, token};

/// The code with which a connection is refused.
async fn refused(wired: &Wired, token: &str) -> String {
    let error = wired.connect(token).await.unwrap_err();
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.unwrap_or_else(|| panic!("no code: {error}")).into_owned()
}

#[tokio::test]
async fn only_those_who_may_query_are_let_in() {
    let wired = Wired::start().await;
    for role in [Role::Analyst, Role::Admin] {
        let mut connection = wired.connect(&token(Some("acme"), &[role])).await.unwrap();
        let row =
            sqlx::query("SELECT count(*) FROM open_invoices").fetch_one(&mut connection).await;
        assert_eq!(row.unwrap().get::<i64, _>(0), 3, "{role}");
    }
    for role in [Role::Executive, Role::Service] {
        assert_eq!(refused(&wired, &token(Some("acme"), &[role])).await, "42501", "{role}");
    }
    assert_eq!(refused(&wired, &token(None, &[Role::Platform])).await, "42501");
    assert_eq!(refused(&wired, "no token").await, "28P01");
    let foreign = "another secret, which is longer than 32 bytes too";
    let foreign = signed(foreign, Some("acme"), &[Role::Admin], TimeDelta::hours(1));
    assert_eq!(refused(&wired, &foreign).await, "28P01");
    let old = expiring(Some("acme"), &[Role::Admin], -TimeDelta::hours(1));
    assert_eq!(refused(&wired, &old).await, "28P01");
    // The name of a database tells nothing of who is there.
    let named = wired.options(&wired.admin).database("acme");
    let nobodys = wired.options(&wired.admin).database("nobody");
    let named = PgConnection::connect_with(&named).await.unwrap_err().to_string();
    assert_eq!(named, PgConnection::connect_with(&nobodys).await.unwrap_err().to_string());
    // They are written behind the answers.
    for _ in 0..100 {
        let audit =
            wired.service.get("/v1/audit?action=refusal", &wired.admin).send().await.unwrap();
        if audit.text().await.unwrap().contains("/v1/query") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("refusals are not recorded");
}

#[tokio::test]
async fn a_connection_ends_when_its_token_does() {
    let wired = Wired::start_with(&[("TIDEMARK_JWT_LEEWAY_S", "0")]).await;
    let short = expiring(Some("acme"), &[Role::Analyst], TimeDelta::seconds(3));
    let mut connection = wired.connect(&short).await.unwrap();
    sqlx::query("SELECT 1").fetch_one(&mut connection).await.unwrap();
    for _ in 0..200 {
        if sqlx::query("SELECT 1").fetch_one(&mut connection).await.is_err() {
            assert_eq!(refused(&wired, &short).await, "28P01");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the connection is still there");
}

/// One address that says nothing by all its connections leaves room for the others.
#[tokio::test]
async fn who_says_nothing_does_not_keep_others_out() {
    let wired = Wired::start_with(&[("TIDEMARK_LIMITS_POSTGRES_CONNECTIONS", "16")]).await;
    let from = async |origin: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{origin}:0").parse().unwrap()).unwrap();
        socket.connect(([127, 0, 0, 1], wired.port).into()).await.unwrap()
    };
    // What it asks for, whether TLS is spoken, is answered where there is room.
    let answers = async |stream: &mut tokio::net::TcpStream| {
        let asked = [0, 0, 0, 8, 4, 210, 22, 47];
        // One that is closed at once may not even take this.
        stream.write_all(&asked).await.ok();
        let mut said = [0];
        let read = timeout(Duration::from_secs(10), stream.read(&mut said)).await;
        read.expect("neither answered nor closed").is_ok_and(|bytes| bytes == 1)
    };
    let mut silent = Vec::new();
    for number in 0..16 {
        let mut stream = from("127.0.0.2").await;
        if number >= 2 {
            assert!(!answers(&mut stream).await, "connection {number}");
        }
        silent.push(stream);
    }
    assert!(answers(&mut from("127.0.0.3").await).await);
    wired.connect(&wired.admin).await.unwrap();
    assert!(answers(&mut silent[0]).await, "it has its seat");
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (pem, key) = certificate("wire");
    std::fs::write(path("certificate.pem"), &pem).unwrap();
    std::fs::write(path("key.pem"), key).unwrap();
    let (shown, key) = (path("certificate.pem"), path("key.pem"));
    let variables = [
        ("TIDEMARK_TLS_CERTIFICATE_FILE", shown.as_str()),
        ("TIDEMARK_TLS_KEY_FILE", key.as_str()),
        ("TIDEMARK_POSTGRES_LISTEN", "127.0.0.1:0"),
    ];
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let data = Arc::new(tempfile::tempdir().unwrap());
    let wired = Wired::of(Service::start_as(data, &variables, ("https", client)).await).await;
    let options = wired.options(&wired.admin).ssl_mode(PgSslMode::VerifyCa).ssl_root_cert(&shown);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let row = sqlx::query("SELECT count(*) FROM open_invoices").fetch_one(&mut connection).await;
    assert_eq!(row.unwrap().get::<i64, _>(0), 3);
    let asked = wired
        .psql(&wired.admin, &["-A", "-t", "-c", "SELECT 1"])
        .env("PGSSLMODE", "require")
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
}

/// The bytes of a message.
fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [kind, &length, body].concat()
}

/// Reads messages up to and with one of the kind; how many of each kind came.
fn read_to(stream: &mut TcpStream, last: u8) -> BTreeMap<u8, usize> {
    let mut came = BTreeMap::new();
    let mut stream = std::io::BufReader::new(stream);
    let mut body = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let [kind, length @ ..] = head;
        body.resize(u32::from_be_bytes(length) as usize - 4, 0);
        stream.read_exact(&mut body).unwrap();
        *came.entry(kind).or_default() += 1;
        if kind == last {
            assert!(stream.buffer().is_empty(), "nothing comes unasked");
            return came;
        }
    }
}

/// KiB that a process has in memory.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A short message may ask for much. What is not read of the answers is not gathered.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_not_gathered() {
    const TIMES: usize = 3_000;
    let wired = Wired::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", wired.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let startup =
        [&196_608_u32.to_be_bytes()[..], b"user\0tidemark\0database\0tidemark\0\0"].concat();
    stream.write_all(&message(b"", &startup)).unwrap();
    read_to(&mut stream, b'R');
    stream.write_all(&message(b"p", format!("{}\0", wired.admin).as_bytes())).unwrap();
    read_to(&mut stream, b'Z');
    let set = |n| format!("SET a.b{n} TO '{}';", "x".repeat(1_000));
    let settings: String = (0..50).map(set).collect();
    stream.write_all(&message(b"Q", format!("{settings}\0").as_bytes())).unwrap();
    read_to(&mut stream, b'Z');
    let process = wired.service.process.id();
    let before = resident(process);
    let all = format!("{}\0", "SHOW ALL;".repeat(TIMES));
    stream.write_all(&message(b"Q", all.as_bytes())).unwrap();
    // They would be some 150 MiB, gathered long before this is over.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let more = resident(process).saturating_sub(before);
        assert!(more < 64 << 10, "{more} KiB are kept for who reads nothing");
    }
    assert_eq!(read_to(&mut stream, b'Z')[&b'C'], TIMES);
}

/// What is no PostgreSQL is not answered, and harms nobody.
#[tokio::test]
async fn strange_bytes_are_refused() {
    let wired = Wired::start().await;
    let strange: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 3, 0, 3, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        &[0, 0, 0, 8, 0, 2, 0, 0],
        &[0, 0, 0, 12, 0, 3, 0, 0, b'u', b's', b'e', b'r'],
        &[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2],
    ];
    for bytes in strange {
        let mut stream = TcpStream::connect(("127.0.0.1", wired.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut said = Vec::new();
        // It is closed, whether in order or not.
        let _ = stream.read_to_end(&mut said);
        assert!(said.is_empty(), "{bytes:?}: {said:?}");
    }
    // A password of its own making in place of the one that is asked for.
    let mut stream = TcpStream::connect(("127.0.0.1", wired.port)).unwrap();
    stream.write_all(b"\0\0\0\x17\0\x03\0\0user\0tidemark\0\0").unwrap();
    let mut asked = [0; 9];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(asked, [b'R', 0, 0, 0, 8, 0, 0, 0, 3]);
    stream.write_all(b"Q\0\0\0\x0dSELECT 1\0").unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said).contains("08P01"), "{said:?}");
    assert_eq!(wired.says("SELECT 1"), "1");
}
