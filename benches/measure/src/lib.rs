//! What every bench needs: clocks, memory, and the events of Nexmark.

pub mod auctions;
pub mod clock;
pub mod memory;

pub use clock::{Measured, measure};
