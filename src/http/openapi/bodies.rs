//! Bodies of requests.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::schemas::{self, Shape};

/// What a call takes.
pub(super) struct Body {
    is_required: bool,
    about: &'static str,
    pub(super) content: Vec<(&'static str, Shape)>,
}

/// JSON of a type.
pub(super) fn json<T: ToSchema>() -> Body {
    let content = vec![("application/json", schemas::of::<T>())];
    Body { is_required: true, about: "", content }
}

/// The same, or nothing.
pub(super) fn maybe<T: ToSchema>() -> Body {
    Body { is_required: false, ..json::<T>() }
}

/// Events.
pub(super) fn events() -> Body {
    let many = json!({ "type": "array", "items": schemas::named("Event").schema });
    let lines = json!({ "type": "string", "description": "an event on each line, in JSON" });
    let content = vec![
        ("application/cloudevents+json", schemas::named("Event")),
        ("application/cloudevents-batch+json", schemas::plain(many)),
        ("application/x-ndjson", schemas::plain(lines)),
    ];
    Body { is_required: true, about: "one event, an array of them, or one on each line", content }
}

impl Body {
    /// The same with words about it.
    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// As the document has it.
    pub(super) fn described(&self) -> Value {
        let content: Map<String, Value> = self
            .content
            .iter()
            .map(|(kind, shape)| ((*kind).to_owned(), json!({ "schema": shape.schema })))
            .collect();
        let mut body = json!({ "required": self.is_required, "content": content });
        if !self.about.is_empty() {
            body["description"] = json!(self.about);
        }
        body
    }
}
