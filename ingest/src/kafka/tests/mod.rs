#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Against Apache Kafka and a schema registry, which scripts/services starts if they do not run.

mod bad_input;
mod bench;
mod brokers_away;
mod door;
mod new_names;
mod posting;
mod reading;
mod registry_down;
mod topics;
mod topics_anew;
mod transactions;

use self::bench::{Bench, PAYMENT, event, payment_schema};
