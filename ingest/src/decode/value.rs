//! One JSON value as one field's value.

use std::borrow::Cow;

use projections::events::decimal::{self, Inexact};
use projections::events::{FieldType, FieldValue, moment};
use serde_json::value::RawValue;

/// A JSON value before its type is known.
enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// What stands between the quotes.
    Text(&'a str),
    Object,
    Array,
}

impl<'a> Json<'a> {
    fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes() {
            [b'"', .., b'"'] => Self::Text(&text[1..text.len() - 1]),
            [b'n', ..] => Self::Null,
            [b't', ..] => Self::Bool(true),
            [b'f', ..] => Self::Bool(false),
            [b'{', ..] => Self::Object,
            [b'[', ..] => Self::Array,
            _ => Self::Number(text),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => format!("the number {}", shown(text)),
            Self::Text(text) => format!("the text \"{}\"", shown(text)),
            Self::Object => "an object".to_owned(),
            Self::Array => "an array".to_owned(),
        }
    }
}

/// Whether the value is JSON's null.
pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// What a field of that type expects, in words.
pub(super) fn expectation(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text => "text",
        FieldType::Decimal => {
            "a decimal such as \"12.50\" with at most 34 digits before the point and 4 after it"
        }
        FieldType::Date => "a date that exists, as \"YYYY-MM-DD\"",
        FieldType::Timestamp => "an RFC 3339 time such as \"2024-05-31T14:30:00Z\"",
        FieldType::Int => "a whole number of 64 bits such as 42",
        FieldType::Bool => "true or false",
    }
}

/// Reads a value of that type; null is [`FieldValue::Null`] for every type.
///
/// # Errors
/// What is expected and what was found instead.
pub(super) fn parse(
    raw: &RawValue,
    kind: FieldType,
    max_text: usize,
) -> Result<FieldValue<'_>, String> {
    let json = Json::of(raw);
    let value = match (&json, kind) {
        (Json::Null, _) => Some(FieldValue::Null),
        // Dates and numbers may be escaped too: some senders write every `+` as an escape.
        (Json::Text(inner), _) => of_text(unescape(raw, inner, max_text)?, kind)?,
        (Json::Number(digits), FieldType::Decimal) => Some(FieldValue::Decimal(decimal(digits)?)),
        (Json::Number(digits), FieldType::Int) => decimal::whole(digits).map(FieldValue::Int),
        (Json::Bool(value), FieldType::Bool) => Some(FieldValue::Bool(*value)),
        _ => None,
    };
    value.ok_or_else(|| format!("expected {}, found {}", expectation(kind), json.describe()))
}

/// The value that a JSON string stands for, if its type is sent as one.
fn of_text(text: Cow<'_, str>, kind: FieldType) -> Result<Option<FieldValue<'_>>, String> {
    Ok(match kind {
        FieldType::Text => Some(FieldValue::Text(text)),
        FieldType::Decimal => Some(FieldValue::Decimal(decimal(&text)?)),
        FieldType::Date => moment::date(&text).map(FieldValue::Date),
        FieldType::Timestamp => moment::instant(&text).map(FieldValue::Timestamp),
        FieldType::Int | FieldType::Bool => None,
    })
}

fn decimal(digits: &str) -> Result<i128, String> {
    decimal::units(digits).map_err(|fault| {
        let found = shown(digits);
        match fault {
            Inexact::NotANumber => {
                format!("expected {}, found \"{found}\"", expectation(FieldType::Decimal))
            }
            Inexact::TooManyPlaces => format!(
                "{found} has more than 4 decimal places; nothing is rounded, so send at most 4"
            ),
            Inexact::TooLarge => {
                format!("{found} is too large: at most 34 digits may stand before the point")
            }
        }
    })
}

/// The text of a JSON string, of which `inner` stands between the quotes.
pub(super) fn unescape<'a>(
    raw: &'a RawValue,
    inner: &'a str,
    max_text: usize,
) -> Result<Cow<'a, str>, String> {
    let text = if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        Cow::Borrowed(inner)
    } else {
        let text: String = serde_json::from_str(raw.get())
            .map_err(|_| "the text has an escape that is no character".to_owned())?;
        // A bare NUL is no JSON, so only an escape can bring one.
        if memchr::memchr(0, text.as_bytes()).is_some() {
            return Err("the text contains the character NUL, which is not taken".to_owned());
        }
        Cow::Owned(text)
    };
    if text.len() > max_text {
        return Err(format!("the text has {} bytes, and at most {max_text} are taken", text.len()));
    }
    Ok(text)
}

/// The beginning of a text, short enough for a reason.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
