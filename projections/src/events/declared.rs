//! The fields that a tenant has declared beside those of a type, read out of what its events carried
//! beyond the type.
//!
//! A value is read by the rules by which the intake takes the fields of a type. What does not fit is
//! null: the event was taken before anybody had said what it should be, or by who did not know.

use std::borrow::Cow;
use std::fmt;

use arrow::array::{Array, ArrayRef, StringArray, new_null_array};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Field, FieldColumn, FieldType, FieldValue, decimal, moment};

/// A column for each of `fields`, of so many events. `extra` is what each of them carried beyond its
/// type, as JSON text: `{"attributes": {…}, "data": {…}}`, of which either may be missing, or null.
pub fn declared_columns(
    fields: &[Field],
    extra: Option<&StringArray>,
    rows: usize,
) -> Vec<ArrayRef> {
    let Some(extra) = extra.filter(|extra| extra.null_count() < extra.len()) else {
        return fields.iter().map(|field| new_null_array(&field.kind.data_type(), rows)).collect();
    };
    // Most events may carry none of it: texts take room as they come.
    let mut columns: Vec<FieldColumn> =
        fields.iter().map(|field| FieldColumn::new(field.kind, rows, 0)).collect();
    let mut values: Vec<Option<&RawValue>> = vec![None; fields.len()];
    for text in extra {
        values.fill(None);
        if let Some(text) = text {
            find(text, fields, &mut values);
        }
        for ((column, field), json) in columns.iter_mut().zip(fields).zip(&values) {
            let value = json.and_then(|json| value(json.get(), field.kind));
            column.append(&value.unwrap_or(FieldValue::Null));
        }
    }
    columns.into_iter().map(FieldColumn::finish).collect()
}

/// What an event carried beyond its type.
#[derive(Deserialize)]
struct Extra<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Puts the value of each field that stands in the text into its place.
fn find<'a>(text: &'a str, fields: &[Field], values: &mut [Option<&'a RawValue>]) {
    let Ok(Extra { data: Some(data) }) = serde_json::from_str(text) else { return };
    let mut reader = serde_json::Deserializer::from_str(data.get());
    let members = Members { fields, values: &mut *values };
    if members.deserialize(&mut reader).is_err() {
        values.fill(None);
    }
}

/// The members of `data` that are declared.
struct Members<'s, 'a> {
    fields: &'s [Field],
    values: &'s mut [Option<&'a RawValue>],
}

impl<'a> DeserializeSeed<'a> for Members<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(place) = members.next_key_seed(Name(self.fields))? {
            match place.and_then(|place| self.values.get_mut(place)) {
                Some(value) => *value = Some(members.next_value()?),
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The name of a member, which is that of the field at this place, if of any.
struct Name<'s>(&'s [Field]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<usize>, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|field| field.name == name))
    }
}

/// A value of that type as it stands in JSON, if it is one.
fn value(json: &str, kind: FieldType) -> Option<FieldValue<'_>> {
    match kind {
        FieldType::Text => text(json).map(FieldValue::Text),
        FieldType::Decimal => number(json).map(FieldValue::Decimal),
        FieldType::Date => moment::date(&text(json)?).map(FieldValue::Date),
        FieldType::Timestamp => moment::instant(&text(json)?).map(FieldValue::Timestamp),
        FieldType::Int => decimal::whole(json).map(FieldValue::Int),
        FieldType::Bool => match json {
            "true" => Some(FieldValue::Bool(true)),
            "false" => Some(FieldValue::Bool(false)),
            _ => None,
        },
    }
}

/// The text of a JSON string.
fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(json).ok().map(Cow::Owned)
}

/// A decimal, which is sent as a string or as a number, in units of 0.0001.
fn number(json: &str) -> Option<i128> {
    let digits = if json.starts_with('"') { text(json)? } else { Cow::Borrowed(json) };
    decimal::units(&digits).ok()
}

#[cfg(test)]
#[path = "declared_tests.rs"]
mod tests;
