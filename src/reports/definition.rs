//! What a report is, as its author writes it, and what of it can be wrong.

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use query::Calendar;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use tenancy::Role;
use utoipa::ToSchema;

use super::as_of::AsOf;
use super::delivery::Target;
use super::schedule::Timetable;

/// The longest name, in bytes.
const MAX_NAME: usize = 200;
/// Parameters of one report.
const MAX_PARAMS: usize = 32;
/// Places that one report is delivered to.
const MAX_TARGETS: usize = 16;
/// Days for which a file is kept at most.
const MAX_DAYS: u32 = 3_660;

/// A field of a report or a run that is not right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub(crate) struct Wrong {
    /// The field as it is called in JSON.
    pub(crate) field: String,
    /// What would be right.
    pub(crate) message: String,
}

impl Wrong {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewReport)]
pub(crate) struct Definition {
    /// Its name for people; what its files are called.
    #[schema(min_length = 1)]
    pub(crate) name: String,
    /// The query; or `view`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sql: Option<String>,
    /// The view whose rows it has; or `sql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) view: Option<String>,
    /// What `$1`, `$2` and so on are. A value alone, as a query takes it, is the default of `p1`, `p2` and
    /// so on.
    #[serde(default, deserialize_with = "params")]
    pub(crate) params: Vec<Param>,
    /// The format of its files.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) format: FileFormat,
    /// Whether text in CSV is left as it is, without the guard against formulas.
    #[serde(default)]
    pub(crate) raw: bool,
    /// The day or position it is made at, in words; now unless it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<String>,
    /// The month in which fiscal years begin, 1 to 12, for words like `{{last_fiscal_year.start}}`.
    #[serde(default = "january")]
    #[schema(minimum = 1, maximum = 12)]
    pub(crate) fiscal_year_starts: u32,
    /// When it is made by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schedule: Option<Schedule>,
    /// Days for which its files are kept.
    #[serde(default = "a_month", deserialize_with = "or_a_month")]
    #[schema(minimum = 1, maximum = 3660)]
    pub(crate) keep_days: u32,
    /// Where its files go.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) deliver: Vec<Target>,
}

const fn january() -> u32 {
    1
}

const fn a_month() -> u32 {
    30
}

/// What is null is as what is left out.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn or_a_month<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(a_month))
}

fn params<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Param>, D::Error> {
    let stated: Vec<Value> = or_default(deserializer)?;
    let read = |(place, value): (usize, Value)| match ParamType::of(&value) {
        Some(r#type) => Ok(Param { name: format!("p{}", place + 1), r#type, default: Some(value) }),
        None => serde_json::from_value(value).map_err(D::Error::custom),
    };
    stated.into_iter().enumerate().map(read).collect()
}

/// The format of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileFormat {
    /// RFC 4180.
    #[default]
    Csv,
    /// One sheet.
    Xlsx,
    /// Columns with their types.
    Parquet,
}

impl FileFormat {
    /// What its files' names end with.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Parquet => "parquet",
        }
    }

    /// Its media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReportParameter)]
pub(crate) struct Param {
    /// What a run calls it.
    #[schema(pattern = "^[A-Za-z0-9_]{1,63}$")]
    pub(crate) name: String,
    /// What it holds.
    pub(crate) r#type: ParamType,
    /// What it is unless a run says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Value>,
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReportParameterType)]
pub(crate) enum ParamType {
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// An exact decimal.
    Decimal,
    /// A day.
    Date,
    /// An instant.
    Timestamp,
    /// True or false.
    Bool,
}

/// When a report is made by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schedule {
    /// Minute, hour, day of the month, month, day of the week.
    pub(crate) cron: String,
    /// The IANA zone whose clock is meant; the tenant's unless it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timezone: Option<String>,
    /// What is done about times that have passed meanwhile.
    #[serde(default)]
    pub(crate) catch_up: CatchUp,
}

/// What is done about times that passed while nobody could make the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CatchUp {
    /// The last of them is made.
    #[default]
    Last,
    /// All of them are.
    All,
    /// None of them is.
    None,
}

impl Definition {
    /// What can be checked without the tenant's data; puts the tenant's zone where none is named.
    pub(crate) fn checked(mut self, zone: Tz) -> Result<Self, Wrong> {
        let has_control = self.name.chars().any(char::is_control);
        if self.name.trim().is_empty() || self.name.len() > MAX_NAME || has_control {
            return Err(Wrong::new("name", format!("a line of text of 1 to {MAX_NAME} bytes")));
        }
        match (&self.sql, &self.view) {
            (Some(_), None) => {}
            (None, Some(_)) if self.params.is_empty() => {}
            (None, Some(_)) => {
                let way_out = "a view takes none; write `sql`, with $1 for the first of them";
                return Err(Wrong::new("params", way_out));
            }
            _ => return Err(Wrong::new("sql", "give either `sql` or `view`")),
        }
        if !(1..=12).contains(&self.fiscal_year_starts) {
            return Err(Wrong::new("fiscal_year_starts", "a month, 1 to 12"));
        }
        if !(1..=MAX_DAYS).contains(&self.keep_days) {
            return Err(Wrong::new("keep_days", format!("a number of days from 1 to {MAX_DAYS}")));
        }
        if self.deliver.len() > MAX_TARGETS {
            return Err(Wrong::new("deliver", format!("at most {MAX_TARGETS} places")));
        }
        for (place, target) in self.deliver.iter().enumerate() {
            let within = |wrong: Wrong| {
                Wrong::new(format!("deliver[{place}].{}", wrong.field), wrong.message)
            };
            let refusal = |role| {
                let message = "does not see what is asked in SQL; make a report of a view for it";
                (!self.is_for(role)).then(|| format!("the role `{role}` {message}"))
            };
            target.check(self.fiscal_year_starts, refusal).map_err(within)?;
        }
        self.check_params()?;
        if let Some(text) = &self.as_of {
            let some_day = Calendar::new(NaiveDate::default(), self.fiscal_year_starts);
            let text = some_day.expand(text).map_err(|e| Wrong::new("as_of", e.to_string()))?;
            AsOf::parse(&text)?;
        }
        if let Some(schedule) = &mut self.schedule {
            let zone = schedule.timezone.get_or_insert_with(|| zone.name().to_owned());
            Timetable::new(&schedule.cron, zone)?;
        }
        Ok(self)
    }

    fn check_params(&self) -> Result<(), Wrong> {
        if self.params.len() > MAX_PARAMS {
            return Err(Wrong::new("params", format!("at most {MAX_PARAMS}")));
        }
        for (place, param) in self.params.iter().enumerate() {
            let field = |what: &str| format!("params[{place}].{what}");
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if param.name.is_empty() || param.name.len() > 63 || !param.name.chars().all(is_word) {
                let message = "1 to 63 letters, digits and underscores";
                return Err(Wrong::new(field("name"), message));
            }
            if self.params.iter().take(place).any(|other| other.name == param.name) {
                return Err(Wrong::new(field("name"), "another parameter has this name"));
            }
            if param.default.is_none() && self.schedule.is_some() {
                let message = "a report with a schedule needs one for each parameter";
                return Err(Wrong::new(field("default"), message));
            }
        }
        // Any day will do: words that mean one mean one on every day.
        let given = self.params.iter().filter(|param| param.default.is_none());
        let given = given.map(|param| (param.name.clone(), param.r#type.example())).collect();
        self.values(&given, NaiveDate::default()).map(drop)
    }

    /// The values of `$1`, `$2` and so on for a run that gives some of them, on the tenant's date.
    pub(crate) fn values(
        &self,
        given: &Map<String, Value>,
        today: NaiveDate,
    ) -> Result<Vec<Value>, Wrong> {
        if let Some(name) = given.keys().find(|name| self.params.iter().all(|p| p.name != **name)) {
            let name: String = name.chars().take(40).collect();
            let names: Vec<&str> = self.params.iter().map(|param| param.name.as_str()).collect();
            let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Wrong::new(
                "params",
                format!("there is no '{name}'; the report has {has}"),
            ));
        }
        let calendar = Calendar::new(today, self.fiscal_year_starts);
        let value = |param: &Param| {
            let field = format!("params.{}", param.name);
            let value = given.get(&param.name).or(param.default.as_ref());
            let value = value.ok_or_else(|| Wrong::new(&field, "it has no default; give it"))?;
            param.r#type.read(value, calendar).map_err(|message| Wrong::new(field, message))
        };
        self.params.iter().map(value).collect()
    }

    /// The values with which a query is planned to see whether it can be.
    pub(crate) fn examples(&self) -> Vec<Value> {
        self.params.iter().map(|param| param.r#type.example()).collect()
    }

    /// Its timetable, if it has a schedule.
    pub(crate) fn timetable(&self) -> Result<Option<Timetable>, Wrong> {
        let Some(schedule) = &self.schedule else { return Ok(None) };
        let zone = schedule.timezone.as_deref().unwrap_or("UTC");
        Timetable::new(&schedule.cron, zone).map(Some)
    }

    /// What must be among the roles of those who see it: views are for all who read figures.
    pub(crate) fn is_for(&self, role: Role) -> bool {
        match role {
            Role::Analyst | Role::Admin => true,
            Role::Executive => self.view.is_some(),
            Role::Service | Role::Platform => false,
        }
    }

    /// The name of a file of it, made on that date.
    pub(crate) fn file_name(&self, today: NaiveDate) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let mut name: String = self.name.chars().map(letter).collect();
        while name.contains("--") {
            name = name.replace("--", "-");
        }
        let name = name.trim_matches('-');
        let name = if name.is_empty() { "report" } else { name };
        let name: String = name.chars().take(80).collect();
        format!("{name}-{today}.{}", self.format.extension())
    }
}

impl ParamType {
    /// What a value holds that is stated alone; none where it is no such value.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_) => Some(Self::Bool),
            Value::Number(number) if number.is_i64() => Some(Self::Int),
            Value::Number(_) => Some(Self::Decimal),
            Value::String(text) if NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() => {
                Some(Self::Date)
            }
            Value::String(_) => Some(Self::Text),
            _ => None,
        }
    }

    /// A value as it is bound. Words in double braces are dates of `calendar`.
    fn read(self, value: &Value, calendar: Calendar) -> Result<Value, String> {
        let text = match value {
            Value::Null => return Ok(Value::Null),
            Value::String(text) => Some(calendar.expand(text).map_err(|e| e.to_string())?),
            _ => None,
        };
        let shown = || value.to_string().chars().take(40).collect::<String>();
        let refused = |expected: &str| format!("{} is not {expected}", shown());
        match (self, text, value) {
            (Self::Text, Some(text), _) => Ok(Value::from(text)),
            (Self::Text, None, _) => Err(refused("a text")),
            (Self::Date, Some(text), _) => match NaiveDate::parse_from_str(&text, "%Y-%m-%d") {
                Ok(_) => Ok(Value::from(text)),
                Err(_) => Err(refused("a date like 2026-01-31")),
            },
            (Self::Date, None, _) => Err(refused("a date like \"2026-01-31\"")),
            (Self::Timestamp, Some(text), _) => match DateTime::parse_from_rfc3339(&text) {
                Ok(_) => Ok(Value::from(text)),
                Err(_) => Err(refused("an instant like 2026-01-31T12:00:00Z")),
            },
            (Self::Timestamp, None, _) => Err(refused("an instant like \"2026-01-31T12:00:00Z\"")),
            (Self::Int, None, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
            (Self::Int, _, _) => Err(refused("a whole number")),
            (Self::Decimal, None, Value::Number(_)) | (Self::Bool, None, Value::Bool(_)) => {
                Ok(value.clone())
            }
            (Self::Decimal, Some(text), _) if is_decimal(&text) => Ok(Value::from(text)),
            (Self::Decimal, _, _) => Err(refused("a decimal like \"12.50\"")),
            (Self::Bool, _, _) => Err(refused("true or false")),
        }
    }

    fn example(self) -> Value {
        match self {
            Self::Text => Value::from(""),
            Self::Int => Value::from(1),
            Self::Decimal => Value::from("1.0"),
            Self::Date => Value::from("2000-01-01"),
            Self::Timestamp => Value::from("2000-01-01T00:00:00Z"),
            Self::Bool => Value::from(true),
        }
    }
}

/// `[-]digits[.digits]`
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(places)
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
