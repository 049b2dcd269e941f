//! What is known of a tenant.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Invalid, Locale, TenantId, branding};

/// A tenant as the control store holds it.
///
/// Serializes to what the outside sees of it: everything but the number.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantRecord {
    /// What data is filed under; from 1, never reused, never shown outside.
    #[serde(skip)]
    pub number: u32,
    /// The name in tokens and URLs.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// The name for people.
    pub name: String,
    /// Where its days begin and end.
    #[serde(serialize_with = "timezone_name")]
    #[schema(value_type = String)]
    pub timezone: Tz,
    /// The currency of amounts that name none.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$")]
    pub currency: Currency,
    /// How numbers and dates are written for its people: a language tag (BCP 47), such as `en-GB`.
    #[schema(value_type = String)]
    pub locale: Locale,
    /// Where its date comes from: `wall`, `events` or `fixed:YYYY-MM-DD`.
    #[schema(value_type = String)]
    pub clock: Clock,
    /// The line of business, which chooses templates.
    pub vertical: Option<String>,
    /// The modules it uses, in the order of `MODULES`.
    pub modules: Vec<String>,
    /// Name, logo and colours, for the page to show.
    pub branding: Option<Map<String, Value>>,
    /// When it was created, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// The template whose reference data it is still to be given.
    #[serde(skip)]
    pub template: Option<String>,
}

impl TenantRecord {
    /// The tenant's date at `now`; `None` when the newest of its events decides ([`Clock::Events`]).
    pub fn today(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        match self.clock {
            Clock::Wall => Some(now.with_timezone(&self.timezone).date_naive()),
            Clock::Events => None,
            Clock::Fixed(date) => Some(date),
        }
    }

    /// What its people call it: the name of its branding, or else its own.
    pub fn firm(&self) -> &str {
        let branding = self.branding.as_ref();
        let name = branding.and_then(|branding| branding.get("name")).and_then(Value::as_str);
        name.filter(|name| !name.is_empty()).unwrap_or(&self.name)
    }

    /// The colour of its branding by day: red, green and blue as in `0x0b_6b_75`.
    pub fn colour(&self) -> Option<u32> {
        branding::accent(self.branding.as_ref()?)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn timezone_name<S: Serializer>(timezone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(timezone.name())
}

/// Where a tenant's date comes from. In text `wall`, `events` or `fixed:YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Clock {
    /// Today in its timezone.
    #[default]
    Wall,
    /// The date of the newest event seen.
    Events,
    /// Always this date, from 1900 to 9999.
    Fixed(NaiveDate),
}

impl FromStr for Clock {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "wall" => return Ok(Self::Wall),
            "events" => return Ok(Self::Events),
            _ => {}
        }
        let Some(date) = text.strip_prefix("fixed:") else {
            return Err(Invalid::new("clock", "a clock is `wall`, `events` or `fixed:YYYY-MM-DD`"));
        };
        // chrono also reads `2024-1-5` and `+2024-01-05`; one date has one spelling here.
        NaiveDate::parse_from_str(date, "%Y-%m-%d")
            .ok()
            .filter(|d| (1900..=9999).contains(&d.year()) && d.to_string() == date)
            .map(Self::Fixed)
            .ok_or_else(|| {
                Invalid::new(
                    "clock",
                    "after `fixed:` comes a date of the calendar from 1900-01-01 to 9999-12-31, as YYYY-MM-DD",
                )
            })
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wall => f.write_str("wall"),
            Self::Events => f.write_str("events"),
            Self::Fixed(date) => write!(f, "fixed:{date}"),
        }
    }
}

impl TryFrom<String> for Clock {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Clock> for String {
    fn from(clock: Clock) -> Self {
        clock.to_string()
    }
}

/// An ISO 4217 code: three capital letters. That the code is in use is not checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        // Always ASCII: `from_str` is the only way in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(Invalid::new(
                "currency",
                "a currency is an ISO 4217 code of three capital letters, such as EUR",
            )),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

impl TryFrom<String> for Currency {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests;
