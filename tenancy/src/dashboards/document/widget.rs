//! Widgets: what they are called, where they lie, whose rows they show.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::names::is_column;
use super::{
    ColumnName, Decimal, DocumentError, FilterId, MAX_ABOUT, Place, Show, ViewName, WidgetId,
    at_most, line, part, prose, scalar,
};

/// The longest SQL, in bytes.
const MAX_SQL: usize = 16_384;
/// The most columns that are compared with values.
const MAX_COMPARED: usize = 8;
/// The most parameters.
const MAX_PARAMS: usize = 32;
/// The most thresholds.
const MAX_THRESHOLDS: usize = 10;

/// A figure, a chart, a table or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DashboardWidget)]
pub struct Widget {
    /// Its name within the document, which stays when all else of it changes.
    pub id: WidgetId,
    /// Its name for people.
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// What it counts, in a sentence or two: at most 1,000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Where it lies.
    pub at: Place,
    /// Whose rows it shows; a text has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How they are shown.
    pub show: Show,
    /// What colours its numbers: of those that hold, the first. At most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10)]
    pub thresholds: Vec<Threshold>,
}

/// Whose rows are shown: those of a view, or the answer to SQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WidgetSource)]
pub struct Source {
    /// The view; or `sql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<ViewName>,
    /// Which rows of the view: columns and what they equal. At most 8.
    #[serde(rename = "where", default, skip_serializing_if = "Map::is_empty")]
    pub compared: Map<String, Value>,
    /// The query, which only reads; or `view`. At most 16,384 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 16384)]
    pub sql: Option<String>,
    /// What `$1`, `$2` and so on of the query are. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub params: Vec<Param>,
}

/// What a parameter of a query is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetParameter)]
pub enum Param {
    /// The value of a filter of the dashboard.
    Filter(FilterId),
    /// Always this text, number, true, false or null.
    Value(Value),
}

/// A bound beyond which a number has a colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WidgetThreshold)]
pub struct Threshold {
    /// The column of a table; all others have one number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<ColumnName>,
    /// On which side of the bound.
    pub is: Comparison,
    /// The bound.
    pub value: Decimal,
    /// The colour.
    pub tone: Tone,
}

/// On which side of a bound a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WidgetComparison)]
pub enum Comparison {
    /// Greater.
    Above,
    /// Greater or equal.
    AtLeast,
    /// Less.
    Below,
    /// Less or equal.
    AtMost,
}

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetTone)]
pub enum Tone {
    /// All is well.
    Good,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

impl Widget {
    /// Reads one; what is wrong in a part is told with the part's place.
    pub(super) fn read(value: &Value, place: &str) -> Result<Self, DocumentError> {
        if let Some(at) = value.get("at") {
            part::<Place>(at, &format!("{place}.at"))?;
        }
        if let Some(source) = value.get("source").filter(|source| !source.is_null()) {
            part::<Source>(source, &format!("{place}.source"))?;
        }
        if let Some(show) = value.get("show") {
            part::<Show>(show, &format!("{place}.show"))?;
        }
        let thresholds = value.get("thresholds").and_then(Value::as_array);
        for (index, threshold) in thresholds.into_iter().flatten().enumerate() {
            part::<Threshold>(threshold, &format!("{place}.thresholds[{index}]"))?;
        }
        part(value, place)
    }

    pub(super) fn check(&self, place: &str) -> Result<(), DocumentError> {
        let within = |member: &str| format!("{place}.{member}");
        line(&self.title, &within("title"))?;
        if let Some(about) = &self.about {
            prose(about, MAX_ABOUT, &within("about"))?;
        }
        self.at.check(&within("at"))?;
        match (&self.source, self.show.reads()) {
            (Some(source), true) => source.check(&within("source"))?,
            (None, false) => {}
            (Some(_), false) => {
                let message = "a text shows no rows; leave it out, or give another `show.kind`";
                return Err(DocumentError::new(within("source"), message));
            }
            (None, true) => {
                let message = "give the `view` or the `sql` whose rows are shown";
                return Err(DocumentError::new(within("source"), message));
            }
        }
        self.show.check(&within("show"))?;
        self.check_thresholds(&within("thresholds"))
    }

    fn check_thresholds(&self, place: &str) -> Result<(), DocumentError> {
        at_most(self.thresholds.len(), MAX_THRESHOLDS, place)?;
        for (index, threshold) in self.thresholds.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let message = match (&self.show, &threshold.column) {
                (Show::Text { .. }, _) => "a text has no numbers; leave it out",
                (Show::Table { columns, .. }, Some(column)) if columns.contains(column) => continue,
                (Show::Table { .. }, _) => "name in `column` one of the table's columns",
                (_, Some(_)) => "only a table's has a `column`; leave that out",
                (_, None) => continue,
            };
            return Err(DocumentError::new(place, message));
        }
        Ok(())
    }

    /// The filters that its parameters name, with the parameter's place.
    pub(super) fn filters(&self) -> impl Iterator<Item = (usize, &FilterId)> {
        let params = self.source.iter().flat_map(|source| source.params.iter().enumerate());
        params.filter_map(|(index, param)| match param {
            Param::Filter(filter) => Some((index, filter)),
            Param::Value(_) => None,
        })
    }

    /// The columns of its source that it names.
    pub fn columns(&self) -> Vec<&str> {
        let compared = self.source.iter().flat_map(|source| source.compared.keys());
        let shown = self.show.columns().into_iter().map(ColumnName::as_str);
        let coloured = self.thresholds.iter().filter_map(|threshold| threshold.column.as_ref());
        let coloured = coloured.map(ColumnName::as_str);
        compared.map(String::as_str).chain(shown).chain(coloured).collect()
    }
}

impl Source {
    fn check(&self, place: &str) -> Result<(), DocumentError> {
        let wrong = |member: &str, message: &str| {
            Err(DocumentError::new(format!("{place}.{member}"), message))
        };
        match (&self.view, &self.sql) {
            (Some(_), None) if self.params.is_empty() => {}
            (Some(_), None) => return wrong("params", "a view takes none; use `where`"),
            (None, Some(sql)) => {
                if !self.compared.is_empty() {
                    return wrong("where", "it is for views; write the condition into the SQL");
                }
                if sql.trim().is_empty() || sql.len() > MAX_SQL || sql.contains('\0') {
                    return wrong("sql", &format!("a query of 1 to {MAX_SQL} bytes"));
                }
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(DocumentError::new(place, "give either `view` or `sql`"));
            }
        }
        at_most(self.compared.len(), MAX_COMPARED, &format!("{place}.where"))?;
        for (column, value) in &self.compared {
            if !is_column(column) {
                return wrong("where", "a column's name has 1 to 128 bytes");
            }
            scalar(value, &format!("{place}.where.{column}"))?;
        }
        at_most(self.params.len(), MAX_PARAMS, &format!("{place}.params"))?;
        for (index, param) in self.params.iter().enumerate() {
            if let Param::Value(value) = param {
                scalar(value, &format!("{place}.params[{index}].value"))?;
            }
        }
        Ok(())
    }
}
