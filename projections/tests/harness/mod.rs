//! What the tests of this folder share: events outside Arrow, generated histories, DataFusion's
//! answer from scratch, and a partition under observation.
#![allow(dead_code)] // Each target uses a part of it.

pub(crate) mod checkpointed;
pub(crate) mod generated;
pub(crate) mod history;
pub(crate) mod oracle;
mod unordered;
pub(crate) mod watched;
