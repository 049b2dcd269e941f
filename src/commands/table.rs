//! Rows in aligned columns, for a terminal.

use serde::Deserialize;
use serde_json::Value;

/// A column of an answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// `decimal`, `int`, `text` and so on.
    pub(super) r#type: String,
}

impl Column {
    fn is_number(&self) -> bool {
        matches!(self.r#type.as_str(), "decimal" | "int" | "float")
    }
}

/// Cells, each column as wide as its widest cell.
pub(super) struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The table of rows of JSON.
    pub(super) fn new<'a>(
        columns: Vec<Column>,
        rows: impl IntoIterator<Item = &'a Vec<Value>>,
    ) -> Self {
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|row| row.iter().map(cell).collect()).collect();
        let mut widths: Vec<usize> = columns.iter().map(|column| width(&column.name)).collect();
        for row in &rows {
            for (cell, most) in row.iter().zip(&mut widths) {
                *most = (*most).max(width(cell));
            }
        }
        Self { columns, widths, rows }
    }

    /// The names of the columns, and a rule below them.
    pub(super) fn head(&self) -> [String; 2] {
        let names = self.columns.iter().map(|column| column.name.as_str());
        let rules: Vec<String> = self.widths.iter().map(|width| "─".repeat(*width)).collect();
        [self.line(names), self.line(rules.iter().map(String::as_str))]
    }

    /// One line a row.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(|row| self.line(row.iter().map(String::as_str)))
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for line in self.head().into_iter().chain(self.lines()) {
            out.push_str(&line);
            out.push('\n');
        }
        out
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let mut out = String::new();
        for ((cell, column), most) in cells.zip(&self.columns).zip(&self.widths) {
            let gap = " ".repeat(most.saturating_sub(width(cell)));
            if column.is_number() {
                out.push_str(&gap);
                out.push_str(cell);
            } else {
                out.push_str(cell);
                out.push_str(&gap);
            }
            out.push_str("  ");
        }
        out.truncate(out.trim_end().len());
        out
    }
}

fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// A value as a cell. Control characters would move the cursor, so they are shown as spaces.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::from("–"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}
