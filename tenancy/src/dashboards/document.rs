//! The document of a dashboard: what is on it, where, and from which rows.
//!
//! **In:** JSON of the schema [`SCHEMA`]. **Out:** a [`Document`] that keeps every rule that can be
//! checked without the tenant's data, or the place of what does not and the way out.
//!
//! Invariants:
//! - A [`Document`] exists only as [`parse`] or [`arrange`] has checked it.
//! - Every list, text and number in it has a bound, and no member is unknown.
//! - No two widgets lie on each other, and every filter that is named is there.

mod filter;
mod grid;
mod names;
mod show;
mod widget;

use std::collections::{BTreeMap, BTreeSet};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use self::filter::{Filter, FilterKind};
pub use self::grid::Place;
pub use self::names::{ColumnName, Decimal, FilterId, Unfit, ViewName, WidgetId};
pub use self::show::{
    Aggregate, Better, Delta, Format, Measure, Show, Since, Sort, Sparkline, Target,
};
pub use self::widget::{Comparison, Param, Source, Threshold, Tone, Widget};

/// The version of the schema that is read and written.
pub const SCHEMA: u32 = 1;
/// The most widgets of a dashboard.
pub const MAX_WIDGETS: usize = 60;
/// The most filters of a dashboard.
pub const MAX_FILTERS: usize = 12;
/// The longest title, in bytes.
const MAX_TITLE: usize = 200;
/// The longest sentence about something, in bytes.
const MAX_ABOUT: usize = 1_000;
/// The longest text that a column is compared with, in bytes.
const MAX_VALUE: usize = 1_000;

/// What is on a dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = DashboardDocument)]
pub struct Document {
    /// The version of this schema: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub schema: u32,
    /// What it is for, in a sentence or two: at most 1,000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What narrows all of it: at most 12.
    #[schema(max_items = 12)]
    pub filters: Vec<Filter>,
    /// What is on it: at most 60. Where a page is too narrow for the grid they follow each other.
    #[schema(max_items = 60)]
    pub widgets: Vec<Widget>,
}

/// What of a document is not right, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct DocumentError {
    /// The place, such as `widgets[2].show.value`; of the document as a whole `document`.
    pub place: String,
    /// What would be right.
    pub message: String,
}

impl DocumentError {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

/// A document before its parts are read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    schema: u32,
    #[serde(default)]
    about: Option<String>,
    #[serde(default)]
    filters: Vec<Value>,
    widgets: Vec<Value>,
}

/// Reads a document and checks it.
pub fn parse(value: Value) -> Result<Document, DocumentError> {
    let document = read(value)?;
    document.check()?;
    Ok(document)
}

/// Reads a document in which widgets may lie on each other, as a merge of two can leave them. Those
/// that lie where `ours`, the document of the side whose word stands, has them stay there; the others
/// move down until none lies on another, those that come later in the list below those before.
pub fn arrange(value: Value, ours: &Value) -> Result<Document, DocumentError> {
    let mut document = read(value)?;
    document.check_parts()?;
    let places = places(ours);
    grid::arrange(&mut document.widgets, |widget| {
        places.get(widget.id.as_str()) == Some(&widget.at)
    });
    document.check()?;
    Ok(document)
}

/// Where the widgets of a document lie, by their ids.
fn places(document: &Value) -> BTreeMap<&str, Place> {
    let widgets = document.get("widgets").and_then(Value::as_array).into_iter().flatten();
    let placed = widgets.filter_map(|widget| {
        let id = widget.get("id")?.as_str()?;
        Some((id, Place::deserialize(widget.get("at")?).ok()?))
    });
    placed.collect()
}

fn read(value: Value) -> Result<Document, DocumentError> {
    if !value.is_object() {
        let message = "an object with `schema` and `widgets`";
        return Err(DocumentError::new("document", message));
    }
    let schema = value.get("schema").and_then(Value::as_u64);
    if schema.is_some_and(|schema| schema != u64::from(SCHEMA)) {
        let message =
            format!("this service reads the version {SCHEMA}; write the document in that");
        return Err(DocumentError::new("schema", message));
    }
    let Frame { schema, about, filters, widgets } =
        Frame::deserialize(value).map_err(|e| DocumentError::new("document", e.to_string()))?;
    at_most(filters.len(), MAX_FILTERS, "filters")?;
    at_most(widgets.len(), MAX_WIDGETS, "widgets")?;
    let filters = filters.iter().enumerate();
    let filters = filters.map(|(index, filter)| part(filter, &format!("filters[{index}]")));
    let filters = filters.collect::<Result<_, _>>()?;
    let widgets = widgets.iter().enumerate();
    let widgets = widgets.map(|(index, widget)| Widget::read(widget, &format!("widgets[{index}]")));
    let widgets = widgets.collect::<Result<_, _>>()?;
    Ok(Document { schema, about, filters, widgets })
}

impl Document {
    fn check(&self) -> Result<(), DocumentError> {
        self.check_parts()?;
        for (index, widget) in self.widgets.iter().enumerate() {
            let mut before = self.widgets.iter().take(index);
            if let Some(below) = before.find(|other| other.at.overlaps(widget.at)) {
                let message = format!("it lies on the widget `{}`; move one of them", below.id);
                return Err(DocumentError::new(format!("widgets[{index}].at"), message));
            }
        }
        Ok(())
    }

    /// Checks all but whether widgets lie on each other.
    fn check_parts(&self) -> Result<(), DocumentError> {
        if let Some(about) = &self.about {
            prose(about, MAX_ABOUT, "about")?;
        }
        let mut filters = BTreeSet::new();
        for (index, filter) in self.filters.iter().enumerate() {
            let place = format!("filters[{index}]");
            filter.check(&place)?;
            if !filters.insert(&filter.id) {
                let message = format!("there is a filter `{}` already", filter.id);
                return Err(DocumentError::new(format!("{place}.id"), message));
            }
        }
        let mut ids = BTreeSet::new();
        for (index, widget) in self.widgets.iter().enumerate() {
            let place = format!("widgets[{index}]");
            widget.check(&place)?;
            if !ids.insert(&widget.id) {
                let message = format!("there is a widget `{}` already", widget.id);
                return Err(DocumentError::new(format!("{place}.id"), message));
            }
            for (index, filter) in widget.filters() {
                if !filters.contains(filter) {
                    let place = format!("{place}.source.params[{index}]");
                    let message = format!("there is no filter `{filter}`; add it to `filters`");
                    return Err(DocumentError::new(place, message));
                }
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parse(Value::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Reads one part; what is wrong in it is told with its place.
fn part<T: DeserializeOwned>(value: &Value, place: &str) -> Result<T, DocumentError> {
    // A list of what stands in the members would be read too.
    if !value.is_object() {
        return Err(DocumentError::new(place, "an object"));
    }
    T::deserialize(value).map_err(|error| DocumentError::new(place, error.to_string()))
}

fn at_most(count: usize, most: usize, place: &str) -> Result<(), DocumentError> {
    if count <= most {
        return Ok(());
    }
    Err(DocumentError::new(place, format!("there are {count}, and at most {most} may be")))
}

/// A title: one line of text.
fn line(text: &str, place: &str) -> Result<(), DocumentError> {
    if text.trim().is_empty() || text.len() > MAX_TITLE || text.chars().any(char::is_control) {
        return Err(DocumentError::new(place, format!("a line of text of 1 to {MAX_TITLE} bytes")));
    }
    Ok(())
}

/// Text that may have several lines.
fn prose(text: &str, most: usize, place: &str) -> Result<(), DocumentError> {
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.trim().is_empty() || text.len() > most || text.chars().any(is_odd) {
        return Err(DocumentError::new(place, format!("a text of 1 to {most} bytes")));
    }
    Ok(())
}

/// A value that a column can be compared with.
fn scalar(value: &Value, place: &str) -> Result<(), DocumentError> {
    match value {
        Value::Array(_) | Value::Object(_) => {
            Err(DocumentError::new(place, "a text, a number, true, false or null"))
        }
        Value::String(text) if text.len() > MAX_VALUE => {
            Err(DocumentError::new(place, format!("a text of at most {MAX_VALUE} bytes")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
