//! Schemas: those of the code's own types, and those of what other crates write without a type.

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{AdditionalProperties, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Schemas by their names, as types collect them.
pub(super) type Found = Vec<(String, RefOr<Schema>)>;

/// Adds the schema of a type, and of all within it.
pub(super) type Collect = fn(&mut Found);

/// A schema, and the types it refers to.
pub(super) struct Shape {
    pub(super) schema: Value,
    pub(super) types: Vec<Collect>,
}

/// The schema of a type.
pub(super) fn of<T: ToSchema>() -> Shape {
    Shape { schema: reference(&T::name()), types: vec![collect::<T> as Collect] }
}

/// One of two.
pub(super) fn either(one: Shape, other: Shape) -> Shape {
    let types = [one.types, other.types].concat();
    Shape { schema: json!({ "oneOf": [one.schema, other.schema] }), types }
}

/// One of those that are written here.
pub(super) fn named(name: &str) -> Shape {
    plain(reference(name))
}

/// A schema that refers to no type.
pub(super) fn plain(schema: Value) -> Shape {
    Shape { schema, types: Vec::new() }
}

fn collect<T: ToSchema>(found: &mut Found) {
    found.push((T::name().into_owned(), T::schema()));
    T::schemas(found);
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// All schemas by name.
pub(super) fn components(found: Found) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, schema) in found {
        all.entry(name).or_insert_with(|| json!(schema));
    }
    all.extend(written().map(|(name, schema)| (name.to_owned(), schema)));
    all
}

/// A column of an answer, which is `projections::encode::ColumnType`.
pub(in crate::http) enum Column {}

impl PartialSchema for Column {
    fn schema() -> RefOr<Schema> {
        let kinds = "text, decimal, date, timestamp, int, float, bool, or Arrow's name of the type; \
            decimals are given as strings";
        ObjectBuilder::new()
            .property("name", ObjectBuilder::new().schema_type(Type::String))
            .required("name")
            .property(
                "type",
                ObjectBuilder::new().schema_type(Type::String).description(Some(kinds)),
            )
            .required("type")
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
            .into()
    }
}

impl ToSchema for Column {}

/// What is written row by row, or comes from other crates: `query`'s answers, `stream`'s problems and
/// the events that `ingest` reads.
fn written() -> impl Iterator<Item = (&'static str, Value)> {
    let rows = [
        ("columns", json!({ "type": "array", "items": reference("Column") })),
        ("rows", json!({ "type": "array", "items": { "type": "array" } })),
        ("position", json!({ "type": "string", "description": "for wait_for" })),
        ("as_of", nullable("date", "the tenant's date; null while it has none")),
    ];
    let next = ("next", nullable("", "for `after`; null on the last page"));
    let page = [&rows[..], &[next]].concat();
    let explained = [&page[..], &explanation()].concat();
    let described = [
        ("Rows", closed(&rows)),
        ("ViewPage", closed(&page)),
        ("Explanation", closed(&explained)),
        ("Event", event()),
        ("Problem", problem()),
    ];
    described.into_iter()
}

/// What an explanation has beside a page of events.
fn explanation() -> [(&'static str, Value); 9] {
    let object = json!({ "type": "object" });
    let count = json!({ "type": "integer" });
    let text = json!({ "type": "string" });
    let part = [("part", text.clone()), ("sum", json!({})), ("events", count.clone())];
    let withheld = [("module", text.clone()), ("sum", json!({})), ("events", count)];
    [
        ("view", text.clone()),
        ("key", object.clone()),
        ("row", object),
        ("column", json!({ "type": "string", "description": "the column that is explained" })),
        ("value", json!({ "description": "the value of the cell" })),
        ("sum", json!({ "description": "what the events come to by the rule" })),
        ("rule", text),
        ("parts", json!({ "type": "array", "items": closed(&part) })),
        (
            "withheld",
            json!({
                "type": "array", "items": closed(&withheld),
                "description": "what counts and is not listed, as its module is switched off",
            }),
        ),
    ]
}

/// An object that has all of these members, and no others.
fn closed(members: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({
        "type": "object", "required": names, "properties": properties, "additionalProperties": false,
    })
}

fn nullable(format: &str, about: &str) -> Value {
    let mut schema = json!({ "type": ["string", "null"], "description": about });
    if !format.is_empty() {
        schema["format"] = json!(format);
    }
    schema
}

/// A CloudEvent, 1.0.
fn event() -> Value {
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "unique within the tenant and type: a repeat has no effect"},
            "source": {"type": "string", "description": "the module that sends it, /invoicing"},
            "type": {"type": "string", "description": "one of GET /v1/event-types"},
            "time": {"type": "string", "format": "date-time", "description": "when it happened"},
            "subject": {"type": "string"},
            "tenantid": {"type": "string", "description": "the token's tenant, or left out"},
            "data": {"type": "object", "description": "the fields of the type; others are kept, and read once they are declared"},
        },
    })
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "stable, urn:tidemark:problem:…"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "what to do, in a sentence"},
        },
    })
}
