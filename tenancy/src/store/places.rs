//! Where the tests of the store run: on a file of SQLite, and on a real PostgreSQL, directly and behind
//! `PgBouncer`. `scripts/services` starts them if they do not run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use super::migrations::{POSTGRES, SQLITE};
use super::{Access, Database, Store};
use crate::StoreError;

/// Runs each test on a file and on PostgreSQL, there directly and behind the pooler.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($place:ident: &Place) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(clippy::wildcard_imports)]
            use super::*;

            async fn run($place: &Place) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                run(&Place::file()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                run(&Place::server().await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn pooled() {
                run(&Place::pooled().await).await;
            }
        }
    )*};
}
pub(crate) use on_both;

/// A place for a store of a test's own, which goes with it.
pub(crate) enum Place {
    File(TempDir),
    Server(TestDatabase),
}

/// An empty database of the server.
pub(crate) struct TestDatabase {
    name: String,
    /// Whether the service comes to it through the pooler.
    is_pooled: bool,
}

/// What `scripts/services` starts.
struct Servers {
    /// `host:port` of PostgreSQL, …
    postgres: String,
    /// … and of `PgBouncer` before it, which pools by transaction.
    pgbouncer: String,
}

/// What the roles that `scripts/services` makes have for a password.
const PASSWORD: &str = "tidemark-secret";

fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services");
        let started = Command::new(script).args(["start", "postgres", "pgbouncer"]).output();
        let output = started.expect("scripts/services can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "run scripts/services start postgres pgbouncer: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.expect("it says where they are").trim().to_owned()
        };
        Servers { postgres: of("postgres "), pgbouncer: of("pgbouncer ") }
    })
}

impl Place {
    pub(crate) fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn server() -> Self {
        Self::database(false).await
    }

    /// A database that the service reaches through `PgBouncer`, by transaction.
    pub(crate) async fn pooled() -> Self {
        Self::database(true).await
    }

    async fn database(is_pooled: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (now, next) =
            (UNIX_EPOCH.elapsed().unwrap().as_micros(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("t{}_{now}_{next}", std::process::id());
        let mut connection = superuser("postgres").await;
        let create = format!("CREATE DATABASE {name} OWNER tidemark_owner");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Self::Server(TestDatabase { name, is_pooled })
    }

    /// How the service comes to it.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::File(_) => Access::file(&self.path()),
            Self::Server(database) => {
                let servers = servers();
                let service =
                    if database.is_pooled { &servers.pgbouncer } else { &servers.postgres };
                Access {
                    database: database.url("tidemark_service", service),
                    owner: Some(database.url("tidemark_owner", &servers.postgres)),
                    connections: 4,
                }
            }
        }
    }

    /// How the service comes to it as a role of the test's own.
    pub(crate) fn access_as(&self, role: &str, password: &str) -> Access {
        let Self::Server(database) = self else { panic!("a file has no roles") };
        let address = &servers().postgres;
        let url = format!("postgres://{role}:{password}@{address}/{}", database.name);
        Access { database: url.parse().unwrap(), ..self.access() }
    }

    /// How the service comes to it by another name of the server's host and with parameters of the URL.
    pub(crate) fn access_with(&self, host: &str, parameters: &str) -> Access {
        let Self::Server(database) = self else { panic!("a file has no host") };
        let (_, port) = servers().postgres.rsplit_once(':').expect("host and port");
        let of = |role: &str| {
            let url = format!(
                "postgres://{role}:{PASSWORD}@{host}:{port}/{}?{parameters}",
                database.name
            );
            url.parse::<Database>().unwrap()
        };
        let owner = Some(of("tidemark_owner"));
        Access { database: of("tidemark_service"), owner, connections: 4 }
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Store, StoreError> {
        Store::connect(&self.access()).await
    }

    /// Applies the migrations up to this one.
    pub(crate) async fn migrate_to(&self, version: i64) {
        match self {
            Self::File(_) => {
                let options =
                    SqliteConnectOptions::new().filename(self.path()).create_if_missing(true);
                let mut connection = options.connect().await.unwrap();
                SQLITE.run_to(version, &mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Server(_) => {
                let Some(Database::Server(owner)) = self.access().owner else {
                    panic!("it has one")
                };
                let mut connection = owner.options().clone().connect().await.unwrap();
                POSTGRES.run_to(version, &mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// The numbers of the migrations there are for it.
    pub(crate) fn migrations(&self) -> Vec<i64> {
        let migrations = if matches!(self, Self::File(_)) { &SQLITE } else { &POSTGRES };
        migrations.iter().map(|migration| migration.version).collect()
    }

    /// Runs a statement that no policy holds back; the rows it touched, or what is said against it.
    pub(crate) async fn execute(&self, sql: &'static str) -> Result<u64, String> {
        let done = match self {
            Self::File(_) => {
                let options = SqliteConnectOptions::new().filename(self.path());
                let mut connection = options.connect().await.unwrap();
                let done = sqlx::raw_sql(sql).execute(&mut connection).await;
                connection.close().await.unwrap();
                done.map(|done| done.rows_affected())
            }
            Self::Server(_) => {
                let mut connection = self.superuser().await;
                let done = sqlx::raw_sql(sql).execute(&mut connection).await;
                connection.close().await.unwrap();
                done.map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| error.to_string())
    }

    /// A connection to the database that no policy holds back.
    pub(crate) async fn superuser(&self) -> PgConnection {
        match self {
            Self::File(_) => panic!("a file has no roles"),
            Self::Server(database) => superuser(&database.name).await,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::File(folder) => folder.path().join("control.db"),
            Self::Server(_) => panic!("a server has no path"),
        }
    }
}

impl TestDatabase {
    pub(crate) fn url(&self, role: &str, address: &str) -> Database {
        format!("postgres://{role}:{PASSWORD}@{address}/{}", self.name).parse().unwrap()
    }
}

/// The certificate that the server's is checked by.
pub(crate) fn authority() -> PathBuf {
    servers();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    target.join("services/postgres/ca.pem")
}

async fn superuser(database: &str) -> PgConnection {
    let url = format!("postgres://postgres:{PASSWORD}@{}/{database}", servers().postgres);
    url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = superuser("postgres").await;
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.map(|_| ())
            })?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        };
        let dropped = std::thread::spawn(run).join();
        assert!(std::thread::panicking() || matches!(dropped, Ok(Ok(()))), "{dropped:?}");
    }
}
