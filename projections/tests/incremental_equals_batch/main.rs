//! Incremental equals batch: whatever the order, the repetition and the batching of events, a
//! maintained view holds what DataFusion answers to the same SQL over all events of the tenant,
//! and the changes it gave out add up to the same.
//!
//! - [`builtin_views`]: every built-in view, over generated histories
//! - [`operators`]: every supported construct of SQL, one small view in `tests/cases` each
//! - [`refusals`]: what is no view, and what is said of it
//! - [`own_views`]: views that tenants define in the middle of a history
//! - [`declared_fields`]: such views over fields that their tenant has declared beside a type
//! - [`passing_views`]: SQL that is followed from the middle of a history on
//! - [`year`]: the views that read the date, at every midnight of a year in several time zones
//! - [`midnights`]: what a midnight costs: it grows with the rows that change
//! - [`meanings`]: what the built-in views say, on histories written by hand in `tests/meanings`
//!
//! `PROPTEST_CASES` (256 when not set) scales the number of generated histories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod builtin_views;
mod declared_fields;
#[path = "../harness/mod.rs"]
mod harness;
mod meanings;
mod midnights;
mod operators;
mod own_views;
mod passing_views;
mod refusals;
mod year;

use harness::{generated, history, oracle, watched};
