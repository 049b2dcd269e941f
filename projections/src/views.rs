//! Views: their definitions in SQL, and what is known of one once it is compiled.

use arrow::datatypes::SchemaRef;

/// A view to be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewDefinition {
    /// Its name in SQL.
    pub name: String,
    /// One `SELECT`, over events and over views defined before it.
    pub sql: String,
    /// The columns that identify a row; empty: all of them.
    pub key: Vec<String>,
    /// Whether only other views read it: it has no snapshot and no deltas of its own.
    pub internal: bool,
}

impl ViewDefinition {
    /// The views every tenant has, in the order in which they build on each other.
    pub fn builtin() -> Vec<Self> {
        BUILTIN.iter().map(|(name, text)| Self::parse(name, text)).collect()
    }

    /// Reads a model file: the comments before the SQL may hold a line `-- key: column, column`
    /// and a line `-- internal`.
    pub fn parse(name: &str, text: &str) -> Self {
        let key = text
            .lines()
            .find_map(|line| line.strip_prefix("-- key:"))
            .map(|columns| columns.split(',').map(|c| c.trim().to_owned()).collect())
            .unwrap_or_default();
        Self {
            name: name.to_owned(),
            sql: text.to_owned(),
            key,
            internal: text.lines().any(|line| line.trim_end() == "-- internal"),
        }
    }
}

macro_rules! models {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../models/", $name, ".sql")))),*]
    };
}

const BUILTIN: &[(&str, &str)] = models![
    "standing_invoices",
    "invoice_balances",
    "aged_balances",
    "standing_employees",
    "time_entries",
    "open_invoices",
    "ar_aging",
    "project_profitability",
    "unapplied_cash",
    "counted_completions",
    "completion_runs",
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

/// A compiled view.
#[derive(Debug)]
pub struct View {
    name: String,
    sql: String,
    schema: SchemaRef,
    key: Vec<usize>,
}

impl View {
    /// A view of that name and text, whose rows have `schema` and are identified by the columns
    /// at `key`.
    pub fn new(
        name: impl Into<String>,
        sql: impl Into<String>,
        schema: SchemaRef,
        key: Vec<usize>,
    ) -> Self {
        let (name, sql) = (name.into(), sql.into());
        Self { name, sql, schema, key }
    }

    /// Its name in SQL.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its definition.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that identify a row, as indices into the schema.
    pub fn key(&self) -> &[usize] {
        &self.key
    }
}
