//! The events of a body, found by its format.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::BodyError;
use super::envelope::message;
use super::rows::Rows;
use crate::Format;

/// Hands every event of `body` to `rows`.
pub(super) fn read<'a>(
    format: Format,
    body: &'a [u8],
    rows: &mut Rows<'a>,
) -> Result<(), BodyError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match (format, std::str::from_utf8(body)) {
        (Format::Event, Ok(text)) => rows.take_only(text),
        (Format::Batch, Ok(text)) => batch(text, rows),
        (Format::Ndjson, Ok(text)) => {
            lines(body).try_for_each(|(from, to)| rows.take(&text[from..to]))
        }
        (Format::Ndjson, Err(_)) => {
            lines(body).try_for_each(|(from, to)| match std::str::from_utf8(&body[from..to]) {
                Ok(line) => rows.take(line),
                Err(error) => rows.reject(format!(
                    "the line is not UTF-8: byte {} of it is wrong",
                    error.valid_up_to() + 1
                )),
            })
        }
        (Format::Event | Format::Batch, Err(error)) => Err(BodyError::Malformed(format!(
            "the body is not UTF-8: byte {} of it is wrong",
            error.valid_up_to() + 1
        ))),
    }
}

/// Where the lines that are not blank begin and end, without the line break.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        while next < body.len() {
            let from = next;
            let to = memchr::memchr(b'\n', &body[from..]).map_or(body.len(), |at| from + at);
            next = to + 1;
            // Blanks at the end, the CR of CRLF among them, are no part of the event.
            let blank = body[from..to].iter().rev().take_while(|b| b.is_ascii_whitespace()).count();
            if from + blank < to {
                return Some((from, to - blank));
            }
        }
        None
    })
}

fn batch<'a>(text: &'a str, rows: &mut Rows<'a>) -> Result<(), BodyError> {
    let mut refused = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let read =
        json.deserialize_seq(Elements { rows, refused: &mut refused }).and_then(|()| json.end());
    if let Some(refused) = refused {
        return Err(refused);
    }
    read.map_err(|error| {
        let message = message(&error);
        BodyError::Malformed(if error.is_data() {
            format!("the body is no batch: {message}")
        } else {
            format!(
                "the body is not valid JSON: {message} at line {}, column {}; nothing of the batch was taken",
                error.line(),
                error.column()
            )
        })
    })
}

struct Elements<'r, 'a> {
    rows: &'r mut Rows<'a>,
    refused: &'r mut Option<BodyError>,
}

impl<'a> Visitor<'a> for Elements<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of events")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(event) = elements.next_element::<&'a RawValue>()? {
            if let Err(error) = self.rows.take(event.get()) {
                *self.refused = Some(error);
                return Err(serde::de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
