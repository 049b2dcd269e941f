//! What narrows all of a dashboard at once.
//!
//! Words for days are those of reports (`query::Calendar`) that name one, which are those that the page
//! reads (`boards/dates.ts`). All three are held against `dashboards/date_words.json` by their tests.

use chrono::{DateTime, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::names::is_decimal;
use super::{ColumnName, DocumentError, FilterId, line, scalar};

/// What words for days are, as it is told to whoever has written others.
const DAYS: &str = "{{yesterday}}, {{today}}, {{tomorrow}}, {{today - 7}} or {{today + 7}} with any number of \
     days, or `last_`, `this_` or `next_` before `week`, `month`, `quarter`, `year`, `fiscal_quarter` or \
     `fiscal_year`, and `.start`, `.end` or `.next` behind, as in {{this_month.start}}";

/// A choice above a dashboard that all its widgets share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DashboardFilter)]
pub struct Filter {
    /// Its name within the document, by which parameters of SQL ask for its value.
    pub id: FilterId,
    /// Its name for people.
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// The column that it compares: of every widget over a view that has it, the rows in which it
    /// equals the value are shown. Without one it is for parameters alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<ColumnName>,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: FilterKind,
    /// What it is at first; without one it narrows nothing, and a parameter is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What a filter's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DashboardFilterType)]
pub enum FilterKind {
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// An exact decimal.
    Decimal,
    /// A day, or words for one in double braces.
    Date,
    /// An instant, or words for one in double braces.
    Timestamp,
    /// True or false.
    Bool,
}

impl Filter {
    pub(super) fn check(&self, place: &str) -> Result<(), DocumentError> {
        line(&self.title, &format!("{place}.title"))?;
        let Some(default) = &self.default else { return Ok(()) };
        let place = format!("{place}.default");
        scalar(default, &place)?;
        if self.kind.takes(default) {
            return Ok(());
        }
        if matches!(self.kind, FilterKind::Date | FilterKind::Timestamp)
            && let Some(words) = default.as_str().filter(|text| text.starts_with("{{"))
        {
            let words: String = words.chars().take(40).collect();
            return Err(DocumentError::new(place, format!("`{words}` names no day: write {DAYS}")));
        }
        Err(DocumentError::new(place, self.kind.expected()))
    }
}

impl FilterKind {
    fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Bool, Value::Bool(_)) => true,
            (Self::Int, value) => value.is_i64(),
            (Self::Decimal, Value::String(text)) => is_decimal(text),
            (Self::Decimal, Value::Number(number)) => is_decimal(&number.to_string()),
            (Self::Date, Value::String(text)) => {
                is_day(text) || NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
            }
            (Self::Timestamp, Value::String(text)) => {
                is_day(text) || DateTime::parse_from_rfc3339(text).is_ok()
            }
            _ => false,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Int => "a whole number",
            Self::Decimal => "a decimal like \"12.50\"",
            Self::Date => {
                "a date like \"2026-01-31\", or words that name a day, like \"{{today - 7}}\" or \
                 \"{{this_month.start}}\""
            }
            Self::Timestamp => {
                "an instant like \"2026-01-31T12:00:00Z\", or words that name a day, like \
                 \"{{today - 7}}\" or \"{{this_month.start}}\""
            }
            Self::Bool => "true or false",
        }
    }
}

/// Whether a text is words for a day in double braces.
fn is_day(text: &str) -> bool {
    let words = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).map(str::trim);
    let Some(words) = words else { return false };
    if let Some(days) = words.strip_prefix("today") {
        return is_so_many(days.trim());
    }
    if matches!(words, "yesterday" | "tomorrow") {
        return true;
    }
    let period = words.split_once('.').and_then(|(period, edge)| {
        let (which, unit) = period.split_once('_')?;
        Some((which, unit, edge))
    });
    matches!(
        period,
        Some((
            "last" | "this" | "next",
            "week" | "month" | "quarter" | "year" | "fiscal_quarter" | "fiscal_year",
            "start" | "end" | "next",
        ))
    )
}

/// Whether a text is a sign with a number of days behind it, or nothing.
fn is_so_many(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(['+', '-']) else { return text.is_empty() };
    let digits = digits.trim();
    (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}
