//! Nothing of one tenant is visible to another: every call of the OpenAPI document in every role, SQL,
//! caches, positions, streams, tickets. What is another's must be answered as what is not there.
//!
//! An operation that the suite does not know how to call fails it, so that each that comes later is
//! covered too. The number of attempts is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod answers;
mod firms;
mod live;
mod operations;
#[allow(dead_code)] // of the tests of the interface
#[path = "../http/service.rs"]
mod service;
mod sql;
