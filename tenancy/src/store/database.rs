//! Where a control store is: a file of SQLite, or a database of PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::Invalid;

/// Where a control store is. Neither `Debug` nor `Display` shows a password.
#[derive(Clone)]
pub enum Database {
    /// A file of SQLite.
    File(PathBuf),
    /// A database of PostgreSQL, as one of its roles.
    Server(Server),
}

/// A database of PostgreSQL, and the role that one connects to it as.
#[derive(Clone)]
pub struct Server {
    url: String,
    options: Box<PgConnectOptions>,
}

/// How a control store is opened.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where it is; in PostgreSQL as the role that serves, which owns nothing and which row-level
    /// security binds.
    pub database: Database,
    /// The same database as the role that owns its tables, which applies the migrations; only in
    /// PostgreSQL. Without it the migrations must have been applied.
    pub owner: Option<Database>,
    /// Connections at once.
    pub connections: u32,
}

impl Access {
    /// Connections at once where nobody says.
    pub const CONNECTIONS: u32 = 8;

    /// A file with the usual number of connections.
    pub fn file(path: &Path) -> Self {
        let database = Database::File(path.to_owned());
        Self { database, owner: None, connections: Self::CONNECTIONS }
    }
}

impl FromStr for Database {
    type Err = Invalid;

    /// Reads `sqlite:/folder/control.db` or `postgres://role:password@host/database`. What is given
    /// may hold a password, so that no error repeats it.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |message: &str| Invalid::new("database_url", message);
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(wrong("the name of a file is missing")),
                path => Ok(Self::File(path.into())),
            };
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(wrong(
                "it begins neither with sqlite: nor with postgres:// ; expected a file, as in \
                 sqlite:/srv/tidemark/control.db, or a database of PostgreSQL, as in \
                 postgres://tidemark:password@db.local/tidemark",
            ));
        }
        let options: PgConnectOptions =
            text.parse().map_err(|_| wrong("it is no valid URL of PostgreSQL"))?;
        if options.get_database().is_none() {
            return Err(wrong("the name of the database is missing behind the host"));
        }
        Ok(Self::Server(Server { url: text.to_owned(), options: Box::new(options) }))
    }
}

impl Server {
    /// The role.
    pub(super) fn role(&self) -> &str {
        self.options.get_username()
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The URL for a pool of connections, which say whose they are.
    pub(super) fn pooled_url(&self) -> String {
        let mut url = self.url.clone();
        if self.options.get_application_name().is_none() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str("application_name=tidemark");
        }
        url
    }
}

/// The URL of a file for sqlx, which decodes it again.
pub(super) fn file_url(path: &Path) -> String {
    let mut url = "sqlite:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                url.push(char::from(*byte));
            }
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let (role, host, port) = (options.get_username(), options.get_host(), options.get_port());
        write!(f, "postgres://{role}@{host}:{port}/{}", options.get_database().unwrap_or_default())
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_and_servers_are_told_apart_and_no_password_is_shown() {
        for (url, shown) in [
            ("sqlite:/srv/control.db", "/srv/control.db"),
            ("sqlite:///srv/control.db", "/srv/control.db"),
            ("sqlite:control.db", "control.db"),
            ("postgres://me:hush@db:6432/t", "postgres://me@db:6432/t"),
            ("postgresql://me:hush@db/t?sslmode=require", "postgres://me@db:5432/t"),
        ] {
            let database: Database = url.parse().unwrap();
            assert_eq!(database.to_string(), shown);
            assert!(!format!("{database:?}").contains("hush"));
        }
        for url in ["", "sqlite:", "mysql://me:hush@db/t", "postgres://me:hush@db", "/srv/x.db"] {
            let error = url.parse::<Database>().unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
