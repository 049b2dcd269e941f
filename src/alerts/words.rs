//! What an alert says, in words: columns by names that can be read, amounts with their currency and
//! without zeros that say nothing, days and moments as the tenant's people write them.
//!
//! Values are told as they are wherever programs read them; here they are text, and never calculated
//! with.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};
use tenancy::StoredAlert;

use super::told::{AlertColumn, columns, values};

/// Columns of decimals that are no amounts of money, …
const PLAIN: [&str; 6] =
    ["hours", "billable_hours", "capacity", "on_hand", "reorder_point", "quantity"];
/// … and those that are shares of one.
const SHARES: [&str; 3] = ["margin", "used", "utilization"];
/// The places that amounts have; what has others was divided, and may be no amount.
const MONEY_PLACES: usize = 4;
/// The places of an amount that are always written.
const CENTS: usize = 2;

/// An alert's values, each with the name of its column; those that are null are left out.
pub(super) struct Words {
    /// What it is about.
    pub(super) subject: Vec<String>,
    /// What else was so when it fired.
    pub(super) details: Vec<String>,
}

impl Words {
    /// The words of an alert of a tenant with this time zone.
    pub(super) fn of(alert: &StoredAlert, timezone: Tz) -> Self {
        let (subject, details) = (object(&alert.subject), object(&alert.details));
        let currency = [&subject, &details].into_iter().find_map(|row| row.get("currency"));
        let columns = columns(&alert.columns);
        let reader =
            Reader { columns: &columns, currency: currency.and_then(Value::as_str), timezone };
        Self { subject: reader.read(&subject), details: reader.read(&details) }
    }

    /// All of them behind a beginning, as one sentence.
    pub(super) fn sentence(&self, beginning: &str) -> String {
        let parts = [&self.subject, &self.details].into_iter().filter(|part| !part.is_empty());
        let parts: Vec<String> = parts.map(|part| part.join(", ")).collect();
        if parts.is_empty() {
            return format!("{beginning}.");
        }
        format!("{beginning}: {}.", parts.join("; "))
    }
}

/// A moment as the tenant's people write it.
pub(super) fn moment(at: DateTime<Utc>, timezone: Tz) -> String {
    at.with_timezone(&timezone).format("%-d %b %Y, %H:%M %Z").to_string()
}

/// How the values of one alert read.
struct Reader<'a> {
    columns: &'a [AlertColumn],
    currency: Option<&'a str>,
    timezone: Tz,
}

impl Reader<'_> {
    /// The values of a row in the order of the columns; what is known of no column comes behind.
    fn read(&self, row: &Map<String, Value>) -> Vec<String> {
        let known = self.columns.iter().filter_map(|column| {
            let value = row.get(&column.name)?;
            Some((column.name.as_str(), column.r#type.as_str(), value))
        });
        let is_unknown = |name: &str| self.columns.iter().all(|column| column.name != name);
        let unknown = row.iter().filter(|(name, _)| is_unknown(name));
        let unknown = unknown.map(|(name, value)| (name.as_str(), "", value));
        known
            .chain(unknown)
            .filter(|(_, _, value)| !value.is_null())
            .map(|(name, kind, value)| {
                on_one_line(&format!("{} {}", label(name), self.value(name, kind, value)))
            })
            .collect()
    }

    fn value(&self, name: &str, kind: &str, value: &Value) -> String {
        let text = match value {
            Value::String(text) => text.as_str(),
            Value::Bool(is_so) => return if *is_so { "yes" } else { "no" }.to_owned(),
            other => return other.to_string(),
        };
        match kind {
            "decimal" => self.decimal(name, text),
            "date" => day(text),
            "timestamp" => match DateTime::parse_from_rfc3339(text) {
                Ok(at) => moment(at.to_utc(), self.timezone),
                Err(_) => text.to_owned(),
            },
            _ if name == "bucket" => label(text),
            _ => text.to_owned(),
        }
    }

    fn decimal(&self, name: &str, text: &str) -> String {
        let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let is_money = places == MONEY_PLACES && !PLAIN.contains(&name);
        match self.currency {
            _ if SHARES.contains(&name) => percent(text),
            Some(currency) if is_money => format!("{} {currency}", trimmed(text, CENTS)),
            _ => trimmed(text, 0).to_owned(),
        }
    }
}

/// The name of a column as people say it.
fn label(column: &str) -> String {
    let known = match column {
        "current" => "not yet due",
        "d1_30" => "1 to 30 days overdue",
        "d31_60" => "31 to 60 days overdue",
        "d61_90" => "61 to 90 days overdue",
        "d90_plus" => "over 90 days overdue",
        "below_reorder" => "below reorder point",
        "joined_30d" => "joined in 30 days",
        "left_30d" => "left in 30 days",
        "oldest_days" => "days open at most",
        column => {
            let name = column.strip_suffix("_id").filter(|name| !name.is_empty());
            return name.unwrap_or(column).replace('_', " ");
        }
    };
    known.to_owned()
}

/// A decimal without the zeros at its end that are beyond so many places.
fn trimmed(text: &str, places: usize) -> &str {
    let Some((whole, fraction)) = text.split_once('.') else { return text };
    let said = fraction.trim_end_matches('0').len().max(places.min(fraction.len()));
    if said == 0 { whole } else { text.get(..=whole.len() + said).unwrap_or(text) }
}

/// A share of one in hundredths: the point stands two digits further on.
fn percent(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<2}");
    let (first, rest) = fraction.split_at_checked(2).unwrap_or((fraction.as_str(), ""));
    let whole = format!("{whole}{first}");
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    format!("{sign}{}%", trimmed(&format!("{whole}.{rest}"), 0))
}

fn day(text: &str) -> String {
    match text.parse::<NaiveDate>() {
        Ok(day) => day.format("%-d %b %Y").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// A text without what would begin another line.
pub(super) fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn object(stored: &str) -> Map<String, Value> {
    match values(stored) {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
