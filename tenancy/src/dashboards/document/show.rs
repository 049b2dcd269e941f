//! How rows are shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ColumnName, Decimal, DocumentError, at_most, line, prose};

/// The longest text of a widget, in bytes.
const MAX_TEXT: usize = 8_192;
/// The most measures of a chart.
const MAX_MEASURES: usize = 8;
/// The most columns of a table.
const MAX_COLUMNS: usize = 30;
/// The most steps of a funnel or of ages.
const MAX_STEPS: usize = 20;
/// The most rows or bars.
const MAX_LIMIT: u16 = 1_000;

/// How rows are shown. Amounts of different currencies are never added: `currency` is the column that
/// names it, and each one has its own number, bar or line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = WidgetShow)]
pub enum Show {
    /// One large number.
    Kpi {
        /// The number.
        value: Measure,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
        /// What it is compared with.
        #[serde(skip_serializing_if = "Option::is_none")]
        delta: Option<Delta>,
        /// The line beneath it.
        #[serde(skip_serializing_if = "Option::is_none")]
        sparkline: Option<Sparkline>,
        /// Which way is the good one.
        #[serde(default)]
        better: Better,
    },
    /// A line for each measure, or for each value of a column.
    Line {
        /// The column along which it goes: days, weeks, numbers.
        by: ColumnName,
        /// What is drawn: 1 to 8.
        #[schema(min_items = 1, max_items = 8)]
        values: Vec<Measure>,
        /// The column whose values have a line each; then there is one measure.
        #[serde(skip_serializing_if = "Option::is_none")]
        split: Option<ColumnName>,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
    },
    /// The same with the area below filled, one upon the other.
    Area {
        /// The column along which it goes.
        by: ColumnName,
        /// What is drawn: 1 to 8.
        #[schema(min_items = 1, max_items = 8)]
        values: Vec<Measure>,
        /// The column whose values have an area each; then there is one measure.
        #[serde(skip_serializing_if = "Option::is_none")]
        split: Option<ColumnName>,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
    },
    /// Bars side by side.
    Bar {
        /// The column whose values have a bar, or a group of them, each.
        by: ColumnName,
        /// What is drawn: 1 to 8.
        #[schema(min_items = 1, max_items = 8)]
        values: Vec<Measure>,
        /// The column whose values have a bar within the group each; then there is one measure.
        #[serde(skip_serializing_if = "Option::is_none")]
        split: Option<ColumnName>,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
        /// The order of the bars; by `by` unless it says.
        #[serde(skip_serializing_if = "Option::is_none")]
        sort: Option<Sort>,
        /// How many bars: the first ones.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1000)]
        limit: Option<u16>,
    },
    /// Bars upon each other: of several measures, or of the values of a column.
    StackedBar {
        /// The column whose values have a bar each.
        by: ColumnName,
        /// What is drawn: 1 to 8.
        #[schema(min_items = 1, max_items = 8)]
        values: Vec<Measure>,
        /// The column whose values have a part of the bar each; then there is one measure.
        #[serde(skip_serializing_if = "Option::is_none")]
        split: Option<ColumnName>,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
        /// The order of the bars; by `by` unless it says.
        #[serde(skip_serializing_if = "Option::is_none")]
        sort: Option<Sort>,
        /// How many bars: the first ones.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1000)]
        limit: Option<u16>,
    },
    /// Parts of a whole.
    Pie {
        /// The column whose values have a part each.
        by: ColumnName,
        /// How large it is.
        value: Measure,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
        /// How many parts: the largest; what is left is one more.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1000)]
        limit: Option<u16>,
    },
    /// Rows.
    Table {
        /// The columns, in order: 1 to 30.
        #[schema(min_items = 1, max_items = 30)]
        columns: Vec<ColumnName>,
        /// What the numbers of some of the columns are; by name and type of a column unless it says.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        #[schema(value_type = BTreeMap<String, Format>, required = false)]
        formats: BTreeMap<ColumnName, Format>,
        /// The order of the rows.
        #[serde(skip_serializing_if = "Option::is_none")]
        sort: Option<Sort>,
        /// How many rows: the first ones.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1000)]
        limit: Option<u16>,
    },
    /// Steps that become narrower.
    Funnel {
        /// The column whose values are the steps.
        by: ColumnName,
        /// How wide a step is.
        value: Measure,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
        /// The steps that are shown, from the top: 2 to 20.
        #[schema(min_items = 2, max_items = 20)]
        order: Vec<String>,
    },
    /// What is owed, or waits, by its age.
    Aging {
        /// A column for each age, the youngest first: 2 to 20.
        #[schema(min_items = 2, max_items = 20)]
        buckets: Vec<ColumnName>,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
    },
    /// A calendar whose days are the darker the more there is.
    Calendar {
        /// The column of the day.
        day: ColumnName,
        /// How much there is.
        value: Measure,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
    },
    /// How much of a target is reached.
    Gauge {
        /// What is reached.
        value: Measure,
        /// What would be all of it.
        target: Target,
        /// The column of the currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<ColumnName>,
    },
    /// Words.
    Text {
        /// Plain text; a blank line begins a paragraph. At most 8,192 bytes.
        #[schema(min_length = 1, max_length = 8192)]
        text: String,
    },
}

/// A number made of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WidgetMeasure)]
pub struct Measure {
    /// The column; left out where rows are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<ColumnName>,
    /// How rows become one number.
    #[serde(default)]
    pub how: Aggregate,
    /// Its name for people; that of the column unless it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What the number is; by name and type of its column unless it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// What a number is, where its column does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetFormat)]
pub enum Format {
    /// An amount: it has the places of its currency, or all where none is known.
    Money,
    /// Any number, with the places that it has.
    Quantity,
    /// Hours.
    Hours,
    /// A share of one, read in hundredths.
    Percent,
    /// A whole number.
    Count,
}

/// How rows become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetAggregate)]
pub enum Aggregate {
    /// They are added up.
    #[default]
    Sum,
    /// They are counted.
    Count,
    /// Their mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// What a number is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetDelta)]
pub enum Delta {
    /// What it was before.
    Since(Since),
    /// Another column of its source, made one number in the same way.
    Column(ColumnName),
}

/// Since when a number has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetSince)]
pub enum Since {
    /// The page was opened.
    Opened,
}

/// The line beneath a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetSparkline)]
pub enum Sparkline {
    /// What the number has been since the page was opened.
    Live,
    /// What it is for each value of a column, in order.
    By(ColumnName),
}

/// Which way a number should go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetBetter)]
pub enum Better {
    /// Up.
    #[default]
    Higher,
    /// Down.
    Lower,
    /// Neither.
    Neither,
}

/// What would be all of a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WidgetTarget)]
pub enum Target {
    /// Always this.
    Value(Decimal),
    /// A column of its source, made one number in the same way.
    Column(ColumnName),
}

/// The order of rows or bars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WidgetSort)]
pub struct Sort {
    /// The column.
    pub column: ColumnName,
    /// Whether the largest comes first.
    #[serde(default)]
    pub descending: bool,
}

impl Show {
    /// Whether it shows rows of a source.
    pub fn reads(&self) -> bool {
        !matches!(self, Self::Text { .. })
    }

    pub(super) fn check(&self, place: &str) -> Result<(), DocumentError> {
        let within = |member: &str| format!("{place}.{member}");
        match self {
            Self::Kpi { value, .. } | Self::Calendar { value, .. } | Self::Gauge { value, .. } => {
                value.check(&within("value"))
            }
            Self::Line { values, split, .. } | Self::Area { values, split, .. } => {
                check_values(values, split.as_ref(), place)
            }
            Self::Bar { values, split, limit, .. } => {
                check_limit(*limit, &within("limit"))?;
                check_values(values, split.as_ref(), place)
            }
            Self::StackedBar { values, split, limit, .. } => {
                check_limit(*limit, &within("limit"))?;
                if split.is_none() && values.len() < 2 {
                    let message = "there is nothing to stack; name the column to split by, or give \
                                   several `values`";
                    return Err(DocumentError::new(within("split"), message));
                }
                check_values(values, split.as_ref(), place)
            }
            Self::Pie { value, limit, .. } => {
                check_limit(*limit, &within("limit"))?;
                value.check(&within("value"))
            }
            Self::Table { columns, formats, limit, .. } => {
                check_limit(*limit, &within("limit"))?;
                check_list(columns, 1, MAX_COLUMNS, &within("columns"))?;
                match formats.keys().find(|column| !columns.contains(column)) {
                    None => Ok(()),
                    Some(column) => {
                        let message = format!("`{column}` is none of the table's columns");
                        Err(DocumentError::new(within("formats"), message))
                    }
                }
            }
            Self::Funnel { value, order, .. } => {
                value.check(&within("value"))?;
                for (index, step) in order.iter().enumerate() {
                    line(step, &format!("{place}.order[{index}]"))?;
                }
                check_list(order, 2, MAX_STEPS, &within("order"))
            }
            Self::Aging { buckets, .. } => check_list(buckets, 2, MAX_STEPS, &within("buckets")),
            Self::Text { text } => prose(text, MAX_TEXT, &within("text")),
        }
    }

    /// The columns of its source that it names.
    pub(super) fn columns(&self) -> Vec<&ColumnName> {
        match self {
            Self::Kpi { value, currency, delta, sparkline, better: _ } => {
                let compared = match delta {
                    Some(Delta::Column(column)) => Some(column),
                    Some(Delta::Since(_)) | None => None,
                };
                let along = match sparkline {
                    Some(Sparkline::By(column)) => Some(column),
                    Some(Sparkline::Live) | None => None,
                };
                value.column.iter().chain(currency).chain(compared).chain(along).collect()
            }
            Self::Line { by, values, split, currency }
            | Self::Area { by, values, split, currency } => {
                named(values).chain([by]).chain(split).chain(currency).collect()
            }
            Self::Bar { by, values, split, currency, sort, limit: _ }
            | Self::StackedBar { by, values, split, currency, sort, limit: _ } => {
                let sort = sort.as_ref().map(|sort| &sort.column);
                named(values).chain([by]).chain(split).chain(currency).chain(sort).collect()
            }
            Self::Pie { by, value, currency, limit: _ }
            | Self::Funnel { by, value, currency, order: _ }
            | Self::Calendar { day: by, value, currency } => {
                value.column.iter().chain([by]).chain(currency).collect()
            }
            Self::Table { columns, formats: _, sort, limit: _ } => {
                columns.iter().chain(sort.as_ref().map(|sort| &sort.column)).collect()
            }
            Self::Aging { buckets, currency } => buckets.iter().chain(currency).collect(),
            Self::Gauge { value, target, currency } => {
                let target = match target {
                    Target::Column(column) => Some(column),
                    Target::Value(_) => None,
                };
                value.column.iter().chain(target).chain(currency).collect()
            }
            Self::Text { .. } => Vec::new(),
        }
    }
}

impl Measure {
    fn check(&self, place: &str) -> Result<(), DocumentError> {
        if let Some(title) = &self.title {
            line(title, &format!("{place}.title"))?;
        }
        let counts = self.how == Aggregate::Count;
        if counts && self.format.is_some() {
            let message = "rows are counted, and their number is a whole one; leave it out";
            return Err(DocumentError::new(format!("{place}.format"), message));
        }
        if counts != self.column.is_some() {
            return Ok(());
        }
        let message = if counts {
            "rows are counted; leave it out"
        } else {
            "name the column, or count rows with `\"how\": \"count\"`"
        };
        Err(DocumentError::new(format!("{place}.column"), message))
    }
}

/// The columns that measures name.
fn named(values: &[Measure]) -> impl Iterator<Item = &ColumnName> {
    values.iter().filter_map(|value| value.column.as_ref())
}

/// Checks the measures of a chart, at `place` of which they are.
fn check_values(
    values: &[Measure],
    split: Option<&ColumnName>,
    place: &str,
) -> Result<(), DocumentError> {
    let most = if split.is_some() { 1 } else { MAX_MEASURES };
    if !(1..=most).contains(&values.len()) {
        let message = match split {
            Some(_) => "one measure, since it is split by a column".to_owned(),
            None => format!("1 to {most} measures"),
        };
        return Err(DocumentError::new(format!("{place}.values"), message));
    }
    for (index, value) in values.iter().enumerate() {
        value.check(&format!("{place}.values[{index}]"))?;
    }
    Ok(())
}

fn check_limit(limit: Option<u16>, place: &str) -> Result<(), DocumentError> {
    if limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit)) {
        return Ok(());
    }
    Err(DocumentError::new(place, format!("a number from 1 to {MAX_LIMIT}")))
}

/// Checks that a list is neither too short nor too long, and has nothing twice.
fn check_list<T: Ord>(
    list: &[T],
    least: usize,
    most: usize,
    place: &str,
) -> Result<(), DocumentError> {
    if list.len() < least {
        return Err(DocumentError::new(place, format!("there are {least} at least")));
    }
    at_most(list.len(), most, place)?;
    let mut seen = BTreeSet::new();
    match list.iter().position(|item| !seen.insert(item)) {
        Some(twice) => {
            Err(DocumentError::new(format!("{place}[{twice}]"), "it stands there twice"))
        }
        None => Ok(()),
    }
}
