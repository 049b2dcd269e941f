//! Drill-down: from a cell of a built-in view to the events behind it, and what they add up to.
//!
//! The cell, the totals and the lines are all read at the snapshot's position: the view's rows from
//! the snapshot, the events from history up to it. What the SQL is, [`crate::lineage`] says.
//!
//! Events of modules that are switched off count, as they do in the view, and are not listed; how
//! many they are and what they come to is told instead.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use chrono::NaiveDate;
use futures::TryStreamExt;
use projections::encode::{RowEncoder, column_types};
use projections::{Position, TenantSnapshot, ViewSnapshot};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::lineage::{Figure, Lineage, Unit, total_sql};
use crate::{Answer, MAX_PAGE, Queries, QueryError, json, views};

/// The order of the lines, in which no two are equal.
const ORDER: [&str; 4] = ["occurred_at", "type", "event_id", "part"];

/// A cell of a view.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The view.
    pub view: String,
    /// The value of each column of its key, as an answer in JSON gives it.
    pub key: Map<String, Value>,
    /// The column; none: the view's main figure.
    pub column: Option<String>,
}

/// Why a cell is not explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The view is one that a tenant has defined.
    #[error(
        "'{0}' is a view of your own, and what is behind it only its SQL says: ask for the rows it \
         reads with POST /v1/query"
    )]
    OwnView(String),
    /// The view has no such column, or it is part of the key.
    #[error("'{column}' is no column of '{view}' that can be explained; there are {known}")]
    UnknownColumn {
        /// What was asked for.
        column: String,
        /// The view.
        view: String,
        /// The columns that can be explained.
        known: String,
    },
    /// The key is not one of the view.
    #[error("{0}")]
    Key(String),
    /// The cursor is not one of this cell.
    #[error("it is no cursor of this cell: use the `next` of its last page, unchanged")]
    Cursor,
    /// The view has no row with this key.
    #[error("'{view}' has no row with {key} at this position")]
    NoRow {
        /// The view.
        view: String,
        /// The key as JSON.
        key: String,
    },
    /// The view cannot be read, or the events not within the limits of a query.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// The total of one part of the lines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartTotal {
    /// The part.
    pub part: &'static str,
    /// What its events come to in this figure.
    pub sum: Value,
    /// How many events it has.
    pub events: Value,
}

/// The events of a module that is switched off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Withheld {
    /// The module.
    pub module: Value,
    /// What its events come to.
    pub sum: Value,
    /// How many they are.
    pub events: Value,
}

/// A cell, and a page of the events behind it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The cell.
    pub cell: Cell,
    /// The column that is explained.
    pub column: &'static str,
    /// The row, by column.
    pub row: Map<String, Value>,
    /// What the events come to by the rule; the cell's value.
    pub sum: Value,
    /// How the figure is made of the parts' sums.
    pub rule: String,
    /// Each part that the figure is made of.
    pub parts: Vec<PartTotal>,
    /// What counts and is not listed.
    pub withheld: Vec<Withheld>,
    /// The events of this page: `part`, `type`, `event_id`, `occurred_at`, `subject`, `amount` with
    /// its sign, and columns of the view's own.
    pub lines: RecordBatch,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// The position of all of it.
    pub position: Position,
    /// The tenant's date at that position.
    pub as_of: Option<NaiveDate>,
}

impl Explanation {
    /// The value of the cell.
    pub fn value(&self) -> &Value {
        self.row.get(self.column).unwrap_or(&Value::Null)
    }

    /// The explanation as JSON, its events as `columns` and `rows` like those of any read.
    pub fn json(&self) -> Bytes {
        let head = json!({
            "view": self.cell.view,
            "key": self.cell.key,
            "row": self.row,
            "column": self.column,
            "value": self.value(),
            "sum": self.sum,
            "rule": self.rule,
            "parts": self.parts,
            "withheld": self.withheld,
            "next": self.next,
            "columns": column_types(self.lines.schema_ref()),
        });
        let mut out = head.to_string().into_bytes();
        out.pop();
        out.extend_from_slice(b",\"rows\":[");
        json::rows(&mut out, &self.lines, true);
        json::tail(&mut out, self.position, self.as_of);
        out.into()
    }
}

impl Queries {
    /// Explains a cell of `snapshot`, with up to `limit` (1 to [`MAX_PAGE`]) of the events behind it
    /// after the cursor `after`, the earliest first. Must be called within a tokio runtime.
    pub async fn explain(
        &self,
        snapshot: &Arc<TenantSnapshot>,
        cell: Cell,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Explanation, ExplainError> {
        if !(1..=MAX_PAGE).contains(&limit) {
            let message = format!("limit is {limit}: ask for 1 to {MAX_PAGE} events a page");
            return Err(QueryError::invalid(message).into());
        }
        let inquiry = Inquiry::new(self, snapshot, &cell)?;
        let row = inquiry.row().await?;
        let (sum, parts) = inquiry.totals().await?;
        let withheld = inquiry.withheld().await?;
        let (lines, next) = inquiry.page(after, limit).await?;
        let figure = inquiry.figure;
        let (column, rule) = (figure.column, figure.rule.clone());
        let (position, as_of) = (snapshot.position(), snapshot.today());
        let explanation = Explanation {
            cell,
            column,
            row,
            sum,
            rule,
            parts,
            withheld,
            lines,
            next,
            position,
            as_of,
        };
        if explanation.sum != *explanation.value() {
            let view = &explanation.cell.view;
            tracing::error!(view, column, "the events behind a figure do not come to it");
        }
        Ok(explanation)
    }

    /// All events behind a cell of `snapshot`, as the lines of an explanation.
    pub async fn explain_whole(
        &self,
        snapshot: &Arc<TenantSnapshot>,
        cell: &Cell,
    ) -> Result<Answer, ExplainError> {
        let inquiry = Inquiry::new(self, snapshot, cell)?;
        inquiry.row().await?;
        let mut asked = inquiry.asked();
        let shown = inquiry.shown(&mut asked);
        let order = ORDER.join(", ");
        asked.push(&format!("SELECT * FROM contributions WHERE {shown} ORDER BY {order}"));
        Ok(self.run_undeclared(&inquiry.whole, &asked.sql, asked.params).await?)
    }
}

/// SQL with the values of its parameters.
#[derive(Default)]
struct Asked {
    sql: String,
    params: Vec<Value>,
}

impl Asked {
    fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// A placeholder of this value.
    fn param(&mut self, value: Value) -> String {
        self.params.push(value);
        format!("${}", self.params.len())
    }

    /// Adds SQL in which `$name` is the value of that name.
    fn push_named(&mut self, sql: &str, values: &Map<String, Value>) {
        let mut numbers: Vec<(&str, String)> = Vec::new();
        let mut pieces = sql.split('$');
        self.push(pieces.next().unwrap_or_default());
        for piece in pieces {
            let end = piece.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            let (name, rest) = piece.split_at(end.unwrap_or(piece.len()));
            let known = numbers.iter().find(|(known, _)| *known == name);
            let number = if let Some((_, number)) = known {
                number.clone()
            } else {
                let number = self.param(values.get(name).cloned().unwrap_or_default());
                numbers.push((name, number.clone()));
                number
            };
            self.push(&number);
            self.push(rest);
        }
    }
}

/// One cell, and what is asked of it.
struct Inquiry<'a> {
    queries: &'a Queries,
    view: &'a ViewSnapshot,
    cell: &'a Cell,
    lineage: &'static Lineage,
    figure: &'static Figure,
    unit: Unit,
    /// The snapshot with nothing hidden.
    whole: Arc<TenantSnapshot>,
    /// The modules of the lineage that are switched off.
    off: Vec<String>,
}

impl<'a> Inquiry<'a> {
    fn new(
        queries: &'a Queries,
        snapshot: &'a Arc<TenantSnapshot>,
        cell: &'a Cell,
    ) -> Result<Self, ExplainError> {
        let view = views::find(snapshot, &cell.view)?;
        let Some(lineage) = Lineage::of(&cell.view) else {
            return Err(ExplainError::OwnView(cell.view.clone()));
        };
        check_key(view, &cell.key)?;
        let column = cell.column.as_deref().unwrap_or(lineage.main());
        let Some(figure) = lineage.figure(column) else {
            let known: Vec<&str> = lineage.columns().collect();
            return Err(ExplainError::UnknownColumn {
                column: column.chars().take(80).collect(),
                view: cell.view.clone(),
                known: known.join(", "),
            });
        };
        let schema = view.view().schema();
        let unit =
            schema.field_with_name(column).map_or(Unit::Decimal, |f| Unit::of(f.data_type()));
        let hidden = snapshot.hidden();
        let modules = lineage.event_types().into_iter().filter_map(|name| hidden.event_type(name));
        let mut off: Vec<String> = modules.map(str::to_owned).collect();
        off.dedup();
        let whole = if hidden.is_empty() {
            snapshot.clone()
        } else {
            Arc::new(snapshot.hiding(Arc::default()))
        };
        Ok(Self { queries, view, cell, lineage, figure, unit, whole, off })
    }

    /// The row, by column.
    async fn row(&self) -> Result<Map<String, Value>, ExplainError> {
        let mut asked = Asked::default();
        asked.push(&format!("SELECT * FROM \"{}\" WHERE true", self.cell.view));
        for (name, value) in &self.cell.key {
            if value.is_null() {
                asked.push(&format!(" AND \"{name}\" IS NULL"));
            } else {
                let number = asked.param(value.clone());
                asked.push(&format!(" AND \"{name}\" = {number}"));
            }
        }
        // What can be wrong in this SQL are the values of the key.
        let rows = self.rows(asked).await.map_err(|error| match error {
            QueryError::Invalid { message, .. } => ExplainError::Key(message),
            other => other.into(),
        })?;
        if rows.num_rows() == 0 {
            let key = Value::Object(self.cell.key.clone()).to_string();
            return Err(ExplainError::NoRow { view: self.cell.view.clone(), key });
        }
        let names = self.view.view().schema().fields().iter().map(|field| field.name().clone());
        Ok(names.zip(values(&rows, 0)).collect())
    }

    /// What the events come to, in all and by part.
    async fn totals(&self) -> Result<(Value, Vec<PartTotal>), ExplainError> {
        let mut asked = self.asked();
        asked.push(&format!("SELECT {} AS total", self.figure.value_sql(self.unit)));
        for (place, term) in self.figure.terms.iter().enumerate() {
            let total = total_sql(term.part, self.unit);
            asked.push(&format!(", {total} AS sum{place}"));
            asked.push(&format!(", count(*) FILTER (WHERE part = '{}') AS n{place}", term.part));
        }
        asked.push(" FROM contributions");
        let mut totals = values(&self.rows(asked).await?, 0).into_iter();
        let sum = totals.next().unwrap_or_default();
        let parts = self.figure.terms.iter().map(|term| {
            let mut next = || totals.next().unwrap_or_default();
            PartTotal { part: term.part, sum: next(), events: next() }
        });
        Ok((sum, parts.collect()))
    }

    /// What counts of modules that are switched off.
    async fn withheld(&self) -> Result<Vec<Withheld>, ExplainError> {
        if self.off.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = self.asked();
        let off = self.off_list(&mut asked);
        asked.push(&format!(
            "SELECT split_part(type, '.', 1) AS module, sum(amount) AS amount, count(*) AS events \
             FROM contributions WHERE split_part(type, '.', 1) IN ({off}) \
             GROUP BY split_part(type, '.', 1) ORDER BY module"
        ));
        let rows = self.rows(asked).await?;
        let withheld = (0..rows.num_rows()).map(|row| {
            let mut values = values(&rows, row).into_iter();
            let mut next = || values.next().unwrap_or_default();
            Withheld { module: next(), sum: next(), events: next() }
        });
        Ok(withheld.collect())
    }

    /// A page of the events, and the cursor of the next.
    async fn page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(RecordBatch, Option<String>), ExplainError> {
        let mut asked = self.asked();
        let shown = self.shown(&mut asked);
        asked.push(&format!("SELECT * FROM contributions WHERE {shown}"));
        if let Some(cursor) = after {
            let last = self.open(cursor)?;
            let behind = behind(&last, &mut asked);
            asked.push(&format!(" AND {behind}"));
        }
        asked.push(&format!(" ORDER BY {} LIMIT {}", ORDER.join(", "), limit + 1));
        let rows = self.rows(asked).await?;
        if rows.num_rows() <= limit {
            return Ok((rows, None));
        }
        let page = rows.slice(0, limit);
        let last = ORDER.map(|name| match page.schema_ref().index_of(name) {
            Ok(column) => value(&RowEncoder::new(&page), column, limit - 1),
            Err(_) => Value::Null,
        });
        let next = views::seal(&self.cursor_of(), json!(last).to_string().as_bytes());
        Ok((page, Some(next)))
    }

    /// The beginning of every question: the lines of the figure, for the key.
    fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        asked.push_named(&self.lineage.contributions(self.figure, self.unit), &self.cell.key);
        asked
    }

    /// The condition of what may be listed.
    fn shown(&self, asked: &mut Asked) -> String {
        if self.off.is_empty() {
            return "true".to_owned();
        }
        format!("split_part(type, '.', 1) NOT IN ({})", self.off_list(asked))
    }

    fn off_list(&self, asked: &mut Asked) -> String {
        let numbers: Vec<String> =
            self.off.iter().map(|module| asked.param(json!(module))).collect();
        numbers.join(", ")
    }

    fn cursor_of(&self) -> String {
        format!("{}.{}", self.cell.view, self.figure.column)
    }

    /// What a cursor stands behind.
    fn open(&self, cursor: &str) -> Result<[Value; 4], ExplainError> {
        let sealed = views::open(&self.cursor_of(), cursor).map_err(|_| ExplainError::Cursor)?;
        let last: [Value; 4] = serde_json::from_slice(&sealed).map_err(|_| ExplainError::Cursor)?;
        if last.iter().all(Value::is_string) { Ok(last) } else { Err(ExplainError::Cursor) }
    }

    /// All rows of an answer, of which there are few.
    async fn rows(&self, asked: Asked) -> Result<RecordBatch, QueryError> {
        let answer = self.queries.run_undeclared(&self.whole, &asked.sql, asked.params).await?;
        let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
        let schema = batches.first().map_or(answer.schema, RecordBatch::schema);
        concat_batches(&schema, &batches)
            .map_err(|error| QueryError::Internal { message: error.to_string() })
    }
}

/// The condition of what comes after a line.
fn behind(last: &[Value; 4], asked: &mut Asked) -> String {
    let mut condition = String::new();
    for (name, value) in ORDER.iter().zip(last).rev() {
        let number = asked.param(value.clone());
        condition = if condition.is_empty() {
            format!("{name} > {number}")
        } else {
            format!("({name} > {number} OR ({name} = {number} AND {condition}))")
        };
    }
    condition
}

/// An error unless `key` has a value for each column of the view's key, and no other.
fn check_key(view: &ViewSnapshot, key: &Map<String, Value>) -> Result<(), ExplainError> {
    let view = view.view();
    let columns: Vec<&str> =
        view.key().iter().map(|place| view.schema().field(*place).name().as_str()).collect();
    let wanted = || format!("the key of '{}' is {}", view.name(), columns.join(", "));
    if let Some(missing) = columns.iter().find(|name| !key.contains_key(**name)) {
        return Err(ExplainError::Key(format!("there is no value for '{missing}'; {}", wanted())));
    }
    if let Some(other) = key.keys().find(|name| !columns.contains(&name.as_str())) {
        let other: String = other.chars().take(80).collect();
        return Err(ExplainError::Key(format!("'{other}' is not of the key; {}", wanted())));
    }
    Ok(())
}

/// The values of one row.
fn values(rows: &RecordBatch, row: usize) -> Vec<Value> {
    let encoder = RowEncoder::new(rows);
    (0..rows.num_columns()).map(|column| value(&encoder, column, row)).collect()
}

/// A value as answers in JSON have it.
fn value(encoder: &RowEncoder<'_>, column: usize, row: usize) -> Value {
    let mut text = Vec::new();
    encoder.write_value(&mut text, column, row);
    // What the encoder writes is JSON.
    serde_json::from_slice(&text).unwrap_or_default()
}
