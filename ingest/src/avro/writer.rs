//! What a writer's schema says, and the schema by which its records are read.

use serde_json::{Map, Value, json};

/// A writer's schema that can be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WriterSchema {
    /// The text as the registry has it.
    pub(super) text: String,
    /// The text of the schema by which it is read: the same fields without what changes no value.
    pub(super) reader: String,
}

impl WriterSchema {
    /// Reads the text of a schema, which must be a flat record.
    ///
    /// # Errors
    /// A sentence about the schema.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let schema: Value =
            serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        if schema["type"] != "record" {
            return Err("it is no record; an event is a flat record".to_owned());
        }
        let fields = schema["fields"].as_array().ok_or("it is a record without fields")?;
        let fields: Vec<Value> = fields.iter().map(field).collect::<Result<_, _>>()?;
        let mut reader = Map::new();
        for name in ["type", "name", "namespace"] {
            if let Some(value) = schema.get(name) {
                reader.insert(name.to_owned(), value.clone());
            }
        }
        reader.insert("fields".to_owned(), Value::Array(fields));
        Ok(Self { text: text.to_owned(), reader: Value::Object(reader).to_string() })
    }
}

/// A field with its name and its type alone.
fn field(field: &Value) -> Result<Value, String> {
    let name = field["name"].as_str().ok_or("it has a field without a name")?;
    let kind = kind(&field["type"]).map_err(|reason| format!("its field `{name}` {reason}"))?;
    Ok(json!({ "name": name, "type": kind }))
}

/// A type, as it is read; a uuid is the text that was sent.
fn kind(written: &Value) -> Result<Value, String> {
    match written {
        Value::Array(branches) => {
            let values = branches.iter().filter(|branch| **branch != "null").count();
            if values > 1 {
                return Err("is a union of several types; make a field for each".to_owned());
            }
            Ok(Value::Array(branches.iter().map(kind).collect::<Result<_, _>>()?))
        }
        Value::Object(described) => match described.get("type") {
            Some(Value::String(base)) => match base.as_str() {
                "array" | "map" | "record" | "error" => {
                    Err(format!("is of the type {base}; an event is a flat record"))
                }
                "string" => Ok(json!("string")),
                _ => Ok(written.clone()),
            },
            Some(inner) => kind(inner),
            None => Err("has a type that is an object without a type".to_owned()),
        },
        Value::String(_) => Ok(written.clone()),
        _ => Err("has no Avro type".to_owned()),
    }
}
