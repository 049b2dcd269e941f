//! A database of PostgreSQL of a test's own, reached directly and through `PgBouncer`.

use std::process::Command;
use std::sync::OnceLock;

use crate::broker::prefix;

/// What the roles of the server have for a password, which listens on this machine only.
const PASSWORD: &str = "tidemark-secret";

/// The addresses of the server and the pooler, which scripts/services starts if they do not run.
fn addresses() -> &'static (String, String) {
    static ADDRESSES: OnceLock<(String, String)> = OnceLock::new();
    ADDRESSES.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
        let output =
            Command::new(script).args(["start", "postgres", "pgbouncer"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/services start postgres pgbouncer: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.expect("it says where they are").trim().to_owned()
        };
        (of("postgres "), of("pgbouncer "))
    })
}

/// A database that goes with the server.
pub(crate) struct Database(String);

impl Database {
    /// An empty one, which belongs to the owner of the tables.
    pub(crate) fn create() -> Self {
        let name = prefix().replace(['.', '-'], "_");
        let (server, _) = addresses();
        let url = format!("postgres://postgres:{PASSWORD}@{server}/postgres");
        let create = format!("CREATE DATABASE {name} OWNER tidemark_owner");
        let output = Command::new("psql").args([&url, "-c", &create]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(name)
    }

    /// The database itself, as a role.
    pub(crate) fn direct(&self, role: &str) -> String {
        format!("postgres://{role}:{PASSWORD}@{}/{}", addresses().0, self.0)
    }

    /// The database behind the pooler.
    pub(crate) fn pooled(&self, role: &str) -> String {
        format!("postgres://{role}:{PASSWORD}@{}/{}", addresses().1, self.0)
    }
}
