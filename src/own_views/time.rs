//! How long the steps of own views may take.

use std::time::Duration;

use projections::StepTime;
use rustix::time::{ClockId, clock_gettime};

/// Of a processor, and not by the clock, so that a busy machine fails no view.
pub(crate) const STEP_TIME: StepTime =
    StepTime { clock: processor_time, step: Duration::from_secs(1), fill: Duration::from_secs(10) };

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_thread_is_its_own_and_goes_on_as_it_computes() {
        let (here, mut there) = (processor_time(), Duration::ZERO);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let begun = processor_time();
                while there <= begun {
                    there = processor_time();
                }
            });
        });
        assert!(there > Duration::ZERO);
        assert!(processor_time() >= here);
    }
}
