//! SQL that is followed, in a snapshot: beside the views, and found by its number alone.

use std::sync::Arc;

use super::{TenantSnapshot, ViewDelta, ViewSnapshot};
use crate::{Hidden, PassingId, Reads};

/// The rows of a passing view.
#[derive(Debug, Clone)]
pub(crate) struct PassingRows {
    pub(crate) id: PassingId,
    pub(crate) reads: Arc<Reads>,
    pub(crate) rows: ViewSnapshot,
}

impl PassingRows {
    /// Whether it reads what is hidden.
    pub(super) fn reads_hidden(&self, hidden: &Hidden) -> bool {
        let Reads { events, views, .. } = self.reads.as_ref();
        views.iter().any(|view| hidden.view(view).is_some())
            || events.iter().any(|event_type| hidden.event_type(event_type).is_some())
    }
}

impl TenantSnapshot {
    /// The rows of the passing view of this number, if it is maintained and reads nothing hidden.
    pub fn passing(&self, id: PassingId) -> Option<&ViewSnapshot> {
        self.passing.iter().find(|kept| kept.id == id).map(|kept| &kept.rows)
    }

    pub(crate) fn put_passing(&mut self, rows: PassingRows) {
        self.passing.push(rows);
    }

    /// Adds a change to the rows of a passing view.
    pub(crate) fn change_passing(&mut self, id: PassingId, delta: &ViewDelta) {
        if let Some(kept) = self.passing.iter_mut().find(|kept| kept.id == id) {
            kept.rows.apply(delta);
        }
    }

    /// Notes the bytes of the state of a passing view.
    pub(crate) fn hold_passing(&mut self, id: PassingId, state: usize) {
        if let Some(kept) = self.passing.iter_mut().find(|kept| kept.id == id) {
            kept.rows.hold(state);
        }
    }

    pub(crate) fn retain_passing(&mut self, is_kept: impl FnMut(&PassingRows) -> bool) {
        self.passing.retain(is_kept);
    }
}
