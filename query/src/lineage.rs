//! What stands behind the figures of the built-in views, as the files of `query/lineage` declare it.
//!
//! A file is one view's: SQL for the events behind one row, and above it, in comments, how the
//! columns of the row are made of them.
//!
//! - The SQL gives one line an event: `part` (in which of the view's lists it stands), `type`,
//!   `event_id`, `occurred_at`, `subject`, `amount`, then what else is worth seeing. `$name` is the
//!   value of the key column of that name. No event stands twice in one part.
//! - `-- column net: received - paid_out`: the totals of these parts, with these signs. A part's
//!   total is its amounts added up, and then rounded once to the column's type.
//! - `-- column margin (profit ÷ revenue): … => SQL`: what the words say, an aggregate over the
//!   lines of these parts, with their signs; `{part}` in it is the part's total.
//! - `-- main: net`: the column that is explained if none is named.
//! - `-- reads: other_view`: `other_view_lines` are the lines of that view for the same key.

use std::fmt::Write;
use std::sync::LazyLock;

use arrow::datatypes::DataType;

/// How the columns of one view follow from events.
#[derive(Debug)]
pub(crate) struct Lineage {
    view: &'static str,
    sql: &'static str,
    main: &'static str,
    reads: Option<&'static str>,
    figures: Vec<Figure>,
}

/// How one column follows from events.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) column: &'static str,
    pub(crate) terms: Vec<Term>,
    /// Its rule, for people.
    pub(crate) rule: String,
    /// Its rule in SQL; none: the terms are added up.
    expression: Option<String>,
}

/// A part of the lines, and whether its amounts are taken away.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) part: &'static str,
    is_minus: bool,
}

/// What amounts are totalled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Whole numbers: things that are counted.
    Count,
    /// Decimals with four places.
    Decimal,
}

impl Unit {
    /// The unit of a column of this type.
    pub(crate) fn of(data_type: &DataType) -> Self {
        if data_type.is_integer() { Self::Count } else { Self::Decimal }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Count => "BIGINT",
            Self::Decimal => "DECIMAL(38, 4)",
        }
    }

    /// The type in which totals are added up.
    fn wide_sql(self) -> &'static str {
        match self {
            Self::Count => "BIGINT",
            Self::Decimal => "DECIMAL(76, 4)",
        }
    }
}

macro_rules! files {
    ($($view:literal),* $(,)?) => {
        [$(($view, include_str!(concat!("../lineage/", $view, ".sql")))),*]
    };
}

static LINEAGES: LazyLock<Vec<Lineage>> = LazyLock::new(|| {
    let files = files![
        "open_invoices",
        "ar_aging",
        "project_profitability",
        "unapplied_cash",
        "completion_streaks",
        "pipeline",
        "cash_position",
        "inventory_levels",
        "headcount",
        "utilization",
        "labour_hours",
        "budget_variance",
        "compliance_failures",
        "maintenance_backlog",
        "call_activity",
    ];
    files.into_iter().map(|(view, text)| Lineage::parse(view, text)).collect()
});

impl Lineage {
    /// What is declared of a view; none if it is not built in.
    pub(crate) fn of(view: &str) -> Option<&'static Self> {
        LINEAGES.iter().find(|lineage| lineage.view == view)
    }

    fn parse(view: &'static str, text: &'static str) -> Self {
        let (mut main, mut reads, mut columns) = ("", None, Vec::<String>::new());
        for line in text.lines().map_while(|line| line.strip_prefix("--")) {
            let said = line.trim();
            if let Some(name) = said.strip_prefix("main: ") {
                main = name;
            } else if let Some(name) = said.strip_prefix("reads: ") {
                reads = Some(name);
            } else if let Some(column) = said.strip_prefix("column ") {
                columns.push(column.to_owned());
            } else if let (Some(column), true) = (columns.last_mut(), line.starts_with("    ")) {
                // A line that is set further in goes on with what stands above it.
                column.push('\n');
                column.push_str(said);
            }
        }
        let figures = columns.iter().filter_map(|column| Figure::parse(text, column)).collect();
        Self { view, sql: text, main, reads, figures }
    }

    /// The column that is explained if none is named.
    pub(crate) fn main(&self) -> &'static str {
        self.main
    }

    /// How a column is made; none if it is part of the key or there is no such column.
    pub(crate) fn figure(&self, column: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.column == column)
    }

    /// The columns that can be explained.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.figures.iter().map(|figure| figure.column)
    }

    /// The event types that the SQL reads.
    pub(crate) fn event_types(&self) -> Vec<&'static str> {
        let read = self.reads.and_then(Self::of).map_or("", |other| other.sql);
        let names = [self.sql, read].into_iter().flat_map(|sql| sql.split("events.\"").skip(1));
        let mut names: Vec<&str> = names.filter_map(|rest| rest.split('"').next()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// `WITH …` up to and with `contributions`: the lines of a figure, amounts with their signs.
    pub(crate) fn contributions(&self, figure: &Figure, unit: Unit) -> String {
        let mut sql = "WITH ".to_owned();
        if let Some(other) = self.reads.and_then(Self::of) {
            let _ = writeln!(sql, "{}_lines AS (\n{}),", other.view, other.sql);
        }
        let _ = writeln!(sql, "lines AS (\n{}),", self.sql);
        let parts = list(figure.terms.iter());
        let negative = list(figure.terms.iter().filter(|term| term.is_minus));
        let mut amount = "amount".to_owned();
        if !negative.is_empty() {
            amount = format!("CASE WHEN part IN ({negative}) THEN -amount ELSE amount END");
        }
        if unit == Unit::Count {
            amount = format!("CAST({amount} AS BIGINT)");
        }
        let _ = writeln!(
            sql,
            "contributions AS (\nSELECT * REPLACE ({amount} AS amount) FROM lines\n\
             WHERE part IN ({parts})\n)"
        );
        sql
    }
}

impl Figure {
    /// Reads `name (words): part + part => SQL`; words and SQL may be missing. The texts that are
    /// kept are cut out of `file`, in which they stand.
    fn parse(file: &'static str, text: &str) -> Option<Self> {
        let (head, expression) = match text.split_once("=>") {
            Some((head, expression)) => (head, Some(expression.trim().to_owned())),
            None => (text, None),
        };
        let (name, terms) = head.rsplit_once(':')?;
        let (name, words) = match name.split_once(" (") {
            Some((name, words)) => (name, Some(words.trim_end_matches(')'))),
            None => (name, None),
        };
        let terms_text = terms.trim();
        let mut is_minus = false;
        let mut terms = Vec::new();
        for word in terms_text.split_whitespace() {
            match word {
                "+" => is_minus = false,
                "-" => is_minus = true,
                part => terms.push(Term { part: within(file, part)?, is_minus }),
            }
        }
        let rule = match words {
            Some(words) => words.to_owned(),
            None if expression.is_some() => format!("as stated in {terms_text}"),
            None => terms_text.to_owned(),
        };
        Some(Self { column: within(file, name)?, terms, rule, expression })
    }

    /// The figure as an aggregate over `contributions`.
    pub(crate) fn value_sql(&self, unit: Unit) -> String {
        let Some(expression) = &self.expression else {
            let mut totals = self.terms.iter().map(|term| total_sql(term.part, unit));
            let wide = unit.wide_sql();
            let first = totals.next().unwrap_or_else(|| "0".to_owned());
            let sum = totals
                .fold(format!("CAST({first} AS {wide})"), |sum, total| format!("{sum} + {total}"));
            return format!("TRY_CAST({sum} AS {})", unit.sql());
        };
        self.terms.iter().fold(expression.clone(), |sql, term| {
            sql.replace(&format!("{{{}}}", term.part), &total_sql(term.part, unit))
        })
    }
}

/// The same text where it stands in a file that is there for good.
fn within(file: &'static str, text: &str) -> Option<&'static str> {
    let at = file.find(text)?;
    file.get(at..at + text.len())
}

/// A part's total as an aggregate over `contributions`: null where the type cannot hold it.
pub(crate) fn total_sql(part: &str, unit: Unit) -> String {
    let (of_part, unit) = (format!("FILTER (WHERE part = '{part}')"), unit.sql());
    format!(
        "CASE WHEN count(amount) {of_part} = 0 THEN CAST(0 AS {unit}) \
         ELSE TRY_CAST(sum(amount) {of_part} AS {unit}) END"
    )
}

fn list<'a>(terms: impl Iterator<Item = &'a Term>) -> String {
    let quoted: Vec<String> = terms.map(|term| format!("'{}'", term.part)).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests;
