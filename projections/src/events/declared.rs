//! The fields that a tenant has declared beside those of a type, read out of what its events carried
//! beyond the type.
//!
//! A value is read by the rules by which the intake takes the fields of a type. What does not fit is
//! null: the event was taken before anybody had said what it should be, or by who did not know.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringArray,
    StringBuilder, TimestampMicrosecondBuilder, new_null_array,
};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DECIMAL, Field, FieldType, decimal, instant, moment};

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
    let mut columns: Vec<Column> = fields.iter().map(|f| Column::new(f.kind, rows)).collect();
    let mut values: Vec<Option<&RawValue>> = vec![None; fields.len()];
    for text in extra {
        values.fill(None);
        if let Some(text) = text {
            find(text, fields, &mut values);
        }
        for (column, value) in columns.iter_mut().zip(&values) {
            column.append(value.map(RawValue::get));
        }
    }
    columns.into_iter().map(Column::finish).collect()
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

/// The growing column of a field.
enum Column {
    Text(StringBuilder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
}

impl Column {
    fn new(kind: FieldType, rows: usize) -> Self {
        match kind {
            FieldType::Text => Self::Text(StringBuilder::new()),
            FieldType::Decimal => {
                Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(DECIMAL))
            }
            FieldType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            FieldType::Timestamp => Self::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(instant()),
            ),
            FieldType::Int => Self::Int(Int64Builder::with_capacity(rows)),
            FieldType::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
        }
    }

    /// Appends a value as it stands in JSON, if there is one.
    fn append(&mut self, json: Option<&str>) {
        match self {
            Self::Text(column) => column.append_option(json.and_then(text)),
            Self::Decimal(column) => column.append_option(json.and_then(number)),
            Self::Date(column) => {
                column.append_option(json.and_then(text).and_then(|text| moment::date(&text)));
            }
            Self::Timestamp(column) => {
                column.append_option(json.and_then(text).and_then(|text| moment::instant(&text)));
            }
            Self::Int(column) => column.append_option(json.and_then(whole)),
            Self::Bool(column) => column.append_option(json.and_then(|json| match json {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            })),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut column) => Arc::new(column.finish()),
            Self::Decimal(mut column) => Arc::new(column.finish()),
            Self::Date(mut column) => Arc::new(column.finish()),
            Self::Timestamp(mut column) => Arc::new(column.finish()),
            Self::Int(mut column) => Arc::new(column.finish()),
            Self::Bool(mut column) => Arc::new(column.finish()),
        }
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
    decimal::parse(&digits, 34, 4).ok()
}

/// A whole number of 64 bits, which is sent as a number.
fn whole(json: &str) -> Option<i64> {
    decimal::parse(json, 19, 0).ok().and_then(|whole| i64::try_from(whole).ok())
}

#[cfg(test)]
#[path = "declared_tests.rs"]
mod tests;
