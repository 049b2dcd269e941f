//! The hub behind real sockets: both edges, a real partition, and WebSockets that are served
//! elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod edges;
mod partition;
mod relay;
mod server;
#[path = "../support/mod.rs"]
mod support;
