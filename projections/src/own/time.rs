//! How long own views may compute: all tenants of a partition have one thread.
//!
//! The core has no clock, so the one who drives the engine gives one. It decides whether a view goes on or
//! has failed, as the bytes that it holds do, and never what it holds.

use std::time::Duration;

use crate::Partition;
use crate::functions::made::Limit;

/// What a step of an own view may take of a processor.
#[derive(Clone, Copy, Debug)]
pub struct StepTime {
    /// How long the calling thread has had a processor.
    pub clock: fn() -> Duration,
    /// Of a step among those of the partition.
    pub step: Duration,
    /// Of a step of a fill, which is larger and keeps nobody waiting.
    pub fill: Duration,
}

impl StepTime {
    pub(super) fn of_step(self) -> Limit {
        Limit { clock: self.clock, most: self.step }
    }

    pub(super) fn of_fill(self) -> Limit {
        Limit { clock: self.clock, most: self.fill }
    }
}

impl Partition {
    /// Sets how long the steps of own views, and of SQL that is followed, may take; without it there is no
    /// limit.
    pub fn time_own_views(&mut self, time: StepTime) {
        self.own.time = Some(time);
    }
}
