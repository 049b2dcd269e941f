#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The real process with Apache Kafka and a schema registry as its source, which scripts/services
//! starts if they do not run.

#[path = "../http/service.rs"]
#[allow(dead_code)]
mod service;

#[path = "../http/traces.rs"]
mod traces;

mod alerts;
mod broker;
mod cluster;
mod dead_letters;
mod erasure;
mod figures;
mod nodes;
mod postgres;
mod posting;
mod reports;
mod topics;
