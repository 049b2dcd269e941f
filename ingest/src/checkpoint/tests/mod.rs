#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod crashes;
mod faults;
mod model;
mod owners;
mod register;
