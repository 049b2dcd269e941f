//! How far a partition is: what is passed without being a message, told to the group, and counted.

use std::time::{Duration, Instant};

use super::Intake;
use crate::kafka::error::SourceError;

/// How often lag and ends of topics are looked at, …
const LOOK: Duration = Duration::from_secs(1);
/// … and offsets told to the group.
const COMMIT: Duration = Duration::from_secs(5);

impl Intake {
    /// What is looked at now and then; `is_idle` if there was nothing to read.
    pub(super) fn look(&mut self, is_idle: bool) -> Result<(), SourceError> {
        self.waiting_since = if self.held.is_empty() {
            None
        } else {
            self.waiting_since.or_else(|| Some(Instant::now()))
        };
        if !*self.shared.is_caught_up.borrow() {
            self.catch_up(is_idle);
        }
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.reader.check_ends()?;
            self.pass_marks()?;
            let number = self.translator.partition.0.to_string();
            if let Some(lag) = self.reader.lag(&self.offsets) {
                metrics::gauge!("tidemark_kafka_lag", "partition" => number.clone())
                    .set(lag as f64);
            }
            metrics::gauge!("tidemark_kafka_waiting_for_schema", "partition" => number)
                .set(self.held.len() as f64);
        }
        if self.committed.elapsed() >= COMMIT {
            self.committed = Instant::now();
            self.reader.commit(&self.offsets);
        }
        Ok(())
    }

    /// Passes what is no message behind the last ones, so that it is not looked for again: it may be
    /// gone by then.
    pub(super) fn pass_marks(&mut self) -> Result<(), SourceError> {
        let mut has_moved = false;
        for (topic, next) in self.reader.positions(&self.offsets)? {
            has_moved |= self.offsets.advance(&topic, next);
        }
        if has_moved {
            self.remember();
        }
        Ok(())
    }
}
