//! The PostgreSQL wire of the real process: psql and a driver, what they may do and what they see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)] // of the tests of the interface
#[path = "../http/certificates.rs"]
mod certificates;
mod connecting;
mod driver;
mod introspection;
mod isolation;
mod postgres;
mod psql;
#[allow(dead_code)] // of the tests of the interface
#[path = "../http/service.rs"]
mod service;
