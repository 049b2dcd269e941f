//! The rules that every tenant has. They read one view each, and so need nobody's rights and no
//! planning.

use super::rule::{Definition, Severity};

/// A rule that every tenant has.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(super) id: &'static str,
    title: &'static str,
    severity: Severity,
    key: &'static [&'static str],
    /// The view whose rows have an alert, …
    pub(super) view: &'static str,
    /// … those where this column is true, if there is one.
    pub(super) only: Option<&'static str>,
}

/// All of them, in the order in which they are listed.
pub(super) static BUILTIN: [Builtin; 2] = [
    Builtin {
        id: "budget-exceeded",
        title: "Budget exceeded",
        severity: Severity::Warning,
        key: &["project_id", "currency"],
        view: "budget_variance",
        only: Some("exceeded"),
    },
    Builtin {
        id: "compliance-failed",
        title: "Compliance check failed",
        severity: Severity::Critical,
        key: &["check_id"],
        view: "compliance_failures",
        only: None,
    },
];

impl Builtin {
    /// What it is unless its tenant has replaced it.
    pub(super) fn definition(&self) -> Definition {
        Definition {
            title: self.title.to_owned(),
            sql: self.sql(),
            key: self.key(),
            roles: vec![tenancy::Role::Executive],
            severity: self.severity,
            enabled: true,
            deliver: Vec::new(),
        }
    }

    /// Puts into a definition what this asks for, which cannot be another.
    pub(super) fn ask(&self, definition: &mut Definition) {
        definition.sql = self.sql();
        definition.key = self.key();
    }

    /// Its condition in SQL.
    pub(super) fn sql(&self) -> String {
        let condition = self.only.map(|column| format!(" WHERE {column}")).unwrap_or_default();
        format!("SELECT * FROM {}{condition}", self.view)
    }

    pub(super) fn key(&self) -> Vec<String> {
        self.key.iter().map(|column| (*column).to_owned()).collect()
    }
}
