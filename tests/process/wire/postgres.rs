//! A service that speaks PostgreSQL's protocol, and its clients.

use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{Connection, Error};

use crate::service::{Service, invoice, payment};

/// A service with one tenant, `acme`, that has three invoices.
pub(crate) struct Wired {
    pub(crate) service: Service,
    pub(crate) port: u16,
    pub(crate) admin: String,
}

impl Wired {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Self {
        let mut all = vec![("TIDEMARK_POSTGRES_LISTEN", "127.0.0.1:0")];
        all.extend_from_slice(variables);
        let service = Service::start_with(Arc::new(tempfile::tempdir().unwrap()), &all).await;
        Self::of(service).await
    }

    /// With what is needed on a service that was started.
    pub(crate) async fn of(service: Service) -> Self {
        service.until_logged("listening for PostgreSQL clients", 1).await;
        let port = port(&service.log());
        let admin = service.tenant("acme").await;
        let events = [
            invoice("i1", "C1", "1000.50"),
            invoice("i2", "C2", "20"),
            invoice("i3", "C'3", "0.0001"),
            payment("p1", "i1", "0.25"),
        ];
        let receipt = service.send(&admin, &events).await;
        service.rows(&admin, "open_invoices", &receipt["position"]).await;
        Self { service, port, admin }
    }

    /// A connection of the driver.
    pub(crate) async fn connect(&self, token: &str) -> Result<PgConnection, Error> {
        PgConnection::connect_with(&self.options(token)).await
    }

    pub(crate) fn options(&self, token: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("tidemark")
            .database("tidemark")
            .password(token)
            .ssl_mode(PgSslMode::Prefer)
    }

    /// psql with these arguments, as whom the token says.
    pub(crate) fn psql(&self, token: &str, arguments: &[&str]) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "tidemark")
            .env("PGDATABASE", "tidemark")
            .env("PGPASSWORD", token)
            .env("PGCLIENTENCODING", "UTF8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        psql
    }

    /// What psql prints for a command, which must succeed: rows without a head, columns with `|`.
    pub(crate) fn says(&self, command: &str) -> String {
        let asked = self.psql(&self.admin, &["-A", "-t", "-c", command]).output().unwrap();
        assert!(asked.status.success(), "{command}: {}", errors(&asked));
        String::from_utf8(asked.stdout).unwrap().trim_end().to_owned()
    }

    /// What psql prints of why a command fails.
    pub(crate) fn refuses(&self, token: &str, command: &str) -> String {
        let asked = self.psql(token, &["-c", command]).output().unwrap();
        assert!(!asked.status.success(), "{command}: {}", String::from_utf8_lossy(&asked.stdout));
        errors(&asked)
    }

    /// The tenant's queries that are in the audit, the newest first.
    pub(crate) async fn queries(&self) -> Vec<Value> {
        let path = "/v1/audit?action=query&limit=100";
        let answer = self.service.get(path, &self.admin).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["records"].as_array().cloned().unwrap_or_else(|| panic!("no records: {answer}"))
    }
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The port that the log says.
fn port(log: &str) -> u16 {
    let line = log.lines().find(|line| line.contains("listening for PostgreSQL clients")).unwrap();
    let at = line.find("127.0.0.1:").unwrap();
    let digits: String = line[at + 10..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}
