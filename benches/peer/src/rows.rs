//! Reads the files that `engine export` writes.

use std::collections::HashMap;
use std::fs;
use std::io::Result;
use std::path::Path;

/// A row of a file: its fields by the names of their columns.
pub(crate) struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    fields: Vec<&'a str>,
}

impl Row<'_> {
    fn field(&self, column: &str) -> &str {
        let place = self.columns.get(column).expect("a column of the file");
        self.fields.get(*place).copied().expect("a field for every column")
    }

    /// A text.
    pub(crate) fn text(&self, column: &str) -> String {
        self.field(column).to_owned()
    }

    /// A text that may be null.
    pub(crate) fn optional(&self, column: &str) -> Option<String> {
        Some(self.field(column)).filter(|field| *field != "\\N").map(ToOwned::to_owned)
    }

    /// A whole number: also a date or an instant.
    pub(crate) fn number<T: std::str::FromStr>(&self, column: &str) -> T {
        self.field(column).parse().ok().expect("a number")
    }

    /// A whole number that may be null.
    pub(crate) fn optional_number<T: std::str::FromStr>(&self, column: &str) -> Option<T> {
        self.optional(column).and_then(|field| field.parse().ok())
    }

    /// A decimal of four places, in ten-thousandths.
    pub(crate) fn decimal(&self, column: &str) -> i128 {
        decimal(self.field(column))
    }

    /// A decimal of four places that may be null.
    pub(crate) fn optional_decimal(&self, column: &str) -> Option<i128> {
        self.optional(column).map(|field| decimal(&field))
    }
}

fn decimal(text: &str) -> i128 {
    let (whole, places) = text.split_once('.').expect("a decimal has places");
    assert_eq!(places.len(), 4, "a decimal has four places");
    format!("{whole}{places}").parse().expect("a decimal")
}

/// Hands every row of a file to `take`; a file that is not there has none.
pub(crate) fn each(path: &Path, mut take: impl FnMut(&Row<'_>)) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(path)?;
    let mut lines = text.lines();
    let columns: HashMap<String, usize> = lines
        .next()
        .unwrap_or_default()
        .split('\t')
        .enumerate()
        .map(|(place, name)| (name.to_owned(), place))
        .collect();
    for line in lines {
        take(&Row { columns: &columns, fields: line.split('\t').collect() });
    }
    Ok(())
}
