//! The generator of `tidemark generate`, included as it stands.

#![allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)]

#[path = "../../../src/generate/mod.rs"]
mod events;

pub(crate) use events::{Events, Generated, Plan};
