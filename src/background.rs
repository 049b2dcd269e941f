//! Work that can wait: threads to which the kernel gives a processor after those that somebody waits for.
//!
//! **In:** tasks. **Out:** what they end with. Bodies are decoded here, checkpoints and archives
//! written: that takes most of the processors under load, in pieces of milliseconds. A reader's answer
//! takes a fraction of one and stands behind none of them.
//!
//! Invariant: a task here holds a lock that others take only for a look-up or a change in memory; they
//! would wait with it for a processor.

use std::io;

use rustix::process::{nice, setpriority_process};
use tokio::runtime::{Builder, Handle, Runtime};

/// How much lower they stand, as `nice` has it: with 5 a thread gets a third of the time of one that
/// stands where it was, when both want a processor. It never gets none.
const STEPS: i32 = 5;
/// The last place there is.
const LAST: i32 = 19;

/// The threads; they end when it is dropped.
pub(crate) struct Background {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    /// Starts them.
    pub(crate) fn start() -> io::Result<Self> {
        // By this thread's place and not by that of whoever starts a thread: that is often one of these.
        let place = nice(0)?.saturating_add(STEPS).min(LAST);
        let runtime = Builder::new_multi_thread()
            .thread_name("background")
            .on_thread_start(move || stand_back(place))
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where tasks are given to them.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped by a task of another runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}

/// Has this thread stand back behind the others of the process, to this place.
fn stand_back(place: i32) {
    // Where the system refuses it the work is done all the same, only not behind other work.
    if let Err(error) = setpriority_process(None, place) {
        tracing::debug!(%error, "a background thread runs with the same priority as others");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn its_threads_stand_back_and_the_others_stay() {
        let here = nice(0).unwrap();
        let background = Background::start().unwrap();
        let task = background.handle().spawn(async { nice(0).unwrap() });
        let blocking = background.handle().spawn_blocking(|| nice(0).unwrap());
        // The thread for this one is started by one of theirs.
        let within = background.handle().spawn(async {
            tokio::task::spawn_blocking(|| tokio::task::spawn_blocking(|| nice(0).unwrap()))
                .await
                .unwrap()
                .await
                .unwrap()
        });
        let expected = (here + STEPS).min(LAST);
        assert_eq!((task.await.unwrap(), blocking.await.unwrap()), (expected, expected));
        assert_eq!(within.await.unwrap(), expected);
        assert_eq!(nice(0).unwrap(), here);
    }
}
