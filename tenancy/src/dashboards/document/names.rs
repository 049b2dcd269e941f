//! The names and numbers of a document, each of which is well formed or is not there.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A text that is not what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {rule}")]
pub struct Unfit {
    /// The text, or its beginning.
    text: String,
    /// What would be right.
    rule: &'static str,
}

/// Defines a text that keeps a rule.
macro_rules! text {
    ($(#[doc = $about:literal])+ $name:ident, $pattern:literal, $fits:ident, $rule:literal) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// It as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Unfit;

            fn try_from(text: String) -> Result<Self, Unfit> {
                if $fits(&text) {
                    return Ok(Self(text));
                }
                Err(Unfit { text: text.chars().take(40).collect(), rule: $rule })
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let object = ObjectBuilder::new().schema_type(Type::String);
                let about = concat!($($about),+).trim();
                object.pattern(Some($pattern)).description(Some(about)).into()
            }
        }

        impl ToSchema for $name {}
    };
}

text!(
    /// A widget's id, single on its dashboard.
    WidgetId, "^[a-z0-9_-]{1,64}$", is_id,
    "is no id of a widget: it has 1 to 64 characters of a-z, 0-9, `-` and `_`"
);

text!(
    /// A filter's id, single on its dashboard.
    FilterId, "^[a-z0-9_-]{1,64}$", is_id,
    "is no id of a filter: it has 1 to 64 characters of a-z, 0-9, `-` and `_`"
);

text!(
    /// The name of a view, built in or own.
    ViewName, "^[a-z][a-z0-9_]{0,62}$", is_view,
    "is no name of a view: it has 1 to 63 characters of a-z, 0-9 and `_`, and begins with a letter"
);

text!(
    /// The name of a column of a view, or of an answer to SQL.
    ColumnName, "^.{1,128}$", is_column,
    "is no name of a column: it has 1 to 128 bytes, and no control characters"
);

text!(
    /// An exact number, as a text: at most 34 digits before the point and 4 after it.
    Decimal, "^-?[0-9]{1,34}(\\.[0-9]{1,4})?$", is_decimal,
    "is no number such as \"-12.50\", with at most 34 digits before the point and 4 after it"
);

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

fn is_view(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

pub(super) fn is_column(text: &str) -> bool {
    (1..=128).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    digits(whole, 34) && digits(places, 4)
}
