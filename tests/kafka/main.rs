#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The real process with Apache Kafka and a schema registry as its source, which scripts/services
//! starts if they do not run.

#[path = "../http/service.rs"]
#[allow(dead_code)]
mod service;

mod broker;
mod cluster;
mod dead_letters;
mod nodes;
mod posting;
