//! Queries of tenants over views, events and declared fields: what they read and answer, what bounds
//! them, where they compute, and what is kept of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod cache;
mod declared_fields;
mod explanations;
mod formats;
#[allow(dead_code)]
#[path = "../../../projections/tests/harness/generated.rs"]
mod generated;
#[allow(dead_code)]
#[path = "../../../projections/tests/harness/history.rs"]
mod history;
mod sessions;
mod spill;
mod support;
mod threads;
