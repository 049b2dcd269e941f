//! Expected figures, compared with a view as CSV and page by page as JSON.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::Process;

/// A file `firm.view[.day].csv`: a header, and all rows of the view with some of its columns.
pub(crate) struct Expected {
    pub(crate) firm: String,
    pub(crate) day: Option<String>,
    view: String,
    path: PathBuf,
}

impl Expected {
    pub(crate) fn of(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let mut parts = name.split('.').map(str::to_owned);
        let (firm, view) = (parts.next().unwrap(), parts.next().unwrap());
        Self { firm, view, day: parts.next(), path: path.to_owned() }
    }

    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap().to_string_lossy().into_owned()
    }
}

/// Rows in the order of their text, with the names of their columns.
#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// These columns of it.
    fn project(&self, columns: &[String]) -> Self {
        let place = |name: &String| {
            let found = self.columns.iter().position(|column| column == name);
            found.unwrap_or_else(|| panic!("there is no column {name} in {:?}", self.columns))
        };
        let places: Vec<usize> = columns.iter().map(place).collect();
        let row = |row: &Vec<String>| places.iter().map(|place| row[*place].clone()).collect();
        let mut rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        rows.sort_unstable();
        Self { columns: columns.to_vec(), rows }
    }

    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        let place = self.columns.iter().position(|column| column == name).unwrap();
        self.rows.iter().map(|row| row[place].as_str()).collect()
    }
}

/// Reads CSV as RFC 4180 has it.
fn csv(text: &str) -> Table {
    let mut records: Vec<Vec<String>> = Vec::new();
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => field.extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty(), "the last line is broken off");
    let mut rows = records.into_iter();
    let columns = rows.next().unwrap();
    Table { columns, rows: rows.collect() }
}

/// All rows of a view, as CSV at once.
pub(crate) async fn whole(process: &Process, tenant: &str, view: &str) -> Table {
    let path = format!("/v1/views/{view}?raw=true");
    let answer = process.accepting(tenant, &path, "text/csv").await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    csv(&answer.text().await.unwrap())
}

/// All rows of a view, as JSON page by page.
async fn pages(process: &Process, tenant: &str, view: &str) -> Table {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/views/{view}?limit=1500{after}");
        let page: Value = process.get(tenant, &path).await.json().await.unwrap();
        let names = page["columns"].as_array().unwrap().iter();
        let columns = names.map(|column| column["name"].as_str().unwrap().to_owned()).collect();
        let page_rows = page["rows"].as_array().unwrap();
        assert!(page_rows.len() <= 1_500);
        rows.extend(page_rows.iter().map(|row| row.as_array().unwrap().iter().map(text).collect()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Table { columns, rows },
        }
    }
}

/// A JSON value as CSV has it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Compares a view with its expected rows; gives back how many there are.
pub(crate) async fn compare(process: &Process, tenant: &str, expected: &Expected) -> usize {
    let wanted = csv(&std::fs::read_to_string(&expected.path).unwrap());
    let wanted = wanted.project(&wanted.columns);
    for held in
        [whole(process, tenant, &expected.view).await, pages(process, tenant, &expected.view).await]
    {
        let held = held.project(&wanted.columns);
        for (held, wanted) in held.rows.iter().zip(&wanted.rows) {
            assert_eq!(held, wanted, "{}", expected.name());
        }
        assert_eq!(held.rows.len(), wanted.rows.len(), "{}", expected.name());
    }
    wanted.rows.len()
}
