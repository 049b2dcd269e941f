//! PostgreSQL's catalog, for clients that look around by it: psql, DBeaver, Metabase, Grafana, Power BI.
//!
//! **In:** one tenant's relations, and a statement in PostgreSQL's words. **Out:** the tables of
//! `pg_catalog`, made anew for each query from those relations and from nothing else, and the statement
//! in words that DataFusion has.
//!
//! It is as much of the catalog as those clients ask for. What is never there (indexes, triggers,
//! functions) are tables without rows.

mod names;
mod rewriting;
mod tables;

pub(crate) use rewriting::rewrite;
pub(crate) use tables::{long_name, short_name, table, type_of};

/// The schema of these tables.
pub(crate) const SCHEMA: &str = "pg_catalog";

/// The names of the tables.
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    names::TABLES.iter().map(|table| table.name)
}

/// Whether there is a table of that name.
pub(crate) fn is_table(name: &str) -> bool {
    names::is_table(name)
}

#[cfg(test)]
mod tests;
