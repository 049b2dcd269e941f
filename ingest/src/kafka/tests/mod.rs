#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Against Apache Kafka and a schema registry, which scripts/services starts if they do not run.

mod bad_input;
mod bench;
mod new_names;
mod reading;
mod registry_down;
mod topics;

use self::bench::{Bench, PAYMENT, event, payment_schema};
