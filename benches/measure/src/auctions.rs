//! The events of the Nexmark suite: people, the auctions they open, and bids, 1 : 3 : 46.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;

/// Thursday, 1 January 2026, as milliseconds since 1970.
const START: u64 = 1_767_225_600_000;

/// The first `count` events in order of time, 10,000 of them in a second; always the same.
pub fn events(count: usize) -> impl Iterator<Item = Event> {
    EventGenerator::new(NexmarkConfig { base_time: START, ..NexmarkConfig::default() }).take(count)
}
