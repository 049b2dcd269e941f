//! Templates: what a tenant of one line of business begins with.
//!
//! One file of `dashboards/templates` each: the modules that are on, reference data, and dashboards.
//! Reference data are events like all others, with ids that follow from the template; given twice,
//! they have no effect.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{Clock, TenantRecord};

/// What stands in a template for the tenant's date.
const TODAY: &str = "$today";

/// What a tenant of one line of business begins with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name, which a tenant's `vertical` is.
    pub vertical: String,
    /// Its name for people.
    pub title: String,
    /// Whom it is for, in a sentence.
    pub about: String,
    /// The modules that are on, in the order of `MODULES`.
    pub modules: Vec<String>,
    /// The reference data.
    pub events: Vec<TemplateEvent>,
    /// The dashboards.
    pub dashboards: Vec<Dashboard>,
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

/// A page of figures.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Its name within the template.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// What is on it, in order.
    pub tiles: Vec<Tile>,
}

/// A figure, chart or table of one view.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tile {
    /// Its name for people.
    pub title: String,
    /// How it is shown.
    pub kind: TileKind,
    /// The view whose rows it shows.
    pub view: String,
    /// The column that is shown or added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The column by which it is split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The column that names the currency: amounts of different ones are never added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The columns of a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The column it is sorted by, with `-` before it from the largest down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// How many rows are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Which rows: columns and what they equal.
    #[serde(rename = "where", default, skip_serializing_if = "Map::is_empty")]
    pub filter: Map<String, Value>,
}

/// How a tile is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TileKind {
    /// One large number.
    Figure,
    /// A bar for each value of a column.
    Bars,
    /// The largest few.
    Ranking,
    /// Rows.
    Table,
}

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$(include_str!(concat!("../../dashboards/templates/", $name, ".json"))),*]
    };
}

const TEXTS: &[&str] = templates!["services", "property", "wholesale", "construction", "retail"];

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    // That all of them can be read is tested.
    TEXTS.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
});

/// All templates.
pub fn all() -> &'static [Template] {
    &TEMPLATES
}

/// The template of a line of business, if there is one.
pub fn find(vertical: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.vertical == vertical)
}

impl Template {
    /// The reference data as `CloudEvents` of a tenant: the same whenever it is asked for.
    ///
    /// They are as old as the tenant. Where its events make its date they are of 1970, so that its
    /// own ones decide.
    pub fn cloud_events(&self, tenant: &TenantRecord) -> Vec<Value> {
        let time = match tenant.clock {
            Clock::Events => DateTime::<Utc>::UNIX_EPOCH,
            Clock::Wall | Clock::Fixed(_) => tenant.created_at,
        };
        let today = tenant.today(tenant.created_at).unwrap_or_else(|| time.date_naive());
        let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let event = |event: &TemplateEvent| {
            json!({
                "specversion": "1.0",
                "id": format!("template/{}/{}", self.vertical, event.id),
                "source": format!("/templates/{}", self.vertical),
                "type": event.r#type,
                "time": time,
                "data": dated(&event.data, today),
            })
        };
        self.events.iter().map(event).collect()
    }
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
