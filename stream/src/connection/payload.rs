//! What is due for a subscription, and the message that it becomes.

use std::sync::Arc;

use projections::{Position, RuntimeError};

use super::Sub;
use crate::body::{Body, Format};
use crate::message::Message;
use crate::ring::Entry;

/// The changes for one subscription.
pub(super) enum Payload {
    Whole(Arc<Entry>),
    Selected(Arc<Entry>, Vec<usize>),
    Merged(Body),
}

impl Sub {
    /// The message of what is due for it; none if its view has not changed.
    pub(super) fn delta(
        &self,
        payload: Payload,
        position: Position,
    ) -> Result<Option<Message>, RuntimeError> {
        let (id, name) = (&self.quoted_id, self.view.name());
        let body = match (payload, self.format) {
            (Payload::Whole(entry), Format::Json) => {
                let end = entry.change(name).map(|change| change.encoded(position).clone());
                return Ok(end.map(|end| Message::shared_delta(id, end, position)));
            }
            (Payload::Whole(entry), Format::Arrow) => {
                let Some(rows) = entry.arrow(name) else { return Ok(None) };
                Body::arrow_delta(position, rows?)
            }
            (Payload::Selected(entry, rows), format) => {
                let Some(change) = entry.change(name) else { return Ok(None) };
                match format {
                    Format::Json => Body::json(change.encode_selected(position, &rows)),
                    Format::Arrow => Body::arrow_delta(position, change.selected_arrow(&rows)?),
                }
            }
            (Payload::Merged(body), _) => body,
        };
        let message = Message::delta(id, &body.text, position);
        Ok(Some(message.followed_by(body.rows)))
    }
}
