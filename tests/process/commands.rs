//! The commands, as a person runs them: the real binary against a real service.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "a-key-of-these-tests-that-is-long-enough";

/// The binary, in an environment without settings of the machine it runs on.
fn tidemark(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEMARK_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("TIDEMARK_JWT_SECRET", KEY);
    command
}

fn run(arguments: &[&str]) -> Output {
    tidemark(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by itself")
}

/// Asks a process to end, and waits until it has.
fn end(mut child: Child) -> i32 {
    let asked = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(asked.success());
    child.wait().unwrap().code().expect("ended by itself")
}

/// A service with one tenant, `t00001`.
struct Service {
    child: Option<Child>,
    url: String,
    token: String,
    folder: TempDir,
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let data = data.to_str().unwrap();
        let mut child = tidemark(&["serve", "--data", data, "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .find_map(|line| line.unwrap().strip_prefix("tidemark serves on ").map(str::to_owned))
            .expect("says where it serves");
        // Read on, so that its log never fills the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let service = Self { child: Some(child), url, token: token("t00001", "admin"), folder };
        service.create_tenant();
        service
    }

    fn create_tenant(&self) {
        let platform = out(&run(&["token", "--role", "platform"]));
        let tenant = json!({"id": "t00001", "name": "One", "timezone": "Europe/Berlin",
            "currency": "EUR", "clock": "fixed:2025-01-31"});
        let url = format!("{}/v1/platform/tenants", self.url);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            loop {
                let call = reqwest::Client::new().post(&url).bearer_auth(platform.trim());
                let status = call.json(&tenant).send().await.unwrap().status();
                if status != 503 {
                    return assert_eq!(status, 201);
                }
            }
        });
    }

    /// Runs a command that calls the service.
    fn call(&self, arguments: &[&str]) -> Output {
        self.calling(arguments).output().unwrap()
    }

    fn calling(&self, arguments: &[&str]) -> Command {
        let mut command = tidemark(arguments);
        command.args(["--url", &self.url]).env("TIDEMARK_TOKEN", &self.token);
        command
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            assert_eq!(end(child), 0);
        }
    }
}

fn token(tenant: &str, role: &str) -> String {
    out(&run(&["token", "--tenant", tenant, "--role", role])).trim().to_owned()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn deal(id: &str, amount: &str) -> String {
    json!({"specversion": "1.0", "id": id, "source": "/crm", "type": "crm.opportunity_opened",
        "time": "2025-01-10T10:00:00Z",
        "data": {"opportunity_id": id, "owner": "o", "stage": "proposal", "amount": amount}})
    .to_string()
}

#[test]
fn generated_events_are_loaded_once_and_counted() {
    let service = Service::start();
    let generated = run(&["generate", "--tenants", "1", "--events", "30000", "--seed", "4"]).stdout;
    let ids: BTreeSet<String> = generated
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<Value>(line).unwrap())
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    let repeats = 30_000 - ids.len();
    assert!(repeats > 0);

    let archive = service.file("events.ndjson.gz", &gzipped(&generated));
    let loaded = service.call(&["load", &archive]);
    assert_eq!(code(&loaded), 0, "{}", err(&loaded));
    let said = out(&loaded);
    assert!(said.starts_with("30,000 events in "), "{said}");
    assert!(said.contains(" events/s acknowledged, ") && said.contains(" applied\n"), "{said}");
    assert!(said.contains(&format!("duplicates {repeats}, rejected 0")), "{said}");

    let plain = service.file("events.ndjson", &generated);
    let again = service.call(&["load", &plain]);
    assert!(out(&again).contains("accepted 0, duplicates 30,000, rejected 0"), "{}", out(&again));

    let calls = generated_of(&generated, "crm.call_logged");
    let sql = "SELECT count(*) AS calls FROM events.\"crm.call_logged\"";
    let answer = service.call(&["query", sql, "--format", "csv"]);
    assert_eq!(out(&answer), format!("calls\r\n{calls}\r\n"), "{}", err(&answer));
    let answer: Value =
        serde_json::from_slice(&service.call(&["query", sql, "--format", "json"]).stdout).unwrap();
    assert_eq!(answer["rows"], json!([[calls]]));
    let table = service.call(&["query", sql]);
    let table = out(&table);
    let lines: Vec<_> = table.lines().map(str::trim).collect();
    assert_eq!(lines, ["calls", "─────", calls.to_string().as_str()]);
}

/// Distinct events of a type.
fn generated_of(generated: &[u8], kind: &str) -> usize {
    let lines = generated.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let of_kind = events.filter(|event| event["type"] == kind);
    of_kind.map(|event| event["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>().len()
}

#[test]
fn rejected_events_are_named_by_file_and_line() {
    let service = Service::start();
    let content = format!("{}\n\nnonsense\n{}\n", deal("a", "1"), deal("b", "one"));
    let file = service.file("mixed.ndjson", content.as_bytes());
    let loaded = service.call(&["load", &file]);
    assert_eq!(code(&loaded), 1);
    assert!(out(&loaded).contains("accepted 1, duplicates 0, rejected 2"), "{}", out(&loaded));
    let said = err(&loaded);
    assert!(said.contains("mixed.ndjson:3: ") && said.contains("mixed.ndjson:4: "), "{said}");

    let intake_only = service
        .calling(&["load", &file])
        .env("TIDEMARK_TOKEN", token("t00001", "service"))
        .output()
        .unwrap();
    assert!(out(&intake_only).contains("this token may not read"), "{}", out(&intake_only));
}

#[test]
fn a_watched_view_shows_its_rows_and_then_what_changes() {
    let service = Service::start();
    let first = service.file("first.ndjson", deal("a", "10.50").as_bytes());
    assert_eq!(code(&service.call(&["load", &first])), 0);
    let mut watch = service.calling(&["watch", "pipeline"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "# stage, currency, opportunities, amount");
    assert_eq!(lines.next().unwrap(), r#"= ["proposal","EUR",1,"10.5000"]"#);
    let second = service.file("second.ndjson", deal("b", "4.25").as_bytes());
    assert_eq!(code(&service.call(&["load", &second])), 0);
    let changes: BTreeSet<_> = lines.by_ref().take(2).collect();
    let expected = [r#"- ["proposal","EUR",1,"10.5000"]"#, r#"+ ["proposal","EUR",2,"14.7500"]"#];
    assert_eq!(changes, expected.map(str::to_owned).into());
    assert_eq!(end(watch), 0);

    let unknown = service.call(&["watch", "pipelines"]);
    assert_eq!(code(&unknown), 1);
    assert!(err(&unknown).contains("pipelines"), "{}", err(&unknown));
}

#[test]
fn refusals_are_said_in_the_words_of_the_service() {
    let service = Service::start();
    let wrong = service.call(&["query", "SELECT nothing FROM headcount"]);
    assert_eq!(code(&wrong), 1);
    assert!(err(&wrong).contains("nothing"), "{}", err(&wrong));
    let stranger = service
        .calling(&["query", "SELECT 1"])
        .env("TIDEMARK_TOKEN", "no.good.token")
        .output()
        .unwrap();
    assert_eq!(code(&stranger), 1);
    assert!(err(&stranger).contains("token"), "{}", err(&stranger));
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["fly"][..],
        &["generate", "--tenants", "0", "--events", "1", "--seed", "1"],
        &["token", "--role", "executive"],
        &["token", "--role", "platform", "--tenant", "a"],
        &["token", "--role", "king", "--tenant", "a"],
        &["token", "--role", "admin", "--tenant", "a", "--secret", "short"],
        &["query", "SELECT 1"],
        &["query", "SELECT 1", "--token", "t", "--url", "ftp://nowhere"],
        &["serve", "--config", "/nowhere/tidemark.toml"],
        &["check-config", "--config", "/nowhere/tidemark.toml"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", err(&output));
        assert!(!err(&output).is_empty(), "{arguments:?}");
    }
    let unset = tidemark(&["serve"]).env_remove("TIDEMARK_JWT_SECRET").output().unwrap();
    assert_eq!(code(&unset), 2);
    assert!(err(&unset).contains("TIDEMARK_JWT_SECRET"), "{}", err(&unset));
    let issuer = "https://id.example.com";
    let alone = tidemark(&["serve"]).env("TIDEMARK_OIDC_ISSUER", issuer).output().unwrap();
    assert_eq!(code(&alone), 2);
    assert!(err(&alone).contains("oidc.audience"), "{}", err(&alone));
}

#[test]
fn a_service_that_is_not_there_is_said_with_its_address() {
    let output = run(&["query", "SELECT 1", "--token", "t", "--url", "http://127.0.0.1:9"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("http://127.0.0.1:9"), "{}", err(&output));
}

#[test]
fn checked_configuration_masks_the_secret() {
    let output =
        tidemark(&["check-config"]).env("TIDEMARK_LIMITS_QUERY_ROWS", "17").output().unwrap();
    assert_eq!(code(&output), 0);
    let said = out(&output);
    let rows = said.lines().find(|line| line.starts_with("limits.query.rows ")).unwrap();
    assert!(rows.contains(" 17 ") && rows.ends_with("TIDEMARK_LIMITS_QUERY_ROWS"), "{rows}");
    assert!(!said.contains(KEY) && !err(&output).contains(KEY));
}

#[test]
fn migrate_makes_a_control_store_and_may_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for _ in 0..2 {
        let output = run(&["migrate", "--data", data.to_str().unwrap()]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert!(data.join("control.db").is_file());
    }
}

#[test]
fn a_closed_pipe_ends_a_command_well() {
    let mut child =
        tidemark(&["generate", "--tenants", "1", "--events", "1000000000", "--seed", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let mut some = [0; 1000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_demo_prints_an_address_for_each_firm_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = tidemark(&["demo", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = Vec::new();
    for line in lines {
        said.push(line);
        if said.last().is_some_and(|line| line.starts_with("Ctrl-C")) {
            break;
        }
    }
    let addresses: Vec<&str> =
        said.iter().map(|line| line.trim()).filter(|line| line.starts_with("http://")).collect();
    assert_eq!(addresses.len(), 3, "{said:?}");
    for address in addresses {
        let (url, token) = address.split_once("/#token=").expect("a token in the fragment");
        let output = run(&[
            "query",
            "SELECT count(*) AS n FROM ar_aging",
            "--url",
            url,
            "--token",
            token,
            "--format",
            "json",
        ]);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("an answer");
        assert!(answer["rows"][0][0].as_i64().unwrap() > 0, "{answer}");
    }
    assert_eq!(end(demo), 0);
    assert!(is_empty(folder.path()));
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}
