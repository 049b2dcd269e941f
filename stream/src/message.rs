//! What the server says: one JSON object a message, the same on both edges.

use std::sync::Arc;

use bytes::Bytes;
use projections::Position;

use crate::delta::Encoded;
use crate::problem::Problem;

const SNAPSHOT: &str = "snapshot";

/// A message to a client. The end of a delta is shared by all who receive it.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    kind: &'static str,
    mark: Mark,
    head: String,
    tail: Option<Arc<Encoded>>,
    /// Rows that go out right after it, as Arrow.
    rows: Option<Bytes>,
}

/// What an event stream's `id:` says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing: resume from where one could resume before.
    Keep,
    /// What was received is void: do not resume.
    Clear,
    /// The message is one of this position: resume from here, if all subscriptions stand here.
    At(Position),
}

impl Message {
    /// One part of a snapshot, with a mark on the last one; `body` is the message from the
    /// position to the last brace.
    pub(crate) fn snapshot(quoted_id: &str, body: &str, mark: Mark) -> Self {
        Self { mark, ..Self::new(SNAPSHOT, head(SNAPSHOT, quoted_id, body)) }
    }

    /// A delta of its own, for one subscription.
    pub(crate) fn delta(quoted_id: &str, body: &str, position: Position) -> Self {
        let mark = Mark::At(position);
        Self { mark, ..Self::new("delta", head("delta", quoted_id, body)) }
    }

    /// A delta whose end is shared.
    pub(crate) fn shared_delta(quoted_id: &str, body: Arc<Encoded>, position: Position) -> Self {
        Self { tail: Some(body), ..Self::delta(quoted_id, "", position) }
    }

    pub(crate) fn resumed(quoted_id: &str, position: Position) -> Self {
        let body = format!("\"position\":\"{position}\"}}");
        let mark = Mark::At(position);
        Self { mark, ..Self::new("resumed", head("resumed", quoted_id, &body)) }
    }

    pub(crate) fn reset(quoted_id: &str, reason: &str) -> Self {
        let body = format!("\"reason\":{}}}", quoted(reason));
        Self { mark: Mark::Clear, ..Self::new("reset", head("reset", quoted_id, &body)) }
    }

    /// That there is something new about the alerts, or may be: the client reads them.
    pub(crate) fn alerts(quoted_id: &str) -> Self {
        Self::new("alerts", format!("{{\"type\":\"alerts\",\"id\":{quoted_id}}}"))
    }

    /// What is wrong with a subscription, of which a client holds nothing from here on, or with the
    /// connection, which says nothing of what is held.
    pub(crate) fn error(id: Option<&str>, problem: &Problem) -> Self {
        let mark = if id.is_some() { Mark::Clear } else { Mark::Keep };
        let id = id.map_or_else(String::new, |id| format!("\"id\":{},", quoted(id)));
        let json = format!("{{\"type\":\"error\",{id}\"problem\":{}}}", problem.to_json());
        Self { mark, ..Self::new("error", json) }
    }

    pub(crate) fn heartbeat(position: Position) -> Self {
        let json = format!("{{\"type\":\"heartbeat\",\"position\":\"{position}\"}}");
        Self { mark: Mark::At(position), ..Self::new("heartbeat", json) }
    }

    pub(crate) fn pong() -> Self {
        Self::new("pong", "{\"type\":\"pong\"}".to_owned())
    }

    fn new(kind: &'static str, head: String) -> Self {
        Self { kind, mark: Mark::Keep, head, tail: None, rows: None }
    }

    /// The message with rows that go out right after it.
    pub(crate) fn followed_by(self, rows: Option<Bytes>) -> Self {
        Self { rows, ..self }
    }

    /// Takes the rows that are to go out right after it.
    pub(crate) fn take_rows(&mut self) -> Option<Bytes> {
        self.rows.take()
    }

    /// Whether it is a part of a snapshot, which is one client's own.
    pub(crate) fn is_snapshot(&self) -> bool {
        self.kind == SNAPSHOT
    }

    /// The message with its mark kept only if all subscriptions stand at its position.
    pub(crate) fn settled(self, level: Option<Position>) -> Self {
        match self.mark {
            Mark::At(position) if level != Some(position) => Self { mark: Mark::Keep, ..self },
            _ => self,
        }
    }

    /// The message as JSON text.
    pub(crate) fn into_json(self) -> String {
        let mut json = self.head;
        if let Some(tail) = self.tail {
            json.reserve_exact(tail.text().len());
            json.push_str(tail.text());
        }
        json
    }

    #[cfg(test)]
    pub(crate) fn shared_end(&self) -> Option<&Arc<Encoded>> {
        self.tail.as_ref()
    }

    /// Writes the message as an event of an event stream.
    pub(crate) fn write_event(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(self.kind.as_bytes());
        match self.mark {
            Mark::Keep => {}
            Mark::Clear => out.extend_from_slice(b"\nid:"),
            Mark::At(position) => {
                out.extend_from_slice(b"\nid: ");
                out.extend_from_slice(position.to_string().as_bytes());
            }
        }
        // JSON holds no line break outside of escapes, so one line carries it.
        out.extend_from_slice(b"\ndata: ");
        out.extend_from_slice(self.head.as_bytes());
        if let Some(tail) = &self.tail {
            out.extend_from_slice(tail.text().as_bytes());
        }
        out.extend_from_slice(b"\n\n");
    }
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn head(kind: &str, quoted_id: &str, body: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"id\":{quoted_id},{body}")
}
