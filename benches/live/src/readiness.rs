//! Whether the service says that it is ready, all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::Failure;
use crate::bench::Bench;
use crate::http;

/// Between two questions.
const EVERY: Duration = Duration::from_millis(50);

/// Somebody who asks until told to stop.
pub(crate) struct Asking {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Answers>,
}

/// What was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) asked: u32,
    /// With anything but that it is ready.
    pub(crate) failed: u32,
    pub(crate) slowest: Duration,
}

impl Asking {
    pub(crate) fn start(bench: &Arc<Bench>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (is_over, address) = (Arc::clone(&stop), bench.address);
        let asking = tokio::spawn(async move {
            let mut answers = Answers::default();
            while !is_over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let is_ready = http::get(address, "/readyz", None)
                    .await
                    .is_ok_and(|(status, _)| status == 200);
                answers.asked += 1;
                answers.failed += u32::from(!is_ready);
                answers.slowest = answers.slowest.max(asked.elapsed());
                tokio::time::sleep(EVERY).await;
            }
            answers
        });
        Self { stop, asking }
    }

    pub(crate) async fn stop(self) -> Result<Answers, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.asking.await?)
    }
}
