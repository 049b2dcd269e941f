//! The dispatcher: wakes connections, so that the partition's thread need not, and sweeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Channel, Shared};
use crate::clock;

/// How often rings are swept.
const SWEEP: Duration = Duration::from_secs(5);

/// The channels whose connections are to be woken: each at most once.
#[derive(Default)]
pub(crate) struct Dispatch {
    due: Mutex<Vec<Arc<Channel>>>,
    wake: Notify,
    is_started: AtomicBool,
}

impl Dispatch {
    /// Asks for the connections of `channels` to be woken.
    pub(crate) fn wake(&self, channels: Vec<Arc<Channel>>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.extend(channels.into_iter().filter(|channel| channel.make_due()));
        drop(due);
        self.wake.notify_one();
    }

    /// Starts the dispatcher with the first connection. It ends with the hub.
    pub(crate) fn start(self: &Arc<Self>, shared: &Arc<Shared>) {
        if self.is_started.swap(true, Ordering::AcqRel) {
            return;
        }
        tokio::spawn(Self::run(self.clone(), Arc::downgrade(shared)));
    }

    async fn run(self: Arc<Self>, shared: Weak<Shared>) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.wake.notified() => self.tell(),
                _ = sweep.tick() => match shared.upgrade() {
                    Some(shared) => shared.sweep(clock::now()),
                    None => return,
                },
            }
        }
    }

    fn tell(&self) {
        let due = std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner));
        for channel in due {
            channel.tell();
        }
    }
}
