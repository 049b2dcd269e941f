//! Creating and changing tenants: the bodies of requests, and what values may be.
//!
//! In all of them an unknown field is refused. In changes an absent field stays as it is, and `null`
//! is only for what may be missing: it clears `vertical` and `branding` and gives `modules` back
//! their default, all there are.

#![expect(clippy::option_option, reason = "absent, null and a value are three things in a change")]

use std::fmt;
use std::marker::PhantomData;

use chrono_tz::Tz;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::templates::{self, Template};
use crate::{Clock, Currency, Invalid, Locale, MODULES, TenantId, TenantRecord, branding};

/// The longest name, in characters.
const MAX_TEXT: usize = 200;

/// A tenant to be created: the body of `POST /v1/platform/tenants`.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTenant {
    /// The name in tokens and URLs.
    pub id: TenantId,
    /// The name for people: 1–200 characters.
    pub name: String,
    /// Where its days begin and end.
    pub timezone: Tz,
    /// The currency of amounts that name none.
    pub currency: Currency,
    /// How numbers and dates are written for its people.
    pub locale: Locale,
    /// Where its date comes from.
    pub clock: Clock,
    /// The line of business, one of [`templates`].
    pub vertical: Option<String>,
    /// Some of [`MODULES`]; `None` for those of the template, or all.
    pub modules: Option<Vec<String>>,
    /// Name, logo and colours.
    pub branding: Option<Map<String, Value>>,
}

impl NewTenant {
    /// A tenant on the wall clock and of the default locale, with all modules and no more than it must
    /// have.
    pub fn new(id: TenantId, name: impl Into<String>, timezone: Tz, currency: Currency) -> Self {
        Self {
            id,
            name: name.into(),
            timezone,
            currency,
            locale: Locale::default(),
            clock: Clock::Wall,
            vertical: None,
            modules: None,
            branding: None,
        }
    }

    /// The template of its line of business.
    pub(crate) fn template(&self) -> Option<&'static Template> {
        self.vertical.as_deref().and_then(templates::find)
    }

    /// Whether this is what a tenant was created with, and it has not been changed since.
    pub fn describes(&self, tenant: &TenantRecord) -> bool {
        let modules = self.modules.as_ref().or_else(|| self.template().map(|t| &t.modules));
        let all = || tenant.modules.iter().eq(MODULES.iter());
        self.id == tenant.id
            && self.name == tenant.name
            && self.timezone == tenant.timezone
            && self.currency == tenant.currency
            && self.locale == tenant.locale
            && self.clock == tenant.clock
            && self.vertical == tenant.vertical
            && self.branding == tenant.branding
            && modules.map_or_else(all, |modules| *modules == tenant.modules)
    }

    /// The same with every value as it is stored, or what is wrong with one.
    pub(crate) fn checked(self) -> Result<Self, Invalid> {
        Ok(Self {
            name: text("name", &self.name)?,
            vertical: self.vertical.map(vertical).transpose()?,
            modules: self.modules.map(|m| modules(&m)).transpose()?,
            branding: self.branding.map(branding::checked).transpose()?,
            ..self
        })
    }
}

/// A change of a tenant by the platform: the body of `PATCH /v1/platform/tenants/{id}`.
///
/// `None` leaves a field as it is; in the doubled options `Some(None)` clears it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantChange {
    /// The name for people.
    pub name: Option<String>,
    /// Where its days begin and end.
    pub timezone: Option<Tz>,
    /// The currency of amounts that name none, for events to come.
    pub currency: Option<Currency>,
    /// How numbers and dates are written for its people.
    pub locale: Option<Locale>,
    /// Where its date comes from.
    pub clock: Option<Clock>,
    /// The line of business.
    pub vertical: Option<Option<String>>,
    /// Some of [`MODULES`]; `Some(None)` for all.
    pub modules: Option<Option<Vec<String>>>,
    /// Name, logo and colours.
    pub branding: Option<Option<Map<String, Value>>>,
}

impl TenantChange {
    /// The same with every value as it is stored, or what is wrong with one.
    pub(crate) fn checked(self) -> Result<Self, Invalid> {
        Ok(Self {
            name: self.name.map(|n| text("name", &n)).transpose()?,
            vertical: nested(self.vertical, vertical)?,
            modules: nested(self.modules, |m| modules(&m))?,
            branding: nested(self.branding, branding::checked)?,
            ..self
        })
    }
}

/// A change of a tenant by its own admin: the body of `PATCH /v1/tenant`. The clock is the
/// platform's to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantSettings {
    /// The name for people.
    pub name: Option<String>,
    /// Where its days begin and end.
    pub timezone: Option<Tz>,
    /// The currency of amounts that name none, for events to come.
    pub currency: Option<Currency>,
    /// How numbers and dates are written for its people.
    pub locale: Option<Locale>,
    /// The line of business.
    pub vertical: Option<Option<String>>,
    /// Some of [`MODULES`]; `Some(None)` for all.
    pub modules: Option<Option<Vec<String>>>,
    /// Name, logo and colours.
    pub branding: Option<Option<Map<String, Value>>>,
}

impl From<TenantSettings> for TenantChange {
    fn from(settings: TenantSettings) -> Self {
        let TenantSettings { name, timezone, currency, locale, vertical, modules, branding } =
            settings;
        Self { name, timezone, currency, locale, vertical, modules, branding, clock: None }
    }
}

// The bodies as they come. What is text in JSON is text here, so that a bad value is reported with
// the name of its field.

/// A tenant to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTenantBody {
    /// The name in tokens and URLs.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    id: String,
    /// The name for people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Where its days begin and end: a name of the IANA database.
    timezone: String,
    /// The currency of amounts that name none, ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: String,
    /// How numbers and dates are written for its people: a language tag (BCP 47) such as `de-DE`;
    /// `en-GB` unless it says.
    locale: Option<String>,
    /// Where its date comes from: `wall`, `events` or `fixed:YYYY-MM-DD`; `wall` unless it says.
    clock: Option<String>,
    /// The line of business, one of `GET /v1/platform/verticals`.
    vertical: Option<String>,
    /// Modules; those of the line of business, or all, unless it says.
    modules: Option<Vec<String>>,
    /// Name, logo and colours.
    branding: Option<Map<String, Value>>,
}

impl TryFrom<NewTenantBody> for NewTenant {
    type Error = Invalid;

    fn try_from(body: NewTenantBody) -> Result<Self, Invalid> {
        Self {
            id: body.id.try_into()?,
            name: body.name,
            timezone: timezone(&body.timezone)?,
            currency: body.currency.parse()?,
            locale: body.locale.map_or_else(|| Ok(Locale::default()), |l| l.parse())?,
            clock: body.clock.map_or(Ok(Clock::Wall), |c| c.parse())?,
            vertical: body.vertical,
            modules: body.modules,
            branding: body.branding,
        }
        .checked()
    }
}

/// What of a tenant is to be another; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// The name for people.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Where its days begin and end: a name of the IANA database.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    timezone: Option<String>,
    /// The currency of amounts that name none, ISO 4217, for events to come.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, pattern = "^[A-Z]{3}$")]
    currency: Option<String>,
    /// How numbers and dates are written for its people: a language tag (BCP 47) such as `de-DE`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    locale: Option<String>,
    /// Where its date comes from: `wall`, `events` or `fixed:YYYY-MM-DD`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    clock: Option<String>,
    /// The line of business; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    vertical: Option<Option<String>>,
    /// Modules; null for all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    modules: Option<Option<Vec<String>>>,
    /// Name, logo and colours; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Map<String, Value>>)]
    branding: Option<Option<Map<String, Value>>>,
}

impl TryFrom<ChangeBody> for TenantChange {
    type Error = Invalid;

    fn try_from(body: ChangeBody) -> Result<Self, Invalid> {
        Self {
            name: body.name,
            timezone: body.timezone.map(|t| timezone(&t)).transpose()?,
            currency: body.currency.map(|c| c.parse()).transpose()?,
            locale: body.locale.map(|l| l.parse()).transpose()?,
            clock: body.clock.map(|c| c.parse()).transpose()?,
            vertical: body.vertical,
            modules: body.modules,
            branding: body.branding,
        }
        .checked()
    }
}

/// What of its tenant an admin changes; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsBody {
    /// The name for people.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Where its days begin and end: a name of the IANA database.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    timezone: Option<String>,
    /// The currency of amounts that name none, ISO 4217, for events to come.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, pattern = "^[A-Z]{3}$")]
    currency: Option<String>,
    /// How numbers and dates are written for its people: a language tag (BCP 47) such as `de-DE`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    locale: Option<String>,
    /// The line of business; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    vertical: Option<Option<String>>,
    /// Modules; null for all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    modules: Option<Option<Vec<String>>>,
    /// Name, logo and colours; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Map<String, Value>>)]
    branding: Option<Option<Map<String, Value>>>,
}

impl TryFrom<SettingsBody> for TenantSettings {
    type Error = Invalid;

    fn try_from(body: SettingsBody) -> Result<Self, Invalid> {
        let change = TenantChange {
            name: body.name,
            timezone: body.timezone.map(|t| timezone(&t)).transpose()?,
            currency: body.currency.map(|c| c.parse()).transpose()?,
            locale: body.locale.map(|l| l.parse()).transpose()?,
            vertical: body.vertical,
            modules: body.modules,
            branding: body.branding,
            ..TenantChange::default()
        };
        let TenantChange { name, timezone, currency, locale, vertical, modules, branding, .. } =
            change.checked()?;
        Ok(Self { name, timezone, currency, locale, vertical, modules, branding })
    }
}

impl<'de> Deserialize<'de> for NewTenant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        object::<NewTenantBody, D>(from)?.try_into().map_err(Error::custom)
    }
}

impl<'de> Deserialize<'de> for TenantChange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        object::<ChangeBody, D>(from)?.try_into().map_err(Error::custom)
    }
}

impl<'de> Deserialize<'de> for TenantSettings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        object::<SettingsBody, D>(from)?.try_into().map_err(Error::custom)
    }
}

/// The schemas of what is sent are those of the bodies as they come.
macro_rules! schema_of {
    ($sent:ty, $body:ty) => {
        impl PartialSchema for $sent {
            fn schema() -> RefOr<Schema> {
                <$body as PartialSchema>::schema()
            }
        }

        impl ToSchema for $sent {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$body as ToSchema>::schemas(schemas);
            }
        }
    };
}

schema_of!(NewTenant, NewTenantBody);
schema_of!(TenantChange, ChangeBody);
schema_of!(TenantSettings, SettingsBody);

/// Reads `T` from a JSON object. A derived `Deserialize` would take an array of the fields' values
/// too, where `[]` is a change of nothing and a field that moves changes what a body means.
fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_map(Object(PhantomData))
}

/// Tells an absent field (`None`, by default) from one that is there: a `null` reaches the type
/// inside, which takes or refuses it.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn nested<T, U>(
    field: Option<Option<T>>,
    check: impl FnOnce(T) -> Result<U, Invalid>,
) -> Result<Option<Option<U>>, Invalid> {
    field.map(|inner| inner.map(check).transpose()).transpose()
}

pub(crate) fn timezone(name: &str) -> Result<Tz, Invalid> {
    name.parse().map_err(|_| {
        Invalid::new(
            "timezone",
            "a timezone is the name of a place in the IANA database, such as Europe/Berlin, or UTC",
        )
    })
}

/// Trims, and refuses what is empty, too long or not for display.
fn text(field: &'static str, value: &str) -> Result<String, Invalid> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > MAX_TEXT || value.chars().any(char::is_control) {
        let message = format!("has 1 to {MAX_TEXT} characters, and no control characters");
        return Err(Invalid::new(field, message));
    }
    Ok(value.to_owned())
}

/// The name of a template.
fn vertical(name: String) -> Result<String, Invalid> {
    if templates::find(&name).is_some() {
        return Ok(name);
    }
    let known: Vec<&str> = templates::all().iter().map(|t| t.vertical.as_str()).collect();
    let message = format!("there is no such line of business; there are {}", known.join(", "));
    Err(Invalid::new("vertical", message))
}

/// Each once, in the order of [`MODULES`].
fn modules(names: &[String]) -> Result<Vec<String>, Invalid> {
    let known = MODULES.join(", ");
    if names.is_empty() {
        let message = format!("name at least one of {known}, or leave the field out for all");
        return Err(Invalid::new("modules", message));
    }
    if let Some(place) = names.iter().position(|name| !MODULES.contains(&name.as_str())) {
        let message = format!("the entry {place} (from 0) is no module; there are {known}");
        return Err(Invalid::new("modules", message));
    }
    let chosen = MODULES.into_iter().filter(|module| names.iter().any(|name| name == module));
    Ok(chosen.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
