//! When events were sent and acknowledged, and how long after that clients had them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Buckets for each doubling of a time: a figure is 1.6 % too large at most.
const STEPS: u64 = 64;
/// Enough for what 64 bits of microseconds hold.
const BUCKETS: usize = (STEPS * 59 + STEPS) as usize;

/// Times in microseconds, counted by how long they are. Anybody may add one at any time.
pub(crate) struct Histogram {
    counts: Vec<AtomicU64>,
    longest: AtomicU64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        let counts = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { counts, longest: AtomicU64::new(0) }
    }

    pub(crate) fn add(&self, micros: u64) {
        if let Some(count) = self.counts.get(bucket(micros)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.longest.fetch_max(micros, Ordering::Relaxed);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The time in microseconds that this share of them does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count.load(Ordering::Relaxed);
            if seen >= wanted.max(1) {
                return upper(bucket).min(self.longest());
            }
        }
        self.longest()
    }

    /// The longest of them, in microseconds.
    pub(crate) fn longest(&self) -> u64 {
        self.longest.load(Ordering::Relaxed)
    }
}

/// Times below 64 have a bucket each; above, each doubling has 64.
fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let doubling = u64::from(micros.ilog2()) - 6;
    (STEPS + doubling * STEPS + ((micros >> doubling) - STEPS)) as usize
}

/// The longest time in a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let (doubling, step) = ((bucket - STEPS) / STEPS, (bucket - STEPS) % STEPS);
    ((STEPS + step + 1) << doubling) - 1
}

/// The moments of all events of a run, by their numbers.
pub(crate) struct Moments {
    begin: Instant,
    acknowledged: Vec<AtomicU64>,
    /// Events before this one are not measured.
    measured_from: usize,
    /// From the acknowledgement to the delta at a client, of every client.
    pub(crate) from_acknowledged: Histogram,
}

impl Moments {
    pub(crate) fn new(events: usize, measured_from: usize) -> Self {
        Self {
            begin: Instant::now(),
            acknowledged: (0..events).map(|_| AtomicU64::new(0)).collect(),
            measured_from,
            from_acknowledged: Histogram::new(),
        }
    }

    /// An event has been acknowledged now.
    pub(crate) fn acknowledge(&self, number: usize) {
        if let Some(moment) = self.acknowledged.get(number) {
            moment.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A client has an event now. One that it has before its sender knows of it took no time.
    pub(crate) fn came(&self, number: usize) {
        if number < self.measured_from {
            return;
        }
        let Some(moment) = self.acknowledged.get(number) else { return };
        let acknowledged = match moment.load(Ordering::Relaxed) {
            0 => u64::MAX,
            at => at,
        };
        self.from_acknowledged.add(self.now().saturating_sub(acknowledged));
    }

    /// Microseconds since the beginning; never 0, which stands for not yet.
    fn now(&self) -> u64 {
        self.begin.elapsed().as_micros() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_times() {
        for micros in [0, 1, 63, 64, 65, 127, 128, 1_000, 123_456, 10_000_000, u64::MAX / 2] {
            let bucket = bucket(micros);
            assert!(upper(bucket) >= micros && bucket < BUCKETS, "{micros}");
            assert!(bucket == 0 || upper(bucket - 1) < micros, "{micros}");
            assert!(upper(bucket) as f64 <= micros as f64 * 1.016, "{micros}");
        }
    }

    #[test]
    fn shares_of_many() {
        let histogram = Histogram::new();
        (1..=1_000).for_each(|micros| histogram.add(micros));
        assert_eq!((histogram.count(), histogram.longest()), (1_000, 1_000));
        let half = histogram.quantile(0.5);
        assert!((500..510).contains(&half), "{half}");
        assert_eq!(histogram.quantile(1.0), 1_000);
    }
}
