//! Schemas of event types: an Avro record as the fields of a type, and back.
//!
//! The Avro is read here rather than by a library, because every refusal names the field and says
//! what to write instead, and because what is not understood must be refused: a library takes an
//! unknown logical type for the type beneath it, and a date would come in as a number.

mod record;
#[cfg(test)]
mod tests;

use projections::EventType;
use projections::events::{Field, FieldType};
use serde::Deserialize;
use serde_json::{Value, json};

pub use record::fields;

/// The longest module, fact and field, in bytes.
const MAX_NAME: usize = 64;

/// Bounds of registered types; all configurable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypeLimits {
    /// Types that one tenant registers, and that the platform registers.
    pub count: usize,
    /// Fields of one type.
    pub fields: usize,
    /// Bytes of one schema.
    pub schema_bytes: usize,
}

impl Default for TypeLimits {
    fn default() -> Self {
        Self { count: 200, fields: 200, schema_bytes: 64 << 10 }
    }
}

/// Why a name or a schema cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// The field that it is about, if it is about one.
    pub field: Option<String>,
    /// What is wrong, where, and the way out.
    pub message: String,
}

impl SchemaError {
    fn new(message: impl Into<String>) -> Self {
        Self { field: None, message: message.into() }
    }

    fn of(field: &str, message: &str) -> Self {
        Self { field: Some(field.to_owned()), message: format!("the field `{field}`: {message}") }
    }
}

/// How one form of a type relates to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The fields are the same.
    Same,
    /// Optional fields were added at the end.
    Longer,
    /// Events of the one would not fit the other: what differs, a sentence each.
    Other(Vec<String>),
}

/// Whether a text can be the name of an event type: `module.fact`, as the built-in ones.
pub fn check_name(name: &str) -> Result<(), SchemaError> {
    let part = |part: &str| {
        (1..=MAX_NAME).contains(&part.len())
            && part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    match name.split_once('.') {
        Some((module, fact)) if part(module) && part(fact) => Ok(()),
        _ => Err(SchemaError::new(format!(
            "type: the name of an event type is `module.fact`, such as `acme.widget_made`; each \
             part has 1 to {MAX_NAME} characters of a-z, 0-9 and `_`, and begins with a letter"
        ))),
    }
}

/// Whether a text can be the name of a field, and so of a column.
pub fn check_field_name(name: &str) -> Result<(), SchemaError> {
    if record::is_name(name) && name.len() <= MAX_NAME {
        return Ok(());
    }
    let message = format!(
        "the name of a field has 1 to {MAX_NAME} characters of A-Z, a-z, 0-9 and `_`, and begins with \
         no digit"
    );
    Err(SchemaError { field: Some(name.to_owned()), message })
}

/// What a type's fields have become.
pub fn compare(before: &[Field], now: &[Field]) -> Growth {
    let mut differences = Vec::new();
    for (place, field) in before.iter().enumerate() {
        let name = &field.name;
        let Some(found) = now.iter().position(|f| f.name == *name) else {
            differences.push(format!("`{name}` is missing: a field cannot be removed or renamed"));
            continue;
        };
        let other = &now[found];
        if other.kind != field.kind {
            let (was, is) = (word(field.kind), word(other.kind));
            differences.push(format!("`{name}` is {was} and cannot become {is}"));
        }
        if other.optional != field.optional {
            let was = if field.optional { "optional" } else { "required" };
            differences.push(format!("`{name}` is {was} and must stay so"));
        }
        if found != place && differences.is_empty() {
            differences.push(format!("`{name}` has moved: add new fields at the end"));
        }
    }
    for field in now {
        let known = before.iter().any(|f| f.name == field.name);
        if !known && !field.optional {
            let name = &field.name;
            differences.push(format!("`{name}` is new and must be optional: a union with null"));
        }
    }
    match differences.is_empty() {
        false => Growth::Other(differences),
        true if before.len() == now.len() => Growth::Same,
        true => Growth::Longer,
    }
}

fn word(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text => "text",
        FieldType::Decimal => "a decimal",
        FieldType::Date => "a date",
        FieldType::Timestamp => "a timestamp",
        FieldType::Int => "a whole number",
        FieldType::Bool => "true or false",
    }
}

/// The Avro record of a type's data fields.
pub fn avro(event_type: &EventType) -> Value {
    let (namespace, name) = event_type.name().split_once('.').unwrap_or(("", event_type.name()));
    let fields: Vec<Value> = event_type.fields().iter().map(avro_field).collect();
    json!({ "type": "record", "name": name, "namespace": namespace, "fields": fields })
}

fn avro_field(field: &Field) -> Value {
    let kind = match field.kind {
        FieldType::Text => json!("string"),
        FieldType::Decimal => {
            json!({ "type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 4 })
        }
        FieldType::Date => json!({ "type": "int", "logicalType": "date" }),
        FieldType::Timestamp => json!({ "type": "long", "logicalType": "timestamp-micros" }),
        FieldType::Int => json!("long"),
        FieldType::Bool => json!("boolean"),
    };
    if field.optional {
        json!({ "name": field.name, "type": ["null", kind], "default": null })
    } else {
        json!({ "name": field.name, "type": kind })
    }
}
