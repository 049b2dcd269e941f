//! Events as Avro records in the wire format of a schema registry.

use chrono::{DateTime, NaiveDate};
use serde_json::{Value, json};

use crate::Failure;
use crate::events::Event;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    /// Ten-thousandths, as bytes.
    Decimal,
    Date,
    Timestamp,
    Int,
    Bool,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    kind: Kind,
    is_optional: bool,
}

/// An event type: its name, and how its events are written.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    /// `module.fact`.
    pub(crate) name: String,
    /// Of the whole record, for the registry.
    pub(crate) text: String,
    /// What the registry calls it.
    pub(crate) id: u32,
    fields: Vec<Field>,
}

impl Schema {
    /// The schema of an event type's messages, from what the service says of the type.
    pub(crate) fn new(described: &Value) -> Result<Self, Failure> {
        let (name, schema) = (&described["type"], &described["schema"]);
        let name = name.as_str().ok_or("a type without a name")?.to_owned();
        let own = schema["fields"].as_array().ok_or("a schema without fields")?;
        let fields: Vec<Field> = own.iter().map(field).collect::<Result<_, _>>()?;
        let mut all = vec![
            json!({ "name": "event_id", "type": "string" }),
            json!({ "name": "tenant_id", "type": "string" }),
            json!({ "name": "occurred_at",
                "type": { "type": "long", "logicalType": "timestamp-micros" } }),
            json!({ "name": "subject", "type": ["null", "string"], "default": null }),
        ];
        all.extend(own.iter().cloned());
        let text = json!({ "type": "record", "name": schema["name"],
            "namespace": schema["namespace"], "fields": all });
        Ok(Self { name, text: text.to_string(), id: 0, fields })
    }

    /// Appends the message of an event.
    pub(crate) fn encode(&self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        out.push(0);
        out.extend_from_slice(&self.id.to_be_bytes());
        text(out, &event.id);
        text(out, &event.tenantid);
        long(out, micros(&event.time)?);
        match &event.subject {
            Some(subject) => {
                long(out, 1);
                text(out, subject);
            }
            None => long(out, 0),
        }
        for field in &self.fields {
            let value = event.data.get(&field.name).filter(|value| !value.is_null());
            if field.is_optional {
                long(out, i64::from(value.is_some()));
            }
            match value {
                Some(value) => write(out, field.kind, value)
                    .map_err(|error| format!("{}.{}: {error}", self.name, field.name))?,
                None if field.is_optional => {}
                None => return Err(format!("{} has no {}", self.name, field.name).into()),
            }
        }
        Ok(())
    }
}

fn field(described: &Value) -> Result<Field, Failure> {
    let name = described["name"].as_str().ok_or("a field without a name")?.to_owned();
    let (written, is_optional) = match described["type"].as_array() {
        Some(branches) => (branches.get(1).ok_or("a union of one type")?, true),
        None => (&described["type"], false),
    };
    let logical = written["logicalType"].as_str().or(written.as_str()).unwrap_or_default();
    let kind = match logical {
        "string" => Kind::Text,
        "decimal" => Kind::Decimal,
        "date" => Kind::Date,
        "timestamp-micros" => Kind::Timestamp,
        "long" => Kind::Int,
        "boolean" => Kind::Bool,
        other => return Err(format!("{name} has the type {other}").into()),
    };
    Ok(Field { name, kind, is_optional })
}

fn write(out: &mut Vec<u8>, kind: Kind, value: &Value) -> Result<(), Failure> {
    let words: Result<&str, String> = value.as_str().ok_or_else(|| format!("{value} is no text"));
    match kind {
        Kind::Text => text(out, words?),
        Kind::Decimal => {
            // Whole ones may be written as numbers.
            let number = value.as_i64().map(|number| number.to_string());
            let bytes = ten_thousandths(number.as_deref().map_or(words, Ok)?)?.to_be_bytes();
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
            let leading = bytes.iter().take_while(|byte| **byte == sign).count().min(15);
            // The first byte that is kept must still say the sign.
            let leading = leading - usize::from(leading > 0 && (bytes[leading] ^ sign) & 0x80 != 0);
            long(out, (16 - leading) as i64);
            out.extend_from_slice(&bytes[leading..]);
        }
        Kind::Date => {
            let date: NaiveDate = words?.parse()?;
            long(out, i64::from(date.to_epoch_days()));
        }
        Kind::Timestamp => long(out, micros(words?)?),
        Kind::Int => long(out, value.as_i64().ok_or("no whole number")?),
        Kind::Bool => out.push(u8::from(value.as_bool().ok_or("neither true nor false")?)),
    }
    Ok(())
}

fn micros(text: &str) -> Result<i64, Failure> {
    Ok(DateTime::parse_from_rfc3339(text)?.timestamp_micros())
}

fn ten_thousandths(text: &str) -> Result<i128, Failure> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{whole}{part:0<4}").parse()?;
    if part.len() > 4 {
        Err(format!("{text} has more than four places").into())
    } else {
        Ok(digits)
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

/// Zigzag, seven bits a byte, the low ones first.
fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
