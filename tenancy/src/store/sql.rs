//! Statements of the store, which leave nothing behind on a connection.
//!
//! sqlx keeps a statement prepared under a name of its connection. Behind a pooler the next
//! transaction may have another connection, where that name is missing or means something else, so
//! that the store prepares each statement anew, without a name, within its transaction.

use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{FromRow, SqlSafeStr};

/// A statement whose rows are not asked for.
pub(super) fn query(sql: impl SqlSafeStr) -> Query<'static, Any, AnyArguments> {
    sqlx::query(sql).persistent(false)
}

/// A statement that answers rows.
pub(super) fn query_as<O>(sql: impl SqlSafeStr) -> QueryAs<'static, Any, O, AnyArguments>
where
    O: for<'r> FromRow<'r, AnyRow>,
{
    sqlx::query_as(sql).persistent(false)
}

/// A statement that answers one column.
pub(super) fn query_scalar<O>(sql: impl SqlSafeStr) -> QueryScalar<'static, Any, O, AnyArguments>
where
    (O,): for<'r> FromRow<'r, AnyRow>,
{
    sqlx::query_scalar(sql).persistent(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    /// The modules that talk to one engine on a connection of its own, and this one.
    const OTHERS: [&str; 3] = ["migrations.rs", "places.rs", "sql.rs"];

    #[test]
    fn every_statement_of_the_store_is_made_here() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
        let mut looked_at = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() || OTHERS.contains(&name) || name.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for wrong in ["sqlx::query(", "sqlx::query_", "QueryBuilder", "?1"] {
                assert!(!text.contains(wrong), "{name} has {wrong}");
            }
            looked_at += usize::from(text.contains("sql::query"));
        }
        assert!(looked_at > 5, "the modules of the store are looked at");
    }
}
