//! Reading an Avro record ([Avro 1.12](https://avro.apache.org/docs/1.12.0/specification/)).
//!
//! Attributes that Avro leaves to its users (`doc`, `aliases`, `connect.name`, …) are let through;
//! they change no value.

use std::collections::{HashMap, HashSet};

use projections::events::{ENVELOPE, Field, FieldType};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{MAX_NAME, SchemaError, TypeLimits};
use crate::decode::{message, shown};

type Result<T> = std::result::Result<T, SchemaError>;

/// The fields of a schema, an Avro record as JSON text, in its order.
///
/// # Errors
/// The text is no record, a field has a name or a type that cannot be taken, or there are too many.
pub fn fields(schema: &str, limits: &TypeLimits) -> Result<Vec<Field>> {
    if schema.len() > limits.schema_bytes {
        return Err(SchemaError::new(format!(
            "schema: it has {} bytes, and at most {} are taken: leave out what is not needed, such \
             as doc",
            schema.len(),
            limits.schema_bytes
        )));
    }
    if !schema.trim_start().starts_with('{') {
        return Err(SchemaError::new(
            "schema: expected an Avro record as a JSON object, {\"type\": \"record\", \"name\": …, \
             \"fields\": […]}, and not as a text that holds one",
        ));
    }
    let record: Attributes<'_> = serde_json::from_str(schema)
        .map_err(|error| SchemaError::new(format!("schema: {}", said(&error))))?;
    if text(record.kind).as_deref() != Some("record") {
        return Err(SchemaError::new(
            "schema: its type is not \"record\"; the data of an event are the fields of a record",
        ));
    }
    let list: Vec<&RawValue> = match record.fields.map(|raw| serde_json::from_str(raw.get())) {
        Some(Ok(list)) => list,
        Some(Err(_)) => return Err(SchemaError::new("schema: fields is no list of fields")),
        None => return Err(SchemaError::new("schema: the record has no list of fields")),
    };
    if list.len() > limits.fields {
        return Err(SchemaError::new(format!(
            "schema: it has {} fields, and at most {} are taken: make several types of it",
            list.len(),
            limits.fields
        )));
    }
    let mut reader = Reader::new(&record)?;
    let mut taken = HashSet::new();
    list.into_iter().enumerate().map(|(place, raw)| reader.field(place, raw, &mut taken)).collect()
}

/// The attributes of a record, a field or a type that mean something here.
///
/// That one stands twice is an error: which of the two was meant cannot be told.
#[derive(Default, Deserialize)]
struct Attributes<'a> {
    #[serde(rename = "type", default, borrow, deserialize_with = "present")]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    namespace: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    fields: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    default: Option<&'a RawValue>,
    #[serde(rename = "logicalType", default, borrow, deserialize_with = "present")]
    logical: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    precision: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    scale: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    size: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    symbols: Option<&'a RawValue>,
}

/// Tells an attribute that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// What a type says of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Value(FieldType),
}

/// A reader of one record's fields.
struct Reader {
    namespace: String,
    /// Types that were given a name, which later fields may use.
    named: HashMap<String, FieldType>,
}

impl Reader {
    fn new(record: &Attributes<'_>) -> Result<Self> {
        let name = text(record.name).filter(|name| is_full_name(name)).ok_or_else(|| {
            SchemaError::new(
                "schema: the record needs a name of A-Z, a-z, 0-9 and `_` that begins with no digit",
            )
        })?;
        let namespace = namespace(record, "")?;
        let namespace = match name.rsplit_once('.') {
            Some((namespace, _)) => namespace.to_owned(),
            None => namespace,
        };
        Ok(Self { namespace, named: HashMap::new() })
    }

    fn field(
        &mut self,
        place: usize,
        raw: &RawValue,
        taken: &mut HashSet<String>,
    ) -> Result<Field> {
        let nameless = |what: &str| {
            SchemaError::new(format!("schema: the field {place} (counted from 0) {what}"))
        };
        let field: Attributes<'_> = serde_json::from_str(raw.get())
            .map_err(|error| nameless(&format!("cannot be read: {}", said(&error))))?;
        let name = text(field.name).ok_or_else(|| nameless("has no name"))?;
        if !is_name(&name) || name.len() > MAX_NAME {
            return Err(nameless(&format!(
                "has a name that cannot be taken: a name has 1 to {MAX_NAME} characters of A-Z, \
                 a-z, 0-9 and `_`, and begins with no digit"
            )));
        }
        let lower = name.to_ascii_lowercase();
        if ENVELOPE.contains(&lower.as_str()) {
            return Err(SchemaError::of(
                &name,
                "every event has a column of this name already; choose another name",
            ));
        }
        if !taken.insert(lower) {
            return Err(SchemaError::of(
                &name,
                "its name is there already; names must differ in more than capital letters, since \
                 SQL does not tell those apart",
            ));
        }
        let kind = field.kind.ok_or_else(|| SchemaError::of(&name, "it has no type"))?;
        let (kind, optional) =
            self.of_field(kind).map_err(|message| SchemaError::of(&name, &message))?;
        check_default(field.default, optional)
            .map_err(|message| SchemaError::of(&name, message))?;
        Ok(Field { name, kind, optional })
    }

    /// The type of a field, and whether it may be null. An error is a sentence about the field.
    fn of_field(&mut self, raw: &RawValue) -> std::result::Result<(FieldType, bool), String> {
        if !raw.get().starts_with('[') {
            return match self.kind(raw)? {
                Kind::Value(kind) => Ok((kind, false)),
                Kind::Null => Err("it can only be null; leave it out".to_owned()),
            };
        }
        let branches: Vec<&RawValue> =
            serde_json::from_str(raw.get()).map_err(|error| said(&error))?;
        if branches.iter().any(|branch| branch.get().starts_with('[')) {
            return Err("a union cannot stand in a union".to_owned());
        }
        let kinds: Vec<Kind> =
            branches.into_iter().map(|b| self.kind(b)).collect::<std::result::Result<_, _>>()?;
        match kinds.as_slice() {
            [Kind::Value(kind)] => Ok((*kind, false)),
            [Kind::Null, Kind::Value(kind)] | [Kind::Value(kind), Kind::Null] => Ok((*kind, true)),
            _ => Err("a union is taken only of null and one other type, for an optional field; \
                      make a field for each type"
                .to_owned()),
        }
    }

    fn kind(&mut self, raw: &RawValue) -> std::result::Result<Kind, String> {
        match raw.get().as_bytes().first() {
            Some(b'"') => self.named_kind(&text(Some(raw)).unwrap_or_default()),
            Some(b'{') => {
                let attributes: Attributes<'_> =
                    serde_json::from_str(raw.get()).map_err(|error| said(&error))?;
                self.described(&attributes)
            }
            _ => {
                Err("its type is no Avro type: expected a name such as \"string\", an object, or \
                      a union"
                    .to_owned())
            }
        }
    }

    /// A type that is given by its name alone.
    fn named_kind(&self, name: &str) -> std::result::Result<Kind, String> {
        Ok(Kind::Value(match name {
            "null" => return Ok(Kind::Null),
            "string" => FieldType::Text,
            "int" | "long" => FieldType::Int,
            "boolean" => FieldType::Bool,
            "float" | "double" | "bytes" | "fixed" | "enum" | "record" | "error" | "array"
            | "map" => return Err(refusal(name)),
            other => {
                let full = full_name(other, &self.namespace);
                *self.named.get(&full).ok_or_else(|| {
                    format!(
                        "`{}` is no type of Avro, and none that a field before it defines",
                        shown(other)
                    )
                })?
            }
        }))
    }

    /// A type that is given as an object.
    fn described(&mut self, given: &Attributes<'_>) -> std::result::Result<Kind, String> {
        let Some(kind) = given.kind else {
            return Err("its type is an object that has no type".to_owned());
        };
        if !kind.get().starts_with('"') {
            return self.wrapped(kind, given.logical.is_some());
        }
        let base = text(Some(kind)).unwrap_or_default();
        let logical = match given.logical {
            None => None,
            Some(raw) => Some(text(Some(raw)).ok_or("its logicalType is no text")?),
        };
        let kind = match (base.as_str(), logical.as_deref()) {
            ("enum", None) => {
                check_symbols(given.symbols)?;
                FieldType::Text
            }
            ("string", Some("uuid")) => FieldType::Text,
            ("fixed", Some("uuid")) => {
                return Err(
                    "a uuid is sent as text in JSON; use the type \"string\" with it".into()
                );
            }
            ("bytes", Some("decimal")) => {
                check_decimal(given, None)?;
                FieldType::Decimal
            }
            ("fixed", Some("decimal")) => {
                check_decimal(given, Some(number(given.size, "size")?))?;
                FieldType::Decimal
            }
            ("int", Some("date")) => FieldType::Date,
            ("long", Some("timestamp-millis" | "timestamp-micros")) => FieldType::Timestamp,
            (_, Some(logical)) => return Err(logical_refusal(&base, logical)),
            (_, None) => return self.named_kind(&base),
        };
        if matches!(base.as_str(), "enum" | "fixed") {
            self.define(given, kind)?;
        }
        Ok(Kind::Value(kind))
    }

    /// A type in an object around it, `{"type": {"type": "string"}}`; in two, nobody means it.
    fn wrapped(&mut self, inner: &RawValue, logical: bool) -> std::result::Result<Kind, String> {
        if logical {
            return Err(
                "its logicalType stands beside no type; write it into the inner object".into()
            );
        }
        let given: Attributes<'_> =
            serde_json::from_str(inner.get()).map_err(|error| said(&error))?;
        match given.kind {
            Some(kind) if !kind.get().starts_with('"') => {
                Err("its type is an object in an object in an object; leave out all but one".into())
            }
            _ => self.described(&given),
        }
    }

    /// Notes the name that an enum or a fixed brings along.
    fn define(
        &mut self,
        given: &Attributes<'_>,
        kind: FieldType,
    ) -> std::result::Result<(), String> {
        let name = text(given.name)
            .filter(|name| is_full_name(name))
            .ok_or("an enum or a fixed needs a name of A-Z, a-z, 0-9 and `_`")?;
        let namespace = namespace(given, &self.namespace).map_err(|error| error.message)?;
        let full = full_name(&name, &namespace);
        match self.named.insert(full, kind) {
            None => Ok(()),
            Some(_) => Err(format!("the type `{name}` is defined twice; give it another name")),
        }
    }
}

/// A name with the namespace it stands in, unless it brings one along.
fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

fn namespace(given: &Attributes<'_>, otherwise: &str) -> Result<String> {
    let Some(raw) = given.namespace else { return Ok(otherwise.to_owned()) };
    text(Some(raw)).filter(|name| name.is_empty() || is_full_name(name)).ok_or_else(|| {
        SchemaError::new("schema: a namespace is names of A-Z, a-z, 0-9 and `_` with dots between")
    })
}

/// Why a type cannot be taken, and what to write instead.
fn refusal(name: &str) -> String {
    let way_out = match name {
        "float" | "double" => {
            "a float is not exact, and its sums depend on the order of the events; use bytes with \
             the logicalType decimal (at most 4 places), or a long in a smaller unit"
        }
        "bytes" | "fixed" => {
            "bytes without the logicalType decimal are not taken; send them as a string, such as \
             base64"
        }
        "array" => {
            "an array is not taken; send an event for each element, or the whole as a string"
        }
        "map" => "a map is not taken; give each entry a field of its own",
        "enum" => "an enum is given as an object with its name and symbols; or use \"string\"",
        _ => "a nested record is not taken; make its fields fields of this record",
    };
    way_out.to_owned()
}

fn logical_refusal(base: &str, logical: &str) -> String {
    let way_out = match logical {
        "time-millis" | "time-micros" => {
            "there are no times of day; use long with timestamp-micros, or \"string\""
        }
        "local-timestamp-millis" | "local-timestamp-micros" | "local-timestamp-nanos" => {
            "times have their zone here; use timestamp-micros, and send RFC 3339 with the offset"
        }
        "timestamp-nanos" => "times are kept to the microsecond; use timestamp-micros",
        "duration" => "use a long in a unit that the field's name says",
        "decimal" | "big-decimal" => {
            "a decimal is bytes or fixed with the logicalType decimal, a precision and a scale"
        }
        "uuid" => "a uuid is a \"string\" with this logicalType",
        "date" => "a date is an int with this logicalType",
        "timestamp-millis" | "timestamp-micros" => "a timestamp is a long with this logicalType",
        _ => "leave it out to keep the value as it is sent",
    };
    let (base, logical) = (shown(base), shown(logical));
    format!("the logicalType `{logical}` is not taken on `{base}`: {way_out}")
}

/// Checks that every value of the decimal fits 34 digits before the point and 4 after it.
fn check_decimal(given: &Attributes<'_>, size: Option<u64>) -> std::result::Result<(), String> {
    let precision = number(given.precision, "precision")?;
    let scale = given.scale.map_or(Ok(0), |raw| number(Some(raw), "scale"))?;
    if precision == 0 || scale > precision {
        return Err("the precision of a decimal is at least 1, and at least its scale".to_owned());
    }
    if scale > 4 {
        return Err(format!(
            "decimals have at most 4 places here, and this one has a scale of {scale}; nothing is \
             rounded, so use a smaller unit, or \"string\""
        ));
    }
    if precision - scale > 34 {
        return Err(format!(
            "decimals have at most 34 digits before the point here, and this one has {}; use a \
             smaller precision",
            precision - scale
        ));
    }
    let most = size.map(digits);
    if most.is_some_and(|most| precision > most) {
        return Err(format!(
            "a precision of {precision} does not fit the size of the fixed, in which {} digits \
             have room",
            most.unwrap_or_default()
        ));
    }
    Ok(())
}

/// The digits of which every number fits so many bytes of two's complement.
fn digits(bytes: u64) -> u64 {
    // From 17 bytes on, any decimal that is taken fits.
    match u32::try_from(bytes) {
        Ok(0) => 0,
        Ok(bytes @ 1..=16) => (i128::MAX >> (128 - 8 * bytes)).ilog10().into(),
        _ => u64::MAX,
    }
}

fn number(raw: Option<&RawValue>, name: &str) -> std::result::Result<u64, String> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .ok_or_else(|| format!("its {name} must be given as a whole number"))
}

fn check_symbols(symbols: Option<&RawValue>) -> std::result::Result<(), String> {
    let symbols: Option<Vec<String>> = symbols.and_then(|s| serde_json::from_str(s.get()).ok());
    match symbols {
        Some(symbols) if symbols.iter().all(|symbol| is_name(symbol)) => Ok(()),
        _ => Err("the symbols of an enum are a list of names of A-Z, a-z, 0-9 and `_`".to_owned()),
    }
}

fn check_default(
    default: Option<&RawValue>,
    optional: bool,
) -> std::result::Result<(), &'static str> {
    match default.map(RawValue::get) {
        None => Ok(()),
        Some("null") if optional => Ok(()),
        Some("null") => Err("its default is null, and its type is not; make it a union with null"),
        Some(_) => Err("a default other than null is not taken: what was not sent would be \
                        recorded as if it had been; make the field optional, a union with null, \
                        and use coalesce in SQL"),
    }
}

/// The text that a JSON value is.
fn text(raw: Option<&RawValue>) -> Option<String> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

/// What serde_json says, without the place, which is one within a part of the schema.
fn said(error: &serde_json::Error) -> String {
    message(error)
}

pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_full_name(name: &str) -> bool {
    name.split('.').all(is_name)
}
