//! Facts as messages: Avro by writers of two versions of each schema, and CloudEvents in JSON.

use std::collections::HashMap;

use projections::EventTypes;
use projections::events::{EventType, Field, FieldType};
use serde_json::{Value as Json, json};

use crate::cloud_events::event;
use crate::history::{Fact, Value};

/// The field that only new writers know, and the type does not.
const NOTE: &str = "note";

/// How a message is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Json,
    /// By a writer that knows all fields, and one more.
    New,
    /// By a writer that does not know the optional fields; for facts that have none of them.
    Old,
}

/// The ids that the registry gave to the schemas of the old and the new writers, by type.
pub(crate) struct Wire {
    schemas: HashMap<String, (u32, u32)>,
}

impl Wire {
    /// Registers the schemas of all types, under subjects that begin with the prefix.
    pub(crate) async fn register(registry: &str, prefix: &str) -> Self {
        let client = reqwest::Client::new();
        let mut schemas = HashMap::new();
        for kind in EventTypes::builtin().iter() {
            let url = format!("{registry}/subjects/{prefix}{}-value/versions", kind.name());
            let mut ids = Vec::new();
            for schema in [schema(kind, Form::Old), schema(kind, Form::New)] {
                let answer = client
                    .post(&url)
                    .header("content-type", "application/vnd.schemaregistry.v1+json")
                    .body(json!({ "schema": schema.to_string() }).to_string())
                    .send()
                    .await
                    .unwrap();
                let answer: Json = answer.json().await.unwrap();
                let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{url}: {answer}"));
                ids.push(u32::try_from(id).unwrap());
            }
            schemas.insert(kind.name().to_owned(), (ids[0], ids[1]));
        }
        Self { schemas }
    }

    /// The value of a message with this fact of a tenant. What an old writer cannot say is written
    /// by a new one.
    pub(crate) fn value(&self, tenant: &str, fact: &Fact, form: Form) -> Vec<u8> {
        let (old, new) = self.schemas[fact.kind.name()];
        match form {
            Form::Json => event(fact).to_string().into_bytes(),
            Form::Old if is_old(fact) => avro(tenant, fact, Form::Old, old),
            Form::Old | Form::New => avro(tenant, fact, Form::New, new),
        }
    }
}

/// Whether writers of this form know the field. What is missing of a currency is filled in, so all
/// say it.
fn knows(form: Form, field: &Field) -> bool {
    !matches!(form, Form::Old) || !field.optional || field.name == "currency"
}

fn is_old(fact: &Fact) -> bool {
    let mut fields = fact.kind.fields().iter().zip(&fact.values);
    fields.all(|(field, value)| knows(Form::Old, field) || *value == Value::Null)
}

fn schema(kind: &EventType, form: Form) -> Json {
    let mut fields = vec![
        json!({"name": "event_id", "type": "string"}),
        json!({"name": "tenant_id", "type": "string"}),
        json!({"name": "occurred_at", "type": avro_type(FieldType::Timestamp)}),
    ];
    for field in kind.fields().iter().filter(|field| knows(form, field)) {
        let plain = avro_type(field.kind);
        fields.push(if field.optional {
            json!({"name": field.name, "type": ["null", plain], "default": null})
        } else {
            json!({"name": field.name, "type": plain})
        });
    }
    if matches!(form, Form::New) {
        fields.push(json!({"name": NOTE, "type": ["null", "string"], "default": null}));
    }
    let name = kind.name().replace('.', "_");
    json!({"type": "record", "name": name, "fields": fields})
}

fn avro_type(kind: FieldType) -> Json {
    match kind {
        FieldType::Text => json!("string"),
        FieldType::Decimal => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 4})
        }
        FieldType::Date => json!({"type": "int", "logicalType": "date"}),
        FieldType::Timestamp => json!({"type": "long", "logicalType": "timestamp-micros"}),
        FieldType::Int => json!("long"),
        FieldType::Bool => json!("boolean"),
    }
}

/// Confluent's wire format: a zero, the schema's id, the record.
fn avro(tenant: &str, fact: &Fact, form: Form, schema: u32) -> Vec<u8> {
    let mut out = vec![0];
    out.extend_from_slice(&schema.to_be_bytes());
    bytes(&mut out, fact.id.as_bytes());
    bytes(&mut out, tenant.as_bytes());
    long(&mut out, fact.occurred_at);
    let fields = fact.kind.fields().iter().zip(&fact.values);
    for (field, value) in fields.filter(|(field, _)| knows(form, field)) {
        if field.optional {
            long(&mut out, i64::from(*value != Value::Null));
        }
        match value {
            Value::Null => assert!(field.optional, "{fact:?}"),
            Value::Text(text) => bytes(&mut out, text.as_bytes()),
            Value::Decimal(units) => bytes(&mut out, &units.to_be_bytes()),
            Value::Date(days) => long(&mut out, i64::from(*days)),
            Value::Instant(micros) => long(&mut out, *micros),
            Value::Int(number) => long(&mut out, *number),
            Value::Bool(truth) => out.push(u8::from(*truth)),
        }
    }
    if matches!(form, Form::New) {
        long(&mut out, 1);
        bytes(&mut out, b"by a new writer");
    }
    out
}

/// A number in zigzag, seven bits a byte.
fn long(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    long(out, value.len() as i64);
    out.extend_from_slice(value);
}
