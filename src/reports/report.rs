//! A report as it is stored and read.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tenancy::StoredReport;

use super::ReportError;
use super::definition::Definition;

/// A report of a tenant.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) version: u64,
    /// By whose rights it runs; empty: a template gave it, and nobody has replaced it.
    pub(crate) owner: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) changed_at: DateTime<Utc>,
    pub(crate) definition: Definition,
}

impl Report {
    /// A report as it is stored.
    pub(crate) fn read(stored: StoredReport) -> Result<Self, ReportError> {
        let StoredReport { id, version, owner, definition, created_at, changed_at } = stored;
        let definition = serde_json::from_str(&definition)?;
        Ok(Self { id, version, owner, created_at, changed_at, definition })
    }

    /// A report as it is stored, or what is known of one that cannot be read.
    pub(crate) fn listed(stored: StoredReport) -> Result<Self, Box<Unread>> {
        Self::read(stored.clone()).map_err(|error| Box::new(Unread::of(stored, &error)))
    }

    /// The report as it is stored.
    pub(crate) fn stored(&self) -> Result<StoredReport, ReportError> {
        Ok(StoredReport {
            id: self.id.clone(),
            version: self.version,
            owner: self.owner.clone(),
            definition: serde_json::to_string(&self.definition)?,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }

    /// When it is made by itself next, after `now`.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.definition.timetable().ok().flatten()?.after(now)
    }
}

/// What is known of a report that this version cannot read.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) owner: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) changed_at: DateTime<Utc>,
    /// Its name, if that can be told.
    pub(crate) name: Option<String>,
    /// Why it cannot be read.
    pub(crate) error: String,
}

impl Unread {
    fn of(stored: StoredReport, error: &ReportError) -> Self {
        let StoredReport { id, version, owner, definition, created_at, changed_at } = stored;
        let definition: Value = serde_json::from_str(&definition).unwrap_or_default();
        let name = definition["name"].as_str().map(str::to_owned);
        Self { id, version, owner, created_at, changed_at, name, error: error.to_string() }
    }
}
