//! Work that can wait: threads to which the kernel gives a processor after those that somebody waits for.
//!
//! **In:** tasks. **Out:** what they end with. Bodies are decoded here, checkpoints and archives
//! written: that takes most of the processors under load, in pieces of milliseconds. A reader's answer
//! takes a fraction of one and stands behind none of them.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::rank;

/// The threads; they end when it is dropped.
pub(crate) struct Background {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    /// Starts them.
    pub(crate) fn start() -> io::Result<Self> {
        // Before the first of these threads is there, as they start others.
        rank::begin();
        let runtime = Builder::new_multi_thread()
            .thread_name("background")
            .on_thread_start(rank::stand_back)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn its_threads_stand_back_and_the_others_stay() {
        let here = getpriority_process(None).unwrap();
        let background = Background::start().unwrap();
        let task = background.handle().spawn(async { getpriority_process(None).unwrap() });
        let blocking = background.handle().spawn_blocking(|| getpriority_process(None).unwrap());
        // The thread for this one is started by one of theirs.
        let within = background.handle().spawn(async {
            tokio::task::spawn_blocking(|| {
                tokio::task::spawn_blocking(|| getpriority_process(None).unwrap())
            })
            .await
            .unwrap()
            .await
            .unwrap()
        });
        let expected = (here + 5).min(19);
        assert_eq!((task.await.unwrap(), blocking.await.unwrap()), (expected, expected));
        assert_eq!(within.await.unwrap(), expected);
        assert_eq!(getpriority_process(None).unwrap(), here);
    }
}
