//! The attributes of a CloudEvent, in any order, and the walk over a JSON object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A name and a value that the schema does not know.
pub(super) type Unknown<'a> = (Cow<'a, str>, &'a RawValue);

/// Why an event cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The text is not JSON.
    Syntax(String),
    /// The text is JSON, but not such an event.
    Event(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Event(reason)
    }
}

/// The known attributes; null is the same as absent, as CloudEvents has it.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) id: Option<&'a RawValue>,
    pub(super) source: Option<&'a RawValue>,
    pub(super) specversion: Option<&'a RawValue>,
    pub(super) event_type: Option<&'a RawValue>,
    pub(super) time: Option<&'a RawValue>,
    pub(super) tenantid: Option<&'a RawValue>,
    pub(super) subject: Option<&'a RawValue>,
    pub(super) data: Option<&'a RawValue>,
    pub(super) data_base64: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads an event's attributes; those it does not know go to `unknown`.
    pub(super) fn parse(event: &'a str, unknown: &mut Vec<Unknown<'a>>) -> Result<Self, Fault> {
        let mut envelope = Self::default();
        unknown.clear();
        walk(event, |name, value| {
            let Some(slot) = envelope.slot(&name) else {
                unknown.push((name, value));
                return Ok(());
            };
            match slot.replace(value) {
                Some(_) => Err(format!("{name} is given twice")),
                None => Ok(()),
            }
        })?;
        refuse_repeats(unknown)?;
        Ok(envelope)
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match name {
            "id" => &mut self.id,
            "source" => &mut self.source,
            "specversion" => &mut self.specversion,
            "type" => &mut self.event_type,
            "time" => &mut self.time,
            "tenantid" => &mut self.tenantid,
            "subject" => &mut self.subject,
            "data" => &mut self.data,
            "data_base64" => &mut self.data_base64,
            _ => return None,
        })
    }
}

/// Refuses a name that is there twice; sorts them, so that many names cost no more than their number.
pub(super) fn refuse_repeats(unknown: &mut [Unknown<'_>]) -> Result<(), String> {
    if unknown.len() < 2 {
        return Ok(());
    }
    unknown.sort_by(|a, b| a.0.cmp(&b.0));
    match unknown.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("{} is given twice", super::value::shown(&pair[0].0))),
        None => Ok(()),
    }
}

/// Calls `member` with every name and value of the JSON object that `text` is.
pub(super) fn walk<'a>(
    text: &'a str,
    member: impl FnMut(Cow<'a, str>, &'a RawValue) -> Result<(), String>,
) -> Result<(), Fault> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Members(member)).and_then(|()| json.end()).map_err(|error| {
        if error.is_data() {
            Fault::Event(message(&error))
        } else {
            let (line, column) = (error.line(), error.column());
            let place = if line > 1 {
                format!("line {line}, column {column}")
            } else {
                format!("column {column}")
            };
            Fault::Syntax(format!("not valid JSON: {} at {place}", message(&error)))
        }
    })
}

/// The message without the place that serde_json puts behind it, and with the beginning and the
/// end of what it quotes.
pub(crate) fn message(error: &serde_json::Error) -> String {
    const MOST: usize = 200;
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    if text.len() <= MOST {
        return text.to_owned();
    }
    let (head, tail) =
        (text.floor_char_boundary(MOST / 2), text.ceil_char_boundary(text.len() - MOST / 2));
    format!("{} … {}", &text[..head], &text[tail..])
}

struct Members<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue) -> Result<(), String>> Visitor<'de>
    for Members<F>
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            (self.0)(name, map.next_value()?).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// A member's name, borrowed where nothing is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
