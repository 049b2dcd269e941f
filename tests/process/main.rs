//! The real process beside its HTTP interface: its commands, the wire of PostgreSQL, and a bucket in
//! place of its folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bucket;
#[allow(dead_code)] // of the tests of the interface
#[path = "../http/certificates.rs"]
mod certificates;
mod commands;
#[allow(dead_code)] // of the tests of the interface
#[path = "../http/service.rs"]
mod service;
mod wire;
