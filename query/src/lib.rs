//! Answers: SQL over one tenant's views and history, the reading of views, the events behind a figure,
//! and their formats.
//!
//! **In:** an immutable [`TenantSnapshot`](projections::TenantSnapshot), a [`History`] of accepted
//! events, a text of SQL with its parameters. **Out:** an [`Answer`], a stream of Arrow batches at
//! one position, which the format functions turn into a body of JSON, CSV, Arrow IPC or Parquet.
//!
//! Invariants:
//! - A session's catalog is made of one tenant's snapshot and of that tenant's history, and of
//!   nothing else; there are no files, no settings and no other catalog to be named.
//! - Only one statement that reads is run; parameters are values and never become SQL text.
//! - Time, memory, disk, rows, the length of the SQL and the number of queries at once are bounded,
//!   and stay bounded until the last batch is read or the answer is dropped. Those that wait take
//!   turns by tenant.
//! - What is kept of plans and answers is a tenant's alone, and given out only as long as it is what
//!   would be computed now.
//! - An answer that was cut short says so: a stream ends without an error only when it is whole.

mod admission;
mod arrow_stream;
mod cache;
mod catalog;
mod complexity;
mod csv;
mod disk;
mod error;
mod execution;
mod explain;
mod format;
mod functions;
mod grounds;
mod guard;
mod history;
mod information;
mod joins;
mod json;
mod lanes;
mod limits;
mod lineage;
mod literals;
mod macros;
mod memory;
mod parameters;
mod parquet_file;
mod places;
mod plain;
mod postgres;
mod session;
mod standing;
mod statement;
mod thread;
mod transit;
mod turn;
mod views;
mod xlsx;

pub use arrow_stream::arrow_body;
pub use csv::csv_body;
pub use error::{LimitKind, QueryError};
pub use execution::{Answer, Description, Queries};
pub use explain::{Cell, ExplainError, Explanation, PartTotal, Withheld};
pub use format::{Format, NotAcceptable};
pub use grounds::Grounds;
pub use history::History;
pub use json::json_body;
pub use limits::QueryLimits;
pub use macros::{Calendar, MacroError};
pub use parquet_file::parquet_body;
pub use plain::is_plain;
pub use views::{DEFAULT_PAGE, MAX_PAGE, ViewPage, read_view, view_answer};
pub use xlsx::{TitleSheet, XlsxFile};
