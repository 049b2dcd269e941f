//! The three shapes of a body.

/// How the events of a body are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One event: `application/cloudevents+json`.
    Event,
    /// A JSON array of events: `application/cloudevents-batch+json`.
    Batch,
    /// One event a line: `application/x-ndjson`.
    Ndjson,
}

impl Format {
    /// The format of a `Content-Type`; its parameters do not matter, since JSON is UTF-8.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        [
            ("application/cloudevents+json", Self::Event),
            ("application/cloudevents-batch+json", Self::Batch),
            ("application/x-ndjson", Self::Ndjson),
        ]
        .into_iter()
        .find_map(|(name, format)| essence.eq_ignore_ascii_case(name).then_some(format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        let of = Format::from_content_type;
        assert_eq!(of("application/cloudevents+json; charset=utf-8"), Some(Format::Event));
        assert_eq!(of("Application/CloudEvents-Batch+JSON"), Some(Format::Batch));
        assert_eq!(of(" application/x-ndjson ;x=y"), Some(Format::Ndjson));
        assert_eq!(of("application/json"), None);
        assert_eq!(of(""), None);
    }
}
