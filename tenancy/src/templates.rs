//! Templates: what a tenant of one line of business begins with.
//!
//! One file of `dashboards/templates` each: the modules that are on, reference data, dashboards,
//! reports, custom fields and rules of alerts. A file may extend another. Reference data are events
//! like all others, with ids that follow from the template; given twice, they have no effect.
//! Dashboards, reports and rules are the tenant's own once it has them. What a newer version of a
//! template has is [merged](merge), [part](parts) by part, with what a tenant has made of an older one.

mod extension;
mod folder;
pub mod merge;
pub mod parts;

use std::path::Path;
use std::sync::OnceLock;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

pub use self::extension::TemplateError;
use crate::dashboards::document::Document;
use crate::{Clock, TenantRecord};

/// What stands in a template for the tenant's date.
const TODAY: &str = "$today";

/// What a tenant of one line of business begins with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name, which a tenant's `vertical` is.
    pub vertical: String,
    /// 1, and one more whenever it, or what it extends, has changed.
    pub version: u64,
    /// The template that it builds on, all of which it has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Its name for people.
    pub title: String,
    /// Whom it is for, in a sentence.
    pub about: String,
    /// The modules that are on, in the order of `MODULES`.
    pub modules: Vec<String>,
    /// The reference data.
    #[serde(default)]
    pub events: Vec<TemplateEvent>,
    /// The dashboards.
    pub dashboards: Vec<TemplateDashboard>,
    /// The reports.
    #[serde(default)]
    pub reports: Vec<TemplateReport>,
    /// What its events have beside the fields of their types.
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
    /// The rules of alerts, beside those that every tenant has.
    #[serde(default)]
    pub alert_rules: Vec<TemplateRule>,
}

/// A fact that tenants begin with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateEvent {
    /// The event type.
    pub r#type: String,
    /// Its name within the template.
    pub id: String,
    /// The fields; a text that is `$today` stands for the tenant's date.
    pub data: Map<String, Value>,
}

/// A rule of alerts that tenants begin with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateRule {
    /// Its name within the template.
    pub id: String,
    /// What its alerts are called.
    pub title: String,
    /// The condition: each row of its answer is a subject that has an alert.
    pub sql: String,
    /// The columns by which subjects are told apart.
    pub key: Vec<String>,
    /// How grave its alerts are: `info`, `warning` or `critical`.
    pub severity: String,
}

/// A dashboard that tenants begin with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateDashboard {
    /// Its name within the template.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// What is on it.
    pub document: Document,
}

/// A report that tenants begin with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateReport {
    /// Its name within the template.
    pub id: String,
    /// The report as `POST /v1/reports` takes it.
    pub definition: Map<String, Value>,
}

/// A field that the tenant's own services send with events of one type, beside those that the type
/// has: a column of its events in SQL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// Its name within the template.
    pub id: String,
    /// The event type.
    pub on: String,
    /// Its name in the event's data, and its column's name in SQL.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it holds.
    pub r#type: CustomFieldType,
    /// Of a text, what it may be; anything, where nothing is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What a custom field holds; what does not fit it is null in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CustomFieldType {
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

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../dashboards/templates/", $name, ".json")))),*]
    };
}

/// The files by name, in the order in which they are listed.
const FILES: &[(&str, &str)] = files![
    "commerce",
    "services",
    "wholesale",
    "manufacturing",
    "retail",
    "construction",
    "development",
    "property",
    "healthcare",
    "nonprofit",
    "agency",
    "hospitality",
    "education",
    "household",
];

/// Those of this process: set once, by whoever asks or [`load`]s first.
static TEMPLATES: OnceLock<Vec<Template>> = OnceLock::new();

/// All templates.
pub fn all() -> &'static [Template] {
    TEMPLATES.get_or_init(|| {
        // That all of them can be read is tested.
        extension::resolve(FILES).unwrap_or_else(|error| {
            tracing::error!(%error, "there are no templates");
            Vec::new()
        })
    })
}

/// The template of a line of business, if there is one.
pub fn find(vertical: &str) -> Option<&'static Template> {
    all().iter().find(|template| template.vertical == vertical)
}

/// Has the templates of a folder be there beside the built-in ones, and in the places of those whose
/// names they have; answers all. Each is a file `<vertical>.json`, and may extend a built-in one.
///
/// It is done before anybody asks for a template: [`TemplateError::Late`] where others are in use.
pub fn load(path: &Path) -> Result<&'static [Template], TemplateError> {
    let own = folder::read(path)?;
    let files = folder::beside(FILES, &own);
    let loaded = extension::resolve(&files)?;
    folder::check(&files, &loaded)?;
    if TEMPLATES.get_or_init(|| loaded.clone()) != &loaded {
        return Err(TemplateError::Late);
    }
    Ok(all())
}

impl Template {
    /// The reference data as `CloudEvents` of a tenant: the same whenever it is asked for.
    ///
    /// They are as old as the tenant. Where its events make its date they are of 1970, so that its
    /// own ones decide.
    pub fn cloud_events(&self, tenant: &TenantRecord) -> Vec<Value> {
        self.dated_events(self.events.iter(), tenant, tenant.created_at)
    }

    /// Some of the reference data as `CloudEvents` of a tenant, dated `at`.
    pub fn dated_events<'a>(
        &self,
        events: impl Iterator<Item = &'a TemplateEvent>,
        tenant: &TenantRecord,
        at: DateTime<Utc>,
    ) -> Vec<Value> {
        let time = match tenant.clock {
            Clock::Events => DateTime::<Utc>::UNIX_EPOCH,
            Clock::Wall | Clock::Fixed(_) => at,
        };
        let today = tenant.today(at).unwrap_or_else(|| time.date_naive());
        let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let event = |event: &TemplateEvent| {
            json!({
                "specversion": "1.0",
                "id": self.event_id(&event.id),
                "source": format!("/templates/{}", self.vertical),
                "type": event.r#type,
                "time": time,
                "data": dated(&event.data, today),
            })
        };
        events.map(event).collect()
    }

    /// The reference data that are not in a version before.
    pub fn later_events(&self, before: Option<&Self>) -> impl Iterator<Item = &TemplateEvent> {
        let is_new = move |event: &&TemplateEvent| {
            before.is_none_or(|before| before.events.iter().all(|known| known.id != event.id))
        };
        self.events.iter().filter(is_new)
    }

    /// The id that an event of its reference data has with every tenant.
    pub fn event_id(&self, id: &str) -> String {
        format!("template/{}/{id}", self.vertical)
    }

    /// The id that a dashboard, a report or a rule of it has with every tenant.
    pub fn part_id(&self, id: &str) -> String {
        format!("{}-{id}", self.vertical)
    }

    /// The id that a rule of it has with every tenant.
    pub fn rule_id(&self, rule: &TemplateRule) -> String {
        self.part_id(&rule.id)
    }
}

/// Whether an id may be one that a dashboard, a report or a rule of a template has: its template's name
/// stands before a hyphen, and those that are drawn for a tenant's own have none.
pub(crate) fn is_part_id(id: &str) -> bool {
    id.contains('-')
}

fn dated(data: &Map<String, Value>, today: NaiveDate) -> Map<String, Value> {
    let value = |value: &Value| match value {
        Value::String(text) if text == TODAY => Value::from(today.to_string()),
        other => other.clone(),
    };
    data.iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

#[cfg(test)]
mod tests;
