//! Two servers: the whole service, and in front of it one that serves nobody itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faults;
mod live;
mod nodes;
mod platform;
mod requests;
mod rights;
mod tls;
