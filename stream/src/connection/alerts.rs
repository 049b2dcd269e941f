//! Subscriptions to alerts. They are told that there is something new, and nothing else: what it is,
//! and whether it is for them, they read where their roles are known.

use super::Connection;
use crate::message::{Message, quoted};
use crate::meter;

/// A subscription to alerts.
pub(super) struct Bell {
    serial: u64,
    id: String,
    quoted_id: String,
    /// The channel's count when it was told last; none: it is to be told that it follows now.
    told: Option<u64>,
}

impl Connection {
    /// Whether a subscription of that id follows alerts.
    pub(super) fn follows_alerts(&self, id: &str) -> bool {
        self.bells.iter().any(|bell| bell.id == id)
    }

    /// Follows alerts from now on.
    pub(super) fn follow_alerts(&mut self, id: String) {
        let (serial, quoted_id) = (self.next_serial, quoted(&id));
        self.next_serial += 1;
        meter::subscriptions(1.0);
        self.bells.push(Bell { serial, id, quoted_id, told: None });
    }

    /// Ends a subscription to alerts, with what it was still to be told; false if there is none of
    /// that id.
    pub(super) fn unfollow_alerts(&mut self, id: &str) -> bool {
        let Some(index) = self.bells.iter().position(|bell| bell.id == id) else { return false };
        let gone = self.bells.remove(index).serial;
        self.outbox.retain(|(serial, _)| *serial != Some(gone));
        meter::subscriptions(-1.0);
        true
    }

    /// Has those told that have not been since there was something new. However often there was, it
    /// is one message.
    pub(super) fn look_at_alerts(&mut self) {
        if self.bells.is_empty() {
            return;
        }
        let now = Some(self.seat.channel().alerts());
        for bell in &mut self.bells {
            if bell.told != now {
                bell.told = now;
                self.outbox.push_back((Some(bell.serial), Message::alerts(&bell.quoted_id)));
            }
        }
    }
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
