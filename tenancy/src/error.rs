//! What can go wrong with the control store.

use crate::TenantId;

/// A value that is not allowed where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// The field as it is called in JSON.
    pub field: &'static str,
    /// What is wrong and what would be right, a sentence for the sender.
    pub message: String,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Errors of the control store. The first four are the caller's, the others the installation's, of
/// which some pass by themselves ([`StoreError::is_unavailable`]).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is a tenant with this id. Only ever told to the platform.
    #[error("there is a tenant `{id}` already; choose another id, or change that tenant instead")]
    Conflict {
        /// The id that was asked for.
        id: TenantId,
    },
    /// There is no tenant with this id.
    #[error("there is no tenant `{id}`; create it first")]
    NotFound {
        /// The id that was asked for.
        id: TenantId,
    },
    /// There was a tenant with this id, and its id is never given out again.
    #[error(
        "the tenant `{id}` was deleted, and its id is never given out again; choose another id"
    )]
    Deleted {
        /// The id that was asked for.
        id: TenantId,
    },
    /// A field has a value that is not allowed.
    #[error("{field}: {message}")]
    Invalid {
        /// The field as it is called in JSON.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The control store cannot be opened or created.
    #[error(
        "cannot open the control store {place}: {source}; check that it is there and may be written"
    )]
    Open {
        /// The file, or the database without its password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The role of the service would not be bound by row-level security.
    #[error("cannot use the control store {place}: {reason}")]
    Role {
        /// The database without its password.
        place: String,
        /// Why, and the way out.
        reason: String,
    },
    /// The schema cannot be brought up to date, or is not this version's.
    #[error("the schema of the control store {place} does not fit: {reason}")]
    Migration {
        /// The file, or the database without its password.
        place: String,
        /// Why, and the way out.
        reason: String,
        /// The cause.
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed: the disk is full, others hold what it needs, … See
    /// [`StoreError::is_unavailable`].
    #[error("the control store failed while {doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// A stored value that cannot be read.
    #[error("row {number} of the table tenants holds a bad {field}: {message}")]
    Damaged {
        /// The tenant's number.
        number: i64,
        /// The column.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The task of a change ended before it could answer, as it does when the process shuts down.
    #[error("the change was interrupted: {0}; read the tenant to see whether it was made")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl StoreError {
    /// Whether the store could not be had this time: others held it, or a row of it, for longer than
    /// is waited for, or the connection to it was lost. It may be asked again; of what was to be
    /// changed nothing is half done, but where a connection is lost at the very end it is not known
    /// whether all of it was.
    pub fn is_unavailable(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        match source {
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        }
    }
}

/// Whether what a database says by this code passes.
fn is_passing(code: &str) -> bool {
    // Of SQLite: the file is locked by another process. Its codes have fewer digits than those of
    // PostgreSQL.
    matches!(code, "5" | "261" | "517" | "773")
        // Of PostgreSQL: a lock did not come in time, a transaction has idled, the server ends, …
        || matches!(code, "55P03" | "25P03" | "57P01" | "57P02")
        // … or the connection is not what it was: so says PgBouncer too, of a server that went away.
        || code.starts_with("08")
}

impl From<Invalid> for StoreError {
    fn from(Invalid { field, message }: Invalid) -> Self {
        Self::Invalid { field, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        // SQLITE_BUSY and its kinds; a lock, an idle transaction, a server that ends, a connection.
        for code in ["5", "261", "517", "773", "55P03", "25P03", "57P01", "57P02", "08006", "08P01"]
        {
            assert!(is_passing(code), "{code}");
        }
        // SQLITE_LOCKED, SQLITE_FULL, SQLITE_CONSTRAINT_UNIQUE; a key that is taken, a right that is
        // missing, a full disk.
        for code in ["6", "13", "2067", "23505", "42501", "53100"] {
            assert!(!is_passing(code), "{code}");
        }
        let of = |source| StoreError::Database { doing: "looking", source };
        assert!(of(sqlx::Error::PoolTimedOut).is_unavailable());
        assert!(!of(sqlx::Error::RowNotFound).is_unavailable());
        assert!(!of(sqlx::Error::PoolClosed).is_unavailable());
    }
}
